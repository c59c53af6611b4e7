//! Maps by number. In JSON keys are texts, and behind a tagged or flattened type serde gives them to us as they are.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de::Error};

/// Reads a map whose keys are numbers written as texts.
pub(super) fn read<'de, D, T>(deserializer: D) -> Result<BTreeMap<u64, T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let texts: BTreeMap<String, T> = BTreeMap::deserialize(deserializer)?;
    let number = |(key, value): (String, T)| match key.parse() {
        Ok(number) => Ok((number, value)),
        Err(_) => Err(D::Error::custom(format!("`{key}` is no number"))),
    };
    texts.into_iter().map(number).collect()
}
