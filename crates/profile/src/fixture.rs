//! Fixtures: names and values of seed data, from `fixtures/<name>.yaml`.

use std::{collections::BTreeSet, fs, io, path::Path};

use base::yaml::{
    problem::Place,
    tree::{self, Kind, Node, Value},
};
use include_dir::{Dir, include_dir};

pub use crate::model::{
    Fixture,
    fixture::{PointFixture, ProductFixture, Template, UserFixture},
};

static BUILT_IN: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../fixtures");
/// Largest file that is read.
const MAX_BYTES: u64 = 512 * 1024;

/// Why a fixture cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FixtureError {
    /// No file and no built-in fixture has this name.
    #[error("there is no fixture `{name}`; known: {known}")]
    NotFound {
        /// What was asked for.
        name: String,
        /// Names that exist.
        known: String,
    },
    /// It is no fixture.
    #[error("fixtures/{name}.yaml: {why}")]
    Invalid {
        /// Its name.
        name: String,
        /// What is wrong, with line and column.
        why: String,
    },
}

/// Names of all fixtures: those of the current folder and those built in.
pub fn names() -> Vec<String> {
    let stem = |path: &Path| {
        let yaml = path.extension().is_some_and(|e| e == "yaml");
        yaml.then(|| path.file_stem().unwrap_or_default().to_string_lossy().into_owned())
    };
    let local = fs::read_dir("fixtures").into_iter().flatten().flatten().filter_map(|e| stem(&e.path()));
    let names: BTreeSet<String> = BUILT_IN.files().filter_map(|f| stem(f.path())).chain(local).collect();
    names.into_iter().collect()
}

/// Loads `fixtures/<name>.yaml` of the current folder, or the one that is built in.
pub fn load(name: &str) -> Result<Fixture, FixtureError> {
    let invalid = |why: String| FixtureError::Invalid { name: name.to_owned(), why };
    let not_found = || FixtureError::NotFound { name: name.chars().take(80).collect(), known: names().join(", ") };
    let plain = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "-_".contains(c));
    if !plain {
        return Err(not_found());
    }
    let path = Path::new("fixtures").join(format!("{name}.yaml"));
    match fs::metadata(&path) {
        Ok(meta) if meta.len() > MAX_BYTES => Err(invalid(format!("it has more than {MAX_BYTES} bytes"))),
        Ok(_) => parse(&fs::read_to_string(&path).map_err(|e| invalid(e.to_string()))?).map_err(invalid),
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(invalid(e.to_string())),
        Err(_) => {
            let text = BUILT_IN.get_file(format!("{name}.yaml")).and_then(|f| f.contents_utf8());
            parse(text.ok_or_else(not_found)?).map_err(invalid)
        }
    }
}

/// A fixture, for messages of the YAML reader.
const FIXTURE: Kind = Kind { name: "fixture", needs: "`users`", refuse: |_| None, strict: true };

/// The first number in the file that readers of YAML read in different ways, or that is not kept as written.
fn unclear(node: &Node) -> Option<String> {
    match &node.value {
        Value::Unclear(unclear) if !unclear.is_word() => Some(match &node.place {
            Place::File { line, column } => format!("line {line} column {column}: {}", unclear.message()),
            Place::Flag(_) => unclear.message(),
        }),
        Value::List(items) => items.iter().find_map(unclear),
        Value::Map(entries) => entries.iter().find_map(|entry| unclear(&entry.node)),
        _ => None,
    }
}

fn parse(text: &str) -> Result<Fixture, String> {
    let place = |line, column| Place::File { line, column: column + 1 };
    // What is no YAML at all is told by the reader below.
    if let Some(why) = tree::parse(text, &FIXTURE, &place).ok().as_ref().and_then(unclear) {
        return Err(why);
    }
    let fixture: Fixture = serde_yaml::from_str(text).map_err(|e| e.to_string())?;
    fixture.check()?;
    Ok(fixture)
}

#[cfg(test)]
mod tests {
    use contract::system::System;

    use super::*;

    #[test]
    fn the_built_in_fixture_is_what_the_shop_is_known_for() {
        let shop = load("ecommerce").unwrap();
        assert_eq!((shop.users.name.fill(7), shop.users.email.fill(7)), ("User_7".into(), "user7@test.com".into()));
        let (products, points) = (shop.products.unwrap(), shop.points.unwrap());
        assert_eq!((products.price_step, products.stock, points.balance), (1_000, 1_000, 100_000));
    }

    #[test]
    fn each_system_has_a_fixture_of_its_name_with_what_it_needs() {
        for system in System::ALL {
            assert!(load(system.name()).unwrap().lacks(system).is_empty(), "{}", system.name());
        }
        assert_eq!(load("fcfs").unwrap().lacks(System::Ecommerce), ["products", "points"]);
    }

    #[test]
    fn bad_fixtures_are_named() {
        for name in ["nowhere", "../ecommerce", "", "a/b"] {
            assert!(matches!(load(name), Err(FixtureError::NotFound { .. })), "{name}");
        }
        let good = include_str!("../../../fixtures/ecommerce.yaml");
        assert!(parse(good).is_ok());
        for (from, to) in [
            ("User_{n}", "User"),
            ("id: 2", "id: 1"),
            ("days: 30", "days: 0"),
            ("balance", "balanse"),
            ("100000", "0100000"),
            ("price_step: 1000", "price_step: 1_000"),
        ] {
            assert!(parse(&good.replace(from, to)).is_err(), "{from} → {to} was taken");
        }
    }
}
