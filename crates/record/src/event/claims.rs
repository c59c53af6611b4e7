//! Requests by what they claim. In version 0.1 only one kind could be claimed, and a number said how
//! many requests did.

use std::collections::BTreeMap;

use contract::claim::Kind;
use serde::{Deserialize, Deserializer};

#[derive(Deserialize)]
#[serde(untagged)]
enum Counted {
    Number(u64),
    ByKind(BTreeMap<String, u64>),
}

/// Reads either.
pub(super) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, u64>, D::Error> {
    Ok(match Counted::deserialize(deserializer)? {
        Counted::Number(count) => [(Kind::OF_A_NUMBER.name().to_owned(), count)].into(),
        Counted::ByKind(counts) => counts,
    })
}

#[cfg(test)]
mod tests;
