//! The shape of a profile: every key known, every value of the right type, nothing missing.
//!
//! The tree is walked beside the JSON schema, so that all slips are found at once, each with its place. What is wrong
//! is taken out of the tree where it can be spared; the rest can then be typed and the rules can look at it too.

use std::collections::BTreeSet;

use base::yaml::tree::{Entry, Node, Value, join};
use contract::{endpoint::mask, human::HumanDuration};
use serde_json::Value as Json;

use super::{
    later,
    problem::{Place, Problem},
    schema::ALIASES,
    suggest::did_you_mean,
    validate::is_at_or_below,
};

/// Walks `root` beside `schema` and takes out what is wrong. Returns what it found.
pub(crate) fn check(root: &mut Node, schema: &Json) -> Vec<Problem> {
    let mut walk = Walk { schema, problems: Vec::new() };
    walk.check(root, schema, "");
    walk.problems
}

struct Walk<'a> {
    schema: &'a Json,
    problems: Vec<Problem>,
}

/// What a map may hold.
#[derive(Default)]
struct Fields<'a> {
    known: Vec<(&'a str, &'a Json)>,
    required: BTreeSet<&'a str>,
    /// Schema of values under keys that are not named.
    others: Option<&'a Json>,
    /// Keys are HTTP status codes.
    status_keys: bool,
    /// The key that chooses a variant, and the variants.
    tag: Option<(&'a str, Vec<&'a str>)>,
    /// Keys of variants that were not chosen, with their variant.
    elsewhere: Vec<(&'a str, &'a str)>,
}

impl<'a> Walk<'a> {
    fn problem(&mut self, place: &Place, path: &str, message: impl Into<String>) -> bool {
        self.problems.push(Problem { place: place.clone(), path: path.to_owned(), message: message.into() });
        false
    }

    fn resolve(&self, schema: &'a Json) -> (&'a Json, &'a str) {
        let mut resolved = (schema, "");
        while let Some(target) = resolved.0.get("$ref").and_then(Json::as_str) {
            let name = target.rsplit('/').next().unwrap_or_default();
            match self.schema.pointer(target.trim_start_matches('#')) {
                Some(found) => resolved = (found, name),
                None => break,
            }
        }
        resolved
    }

    /// Checks one value; false: it cannot be used.
    fn check(&mut self, node: &mut Node, schema: &'a Json, path: &str) -> bool {
        let (schema, name) = self.resolve(schema);
        if is_free(schema) {
            return self.free(node, path);
        }
        // Where the type is known, `about: no` is plainly a text.
        if let Value::Unclear(unclear) = &node.value
            && unclear.is_word()
        {
            node.value = Value::Text(unclear.text.clone());
        }
        if name == "Duration" {
            return self.duration(node, path);
        }
        if schema.get("properties").is_none()
            && let Some(choices) = alternatives(schema)
        {
            return self.one_of(node, choices, path);
        }
        let types = types(schema);
        if !types.iter().any(|t| fits(&node.value, t)) {
            let message = if is_secret(path) { wrong_secret(&types) } else { wrong_type(&node.value, &types) };
            return self.problem(&node.place.clone(), path, message);
        }
        match &node.value {
            Value::Int(n) => {
                let n = *n;
                self.range(node, n, schema, path)
            }
            Value::Float(x) if !x.is_finite() => self.problem(&node.place.clone(), path, "the number must be finite"),
            Value::List(_) => self.list(node, schema, path),
            Value::Map(_) => self.map(node, schema, path),
            _ => true,
        }
    }

    /// Anything may stand here, and goes to the server: so nothing that means different things to different readers.
    fn free(&mut self, node: &Node, path: &str) -> bool {
        match &node.value {
            Value::Unclear(unclear) => self.problem(&node.place, path, unclear.message()),
            Value::Float(x) if !x.is_finite() => self.problem(&node.place, path, "the number must be finite"),
            Value::List(items) => items.iter().enumerate().fold(true, |good, (i, item)| {
                let fine = self.free(item, &format!("{path}[{i}]"));
                good && fine
            }),
            Value::Map(entries) => entries.iter().fold(true, |good, entry| {
                let fine = self.free(&entry.node, &join(path, &entry.key));
                good && fine
            }),
            _ => true,
        }
    }

    fn duration(&mut self, node: &Node, path: &str) -> bool {
        let text = match &node.value {
            Value::Text(text) => text.clone(),
            Value::Unclear(unclear) => unclear.text.clone(),
            // A bare 0 needs no unit; serde wants a text, so it is asked for one.
            Value::Int(n) => n.to_string(),
            Value::Float(x) => x.to_string(),
            other => return self.problem(&node.place, path, wrong_type(other, &["duration"])),
        };
        match (text.parse::<HumanDuration>(), &node.value) {
            (Ok(_), Value::Text(_)) => true,
            (Ok(_), _) => self.problem(&node.place, path, "a duration needs a unit, as in 10s or 150ms"),
            (Err(e), _) => self.problem(&node.place, path, e.to_string()),
        }
    }

    fn one_of(&mut self, node: &mut Node, choices: &'a [Json], path: &str) -> bool {
        let words: Vec<&str> = choices.iter().filter_map(|c| c.get("const").and_then(Json::as_str)).collect();
        if words.len() == choices.len() {
            return self.word(node, &words, path);
        }
        let optional = choices.iter().any(|c| types(c) == ["null"]);
        let real: Vec<&Json> = choices.iter().filter(|c| types(c) != ["null"]).collect();
        match (&node.value, real.as_slice()) {
            (Value::Null, _) if optional => true,
            (_, [only]) => self.check(node, only, path),
            _ => {
                let fitting = real.iter().find(|c| types(self.resolve(c).0).iter().any(|t| fits(&node.value, t)));
                if let Some(choice) = fitting {
                    return self.check(node, choice, path);
                }
                let types: Vec<&str> = real.iter().flat_map(|c| types(self.resolve(c).0)).collect();
                self.problem(&node.place, path, wrong_type(&node.value, &types))
            }
        }
    }

    fn word(&mut self, node: &Node, words: &[&str], path: &str) -> bool {
        match &node.value {
            Value::Text(text) if words.contains(&text.as_str()) => true,
            Value::Text(text) => {
                let why = later::executor(text)
                    .filter(|_| words.contains(&"constant-vus"))
                    .unwrap_or_else(|| format!("`{text}` is not known{}", did_you_mean(text, words.iter().copied())));
                self.problem(&node.place, path, format!("{why}; allowed: {}", words.join(", ")))
            }
            other => {
                let message = format!("{}; allowed: {}", wrong_type(other, &["string"]), words.join(", "));
                self.problem(&node.place, path, message)
            }
        }
    }

    fn range(&mut self, node: &Node, n: i64, schema: &Json, path: &str) -> bool {
        let least = schema.get("minimum").and_then(Json::as_i64).unwrap_or(i64::MIN);
        let most = match (schema.get("maximum").and_then(Json::as_i64), schema.get("format").and_then(Json::as_str)) {
            (Some(most), _) => most,
            (None, Some("uint32")) => i64::from(u32::MAX),
            _ => i64::MAX,
        };
        if (least..=most).contains(&n) {
            return true;
        }
        let allowed = if most == i64::MAX { format!("at least {least}") } else { format!("{least} to {most}") };
        self.problem(&node.place, path, format!("{n} is out of range; allowed: {allowed}"))
    }

    fn list(&mut self, node: &mut Node, schema: &'a Json, path: &str) -> bool {
        let (Value::List(items), Some(schema)) = (&mut node.value, schema.get("items")) else { return true };
        let mut good = true;
        for (i, item) in items.iter_mut().enumerate() {
            good &= self.check(item, schema, &format!("{path}[{i}]"));
        }
        good
    }

    fn map(&mut self, node: &mut Node, schema: &'a Json, path: &str) -> bool {
        let fields = self.fields(node, schema, path);
        let place = node.place.clone();
        let Value::Map(entries) = &mut node.value else { return true };
        self.canonical_keys(entries, &fields, path);
        let mut good = true;
        entries.retain_mut(|entry| {
            let below = join(path, &entry.key);
            match self.entry_schema(entry, &fields, &below) {
                None => false,
                Some(schema) => {
                    let fine = self.check(&mut entry.node, schema, &below);
                    good &= fine || !fields.required.contains(entry.key.as_str());
                    fine
                }
            }
        });
        for key in &fields.required {
            let below = join(path, key);
            if !entries.iter().any(|e| e.key == *key) && !self.reported(&below) {
                let what = fields.known.iter().find(|(k, _)| k == key).map_or(String::new(), |(_, s)| description(s));
                good = self.problem(&place, &below, format!("this key is missing{what}"));
            }
        }
        good
    }

    fn reported(&self, path: &str) -> bool {
        self.problems.iter().any(|p| is_at_or_below(&p.path, path))
    }

    /// What this map may hold, given the variant that it chose.
    fn fields(&mut self, node: &Node, schema: &'a Json, path: &str) -> Fields<'a> {
        let mut fields = Fields::default();
        fields.add(schema);
        match (schema.get("additionalProperties"), schema.get("patternProperties").and_then(Json::as_object)) {
            (_, Some(patterns)) => {
                fields.others = patterns.values().next();
                fields.status_keys = true;
            }
            (Some(other), None) if !other.is_boolean() => fields.others = Some(other),
            _ => {}
        }
        let Some(variants) = schema.get("oneOf").and_then(Json::as_array) else { return fields };
        let tagged: Vec<(&str, &str, &Json)> =
            variants.iter().filter_map(|v| tag_of(v).map(|(key, name)| (key, name, v))).collect();
        let Some(tag) = tagged.first().map(|t| t.0) else { return fields };
        let names: Vec<&str> = tagged.iter().map(|t| t.1).collect();
        let given = node.get(tag).map(|n| &n.value);
        let chosen = tagged.iter().find(|t| matches!(given, Some(Value::Text(text)) if text == t.1));
        for (_, name, variant) in &tagged {
            match chosen {
                Some((_, chosen, _)) if chosen == name => fields.add(variant),
                Some(_) => fields.elsewhere.extend(properties(variant).map(|(key, _)| (key, *name))),
                // Nothing is known of the variant: every variant's keys may stand there, and none must.
                None => fields.known.extend(properties(variant)),
            }
        }
        fields.tag = Some((tag, names.clone()));
        fields.required.insert(tag);
        if given.is_none() {
            let message = format!("this key is missing; allowed: {}", names.join(", "));
            self.problem(&node.place, &join(path, tag), message);
        }
        fields
    }

    /// Gives keys that have two spellings the one that serde names first.
    fn canonical_keys(&mut self, entries: &mut [Entry], fields: &Fields<'_>, path: &str) {
        for (alias, key) in ALIASES {
            if !fields.has(key) || fields.has(alias) {
                continue;
            }
            let both = entries.iter().any(|e| e.key == key);
            for entry in entries.iter_mut().filter(|e| e.key == alias) {
                if both {
                    let message =
                        format!("`{alias}` is another spelling of `{key}`, which stands here too; remove one");
                    self.problem(&entry.place, &join(path, alias), message);
                }
                key.clone_into(&mut entry.key);
            }
        }
    }

    /// The schema of an entry; none: the key is not allowed here, which is reported.
    fn entry_schema(&mut self, entry: &Entry, fields: &Fields<'a>, path: &str) -> Option<&'a Json> {
        let key = entry.key.as_str();
        if let Some((tag, names)) = &fields.tag
            && key == *tag
        {
            return self.word(&entry.node, names, path).then_some(&Json::Bool(true));
        }
        if let Some((_, schema)) = fields.known.iter().find(|(k, _)| *k == key) {
            return Some(schema);
        }
        if fields.status_keys && !key.parse::<u16>().is_ok_and(|code| (100..=599).contains(&code)) {
            self.problem(&entry.place, path, format!("`{key}` is not a status code; allowed: 100 to 599"));
            return None;
        }
        if fields.others.is_some() {
            return fields.others;
        }
        let mut known: Vec<&str> = fields.known.iter().map(|(k, _)| *k).collect();
        // A key of several variants is allowed once.
        known.sort_unstable();
        known.dedup();
        let why = match fields.elsewhere.iter().find(|(k, _)| *k == key) {
            Some((_, variant)) => format!("`{key}` goes with `{variant}` only"),
            None => later::key(key)
                .unwrap_or_else(|| format!("unknown key `{key}`{}", did_you_mean(key, known.iter().copied()))),
        };
        self.problem(&entry.place, path, format!("{why}; allowed: {}", known.join(", ")));
        None
    }
}

impl<'a> Fields<'a> {
    fn add(&mut self, schema: &'a Json) {
        self.known.extend(properties(schema));
        let required = schema.get("required").and_then(Json::as_array);
        self.required.extend(required.into_iter().flatten().filter_map(Json::as_str));
    }

    fn has(&self, key: &str) -> bool {
        self.known.iter().any(|(k, _)| *k == key)
    }
}

fn properties(schema: &Json) -> impl Iterator<Item = (&str, &Json)> {
    schema.get("properties").and_then(Json::as_object).into_iter().flatten().map(|(k, s)| (k.as_str(), s))
}

fn alternatives(schema: &Json) -> Option<&Vec<Json>> {
    schema.get("oneOf").or_else(|| schema.get("anyOf")).and_then(Json::as_array)
}

/// The key and value by which a variant is chosen.
fn tag_of(variant: &Json) -> Option<(&str, &str)> {
    properties(variant).find_map(|(key, s)| s.get("const").and_then(Json::as_str).map(|name| (key, name)))
}

/// Whether any value may stand there.
fn is_free(schema: &Json) -> bool {
    schema.get("properties").is_none() && alternatives(schema).is_none() && types(schema).is_empty()
}

fn types(schema: &Json) -> Vec<&str> {
    match schema.get("type") {
        Some(Json::String(one)) => vec![one],
        Some(Json::Array(many)) => many.iter().filter_map(Json::as_str).collect(),
        _ => Vec::new(),
    }
}

fn fits(value: &Value, kind: &str) -> bool {
    match value {
        Value::Null => kind == "null",
        Value::Bool(_) => kind == "boolean",
        Value::Int(_) => kind == "integer" || kind == "number",
        Value::Float(_) => kind == "number",
        Value::Text(_) => kind == "string",
        // A word became a text before; what is left may be no number at all.
        Value::Unclear(_) => false,
        Value::List(_) => kind == "array",
        Value::Map(_) => kind == "object",
    }
}

fn wrong_type(value: &Value, wanted: &[&str]) -> String {
    if let Value::Unclear(unclear) = value {
        return unclear.message();
    }
    let name = |kind: &str| match kind {
        "boolean" => "true or false",
        "integer" => "a whole number",
        "number" => "a number",
        "string" => "a text",
        "array" => "a list",
        "object" => "a map",
        "duration" => "a duration such as 150ms, 10s or 1m30s",
        _ => "nothing",
    };
    let found = match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(b) => format!("`{b}`"),
        Value::Int(n) => format!("the number {n}"),
        Value::Float(x) => format!("the number {x}"),
        Value::Unclear(unclear) => format!("`{}`", unclear.text),
        Value::Text(text) => format!("the text `{}`", mask(text).chars().take(40).collect::<String>()),
        Value::List(_) => "a list".into(),
        Value::Map(_) => "a map".into(),
    };
    let wanted: Vec<&str> = wanted.iter().filter(|w| **w != "null").map(|w| name(w)).collect();
    let quotes = matches!(value, Value::Int(_) | Value::Float(_) | Value::Bool(_)) && wanted == ["a text"];
    let hint = if quotes { "; put it into quotes" } else { "" };
    format!("expected {}, found {found}{hint}", wanted.join(" or "))
}

/// Whether the value of this key may hold a password, which no message repeats: passwords, addresses, and what a person
/// may take for the key of one.
pub(crate) fn is_secret(path: &str) -> bool {
    const ENDS: [&str; 5] = ["password", "_url", "_url_file", "password_file", "kafka_brokers"];
    ENDS.iter().any(|end| path.ends_with(end)) || path.starts_with("stack.external.")
}

fn wrong_secret(wanted: &[&str]) -> String {
    let hint = if wanted.contains(&"string") { "a text; put it into quotes" } else { "another type" };
    format!("expected {hint} (the value is not shown)")
}

/// `: what the key is`, from the schema.
fn description(schema: &Json) -> String {
    let text = schema.get("description").and_then(Json::as_str).unwrap_or_default();
    let line = text.lines().next().unwrap_or_default().trim_end_matches('.');
    if line.is_empty() { String::new() } else { format!(": {line}") }
}
