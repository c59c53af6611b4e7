//! `configs` and `secrets` of a service.

use crate::{
    model::Grant,
    node::{Node, Value},
    reader::{Key, Placed, Reader},
    values,
};

/// Read by everybody: servers give up root before they look.
const MODE: u32 = 0o444;

#[derive(Default)]
struct Long {
    source: Option<String>,
    target: Option<String>,
    uid: Option<u32>,
    gid: Option<u32>,
    mode: Option<u32>,
}

const KEYS: &[Key<Long>] = &[
    ("gid", |r, l, n| l.gid = r.number(n, "the number of a group")),
    ("mode", |r, l, n| l.mode = r.parsed(n, "a mode such as 0444", values::mode)),
    ("source", |r, l, n| l.source = r.word(n)),
    ("target", |r, l, n| l.target = r.word(n)),
    ("uid", |r, l, n| l.uid = r.number(n, "the number of a user")),
];

/// Configs, below `/` where the target is not absolute.
pub(super) fn configs(reader: &mut Reader<'_>, node: &Node) -> Vec<Placed<Grant>> {
    read(reader, node, "/")
}

/// Secrets, below `/run/secrets/` where the target is not absolute.
pub(super) fn secrets(reader: &mut Reader<'_>, node: &Node) -> Vec<Placed<Grant>> {
    read(reader, node, "/run/secrets/")
}

fn read(reader: &mut Reader<'_>, node: &Node, folder: &str) -> Vec<Placed<Grant>> {
    reader.items(node, |reader, item| {
        let mut long = Long::default();
        if let Value::Map(_) = item.value {
            reader.fields(item, KEYS, &[], &mut long);
        } else {
            long.source = reader.word(item);
            long.source.as_ref()?;
        }
        let Some(source) = long.source else {
            reader.problem(item.at, "`source` is missing: which one is it?");
            return None;
        };
        let target = long.target.unwrap_or_else(|| source.clone());
        let target = if target.starts_with('/') { target } else { format!("{folder}{target}") };
        let (uid, gid) = (long.uid.unwrap_or_default(), long.gid.unwrap_or_default());
        let value = Grant { source, target, uid, gid, mode: long.mode.unwrap_or(MODE) };
        Some(Placed { at: item.at, value })
    })
}
