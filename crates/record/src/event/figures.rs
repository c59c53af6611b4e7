//! Figures of one subject.

use std::collections::BTreeMap;

use contract::figures::{self, Figure};
use serde::{Deserialize, Deserializer, Serialize};

/// Figures of one subject, as [`contract::figures`] declares them. What could not be read is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Figures(BTreeMap<&'static str, i64>);

impl Figures {
    /// The value of `figure`.
    pub fn get(&self, figure: Figure) -> Option<i64> {
        self.0.get(figure.name).copied()
    }

    /// The value of a figure that is never below 0.
    pub fn count(&self, figure: Figure) -> Option<u64> {
        self.get(figure).and_then(|value| value.try_into().ok())
    }

    /// Sets `figure`; without a value it becomes unknown.
    pub fn set(&mut self, figure: Figure, value: Option<impl TryInto<i64>>) {
        match value.and_then(|value| value.try_into().ok()) {
            Some(value) => self.0.insert(figure.name, value),
            None => self.0.remove(figure.name),
        };
    }

    /// The same with one more figure.
    #[must_use]
    pub fn with(mut self, figure: Figure, value: impl TryInto<i64>) -> Self {
        self.set(figure, Some(value));
        self
    }

    /// Those that are known.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, i64)> {
        self.0.iter().map(|(name, value)| (*name, *value))
    }
}

/// Older versions wrote what is unknown as null. Figures of newer versions are left out.
impl<'de> Deserialize<'de> for Figures {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read: BTreeMap<String, Option<i64>> = BTreeMap::deserialize(deserializer)?;
        let known = |(name, value): (String, Option<i64>)| Some((figures::find(&name)?.name, value?));
        Ok(Self(read.into_iter().filter_map(known).collect()))
    }
}

#[cfg(test)]
mod tests;
