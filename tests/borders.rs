//! The borders between the crates, as `docs/architecture.md` draws them: which of the project's own crates each may use, and
//! which libraries it may never have. And the border around what one kind of claims knows: where else it is spoken of.

// Helpers of tests may panic as tests do; clippy.toml knows functions marked #[test] only.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

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

/// The cells of each row of the table in this section of `docs/architecture.md`.
fn cells<const COLUMNS: usize>(section: &str) -> Vec<[String; COLUMNS]> {
    let text = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let section = text.split(&format!("## {section}\n")).nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(|line| {
        let cells: Vec<String> = line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
        cells.try_into().unwrap_or_else(|_| panic!("{COLUMNS} columns: {line}"))
    })
    .collect()
}

fn table() -> Vec<Row> {
    let row = |[name, uses, never]: [String; 3]| Row {
        name: name.trim_matches('`').to_owned(),
        uses: words(&uses),
        never: words(&never),
    };
    cells("The crates").into_iter().map(row).collect()
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
        let text = fs::read_to_string(folder.join("src/lib.rs")).unwrap();
        let head: Vec<&str> = text.lines().take_while(|line| line.starts_with("//!")).collect();
        for word in ["//! Invariant: ", "//! Border: "] {
            assert!(head.iter().any(|line| line.starts_with(word)), "`{}` says no {word:?}", row.name);
        }
    }
}

/// Most files outside their own folders and files that may speak of coupons.
const MOST_ELSEWHERE: usize = 10;

/// Every source file below `folder`, by its path from the root.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(root().join(folder)).unwrap() {
        let path = folder.join(entry.unwrap().file_name());
        if root().join(&path).is_dir() {
            all.extend(sources(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            all.push(path);
        }
    }
    all
}

/// Whether a file may speak of coupons without a reason: theirs, a system's, or a test.
fn is_left_out(path: &Path) -> bool {
    const NAMES: [&str; 5] = ["coupon", "coupon.rs", "tests", "tests.rs", "test.rs"];
    let is_named = |part: std::path::Component<'_>| NAMES.iter().any(|name| part.as_os_str() == *name);
    path.starts_with("crates/contract/src/system") || path.components().any(is_named)
}

/// `text` without the modules of tests in it. They end where a line holds their bracket alone, as rustfmt leaves them.
fn without_tests(text: &str) -> String {
    let (mut kept, mut lines) = (Vec::new(), text.lines().peekable());
    while let Some(line) = lines.next() {
        let is_module = |next: &&str| next.starts_with("mod ") && next.ends_with('{');
        if line == "#[cfg(test)]" && lines.peek().is_some_and(is_module) {
            let _ = lines.find(|line| *line == "}");
        } else {
            kept.push(line);
        }
    }
    kept.join("\n")
}

/// What one kind of claims knows stands in folders and files of its name; what is generic does not speak of it.
#[test]
fn a_coupon_is_spoken_of_where_the_table_says() {
    let crates = fs::read_dir(root().join("crates")).unwrap();
    let crates = crates.map(|entry| Path::new("crates").join(entry.unwrap().file_name()).join("src"));
    let folders = ["src", "backend/src"].map(PathBuf::from).into_iter().chain(crates);
    let speaks = |path: &PathBuf| {
        let text = fs::read_to_string(root().join(path)).unwrap();
        without_tests(&text).to_lowercase().contains("coupon")
    };
    let elsewhere = folders.flat_map(|folder| sources(&folder)).filter(|path| !is_left_out(path)).filter(speaks);
    let found: BTreeSet<String> = elsewhere.map(|path| path.to_str().unwrap().to_owned()).collect();
    let rows = cells("Files that still speak of a coupon");
    let mut told = BTreeSet::new();
    for [path, why] in rows {
        assert!(why.split_whitespace().count() > 3, "{path} has no reason");
        assert!(told.insert(path.trim_matches('`').to_owned()), "{path} stands in the table twice");
    }
    let missing: Vec<_> = found.difference(&told).collect();
    assert!(missing.is_empty(), "these speak of a coupon, and the table gives no reason: {missing:#?}");
    let silent: Vec<_> = told.difference(&found).collect();
    assert!(silent.is_empty(), "the table has these, and they do not speak of a coupon any more: {silent:#?}");
    assert!(found.len() <= MOST_ELSEWHERE, "{} files speak of a coupon; at most {MOST_ELSEWHERE} may", found.len());
}

#[test]
fn a_module_of_tests_is_no_source() {
    let text = "a\n#[cfg(test)]\nmod tests {\n    fn b() {\n    }\n}\n#[cfg(test)]\nmod c;\nd";
    assert_eq!(without_tests(text), "a\n#[cfg(test)]\nmod c;\nd");
    for path in ["crates/x/src/families/coupon/a.rs", "src/seed/coupon.rs", "crates/x/src/tests/a.rs", "src/tests.rs"] {
        assert!(is_left_out(Path::new(path)), "{path}");
    }
    for path in ["src/coupons.rs", "crates/x/src/system/a.rs", "src/testing.rs", "crates/contract/src/system.rs"] {
        assert!(!is_left_out(Path::new(path)), "{path}");
    }
}
