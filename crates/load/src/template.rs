//! Requests rendered once, with holes for what differs from one to the next.

use std::io::Write;

use contract::{claim::Id, names};
use profile::{
    model::{METHODS, RequestSpec},
    request::{Part, Variable, header_problem, parts, path_problem, unknown_hole},
};
use serde_json::Value;
use uuid::{Uuid, fmt::Hyphenated};

/// Why a request cannot be rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The method is no token.
    #[error("method `{0}` is not allowed: use GET, POST, PUT or DELETE")]
    Method(String),
    /// The path cannot stand in a request line.
    #[error("path `{path}` is not allowed: {why}")]
    Path {
        /// As written.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// A header cannot be sent.
    #[error("header `{name}` is not allowed: {why}")]
    Header {
        /// Its name.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// A placeholder that the generator does not know.
    #[error("`{0}` is unknown to the load generator; it fills in {allowed}", allowed = Variable::allowed())]
    Placeholder(String),
    /// The host cannot stand in a header.
    #[error("host `{0}` is not allowed: it is a name or an address, with a port if need be")]
    Host(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Bytes(Vec<u8>),
    /// What differs from one request to the next.
    Variable(Variable),
    /// Length of the body.
    Length,
}

/// What the variables of one request are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Values {
    /// The user's id.
    pub user: u64,
    /// The UUID that was drawn for this request.
    pub uuid: Uuid,
}

impl Values {
    /// What `variable` is in this request.
    pub fn of(&self, variable: Variable) -> Id {
        match variable {
            Variable::UserId => Id::Number(self.user),
            Variable::PublicId => Id::Uuid(names::public_id(self.user)),
            Variable::Uuid => Id::Uuid(self.uuid),
        }
    }
}

/// A request with holes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
    /// Bytes of the body without the numbers to be filled in, and how many of them it has.
    body: (usize, usize),
}

impl Template {
    /// Renders `spec` for `host`.
    ///
    /// # Errors
    /// When method, path, host, a header or a placeholder cannot be sent.
    pub fn new(spec: &RequestSpec, host: &str) -> Result<Self, TemplateError> {
        if !METHODS.contains(&spec.method.as_str()) {
            return Err(TemplateError::Method(spec.method.clone()));
        }
        if let Some(hole) = unknown_hole(&spec.path) {
            return Err(TemplateError::Placeholder(hole.to_owned()));
        }
        if let Some(why) = path_problem(&spec.path) {
            return Err(TemplateError::Path { path: spec.path.clone(), why });
        }
        if host.is_empty() || !host.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(TemplateError::Host(host.to_owned()));
        }
        let mut body = Pieces::default();
        if let Some(value) = &spec.body {
            body.value(value)?;
        }
        let mut head = Pieces::default();
        head.text(&format!("{} {}", spec.method, spec.path))?;
        head.bytes(b" HTTP/1.1\r\nHost: ");
        head.bytes(host.as_bytes());
        head.bytes(b"\r\n");
        head.headers(spec)?;
        // A POST or PUT without a body says so; servers answer 411 otherwise.
        if spec.body.is_some() || matches!(spec.method.as_str(), "POST" | "PUT") {
            head.bytes(b"Content-Length: ");
            head.0.push(Piece::Length);
            head.bytes(b"\r\n");
        }
        head.bytes(b"\r\n");
        let measure = body.0.iter().fold((0, 0), |(fixed, holes), piece| match piece {
            Piece::Bytes(bytes) => (fixed + bytes.len(), holes),
            Piece::Variable(Variable::PublicId | Variable::Uuid) => (fixed + Hyphenated::LENGTH, holes),
            Piece::Variable(Variable::UserId) | Piece::Length => (fixed, holes + 1),
        });
        head.0.extend(body.0);
        Ok(Self { pieces: head.0, body: measure })
    }

    /// Appends the request with these values to `out`.
    pub fn render(&self, values: &Values, out: &mut Vec<u8>) {
        for piece in &self.pieces {
            // Writing into memory does not fail.
            let _ = match piece {
                Piece::Bytes(bytes) => out.write_all(bytes),
                Piece::Variable(variable) => write!(out, "{}", values.of(*variable)),
                Piece::Length => write!(out, "{}", self.body.0 + self.body.1 * digits(values.user)),
            };
        }
    }
}

fn digits(number: u64) -> usize {
    number.checked_ilog10().unwrap_or(0) as usize + 1
}

#[derive(Default)]
struct Pieces(Vec<Piece>);

impl Pieces {
    fn bytes(&mut self, bytes: &[u8]) {
        if let Some(Piece::Bytes(last)) = self.0.last_mut() {
            last.extend_from_slice(bytes);
        } else if !bytes.is_empty() {
            self.0.push(Piece::Bytes(bytes.to_vec()));
        }
    }

    /// The profile's headers, and those that it does not replace.
    fn headers(&mut self, spec: &RequestSpec) -> Result<(), TemplateError> {
        let json = spec.body.is_some().then_some(("Content-Type", "application/json"));
        let own = [("User-Agent", concat!("ecomctl/", env!("CARGO_PKG_VERSION"))), ("Accept", "*/*")];
        let kept = own.into_iter().chain(json);
        let kept = kept.filter(|(own, _)| !spec.headers.keys().any(|name| name.eq_ignore_ascii_case(own)));
        for (name, value) in kept.chain(spec.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()))) {
            if let Some(why) = header_problem(name, value) {
                return Err(TemplateError::Header { name: name.to_owned(), why });
            }
            self.bytes(name.as_bytes());
            self.bytes(b": ");
            self.text(value)?;
            self.bytes(b"\r\n");
        }
        Ok(())
    }

    /// Text with its variables.
    fn text(&mut self, text: &str) -> Result<(), TemplateError> {
        for part in parts(text).map_err(|hole| TemplateError::Placeholder(hole.to_owned()))? {
            match part {
                Part::Text(text) => self.bytes(text.as_bytes()),
                Part::Variable(variable) => self.0.push(Piece::Variable(variable)),
            }
        }
        Ok(())
    }

    /// JSON, in which the text `"${user.id}"` becomes the number.
    fn value(&mut self, value: &Value) -> Result<(), TemplateError> {
        match value {
            Value::String(text) if Variable::whole(text) == Some(Variable::UserId) => {
                self.0.push(Piece::Variable(Variable::UserId));
            }
            Value::Array(items) => {
                self.bytes(b"[");
                for (i, item) in items.iter().enumerate() {
                    self.bytes(if i > 0 { b"," } else { b"" });
                    self.value(item)?;
                }
                self.bytes(b"]");
            }
            Value::Object(fields) => {
                self.bytes(b"{");
                for (i, (key, item)) in fields.iter().enumerate() {
                    self.bytes(if i > 0 { b"," } else { b"" });
                    self.text(&Value::from(key.as_str()).to_string())?;
                    self.bytes(b":");
                    self.value(item)?;
                }
                self.bytes(b"}");
            }
            plain => self.text(&plain.to_string())?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn spec(method: &str, path: &str, body: Option<Value>) -> RequestSpec {
        let mut spec: RequestSpec =
            serde_json::from_value(json!({"name": "a", "method": method, "path": path})).unwrap();
        spec.body = body;
        spec
    }

    fn values(user: u64) -> Values {
        Values { user, uuid: Uuid::from_u128(u128::from(user) << 64 | 7) }
    }

    fn render(spec: &RequestSpec, user: u64) -> String {
        let mut out = Vec::new();
        Template::new(spec, "shop:8080").unwrap().render(&values(user), &mut out);
        String::from_utf8(out).unwrap()
    }

    /// The same value wherever it stands in a request, and in what it claims.
    #[test]
    fn variables_are_filled_in_everywhere() {
        let mut spec = spec(
            "POST",
            "/u/${user.id}/${user.publicId}?k=${uuid}",
            Some(json!({"${uuid}": "${uuid}", "id": "${user.id}", "public": "${user.publicId}", "by": "u${user.id}"})),
        );
        spec.headers = [("Idempotency-Key".to_owned(), "${uuid}".to_owned())].into();
        let (text, uuid, public) = (render(&spec, 12), values(12).uuid, names::public_id(12));
        assert!(text.starts_with(&format!("POST /u/12/{public}?k={uuid} HTTP/1.1\r\n")), "{text}");
        assert!(text.contains(&format!("\r\nIdempotency-Key: {uuid}\r\n")), "{text}");
        let body: Value = serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap();
        let mut wanted = json!({"id": 12, "public": public.to_string(), "by": "u12"});
        wanted[uuid.to_string()] = uuid.to_string().into();
        assert_eq!(body, wanted);
        assert_eq!(values(12).of(Variable::Uuid), Id::Uuid(uuid));
    }

    #[test]
    fn headers_replace_those_of_the_generator() {
        let mut spec = spec("POST", "/", Some(json!(1)));
        spec.headers = [("content-type", "text/x"), ("Accept", "a/b"), ("X-User", "${user.id}")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let text = render(&spec, 3);
        let lines = |name: &str| text.lines().filter(|line| line.to_lowercase().starts_with(name)).count();
        assert_eq!((lines("content-type:"), lines("accept:"), lines("user-agent:")), (1, 1, 1));
        assert!(text.contains("\r\nX-User: 3\r\n") && text.contains("\r\ncontent-type: text/x\r\n"), "{text}");
        for (name, value) in [("Host", "x"), ("X", "a\r\nb"), ("X Y", "a"), ("X", "${nobody}")] {
            spec.headers = [(name.to_owned(), value.to_owned())].into();
            assert!(matches!(Template::new(&spec, "h"), Err(TemplateError::Header { .. })), "{name}: {value}");
        }
    }

    /// What `profiles check` calls valid is what a server gets: numbers, and texts in quotes, as they were written.
    #[test]
    fn a_body_is_sent_as_it_is_written() {
        let body = "{phone: \"01012345678\", id: 9007199254740993, price: 1.10, on: 2024-01-01, at: \"12:30\", ok: true, none: null}";
        let request = format!("{{name: a, method: POST, path: /a, body: {body}}}");
        let text = format!(
            "system: ecommerce\nscenarios: {{a: {{executor: constant-vus, vus: 1, duration: 1s, requests: [{request}]}}}}"
        );
        let (profile, warnings) = profile::read("p.yaml", &text, &profile::Overrides::default()).unwrap();
        assert!(warnings.is_empty(), "{warnings:?}");
        let mut sent = Vec::new();
        Template::new(&profile.scenarios["a"].requests[0], "h").unwrap().render(&values(1), &mut sent);
        let sent = String::from_utf8(sent).unwrap();
        let wanted = [
            r#""phone":"01012345678""#,
            r#""id":9007199254740993"#,
            r#""price":1.1"#,
            r#""on":"2024-01-01""#,
            r#""at":"12:30""#,
            r#""ok":true"#,
            r#""none":null"#,
        ];
        for part in wanted {
            assert!(sent.contains(part), "no {part} in {sent}");
        }
    }

    #[test]
    fn a_request_as_it_is_sent() {
        let hold = spec("POST", "/api/seats/1/hold", Some(json!({"userId": "${user.id}", "by": "u${user.id}@x"})));
        let text = render(&hold, 42);
        assert!(text.starts_with("POST /api/seats/1/hold HTTP/1.1\r\nHost: shop:8080\r\n"), "{text}");
        assert!(text.ends_with("Content-Length: 26\r\n\r\n{\"by\":\"u42@x\",\"userId\":42}"), "{text}");
        assert!(render(&spec("GET", "/api/users/${user.id}/seats", None), 7).starts_with("GET /api/users/7/seats "));
        assert!(render(&spec("POST", "/", None), 7).contains("Content-Length: 0\r\n"));
        assert!(!render(&spec("GET", "/", None), 7).contains("Content-"));
    }

    #[test]
    fn what_cannot_be_sent_is_an_error() {
        let error = |spec: &RequestSpec| Template::new(spec, "h").unwrap_err();
        assert_eq!(error(&spec("get", "/", None)), TemplateError::Method("get".into()));
        for path in ["", "api", "/a b", "/a\r\nX: y", "/상품", "/x#frag"] {
            assert!(matches!(error(&spec("GET", path, None)), TemplateError::Path { .. }), "{path}");
        }
        assert_eq!(error(&spec("GET", "/${SEAT}/x", None)), TemplateError::Placeholder("${SEAT}".into()));
        assert!(Template::new(&spec("GET", "/", None), "a\r\nb").is_err());
    }

    proptest! {
        #[test]
        fn the_body_is_json_of_the_length_that_is_named(user: u64, text in ".{0,30}", header in ".{0,20}", number: i64) {
            prop_assume!(!text.contains("${") && header_problem("X", &header).is_none());
            let body = json!({"list": ["${user.id}", number, {"deep": "${user.id}"}], "text": text, "key": "k${uuid}"});
            let mut spec = spec("PUT", "/${user.publicId}", Some(body));
            spec.headers = [("X".to_owned(), header.clone())].into();
            let sent = render(&spec, user);
            let (head, body) = sent.split_once("\r\n\r\n").unwrap();
            // What a header holds ends no line: there is one more than the generator's own.
            prop_assert_eq!(head.split("\r\n").count(), 7, "{}", head);
            let named = head.lines().find_map(|l| l.strip_prefix("Content-Length: ")).unwrap();
            prop_assert_eq!(named.parse::<usize>().unwrap(), body.len());
            let read: Value = serde_json::from_str(body).unwrap();
            prop_assert_eq!(read, json!({
                "list": [user, number, {"deep": user}], "text": text, "key": format!("k{}", values(user).uuid),
            }));
        }
    }
}
