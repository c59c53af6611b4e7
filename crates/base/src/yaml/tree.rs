//! YAML as a tree in which every value knows its line and column.
//!
//! It is built from parser events and not by recursion, and bounded in depth and size: no text can exhaust the stack
//! or the memory. Aliases are refused, so that a few lines cannot grow into gigabytes.

use std::{borrow::Cow, collections::BTreeMap};

use saphyr::{Marker, Scalar, ScalarStyle, ScanError};
use saphyr_parser::{Event, Parser, Span, StrInput};

use super::{
    problem::{Place, Problem},
    scalar::Unclear,
};

/// Most levels of maps and lists.
const MAX_DEPTH: usize = 32;
/// Most values of a file.
const MAX_NODES: usize = 50_000;

/// What kind of file is read, for messages.
pub struct Kind {
    /// As in "a profile".
    pub name: &'static str,
    /// What the shortest one holds.
    pub needs: &'static str,
    /// What is wrong with the text of a scalar, if anything.
    pub refuse: fn(&str) -> Option<String>,
    /// Plain scalars that may mean several things become [`Value::Unclear`]; else they are what YAML 1.2 says.
    pub strict: bool,
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it begins.
    pub place: Place,
    /// What it says.
    pub value: Value,
}

/// What can be written in YAML's core schema.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`, `~`, or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// A text, quoted or plain.
    Text(String),
    /// It may mean several things; only in files whose kind is strict.
    Unclear(Unclear),
    /// A sequence.
    List(Vec<Node>),
    /// A map, in the order of the file.
    Map(Vec<Entry>),
}

/// One key of a map.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key begins.
    pub place: Place,
    /// Its value.
    pub node: Node,
}

impl Node {
    /// The value of `key`, where this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|e| e.key == key).map(|e| &e.node),
            _ => None,
        }
    }

    /// The same as JSON, for serde.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(b) => (*b).into(),
            Value::Int(n) => (*n).into(),
            Value::Float(x) => (*x).into(),
            Value::Text(text) => text.clone().into(),
            Value::Unclear(unclear) => unclear.text.clone().into(),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Map(entries) => entries.iter().map(|e| (e.key.clone(), e.node.to_json())).collect(),
        }
    }

    /// Key path → place, of this value and all below it. A key of a map stands where the key stands.
    pub fn places(&self) -> BTreeMap<String, Place> {
        let mut places = BTreeMap::from([(String::new(), self.place.clone())]);
        self.collect_places("", &mut places);
        places
    }

    fn collect_places(&self, path: &str, places: &mut BTreeMap<String, Place>) {
        match &self.value {
            Value::Map(entries) => {
                for entry in entries {
                    let below = join(path, &entry.key);
                    places.insert(below.clone(), entry.place.clone());
                    entry.node.collect_places(&below, places);
                }
            }
            Value::List(items) => {
                for (i, item) in items.iter().enumerate() {
                    let below = format!("{path}[{i}]");
                    places.insert(below.clone(), item.place.clone());
                    item.collect_places(&below, places);
                }
            }
            _ => {}
        }
    }
}

/// `path.key`.
pub fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// Reads one YAML document. `place` tells where a line (from 1) and column (from 0) of the text stand for people.
pub fn parse(text: &str, kind: &Kind, place: &dyn Fn(usize, usize) -> Place) -> Result<Node, Vec<Problem>> {
    let mut builder = Builder { kind, place, open: Vec::new(), root: None, problems: Vec::new(), nodes: 0 };
    let mut parser = Parser::new_from_str(text);
    loop {
        match next_event(&mut parser) {
            None | Some(Ok((Event::StreamEnd, _))) => break,
            Some(Err(e)) => {
                let message = explain(text, &e);
                builder.problem(e.marker(), message);
                return Err(builder.problems);
            }
            Some(Ok((event, span))) => {
                if !builder.take(event, &span.start) {
                    return Err(builder.problems);
                }
            }
        }
    }
    match builder.root {
        Some(root) if builder.problems.is_empty() => Ok(root),
        None if builder.problems.is_empty() => Err(vec![Problem {
            place: place(1, 0),
            path: String::new(),
            message: format!("the file is empty; a {} needs at least {}", kind.name, kind.needs),
        }]),
        _ => Err(builder.problems),
    }
}

type Next<'a> = Option<Result<(Event<'a>, Span), ScanError>>;

fn next_event<'a>(parser: &mut Parser<'a, StrInput<'a>>) -> Next<'a> {
    parser.next_event()
}

/// What the parser says, and what people usually did.
fn explain(text: &str, error: &ScanError) -> String {
    let line = text.split('\n').nth(error.marker().line().saturating_sub(1)).unwrap_or_default();
    let before = text.split('\n').nth(error.marker().line().saturating_sub(2)).unwrap_or_default();
    let hint = if [line, before].iter().any(|l| l[..l.len() - l.trim_start().len()].contains('\t')) {
        "; indent with spaces: YAML allows no tabs there"
    } else if [line, before].iter().any(|l| l.contains("${")) {
        "; put a text that holds ${…} into quotes"
    } else {
        ""
    };
    format!("this is not YAML: {}{hint}", error.info())
}

/// A map or list that is not closed yet.
struct Open {
    node: Node,
    /// The key whose value comes next.
    key: Option<(String, Place)>,
}

struct Builder<'a> {
    kind: &'a Kind,
    place: &'a dyn Fn(usize, usize) -> Place,
    open: Vec<Open>,
    root: Option<Node>,
    problems: Vec<Problem>,
    nodes: usize,
}

impl Builder<'_> {
    fn at(&self, mark: &Marker) -> Place {
        (self.place)(mark.line(), mark.col())
    }

    fn problem(&mut self, mark: &Marker, message: impl Into<String>) {
        let problem = Problem { place: self.at(mark), path: self.path(), message: message.into() };
        self.problems.push(problem);
    }

    /// Key path of what is being read.
    fn path(&self) -> String {
        self.open.iter().fold(String::new(), |path, open| match (&open.node.value, &open.key) {
            (Value::List(items), _) => format!("{path}[{}]", items.len()),
            (_, Some((key, _))) => join(&path, key),
            _ => path,
        })
    }

    /// Takes one event; false: there is no point in reading on.
    fn take(&mut self, event: Event<'_>, mark: &Marker) -> bool {
        self.nodes += 1;
        if self.nodes > MAX_NODES || self.open.len() > MAX_DEPTH {
            self.problem(mark, format!("the file holds more than {MAX_NODES} values or {MAX_DEPTH} levels"));
            return false;
        }
        match event {
            Event::DocumentStart(_) if self.root.is_some() => {
                let name = self.kind.name;
                self.problem(mark, format!("a second document begins here; a {name} is one document"));
                return false;
            }
            Event::Alias(_) => {
                let name = self.kind.name;
                self.problem(mark, format!("an alias (`*name`) is not allowed in a {name}; write the value out"));
                self.add(mark, Value::Null);
            }
            Event::Scalar(text, style, _, tag) => {
                if tag.is_some() {
                    let why = "quote a text that must stay one";
                    self.problem(mark, format!("a tag (`!name`) is not allowed in a {}; {why}", self.kind.name));
                }
                self.scalar(text, style, mark);
            }
            Event::SequenceStart(..) => self.open(mark, Value::List(Vec::new())),
            Event::MappingStart(..) => self.open(mark, Value::Map(Vec::new())),
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = self.open.pop() {
                    self.attach(open.node);
                }
            }
            _ => {}
        }
        true
    }

    fn open(&mut self, mark: &Marker, value: Value) {
        if self.expects_key() {
            self.problem(mark, "a key must be a plain text");
        }
        let node = Node { place: self.at(mark), value };
        self.open.push(Open { node, key: None });
    }

    fn scalar(&mut self, text: Cow<'_, str>, style: ScalarStyle, mark: &Marker) {
        if let Some(why) = (self.kind.refuse)(&text) {
            self.problem(mark, why);
        }
        if self.expects_key() {
            self.key(text.into_owned(), mark);
            return;
        }
        let plain = style == ScalarStyle::Plain;
        if let Some(unclear) = Some(&text).filter(|_| plain && self.kind.strict).and_then(|text| Unclear::of(text)) {
            return self.add(mark, Value::Unclear(unclear));
        }
        let value = match Scalar::parse_from_cow_and_metadata(text, style, None) {
            Some(Scalar::Boolean(b)) => Value::Bool(b),
            Some(Scalar::Integer(n)) => Value::Int(n),
            Some(Scalar::FloatingPoint(x)) => Value::Float(*x),
            Some(Scalar::String(text)) => Value::Text(text.into_owned()),
            Some(Scalar::Null) | None => Value::Null,
        };
        self.add(mark, value);
    }

    fn expects_key(&self) -> bool {
        self.open.last().is_some_and(|o| matches!(o.node.value, Value::Map(_)) && o.key.is_none())
    }

    fn key(&mut self, key: String, mark: &Marker) {
        let place = self.at(mark);
        let first = self.open.last().and_then(|o| match &o.node.value {
            Value::Map(entries) => entries.iter().find(|e| e.key == key).map(|e| e.place.clone()),
            _ => None,
        });
        if let Some(first) = first {
            let at = match first {
                Place::File { line, .. } => format!("line {line}"),
                Place::Flag(flag) => flag,
            };
            self.problem(mark, format!("the key `{key}` stands here twice, first in {at}; remove one"));
        }
        if let Some(open) = self.open.last_mut() {
            open.key = Some((key, place));
        }
    }

    fn add(&mut self, mark: &Marker, value: Value) {
        let node = Node { place: self.at(mark), value };
        self.attach(node);
    }

    /// Puts a finished value where it belongs.
    fn attach(&mut self, node: Node) {
        let Some(parent) = self.open.last_mut() else {
            self.root.get_or_insert(node);
            return;
        };
        match &mut parent.node.value {
            Value::List(items) => items.push(node),
            Value::Map(entries) => match parent.key.take() {
                Some((key, place)) => entries.push(Entry { key, place, node }),
                // The value was a map in the place of a key, which is reported already.
                None => parent.key = Some((String::new(), node.place)),
            },
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KIND: Kind = Kind {
        name: "profile",
        needs: "`system`",
        refuse: |text| text.strip_prefix('!').map(String::from),
        strict: false,
    };

    fn read(text: &str) -> Result<Node, Vec<Problem>> {
        parse(text, &KIND, &|line, column| Place::File { line, column: column + 1 })
    }

    fn messages(text: &str) -> Vec<String> {
        let Err(problems) = read(text) else { return Vec::new() };
        let place = |p: &Place| match p {
            Place::File { line, column } => format!("{line}:{column}"),
            Place::Flag(flag) => flag.clone(),
        };
        problems.iter().map(|p| format!("{} {}: {}", place(&p.place), p.path, p.message)).collect()
    }

    #[test]
    fn every_value_knows_its_place() {
        let root = read("a:\n  - 1\n  - {b: x, 2: 0x10}\nc: ~\n").unwrap();
        let places = root.places();
        let at = |path: &str| places.get(path).cloned();
        assert_eq!(at("a[1].b"), Some(Place::File { line: 3, column: 6 }));
        assert_eq!(at("c"), Some(Place::File { line: 4, column: 1 }));
        assert_eq!(root.to_json(), serde_json::json!({"a": [1, {"b": "x", "2": 16}], "c": null}));
    }

    #[test]
    fn what_is_no_plain_yaml_is_named() {
        insta::assert_debug_snapshot!([
            messages(""),
            messages("# only a comment\n"),
            messages("a: 1\na: 2\nb: {c: 1, c: 2}\n"),
            messages("a:\n\tb: 1\n"),
            messages("a: &x [1]\nb: *x\n"),
            messages("a: !!str 1\n"),
            messages("a: 1\n---\nb: 2\n"),
            messages("a: [1\n"),
            messages("? {x: 1}\n: 2\n"),
            messages("a: {b: ${user.id}}\n"),
            messages("a: {b: '!no'}\n"),
        ]);
    }

    #[test]
    fn depth_and_size_are_bounded() {
        for text in ["- ".repeat(200_000), "[".repeat(200_000), "{a: ".repeat(100_000), "- 1\n".repeat(60_000)] {
            assert!(read(&text).is_err());
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(?s).{0,80}") {
            let _ = read(&text);
        }
        #[test]
        fn no_yaml_like_text_panics(text in "[a1:\\-\\[\\]{},&*!|>'\"%@#?\t \n~.]{0,60}") {
            let _ = read(&text);
        }
    }
}
