//! The YAML of one compose file, with variables filled in and the file's number at every value.
//!
//! Scalars stay as they were written: compose casts them by the place where they stand, and so does the reader.

use std::collections::BTreeMap;

use base::yaml::{
    problem::Place,
    tree::{self, Kind, Value as Yaml},
};

use super::{error::ComposeProblem, interpolate, values};

/// Most bytes of one file.
const MAX_BYTES: usize = 512 * 1024;
/// Most bytes of all values of a file once variables are filled in.
const MAX_FILLED: usize = 4 * 1024 * 1024;

const COMPOSE: Kind = Kind { name: "compose file", needs: "`services`", refuse: |_| None, strict: false };

/// Where something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct At {
    /// Index of the file.
    pub file: usize,
    pub line: usize,
    pub column: usize,
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub at: At,
    pub value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A scalar as it was written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scalar {
    pub text: String,
    pub form: Form,
}

/// How a scalar was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A text without variables.
    Text,
    /// A text in which variables were filled in.
    Filled,
    /// `true` or `false`, unquoted.
    Bool,
    /// A number, unquoted; whether YAML prints it as it was written, and every reader takes it for the same.
    Number { canonical: bool },
    /// A text whose variables could not be filled in; what stands there is why.
    Unfilled,
}

/// One key of a map.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub key: String,
    pub at: At,
    pub node: Node,
}

impl Node {
    /// The same as JSON; numbers and booleans only where they were written without quotes.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Scalar(scalar) => match scalar.form {
                Form::Text | Form::Filled | Form::Unfilled => scalar.text.clone().into(),
                Form::Bool | Form::Number { .. } => {
                    serde_json::from_str(&scalar.text).unwrap_or_else(|_| scalar.text.clone().into())
                }
            },
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Map(entries) => entries.iter().map(|e| (e.key.clone(), e.node.to_json())).collect(),
        }
    }
}

/// Reads one file.
pub(super) fn read(
    file: usize,
    name: &str,
    text: &str,
    vars: &BTreeMap<String, String>,
) -> Result<Node, Vec<ComposeProblem>> {
    let problem = |at: At, key: &str, message: String| ComposeProblem {
        file: name.to_owned(),
        line: at.line,
        column: at.column,
        key: key.to_owned(),
        message,
    };
    let start = At { file, line: 1, column: 1 };
    if text.len() > MAX_BYTES {
        let message = format!("the file has {} bytes; a compose file has at most {MAX_BYTES}", text.len());
        return Err(vec![problem(start, "", message)]);
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let place = |line, column| Place::File { line, column: column + 1 };
    let root = tree::parse(text, &COMPOSE, &place).map_err(|problems| {
        problems.into_iter().map(|p| problem(position(file, &p.place), &p.path, p.message)).collect::<Vec<_>>()
    })?;
    let lines: Vec<&str> = text.split('\n').collect();
    let mut walk = Fill { file, lines, vars, bytes: 0 };
    let node = walk.node(root);
    if walk.bytes > MAX_FILLED {
        let message = format!("with its variables filled in the file has more than {MAX_FILLED} bytes");
        return Err(vec![problem(start, "", message)]);
    }
    Ok(node)
}

fn position(file: usize, place: &Place) -> At {
    match place {
        Place::File { line, column } => At { file, line: *line, column: *column },
        Place::Flag(_) => At { file, line: 1, column: 1 },
    }
}

struct Fill<'a> {
    file: usize,
    lines: Vec<&'a str>,
    vars: &'a BTreeMap<String, String>,
    bytes: usize,
}

impl Fill<'_> {
    /// The tree is at most as deep as the parser allows, so recursion is bounded.
    fn node(&mut self, node: tree::Node) -> Node {
        let at = position(self.file, &node.place);
        let value = match node.value {
            Yaml::Null => Value::Null,
            Yaml::Bool(b) => Value::Scalar(Scalar { text: b.to_string(), form: Form::Bool }),
            Yaml::Int(n) => Value::Scalar(self.number(at, &n.to_string())),
            Yaml::Float(x) => Value::Scalar(self.number(at, &x.to_string())),
            Yaml::Text(text) => Value::Scalar(self.fill(at, text)),
            Yaml::Unclear(unclear) => Value::Scalar(self.fill(at, unclear.text)),
            Yaml::List(items) => Value::List(items.into_iter().map(|item| self.node(item)).collect()),
            Yaml::Map(entries) => Value::Map(
                entries
                    .into_iter()
                    .map(|e| Entry { node: self.node(e.node), at: position(self.file, &e.place), key: e.key })
                    .collect(),
            ),
        };
        Node { at, value }
    }

    fn fill(&mut self, at: At, text: String) -> Scalar {
        if self.is_plain(at) && values::is_doubtful(&text) {
            return Scalar { text, form: Form::Number { canonical: false } };
        }
        if !text.contains('$') || self.bytes > MAX_FILLED {
            return Scalar { text, form: Form::Text };
        }
        match interpolate::fill(&text, self.vars) {
            Ok(text) => {
                self.bytes += text.len();
                Scalar { text, form: Form::Filled }
            }
            Err(why) => Scalar { text: why, form: Form::Unfilled },
        }
    }

    /// Whether a scalar stands there without quotes.
    fn is_plain(&self, at: At) -> bool {
        let line = self.lines.get(at.line - 1).copied().unwrap_or_default();
        line.chars().nth(at.column - 1).is_some_and(|c| !"'\"|>".contains(c))
    }

    /// A number as it stands in the file; `printed` is what YAML makes of it.
    fn number(&self, at: At, printed: &str) -> Scalar {
        let line = self.lines.get(at.line - 1).copied().unwrap_or_default();
        let rest = line.chars().skip(at.column - 1);
        let text: String = rest.take_while(|c| c.is_ascii_alphanumeric() || "+-._".contains(*c)).collect();
        let canonical = text == printed;
        // A number is one plain word; should the place be off, what YAML read is the next best.
        let text = if text.is_empty() { printed.to_owned() } else { text };
        Scalar { text, form: Form::Number { canonical } }
    }
}
