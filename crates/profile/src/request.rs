//! What may be written in a request: rules that the reader of profiles and the load generator share, so that what is
//! called valid can be sent.

use serde_json::Value;

/// What stands for the user's id in paths and bodies.
pub const USER_ID: &str = "${user.id}";
/// Longest example that a message shows, in bytes.
const MOST_SHOWN: usize = 160;

/// The first `${…}` that the load generator does not fill in.
pub fn unknown_hole(text: &str) -> Option<&str> {
    let start = text.match_indices("${").map(|(at, _)| at).find(|at| !text[*at..].starts_with(USER_ID))?;
    let end = text[start..].find('}').map_or(text.len(), |end| start + end + 1);
    Some(&text[start..end])
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
        return Some(format!("`{hole}` is not known; allowed: {USER_ID}"));
    }
    let plain = path.replace(USER_ID, "1");
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

/// For a body that is one text with JSON in it: the same as a map or list, as it is written in YAML. None for other texts.
pub fn json_in_text(text: &str) -> Option<String> {
    let text = text.trim();
    if !text.starts_with(['{', '[']) {
        return None;
    }
    // `{"userId": ${user.id}}` is JSON once the number is a text in quotes, which is how it is written in a map.
    let quoted = format!("\"{USER_ID}\"");
    let filled = text.replace(&quoted, "\u{1}").replace(USER_ID, &quoted).replace('\u{1}', &quoted);
    let read = [text, filled.as_str()].into_iter().find_map(|text| serde_json::from_str::<Value>(text).ok());
    let written = read.map(|value| value.to_string()).filter(|written| written.len() <= MOST_SHOWN);
    Some(written.unwrap_or_else(|| format!("{{userId: {quoted}}}")))
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
        for path in
            ["/", "/a/b?c=d&e=%EC%BF%A0", "/${user.id}/x", "//a", "/a?u=http://h/", "/ids[]=1;v=2", "/a%20b", "/~u"]
        {
            assert_eq!(path_problem(path), None, "{path}");
        }
    }

    #[test]
    fn json_in_a_text_is_shown_as_the_map_that_was_meant() {
        for (text, written) in [
            (r#"{"userId": ${user.id}}"#, r#"{"userId":"${user.id}"}"#),
            (r#"{"a": "${user.id}", "b": ${user.id}}"#, r#"{"a":"${user.id}","b":"${user.id}"}"#),
            (" [1, 2]\n", "[1,2]"),
            (r#"{"broken": "#, r#"{userId: "${user.id}"}"#),
        ] {
            assert_eq!(json_in_text(text).as_deref(), Some(written), "{text}");
        }
        for text in ["plain", "${user.id}", "a=1&b=2", "", "\"quoted\""] {
            assert_eq!(json_in_text(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[/a%#?${}user.id 선\\[\"\r\n:]{0,40}") {
            let _ = (path_problem(&text), json_in_text(&text), unknown_hole(&text));
        }
    }
}
