//! `healthcheck`

use crate::{
    layer::HealthLayer,
    node::{Node, Value},
    reader::{Key, Reader},
};

const KEYS: &[Key<HealthLayer>] = &[
    ("disable", |r, h, n| h.disable = r.boolean(n)),
    ("interval", |r, h, n| h.interval = r.duration(n)),
    ("retries", |r, h, n| h.retries = r.number(n, "how often it may fail, a whole number")),
    ("start_interval", |r, h, n| h.start_interval = r.duration(n)),
    ("start_period", |r, h, n| h.start_period = r.duration(n)),
    ("test", |r, h, n| h.test = test(r, n)),
    ("timeout", |r, h, n| h.timeout = r.duration(n)),
];

/// Reads `healthcheck`.
pub(super) fn read(reader: &mut Reader<'_>, node: &Node) -> HealthLayer {
    let mut health = HealthLayer::default();
    reader.fields(node, KEYS, &[], &mut health);
    health
}

fn test(reader: &mut Reader<'_>, node: &Node) -> Option<Vec<String>> {
    if !matches!(node.value, Value::List(_)) {
        return reader.word(node).map(|line| vec!["CMD-SHELL".into(), line]);
    }
    let words = reader.items(node, Reader::loose);
    let right = match words.first().map(String::as_str) {
        Some("NONE") => words.len() == 1,
        Some("CMD") => words.len() > 1,
        Some("CMD-SHELL") => words.len() == 2,
        _ => false,
    };
    if right {
        return Some(words);
    }
    reader.problem(node.at, "expected [NONE], [CMD, program, …], [CMD-SHELL, line] or one text");
    None
}
