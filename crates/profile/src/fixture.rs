//! Fixtures: names and values of seed data, from `fixtures/<name>.yaml`.

use std::{collections::BTreeSet, fs, io, path::Path};

use base::yaml::{
    problem::Place,
    tree::{self, Kind, Node, Value},
};
use contract::system::{Step, System};
use include_dir::{Dir, include_dir};
use serde::Deserialize;

use crate::model::CouponSeed;

static BUILT_IN: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../fixtures");
/// Largest file that is read.
const MAX_BYTES: u64 = 512 * 1024;
/// Stands for the number of the row.
const NUMBER: &str = "{n}";

/// Names and values of seed data.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fixture {
    /// One line that says what it is.
    #[serde(default)]
    pub about: String,
    /// Users.
    pub users: UserFixture,
    /// Products, where the system has them.
    #[serde(default)]
    pub products: Option<ProductFixture>,
    /// Points, where the system has them.
    #[serde(default)]
    pub points: Option<PointFixture>,
    /// For how many days coupons are valid, from the moment of seeding.
    pub coupon_valid_days: u32,
    /// Coupons, where the profile names none.
    pub coupons: Vec<CouponSeed>,
}

impl Fixture {
    /// What `system` needs and this fixture has not: keys of it.
    pub fn lacks(&self, system: System) -> Vec<&'static str> {
        let needs =
            [("products", Step::Products, self.products.is_some()), ("points", Step::Points, self.points.is_some())];
        needs.into_iter().filter(|(_, step, is_here)| system.has(*step) && !is_here).map(|(key, ..)| key).collect()
    }
}

/// Users.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserFixture {
    /// Name, with `{n}`.
    pub name: Template,
    /// E-mail address, with `{n}`; unique.
    pub email: Template,
}

/// Products.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProductFixture {
    /// Name, with `{n}`.
    pub name: Template,
    /// Description, with `{n}`.
    pub description: Template,
    /// The price of product n is n × this, in won.
    pub price_step: u64,
    /// Pieces in stock of each.
    pub stock: u32,
}

/// Points.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PointFixture {
    /// Points of each user.
    pub balance: i64,
}

/// A text with one `{n}` in it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Template {
    /// What stands before the number.
    pub before: String,
    /// What stands behind it.
    pub after: String,
}

impl TryFrom<String> for Template {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.split_once(NUMBER) {
            Some((before, after)) if !after.contains(NUMBER) => {
                Ok(Self { before: before.to_owned(), after: after.to_owned() })
            }
            _ => Err(format!("`{text}` must hold {NUMBER}, the number of the row, exactly once")),
        }
    }
}

impl Template {
    /// The text for row `n`.
    pub fn fill(&self, n: u64) -> String {
        format!("{}{n}{}", self.before, self.after)
    }
}

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
    let mut ids = BTreeSet::new();
    for coupon in &fixture.coupons {
        if coupon.id == 0 || coupon.quantity == 0 || coupon.quantity > u64::from(u32::MAX) || !ids.insert(coupon.id) {
            return Err(format!("coupon {} needs an id of its own from 1 on, and a quantity from 1 on", coupon.id));
        }
    }
    if !(1..=3_650).contains(&fixture.coupon_valid_days) {
        return Err("coupon_valid_days: allowed are 1 to 3650".into());
    }
    Ok(fixture)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_fixture_is_what_the_shop_is_known_for() {
        let shop = load("ecommerce").unwrap();
        assert_eq!((shop.users.name.fill(7), shop.users.email.fill(7)), ("User_7".into(), "user7@test.com".into()));
        let (products, points) = (shop.products.unwrap(), shop.points.unwrap());
        assert_eq!((products.price_step, products.stock, points.balance), (1_000, 1_000, 100_000));
        let coupons: Vec<_> = shop.coupons.iter().map(|c| (c.id, c.quantity, c.discount_amount)).collect();
        assert_eq!(coupons, [(1, 1_000, Some(5_000)), (2, 500, Some(10_000))]);
        assert_eq!(shop.coupon_valid_days, 30);
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
