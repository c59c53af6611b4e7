//! Where in an answer an id stands: rules that the reader of profiles and the load generator share.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most steps of a path. Reading an answer goes as deep as its path and no deeper.
const MOST_STEPS: usize = 32;
/// What could only be meant for more than a path: it would be taken for a name that no answer has.
const NO_NAME: &str = "$*?'\"(){}\\";

/// An id that only the answer says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerSpec {
    /// Where it stands in the answer's JSON, as in `$.entryId`, `$.data.id` or `$.items[0].id`.
    pub json: String,
}

impl AnswerSpec {
    /// The path, ready to be followed.
    ///
    /// # Errors
    /// What is wrong with it, and what to write.
    pub fn path(&self) -> Result<JsonPath, String> {
        JsonPath::parse(&self.json).ok_or_else(|| {
            format!(
                "`{}` is no path into an answer; write names and places, as in $.entryId or $.items[0].id",
                self.json
            )
        })
    }
}

/// The way to one value in JSON; without steps it is the whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonPath(Box<[Step]>);

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// To the value of this name.
    Name(Box<str>),
    /// To this place in a list, from 0.
    Place(usize),
}

impl JsonPath {
    /// Its steps, in their order.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    fn parse(text: &str) -> Option<Self> {
        let mut steps = Vec::new();
        // `entryId` is short for `$.entryId`.
        let mut rest = match text.strip_prefix('$') {
            Some(rest) => rest,
            None => name(text, &mut steps)?,
        };
        while !rest.is_empty() {
            rest = match (rest.strip_prefix('.'), rest.strip_prefix('[')) {
                (Some(rest), _) => name(rest, &mut steps)?,
                (None, Some(rest)) => {
                    let (digits, rest) = rest.split_once(']')?;
                    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
                    steps.push(Step::Place(digits.parse().ok().filter(|_| plain)?));
                    rest
                }
                (None, None) => return None,
            };
        }
        (steps.len() <= MOST_STEPS).then(|| Self(steps.into()))
    }
}

/// Takes a name from the beginning of `text`; returns what is behind it.
fn name<'a>(text: &'a str, steps: &mut Vec<Step>) -> Option<&'a str> {
    let (name, rest) = text.split_at(text.find(['.', '[']).unwrap_or(text.len()));
    let bad = |c: char| c == ']' || c.is_control() || c.is_whitespace() || NO_NAME.contains(c);
    if name.is_empty() || name.contains(bad) {
        return None;
    }
    steps.push(Step::Name(name.into()));
    Some(rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn steps(text: &str) -> Option<Vec<Step>> {
        AnswerSpec { json: text.into() }.path().ok().map(|path| path.steps().to_vec())
    }

    #[test]
    fn a_path_is_names_and_places() {
        let name = |text: &str| Step::Name(text.into());
        for (text, wanted) in [
            ("entryId", vec![name("entryId")]),
            ("$.entryId", vec![name("entryId")]),
            ("data.id", vec![name("data"), name("id")]),
            ("$.data.items[12].주문-id", vec![name("data"), name("items"), Step::Place(12), name("주문-id")]),
            ("items[0][1]", vec![name("items"), Step::Place(0), Step::Place(1)]),
            ("$[0]", vec![Step::Place(0)]),
            ("$", vec![]),
        ] {
            assert_eq!(steps(text), Some(wanted), "{text}");
        }
        let deep = vec!["a"; MOST_STEPS].join(".");
        assert_eq!(steps(&deep).map(|steps| steps.len()), Some(MOST_STEPS));
        for text in [
            "",
            ".",
            "$.",
            "$..id",
            "a..b",
            "a.",
            ".a",
            "a[",
            "a[]",
            "a[x]",
            "a[-1]",
            "a[+1]",
            "a[*]",
            "a]",
            "a[0]b",
            "$.*",
            "$a",
            "a b",
            "${uuid}",
            "$['a']",
            "a[?(@.b)]",
            "a[99999999999999999999999]",
            &format!("{deep}.a"),
        ] {
            assert_eq!(steps(text), None, "{text}");
        }
        let why = AnswerSpec { json: "$.*".into() }.path().unwrap_err();
        assert_eq!(why, "`$.*` is no path into an answer; write names and places, as in $.entryId or $.items[0].id");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[a$.\\[\\]0-9*상 ]{0,20}") {
            let _ = steps(&text);
        }
    }
}
