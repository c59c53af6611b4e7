//! Reads one compose file.

use std::collections::BTreeMap;

use super::{
    layer::{ContentLayer, FileLayer, ResourceLayer},
    node::Node,
    reader::{Key, Placed, Reader},
    service::{self, is_name},
};

const KEYS: &[Key<FileLayer>] = &[
    ("configs", |r, f, n| f.configs = contents(r, n, CONFIG)),
    ("name", |r, f, n| f.name = r.word(n).map(|value| Placed { at: n.at, value })),
    ("networks", |r, f, n| {
        f.networks = named(r, n, NETWORK, &["attachable", "driver_opts", "enable_ipv4", "enable_ipv6", "ipam"]);
    }),
    ("secrets", |r, f, n| f.secrets = contents(r, n, SECRET)),
    ("services", services),
    ("volumes", |r, f, n| f.volumes = named(r, n, VOLUME, &["driver_opts"])),
];

const REFUSED: &[&str] = &["include", "models", "version"];

const NETWORK: &[Key<ResourceLayer>] = &[
    ("driver", |r, l, n| l.driver = r.word(n)),
    ("external", |r, l, n| l.external = r.boolean(n)),
    ("internal", |r, l, n| l.internal = r.boolean(n)),
    ("labels", |r, l, n| l.labels = service::labels(r, n)),
    ("name", |r, l, n| l.name = r.word(n)),
];

const VOLUME: &[Key<ResourceLayer>] = &[
    ("driver", |r, l, n| l.driver = r.word(n)),
    ("external", |r, l, n| l.external = r.boolean(n)),
    ("labels", |r, l, n| l.labels = service::labels(r, n)),
    ("name", |r, l, n| l.name = r.word(n)),
];

const CONFIG: &[Key<ContentLayer>] = &[
    ("content", |r, l, n| l.content = r.text(n)),
    ("environment", |r, l, n| l.environment = r.word(n)),
    ("file", |r, l, n| l.file = r.word(n)),
];

const SECRET: &[Key<ContentLayer>] =
    &[("environment", |r, l, n| l.environment = r.word(n)), ("file", |r, l, n| l.file = r.word(n))];

/// Reads a whole file.
pub(super) fn read(reader: &mut Reader<'_>, root: &Node) -> FileLayer {
    let mut file = FileLayer::default();
    reader.fields(root, KEYS, REFUSED, &mut file);
    file
}

fn services(reader: &mut Reader<'_>, file: &mut FileLayer, node: &Node) {
    for entry in reader.map(node) {
        let layer = reader.below(&entry.key, |reader| {
            good_name(reader, &entry.key, entry.at);
            let mut layer = service::read(reader, &entry.node);
            layer.at = entry.at;
            layer
        });
        file.services.insert(entry.key.clone(), layer);
    }
}

fn good_name(reader: &mut Reader<'_>, name: &str, at: super::node::At) {
    if !is_name(name) {
        reader.problem(at, "a name is made of letters, digits, `_`, `.` and `-`, and begins with a letter or digit");
    }
}

fn named(
    reader: &mut Reader<'_>,
    node: &Node,
    keys: &[Key<ResourceLayer>],
    refused: &[&str],
) -> BTreeMap<String, Placed<ResourceLayer>> {
    let mut found = BTreeMap::new();
    for entry in reader.map(node) {
        let mut layer = ResourceLayer::default();
        reader.below(&entry.key, |reader| {
            good_name(reader, &entry.key, entry.at);
            reader.fields(&entry.node, keys, refused, &mut layer);
            let made_here = layer.driver.is_some() || layer.internal.is_some() || !layer.labels.is_empty();
            if layer.external == Some(true) && made_here {
                reader.problem(entry.at, "what is external is not made here; only `name` goes with it");
            }
        });
        found.insert(entry.key.clone(), Placed { at: entry.at, value: layer });
    }
    found
}

fn contents(
    reader: &mut Reader<'_>,
    node: &Node,
    keys: &[Key<ContentLayer>],
) -> BTreeMap<String, Placed<ContentLayer>> {
    let refused = ["driver", "driver_opts", "external", "labels", "name", "template_driver"];
    let mut found = BTreeMap::new();
    for entry in reader.map(node) {
        let mut layer = ContentLayer::default();
        reader.below(&entry.key, |reader| {
            good_name(reader, &entry.key, entry.at);
            let before = reader.problems.len();
            reader.fields(&entry.node, keys, &refused, &mut layer);
            let given = [layer.content.is_some(), layer.file.is_some(), layer.environment.is_some()];
            if reader.problems.len() == before && given.iter().filter(|given| **given).count() != 1 {
                let keys: Vec<&str> = keys.iter().map(|(key, _)| *key).collect();
                reader.problem(entry.at, format!("give one of {}", keys.join(", ")));
            }
        });
        found.insert(entry.key.clone(), Placed { at: entry.at, value: layer });
    }
    found
}
