//! Parts of a fixture that every system reads in the same way.

use serde::Deserialize;

/// Stands for the number of the row.
const NUMBER: &str = "{n}";

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
