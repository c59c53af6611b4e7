//! What may be written in a request: rules that the reader of profiles and the load generator share, so that what is
//! called valid can be sent.

use serde_json::Value;

/// What is filled in for each request, in paths, headers, bodies and claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variable {
    /// The user's id, a number.
    UserId,
    /// The user's public id, a UUID.
    PublicId,
    /// A UUID, drawn anew for each request; the same wherever it stands in that request.
    Uuid,
}

impl Variable {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::UserId, Self::PublicId, Self::Uuid];

    /// As it is written.
    pub const fn text(self) -> &'static str {
        match self {
            Self::UserId => "${user.id}",
            Self::PublicId => "${user.publicId}",
            Self::Uuid => "${uuid}",
        }
    }

    /// The variable that `text` is, and nothing else.
    pub fn whole(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|variable| variable.text() == text)
    }

    /// All of them, for messages.
    pub fn allowed() -> String {
        Self::ALL.map(Self::text).join(", ")
    }
}

/// A part of a text with variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'a> {
    /// It is sent as it stands.
    Text(&'a str),
    /// It is filled in.
    Variable(Variable),
}

/// The parts of `text`, in their order.
///
/// # Errors
/// The first `${…}` that the load generator does not fill in.
pub fn parts(text: &str) -> Result<Vec<Part<'_>>, &str> {
    let (mut parts, mut rest) = (Vec::new(), text);
    while let Some(at) = rest.find("${") {
        let (before, hole) = rest.split_at(at);
        if !before.is_empty() {
            parts.push(Part::Text(before));
        }
        let end = hole.find('}').map_or(hole.len(), |end| end + 1);
        parts.push(Part::Variable(Variable::whole(&hole[..end]).ok_or(&hole[..end])?));
        rest = &hole[end..];
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest));
    }
    Ok(parts)
}

/// Longest example that a message shows, in bytes.
const MOST_SHOWN: usize = 160;

/// The first `${…}` that the load generator does not fill in.
pub fn unknown_hole(text: &str) -> Option<&str> {
    parts(text).err()
}

/// Why `path` cannot stand in a request line, and what to write; none where it can.
pub fn path_problem(path: &str) -> Option<String> {
    let scheme =
        path.split_once("://").map(|(scheme, _)| scheme).filter(|s| s.bytes().all(|b| b.is_ascii_alphanumeric()));
    if scheme.is_some_and(|scheme| !scheme.is_empty()) {
        let host = "the host comes from `--api-url`, or is the backend's";
        return Some(format!("this is a URL; write its path alone, as in /api/products: {host}"));
    }
    if !path.starts_with('/') {
        return Some("a path begins with `/`".into());
    }
    if let Some(hole) = unknown_hole(path) {
        return Some(format!("`{hole}` is not known; allowed: {}", Variable::allowed()));
    }
    let plain = Variable::ALL.iter().fold(path.to_owned(), |path, hole| path.replace(hole.text(), "1"));
    if plain.contains('#') {
        let why = "what stands behind `#` stays in browsers and is never sent";
        return Some(format!("{why}: take it away, or write %23 for the sign itself"));
    }
    let bad = plain.chars().find(|c| !c.is_ascii_graphic() || "{}\"<>\\^`|".contains(*c));
    if let Some(c) = bad {
        let mut utf8 = [0; 4];
        let encoded = c.encode_utf8(&mut utf8).bytes().fold(String::new(), |text, byte| format!("{text}%{byte:02X}"));
        let shown = if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
        return Some(format!("`{shown}` cannot stand in a path: write {encoded}"));
    }
    let broken = plain.match_indices('%').find_map(|(at, _)| {
        let code = &plain[at..plain.len().min(at + 3)];
        let digits = code[1..].bytes().filter(u8::is_ascii_hexdigit).count();
        (digits < 2).then_some(code)
    });
    broken.map(|code| format!("`{code}`: behind `%` stand two hexadecimal digits; write %25 for the sign itself"))
}

/// Headers that are sent already, or that would end the request elsewhere than it ends.
const OWN_HEADERS: [&str; 7] =
    ["host", "content-length", "connection", "transfer-encoding", "expect", "upgrade", "trailer"];

/// Why a header cannot be sent, and what to write; none where it can.
pub fn header_problem(name: &str, value: &str) -> Option<String> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || !name.bytes().all(token) {
        return Some("the name of a header has letters, digits and !#$%&'*+-.^_`|~ only".into());
    }
    if OWN_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
        return Some(format!("`{name}` is the load generator's own: take it away"));
    }
    if let Some(c) = value.chars().find(|c| c.is_control()) {
        return Some(format!("`{}` cannot stand in a header", c.escape_default()));
    }
    unknown_hole(value).map(|hole| format!("`{hole}` is not known; allowed: {}", Variable::allowed()))
}

/// For a body that is one text with JSON in it: the same as a map or list, as it is written in YAML. None for other texts.
pub fn json_in_text(text: &str) -> Option<String> {
    let text = text.trim();
    if !text.starts_with(['{', '[']) {
        return None;
    }
    // `{"userId": ${user.id}}` is JSON once the number is a text in quotes, which is how it is written in a map.
    let filled = Variable::ALL.iter().fold(text.to_owned(), |text, variable| {
        let (bare, quoted) = (variable.text(), format!("\"{}\"", variable.text()));
        text.replace(&quoted, "\u{1}").replace(bare, &quoted).replace('\u{1}', &quoted)
    });
    let read = [text, filled.as_str()].into_iter().find_map(|text| serde_json::from_str::<Value>(text).ok());
    let written = read.map(|value| value.to_string()).filter(|written| written.len() <= MOST_SHOWN);
    Some(written.unwrap_or_else(|| format!("{{userId: \"{}\"}}", Variable::UserId.text())))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What no server should ever see is an error, with what to write instead.
    #[test]
    fn paths_that_cannot_be_sent_say_what_to_write() {
        for (path, words) in [
            ("/x#frag", "%23"),
            ("/#", "%23"),
            ("/a b", "write %20"),
            ("/쿠폰", "write %EC%BF%A0"),
            ("/a\tb", "write %09"),
            ("/a\r\nX: y", "write %0D"),
            ("/a\u{7f}", "write %7F"),
            ("/a{b}", "write %7B"),
            ("/100%", "%25"),
            ("/%zz", "%25"),
            ("/%a", "%25"),
            ("http://host/x", "path alone"),
            ("https://host", "path alone"),
            ("api/x", "begins with `/`"),
            ("", "begins with `/`"),
            ("?a=1", "begins with `/`"),
            ("*", "begins with `/`"),
            ("/${user.name}", "`${user.name}` is not known"),
        ] {
            let why = path_problem(path).unwrap_or_else(|| panic!("{path:?} was taken"));
            assert!(why.contains(words), "{path:?}: {why}");
        }
        for path in [
            "/",
            "/a/${user.publicId}?k=${uuid}",
            "/a/b?c=d&e=%EC%BF%A0",
            "/${user.id}/x",
            "//a",
            "/a?u=http://h/",
            "/ids[]=1;v=2",
            "/a%20b",
            "/~u",
        ] {
            assert_eq!(path_problem(path), None, "{path}");
        }
    }

    #[test]
    fn json_in_a_text_is_shown_as_the_map_that_was_meant() {
        for (text, written) in [
            (r#"{"userId": ${user.id}}"#, r#"{"userId":"${user.id}"}"#),
            (r#"{"a": "${user.id}", "b": ${user.id}}"#, r#"{"a":"${user.id}","b":"${user.id}"}"#),
            (r#"{"a": "${uuid}", "b": ${uuid}}"#, r#"{"a":"${uuid}","b":"${uuid}"}"#),
            (" [1, 2]\n", "[1,2]"),
            (r#"{"broken": "#, r#"{userId: "${user.id}"}"#),
        ] {
            assert_eq!(json_in_text(text).as_deref(), Some(written), "{text}");
        }
        for text in ["plain", "${user.id}", "a=1&b=2", "", "\"quoted\""] {
            assert_eq!(json_in_text(text), None, "{text}");
        }
    }

    /// No header ends before its line does, begins another one, or says where the request ends.
    #[test]
    fn headers_that_cannot_be_sent_say_why() {
        for (name, value, words) in [
            ("", "x", "letters, digits"),
            ("X Y", "x", "letters, digits"),
            ("X:", "x", "letters, digits"),
            ("X\r\nY", "x", "letters, digits"),
            ("상품", "x", "letters, digits"),
            ("host", "x", "own"),
            ("Content-Length", "0", "own"),
            ("Transfer-Encoding", "chunked", "own"),
            ("Connection", "close", "own"),
            ("X", "a\r\nY: b", "`\\r` cannot stand"),
            ("X", "a\0", "cannot stand"),
            ("X", "${user.name}", "`${user.name}` is not known"),
        ] {
            let why = header_problem(name, value).unwrap_or_else(|| panic!("{name:?}: {value:?} was taken"));
            assert!(why.contains(words), "{name:?}: {why}");
        }
        for (name, value) in
            [("Idempotency-Key", "${uuid}"), ("Accept", "a/b"), ("X-Name", "상품 ${user.id}"), ("X", "")]
        {
            assert_eq!(header_problem(name, value), None, "{name}");
        }
    }

    proptest! {
        /// Put together again, the parts of a text are the text.
        #[test]
        fn parts_are_the_text(pieces in prop::collection::vec("\\$\\{user.id\\}|\\$\\{uuid\\}|\\$\\{user.publicId\\}|[a-z$}{ ]{0,4}", 0..8)) {
            let text = pieces.concat();
            if let Ok(parts) = parts(&text) {
                let joined: String = parts
                    .iter()
                    .map(|part| match part {
                        Part::Text(text) => text,
                        Part::Variable(variable) => variable.text(),
                    })
                    .collect();
                prop_assert_eq!(joined, text);
            }
        }

        #[test]
        fn no_text_panics(text in "[/a%#?${}user.id 선\\[\"\r\n:]{0,40}") {
            let _ = (path_problem(&text), json_in_text(&text), unknown_hole(&text));
        }
    }
}
