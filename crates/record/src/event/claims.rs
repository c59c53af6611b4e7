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
mod tests {
    use super::{
        super::{Event, Stamped},
        Kind,
    };

    /// Recordings of version 0.1 are replayed, and those of a later one may know more kinds.
    #[test]
    fn a_number_alone_counts_the_kind_of_version_1() {
        for (claims, seen) in [
            (r#""claims":7,"#, vec![(Kind::OF_A_NUMBER.name(), 7)]),
            (r#""claims":{"point":3,"seat":4},"#, vec![("point", 3), ("seat", 4)]),
            ("", vec![]),
        ] {
            let line = format!(
                r#"{{"t_ms":1,"type":"load","vus":1,"sent":9,{claims}"rps":1.0,"outcomes":{{}},"p50_ms":null,"p95_ms":null,"p99_ms":null,"dropped":0}}"#
            );
            let read: Stamped = serde_json::from_str(&line).unwrap();
            let Event::Load(sample) = read.event else { panic!("{line}") };
            let found: Vec<_> = sample.claims.iter().map(|(kind, count)| (kind.as_str(), *count)).collect();
            assert_eq!(found, seen);
        }
    }
}
