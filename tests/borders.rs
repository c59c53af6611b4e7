//! The borders between the crates, as `docs/architecture.md` draws them: which of the project's own crates each may use, and
//! which libraries it may never have.

// Helpers of tests may panic as tests do; clippy.toml knows functions marked #[test] only.
#![allow(clippy::unwrap_used)]

use std::{collections::BTreeSet, path::Path, process::Command};

use serde_json::Value;

/// One row of the table.
#[derive(Debug)]
struct Row {
    name: String,
    uses: BTreeSet<String>,
    never: BTreeSet<String>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn words(cell: &str) -> BTreeSet<String> {
    cell.split_whitespace().map(str::to_owned).collect()
}

fn table() -> Vec<Row> {
    let text = std::fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let section = text.split("## The crates").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, uses, never] = cells[..] else { panic!("three columns: {line}") };
        Row { name: name.trim_matches('`').to_owned(), uses: words(uses), never: words(never) }
    })
    .collect()
}

/// Crate → its dependencies outside tests, by the name that its code uses.
fn packages() -> Vec<(String, BTreeSet<String>)> {
    let cargo = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline", "--manifest-path"])
        .arg(root().join("Cargo.toml"))
        .output()
        .unwrap();
    assert!(cargo.status.success(), "{}", String::from_utf8_lossy(&cargo.stderr));
    let metadata: Value = serde_json::from_slice(&cargo.stdout).unwrap();
    let name = |value: &Value| value.as_str().unwrap().trim_start_matches("ecomctl-").to_owned();
    let packages = metadata["packages"].as_array().unwrap().iter().map(|package| {
        let all = package["dependencies"].as_array().unwrap().iter().filter(|d| d["kind"].is_null());
        (name(&package["name"]), all.map(|d| name(&d["name"])).collect())
    });
    packages.collect()
}

#[test]
fn each_crate_uses_what_the_table_says() {
    let (rows, packages) = (table(), packages());
    let own: BTreeSet<&String> = packages.iter().map(|(name, _)| name).collect();
    let rowed: BTreeSet<&String> = rows.iter().map(|row| &row.name).collect();
    assert_eq!(own, rowed, "the crates, and those in the table");
    for row in &rows {
        let (_, all) = packages.iter().find(|(name, _)| *name == row.name).unwrap();
        let used: BTreeSet<String> = all.iter().filter(|name| own.contains(name)).cloned().collect();
        assert_eq!(used, row.uses, "`{}` and the project's own crates", row.name);
        let forbidden: Vec<_> = all.intersection(&row.never).collect();
        assert!(forbidden.is_empty(), "`{}` must not use {forbidden:?}", row.name);
    }
}

#[test]
fn each_crate_names_its_invariant_and_its_border() {
    for row in table() {
        let folder = match row.name.as_str() {
            "ecomctl" => root().to_owned(),
            "backend" => root().join("backend"),
            name => root().join("crates").join(name),
        };
        let text = std::fs::read_to_string(folder.join("src/lib.rs")).unwrap();
        let head: Vec<&str> = text.lines().take_while(|line| line.starts_with("//!")).collect();
        for word in ["//! Invariant: ", "//! Border: "] {
            assert!(head.iter().any(|line| line.starts_with(word)), "`{}` says no {word:?}", row.name);
        }
    }
}
