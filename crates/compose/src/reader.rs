//! Walks nodes, gathers problems with their places, and turns scalars into values.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use base::yaml::{suggest::did_you_mean, tree::join};

use super::{
    error::ComposeProblem,
    node::{At, Entry, Form, Node, Scalar, Value},
    refused, values,
};

/// Most keys that a message lists.
const MOST_LISTED: usize = 12;

/// A value and where it was written.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Placed<T> {
    pub at: At,
    pub value: T,
}

/// A key of a section and what reads its value.
pub(super) type Key<T> = (&'static str, fn(&mut Reader<'_>, &mut T, &Node));

/// What is read so far, and what is wrong with it.
pub(super) struct Reader<'a> {
    /// Names of the files.
    pub names: Vec<String>,
    /// Variables; for keys that name one.
    pub vars: &'a BTreeMap<String, String>,
    /// What is wrong.
    pub problems: Vec<ComposeProblem>,
    path: String,
}

impl<'a> Reader<'a> {
    pub fn new(names: Vec<String>, vars: &'a BTreeMap<String, String>) -> Self {
        Self { names, vars, problems: Vec::new(), path: String::new() }
    }

    /// Notes a problem with the key that is being read.
    pub fn problem(&mut self, at: At, message: impl Into<String>) {
        let key = self.path.clone();
        self.problem_of(at, key, message);
    }

    /// Notes a problem with another key.
    pub fn problem_of(&mut self, at: At, key: impl Into<String>, message: impl Into<String>) {
        self.problems.push(ComposeProblem {
            file: self.names.get(at.file).cloned().unwrap_or_default(),
            line: at.line,
            column: at.column,
            key: key.into(),
            message: message.into(),
        });
    }

    /// Reads what stands below `key`.
    pub fn below<R>(&mut self, key: &str, read: impl FnOnce(&mut Self) -> R) -> R {
        let length = self.path.len();
        self.path = join(&self.path, key);
        let result = read(self);
        self.path.truncate(length);
        result
    }

    /// Entries of a map; nothing is an empty one.
    pub fn map<'n>(&mut self, node: &'n Node) -> &'n [Entry] {
        if let Value::Map(entries) = &node.value {
            return entries;
        }
        self.wrong(node, "a map");
        &[]
    }

    /// Entries of a map that may be left empty, as in `volumes: {data: }`.
    pub fn map_or_null<'n>(&mut self, node: &'n Node) -> &'n [Entry] {
        if node.value == Value::Null { &[] } else { self.map(node) }
    }

    /// Whether a problem is known of the key `path`.
    pub fn has_problem(&self, path: &str) -> bool {
        self.problems.iter().any(|problem| problem.key == path)
    }

    /// Reads a map of known keys into `target`. Keys that begin with `x-` belong to others.
    pub fn fields<T>(&mut self, node: &Node, keys: &[Key<T>], refused: &[&str], target: &mut T) {
        for entry in self.map_or_null(node) {
            if entry.key.starts_with("x-") {
                continue;
            }
            let Some((_, read)) = keys.iter().find(|(key, _)| *key == entry.key) else {
                self.unknown(entry, keys.iter().map(|(key, _)| *key), refused);
                continue;
            };
            self.below(&entry.key, |reader| {
                // `command:` with nothing behind it says nothing; compose reads it as absent or refuses it, by key.
                if entry.node.value == Value::Null {
                    reader.problem(entry.at, "the key has no value; give it one or remove it");
                } else {
                    read(reader, target, &entry.node);
                }
            });
        }
    }

    fn unknown<'k>(&mut self, entry: &Entry, known: impl Iterator<Item = &'k str>, refused: &[&str]) {
        let key = &entry.key;
        let known: Vec<&str> = known.collect();
        let path = join(&self.path, key);
        let what = if refused.contains(&key.as_str()) {
            if let Some(instead) = refused::instead(&path) {
                return self.problem_of(entry.at, path, format!("`{key}` is not supported by ecomctl; {instead}"));
            }
            format!("`{key}` is not supported by ecomctl")
        } else {
            format!("unknown key `{key}`{}", did_you_mean(key, known.iter().copied()))
        };
        // The list for a whole service helps nobody who mistyped one key.
        let message = match known.len() {
            0..=MOST_LISTED => format!("{what}; supported here: {}", known.join(", ")),
            _ => format!("{what}; docs/compose.md lists what is"),
        };
        self.problem_of(entry.at, path, message);
    }

    /// Items of a list, each with its place in the path.
    pub fn list<'n>(&mut self, node: &'n Node) -> &'n [Node] {
        if let Value::List(items) = &node.value {
            return items;
        }
        self.wrong(node, "a list");
        &[]
    }

    /// Reads each item of a list; what cannot be read is left out, and reported.
    pub fn items<T>(&mut self, node: &Node, mut read: impl FnMut(&mut Self, &Node) -> Option<T>) -> Vec<T> {
        let mut found = Vec::new();
        for (index, item) in self.list(node).iter().enumerate() {
            let length = self.path.len();
            let _ = write!(self.path, "[{index}]");
            found.extend(read(self, item));
            self.path.truncate(length);
        }
        found
    }

    /// Whatever was written as one value.
    pub fn scalar<'n>(&mut self, node: &'n Node, wanted: &str) -> Option<&'n Scalar> {
        if let Value::Scalar(scalar) = &node.value
            && scalar.form != Form::Unfilled
        {
            return Some(scalar);
        }
        self.wrong(node, wanted);
        None
    }

    /// A text; a number or `true` must be quoted, as compose demands.
    pub fn text(&mut self, node: &Node) -> Option<String> {
        let scalar = self.scalar(node, "a text")?;
        if matches!(scalar.form, Form::Text | Form::Filled) {
            return Some(scalar.text.clone());
        }
        let message = format!("expected a text, found `{}`; put it into quotes", scalar.text);
        self.problem(node.at, message);
        None
    }

    /// A text that is not empty.
    pub fn word(&mut self, node: &Node) -> Option<String> {
        let text = self.text(node)?;
        if text.trim().is_empty() {
            self.problem(node.at, "the text is empty");
            return None;
        }
        Some(text)
    }

    /// A value of the environment or a label: text, number or boolean. Numbers that YAML would print otherwise than
    /// they were written are refused, because readers differ about them.
    pub fn loose(&mut self, node: &Node) -> Option<String> {
        let scalar = self.scalar(node, "a text or a number")?;
        if scalar.form == (Form::Number { canonical: false }) {
            let message = format!("`{}` is not the same to every reader of YAML; put it into quotes", scalar.text);
            self.problem(node.at, message);
            return None;
        }
        Some(scalar.text.clone())
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, node: &Node) -> Option<bool> {
        self.parsed(node, "true or false", |text| text.parse().ok())
    }

    /// A whole number.
    pub fn integer(&mut self, node: &Node) -> Option<i64> {
        self.parsed(node, "a whole number", |text| text.parse().ok())
    }

    /// A whole number of a narrower type.
    pub fn number<N: std::str::FromStr>(&mut self, node: &Node, wanted: &str) -> Option<N> {
        self.parsed(node, wanted, |text| text.parse().ok())
    }

    /// A time such as 1m30s.
    pub fn duration(&mut self, node: &Node) -> Option<Duration> {
        self.parsed(node, "a time such as 500ms, 10s or 1m30s", values::duration)
    }

    /// A size such as 512m.
    pub fn bytes(&mut self, node: &Node) -> Option<u64> {
        self.parsed(node, "a size such as 512m, 1gb or a number of bytes", values::bytes)
    }

    /// A part of CPUs such as 0.5.
    pub fn cpus(&mut self, node: &Node) -> Option<f64> {
        self.parsed(node, "a number of CPUs such as 0.5, more than 0", |text| {
            text.parse().ok().filter(|cpus: &f64| cpus.is_finite() && *cpus > 0.0 && *cpus < 100_000.0)
        })
    }

    /// A scalar that `parse` understands.
    pub fn parsed<T>(&mut self, node: &Node, wanted: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let scalar = self.scalar(node, wanted)?;
        let value = parse(&scalar.text);
        if value.is_none() {
            let found: String = scalar.text.chars().take(60).collect();
            self.problem(node.at, format!("expected {wanted}, found `{found}`"));
        }
        value
    }

    /// A list of texts.
    pub fn texts(&mut self, node: &Node) -> Vec<String> {
        self.items(node, Self::word)
    }

    /// `KEY: value` or `- KEY=value`; a key without a value is kept as none.
    pub fn pairs(&mut self, node: &Node) -> BTreeMap<String, Option<String>> {
        let mut pairs = BTreeMap::new();
        if let Value::List(_) = node.value {
            for text in self.items(node, Self::loose) {
                let (key, value) = match text.split_once('=') {
                    Some((key, value)) => (key, Some(value.to_owned())),
                    None => (text.as_str(), None),
                };
                if key.is_empty() {
                    self.problem(node.at, format!("`{text}` has no name before the `=`"));
                }
                pairs.insert(key.to_owned(), value);
            }
            return pairs;
        }
        if node.value != Value::Null && !matches!(node.value, Value::Map(_)) {
            self.wrong(node, "a map, or a list of KEY=value");
            return pairs;
        }
        for entry in self.map_or_null(node) {
            let value = self.below(&entry.key, |reader| match entry.node.value {
                Value::Null => Some(None),
                _ => reader.loose(&entry.node).map(Some),
            });
            if let Some(value) = value {
                pairs.insert(entry.key.clone(), value);
            }
        }
        pairs
    }

    /// Reports that something else was expected.
    pub fn wrong(&mut self, node: &Node, wanted: &str) {
        let found = match &node.value {
            Value::Scalar(Scalar { text, form: Form::Unfilled }) => return self.problem(node.at, text.clone()),
            Value::Null => "nothing".to_owned(),
            Value::Scalar(scalar) => format!("`{}`", scalar.text.chars().take(60).collect::<String>()),
            Value::List(_) => "a list".into(),
            Value::Map(_) => "a map".into(),
        };
        self.problem(node.at, format!("expected {wanted}, found {found}"));
    }
}
