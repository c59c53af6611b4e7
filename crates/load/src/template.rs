//! Requests rendered once, with holes where the user's id goes.

use std::io::Write;

use profile::{
    model::{METHODS, RequestSpec},
    request::{USER_ID, path_problem, unknown_hole},
};
use serde_json::Value;

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
    /// A placeholder that the generator does not know.
    #[error("`{0}` is unknown to the load generator: only ${{user.id}} is filled in per request")]
    Placeholder(String),
    /// The host cannot stand in a header.
    #[error("host `{0}` is not allowed: it is a name or an address, with a port if need be")]
    Host(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Bytes(Vec<u8>),
    /// The user's id in decimal.
    User,
    /// Length of the body.
    Length,
}

/// A request with holes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
    /// Bytes of the body without its holes, and how many holes it has.
    body: (usize, usize),
}

impl Template {
    /// Renders `spec` for `host`.
    ///
    /// # Errors
    /// When method, path, host or a placeholder cannot be sent.
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
        head.bytes(concat!("\r\nUser-Agent: ecomctl/", env!("CARGO_PKG_VERSION"), "\r\nAccept: */*\r\n").as_bytes());
        if spec.body.is_some() {
            head.bytes(b"Content-Type: application/json\r\n");
        }
        // A POST or PUT without a body says so; servers answer 411 otherwise.
        if spec.body.is_some() || matches!(spec.method.as_str(), "POST" | "PUT") {
            head.bytes(b"Content-Length: ");
            head.0.push(Piece::Length);
            head.bytes(b"\r\n");
        }
        head.bytes(b"\r\n");
        let measure = body.0.iter().fold((0, 0), |(fixed, holes), piece| match piece {
            Piece::Bytes(bytes) => (fixed + bytes.len(), holes),
            Piece::User | Piece::Length => (fixed, holes + 1),
        });
        head.0.extend(body.0);
        Ok(Self { pieces: head.0, body: measure })
    }

    /// Appends the request of `user` to `out`.
    pub fn render(&self, user: u64, out: &mut Vec<u8>) {
        for piece in &self.pieces {
            let number = match piece {
                Piece::Bytes(bytes) => {
                    out.extend_from_slice(bytes);
                    continue;
                }
                Piece::User => user,
                Piece::Length => (self.body.0 + self.body.1 * digits(user)) as u64,
            };
            // Writing into memory does not fail.
            let _ = write!(out, "{number}");
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

    /// Text in which each `${user.id}` is a hole.
    fn text(&mut self, text: &str) -> Result<(), TemplateError> {
        for (i, part) in text.split(USER_ID).enumerate() {
            if i > 0 {
                self.0.push(Piece::User);
            }
            if let Some(hole) = unknown_hole(part) {
                return Err(TemplateError::Placeholder(hole.to_owned()));
            }
            self.bytes(part.as_bytes());
        }
        Ok(())
    }

    /// JSON, in which the text `"${user.id}"` becomes the number.
    fn value(&mut self, value: &Value) -> Result<(), TemplateError> {
        match value {
            Value::String(text) if text == USER_ID => self.0.push(Piece::User),
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

    fn render(spec: &RequestSpec, user: u64) -> String {
        let mut out = Vec::new();
        Template::new(spec, "shop:8080").unwrap().render(user, &mut out);
        String::from_utf8(out).unwrap()
    }

    /// What `profiles check` calls valid is what a server gets: numbers, and texts in quotes, as they were written.
    #[test]
    fn a_body_is_sent_as_it_is_written() {
        let body = "{phone: \"01012345678\", id: 9007199254740993, price: 1.10, on: 2024-01-01, at: \"12:30\", ok: true, none: null}";
        let quick = include_str!("../../../profiles/coupon-quick.yaml");
        let text = quick.replace("{userId: \"${user.id}\"}", body);
        let (profile, warnings) = profile::read("p.yaml", &text, &profile::Overrides::default()).unwrap();
        assert!(warnings.is_empty(), "{warnings:?}");
        let requests = profile.scenarios.values().flat_map(|scenario| &scenario.requests);
        let issue = requests.into_iter().find(|request| request.body.is_some()).unwrap();
        let mut sent = Vec::new();
        Template::new(issue, "h").unwrap().render(1, &mut sent);
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
        let issue = spec("POST", "/api/coupons/1/issue", Some(json!({"userId": "${user.id}", "by": "u${user.id}@x"})));
        let text = render(&issue, 42);
        assert!(text.starts_with("POST /api/coupons/1/issue HTTP/1.1\r\nHost: shop:8080\r\n"), "{text}");
        assert!(text.ends_with("Content-Length: 26\r\n\r\n{\"by\":\"u42@x\",\"userId\":42}"), "{text}");
        assert!(
            render(&spec("GET", "/api/users/${user.id}/coupons", None), 7).starts_with("GET /api/users/7/coupons ")
        );
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
        assert_eq!(error(&spec("GET", "/${COUPON}/x", None)), TemplateError::Placeholder("${COUPON}".into()));
        assert!(Template::new(&spec("GET", "/", None), "a\r\nb").is_err());
    }

    proptest! {
        #[test]
        fn the_body_is_json_of_the_length_that_is_named(user: u64, text in ".{0,30}", number: i64) {
            prop_assume!(!text.contains("${"));
            let body = json!({"list": ["${user.id}", number, {"deep": "${user.id}"}], "text": text});
            let sent = render(&spec("PUT", "/", Some(body)), user);
            let (head, body) = sent.split_once("\r\n\r\n").unwrap();
            let named = head.lines().find_map(|l| l.strip_prefix("Content-Length: ")).unwrap();
            prop_assert_eq!(named.parse::<usize>().unwrap(), body.len());
            let read: Value = serde_json::from_str(body).unwrap();
            prop_assert_eq!(read, json!({"list": [user, number, {"deep": user}], "text": text}));
        }
    }
}
