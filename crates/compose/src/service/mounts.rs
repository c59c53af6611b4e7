//! `volumes` and `tmpfs` of a service.

use crate::{
    model::{Mount, MountSource},
    node::{Node, Value},
    reader::{Key, Placed, Reader},
    service::is_name,
    values,
};

#[derive(Default)]
struct Long {
    kind: Option<String>,
    source: Option<String>,
    target: Option<String>,
    read_only: bool,
    size: Option<u64>,
}

const KEYS: &[Key<Long>] = &[
    ("read_only", |r, l, n| l.read_only = r.boolean(n).unwrap_or_default()),
    ("source", |r, l, n| l.source = r.word(n)),
    ("target", |r, l, n| l.target = r.parsed(n, "an absolute path", absolute)),
    ("tmpfs", |r, l, n| r.fields(n, TMPFS, &["mode"], l)),
    ("type", |r, l, n| l.kind = r.word(n)),
];

const TMPFS: &[Key<Long>] = &[("size", |r, l, n| l.size = r.bytes(n))];

/// Reads `volumes`.
pub(super) fn read(reader: &mut Reader<'_>, node: &Node) -> Vec<Placed<Mount>> {
    reader.items(node, |reader, item| {
        let mount = if let Value::Map(_) = item.value { long(reader, item) } else { short(reader, item) };
        mount.map(|value| Placed { at: item.at, value })
    })
}

fn absolute(text: &str) -> Option<String> {
    text.starts_with('/').then(|| text.to_owned())
}

fn is_path(source: &str) -> bool {
    source.starts_with(['/', '.', '~'])
}

fn short(reader: &mut Reader<'_>, node: &Node) -> Option<Mount> {
    let text = reader.word(node)?;
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, mode) = match parts[..] {
        [target] => (None, target, None),
        [source, target] => (Some(source), target, None),
        [source, target, mode] => (Some(source), target, Some(mode)),
        _ => {
            reader.problem(node.at, format!("`{text}` is no mount; write SOURCE:/TARGET[:ro]"));
            return None;
        }
    };
    let read_only = match mode {
        None | Some("rw") => false,
        Some("ro") => true,
        Some(other) => {
            reader.problem(node.at, format!("the option `{other}` is not supported by ecomctl; supported: ro, rw"));
            return None;
        }
    };
    let Some(target) = absolute(target) else {
        reader.problem(node.at, format!("`{target}` is no absolute path in the container"));
        return None;
    };
    let source = match source {
        None => MountSource::Anonymous,
        Some(path) if is_path(path) => bind(reader, node, path)?,
        Some(name) => volume(reader, node, name)?,
    };
    Some(Mount { source, target, read_only })
}

fn long(reader: &mut Reader<'_>, node: &Node) -> Option<Mount> {
    let mut long = Long::default();
    reader.fields(node, KEYS, &["bind", "consistency", "image", "volume"], &mut long);
    let (Some(kind), Some(target)) = (long.kind, long.target) else {
        reader.problem(node.at, "a mount needs `type` (volume, bind or tmpfs) and `target`");
        return None;
    };
    let source = match (kind.as_str(), long.source) {
        ("volume", None) => MountSource::Anonymous,
        ("volume", Some(name)) => volume(reader, node, &name)?,
        ("bind", Some(path)) => bind(reader, node, &path)?,
        ("bind", None) => {
            reader.problem(node.at, "`source`, the path of this machine, is missing");
            return None;
        }
        ("tmpfs", None) => MountSource::Tmpfs(long.size),
        ("tmpfs", Some(_)) => {
            reader.problem(node.at, "a tmpfs has no `source`");
            return None;
        }
        _ => {
            reader.problem(node.at, format!("expected the type volume, bind or tmpfs, found `{kind}`"));
            return None;
        }
    };
    Some(Mount { source, target, read_only: long.read_only })
}

fn bind(reader: &mut Reader<'_>, node: &Node, path: &str) -> Option<MountSource> {
    if path.starts_with('~') {
        reader.problem(node.at, "`~` is not supported by ecomctl; write the path out");
        return None;
    }
    Some(MountSource::Bind(path.to_owned()))
}

fn volume(reader: &mut Reader<'_>, node: &Node, name: &str) -> Option<MountSource> {
    if is_name(name) {
        return Some(MountSource::Volume(name.to_owned()));
    }
    reader.problem(node.at, format!("`{name}` is no name of a volume; a path begins with `/` or `./`"));
    None
}

/// Reads `tmpfs`: one path or several, each with `:size=…` perhaps.
pub(super) fn tmpfs(reader: &mut Reader<'_>, node: &Node) -> Vec<Placed<Mount>> {
    let one = |reader: &mut Reader<'_>, item: &Node| {
        let value = reader.parsed(item, "/PATH or /PATH:size=64m; other options are not supported", |text| {
            let (path, options) = text.split_once(':').unwrap_or((text, ""));
            let size = match options {
                "" => None,
                options => Some(values::bytes(options.strip_prefix("size=")?)?),
            };
            Some(Mount { source: MountSource::Tmpfs(size), target: absolute(path)?, read_only: false })
        });
        value.map(|value| Placed { at: item.at, value })
    };
    if let Value::List(_) = node.value { reader.items(node, one) } else { one(reader, node).into_iter().collect() }
}
