//! `http_req_duration{name:issue,scenario:event}`: a metric, and the tags by which its samples are chosen.

use std::{collections::BTreeMap, fmt};

use super::{GoalError, expression::Cursor};

/// A metric and the tags that choose among its samples. Written out, tags stand in alphabetical order and without
/// spaces: that is the key under which a sub-metric is found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Selector {
    /// Metric.
    pub metric: String,
    /// Tag → value.
    pub tags: BTreeMap<String, String>,
}

impl Selector {
    /// Reads a selector.
    ///
    /// # Errors
    /// With the column and what may stand there.
    pub fn parse(text: &str) -> Result<Self, GoalError> {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let mut cursor = Cursor { text, at: 0 };
        cursor.spaces();
        let metric = cursor.take_while(word);
        if metric.is_empty() {
            return Err(cursor.expected("the name of a metric"));
        }
        let mut tags = BTreeMap::new();
        cursor.spaces();
        if cursor.take("{") {
            loop {
                cursor.spaces();
                let key = cursor.take_while(word);
                if key.is_empty() {
                    return Err(cursor.expected("the name of a tag"));
                }
                cursor.spaces();
                if !cursor.take(":") {
                    return Err(cursor.expected("`:`"));
                }
                let value = cursor.take_while(|c| !matches!(c, ',' | '{' | '}')).trim();
                if value.is_empty() {
                    return Err(cursor.expected("the tag's value"));
                }
                if tags.insert(key.to_owned(), value.to_owned()).is_some() {
                    return Err(cursor.expected(&format!("each tag once (`{key}` stands twice)")));
                }
                if cursor.take("}") {
                    break;
                }
                if !cursor.take(",") {
                    return Err(cursor.expected("`,` or `}`"));
                }
            }
            cursor.spaces();
        }
        if cursor.rest().is_empty() {
            Ok(Self { metric: metric.to_owned(), tags })
        } else {
            Err(cursor.expected(if tags.is_empty() { "`{` or the end" } else { "the end" }))
        }
    }

    /// The value of a tag.
    pub fn tag(&self, key: &str) -> Option<&str> {
        self.tags.get(key).map(String::as_str)
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.metric)?;
        for (i, (key, value)) in self.tags.iter().enumerate() {
            write!(f, "{}{key}:{value}", if i == 0 { '{' } else { ',' })?;
        }
        f.write_str(if self.tags.is_empty() { "" } else { "}" })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tags_are_read_and_sorted() {
        let selector = Selector::parse("http_reqs{ scenario: event , name:my seats}").unwrap();
        assert_eq!(selector.to_string(), "http_reqs{name:my seats,scenario:event}");
        assert_eq!(Selector::parse("vus").unwrap().to_string(), "vus");
    }

    #[test]
    fn an_error_names_the_column() {
        for (text, message) in [
            ("{a:b}", "`{a:b}`, column 1: expected the name of a metric, found `{`"),
            ("a{}", "`a{}`, column 3: expected the name of a tag, found `}`"),
            ("a{b}", "`a{b}`, column 4: expected `:`, found `}`"),
            ("a{b:}", "`a{b:}`, column 5: expected the tag's value, found `}`"),
            ("a{b:c", "`a{b:c`, column 6: expected `,` or `}`, found the end"),
            ("a{b:c,b:d}", "`a{b:c,b:d}`, column 10: expected each tag once (`b` stands twice), found `}`"),
            ("a b", "`a b`, column 3: expected `{` or the end, found `b`"),
        ] {
            assert_eq!(Selector::parse(text).unwrap_err().to_string(), message);
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[a-z_{}:, é]{0,30}") {
            if let Ok(selector) = Selector::parse(&text) {
                prop_assert_eq!(Selector::parse(&selector.to_string()), Ok(selector));
            }
        }
    }
}
