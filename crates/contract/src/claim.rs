//! What a request claims: one thing of a kind. The generator writes it down, a family of checks judges it.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use uuid::Uuid;

/// Kinds of what can be claimed. Each is judged by the family of checks of its name.
// The numbers stand in ledgers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum Kind {
    /// One of a limited number, at most once for each user; its id is what there is a limited number of.
    Coupon = 1,
    /// A booking on a user's balance; its id is the key that makes it happen once.
    Point = 2,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Coupon, Self::Point];

    /// As it is written in profiles and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Coupon => "coupon",
            Self::Point => "point",
        }
    }

    /// The kind that a ledger writes as `byte`.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }

    /// The classes to which profiles may sort its answers, and what each means. Of several that mean the same, the first is
    /// the one that reports say.
    pub const fn classes(self) -> &'static [(&'static str, Outcome)] {
        use Outcome::{Acknowledged, Duplicate, Exhausted, Refused, Unknown};
        match self {
            Self::Coupon => &[
                ("QUEUED", Acknowledged),
                ("SOLD_OUT", Exhausted),
                ("DUPLICATE", Duplicate),
                ("ERROR", Refused),
                ("UNKNOWN", Unknown),
            ],
            Self::Point => &[("OK", Acknowledged), ("REFUSED", Refused), ("ERROR", Refused), ("UNKNOWN", Unknown)],
        }
    }

    /// What class `name` means; none where its answers cannot be sorted so.
    pub fn outcome(self, name: &str) -> Option<Outcome> {
        self.classes().iter().find(|(class, _)| *class == name).map(|(_, outcome)| *outcome)
    }
}

/// What a request came to for what it claimed.
// The numbers stand in ledgers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Outcome {
    /// It was promised.
    Acknowledged = 1,
    /// Refused: none left.
    Exhausted = 2,
    /// Refused: this user has it.
    Duplicate = 3,
    /// Refused for another reason.
    Refused = 4,
    /// 5xx, time-out or reset: it may have happened or not.
    Unknown = 5,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Acknowledged, Self::Exhausted, Self::Duplicate, Self::Refused, Self::Unknown];

    /// Its class in reports on claims of `kind`; none where they cannot come to it.
    pub fn name(self, kind: Kind) -> Option<&'static str> {
        kind.classes().iter().find(|(_, outcome)| *outcome == self).map(|(class, _)| *class)
    }

    /// The outcome that a ledger writes as `byte`.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| *outcome as u8 == byte)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which one of its kind: a number, or a UUID. As text either is what it looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Id {
    /// `42`
    Number(u64),
    /// `018f3c1e-…`, in lower case.
    Uuid(Uuid),
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Uuid(uuid) => uuid.hyphenated().fmt(f),
        }
    }
}

/// It is neither a number nor a UUID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no id: it is a whole number or a UUID")]
pub struct NoId(String);

impl FromStr for Id {
    type Err = NoId;

    fn from_str(text: &str) -> Result<Self, NoId> {
        let number = text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit())).map(Self::Number);
        let uuid = || (text.len() == 36).then(|| Uuid::try_parse(text).ok()).flatten().map(Self::Uuid);
        number.or_else(uuid).ok_or_else(|| NoId(text.to_owned()))
    }
}

/// What requests are counted by: one thing of a kind, or all of a kind where each request claims another one. As text
/// `coupon:1`, or `point`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Claim {
    /// Kind.
    pub kind: Kind,
    /// Which one; none: each request its own.
    pub id: Option<Id>,
}

impl Claim {
    /// Coupon `id`.
    pub const fn coupon(id: u64) -> Self {
        Self { kind: Kind::Coupon, id: Some(Id::Number(id)) }
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.id {
            Some(id) => write!(f, "{}:{id}", self.kind),
            None => self.kind.fmt(f),
        }
    }
}

/// It names no claim.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no claim: it is a kind, or a kind, a colon and an id, as in coupon:1")]
pub struct NoClaim(String);

impl FromStr for Claim {
    type Err = NoClaim;

    fn from_str(text: &str) -> Result<Self, NoClaim> {
        let no = || NoClaim(text.to_owned());
        let (kind, id) = text.split_once(':').map_or((text, None), |(kind, id)| (kind, Some(id)));
        // In version 0.1 a number alone was a coupon's.
        if let (Ok(id), None) = (kind.parse(), id) {
            return Ok(Self::coupon(id));
        }
        let kind = Kind::ALL.into_iter().find(|known| known.name() == kind).ok_or_else(no)?;
        let id = id.map(str::parse).transpose().map_err(|_: NoId| no())?;
        Ok(Self { kind, id })
    }
}

impl Serialize for Claim {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Claim {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn an_id_reads_back() {
        for text in ["0", "42", "18446744073709551615", "018f3c1e-0000-7000-8000-000000000001"] {
            assert_eq!(text.parse::<Id>().unwrap().to_string(), text);
        }
        for text in ["", "-1", "+1", "1.0", "18446744073709551616", "018f3c1e00007000800000000000000001", "x"] {
            assert!(text.parse::<Id>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_kind_is_named_as_it_is_written() {
        for kind in Kind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
    }

    /// Counts of older versions stay counts of coupons.
    #[test]
    fn a_claim_reads_back() {
        for text in ["coupon:1", "point", "point:018f3c1e-0000-7000-8000-000000000001"] {
            assert_eq!(text.parse::<Claim>().unwrap().to_string(), text);
        }
        let counts: BTreeMap<Claim, u64> = serde_json::from_str(r#"{"7": 3, "point": 2}"#).unwrap();
        assert_eq!(counts[&Claim::coupon(7)], 3);
        assert_eq!(serde_json::to_string(&counts).unwrap(), r#"{"coupon:7":3,"point":2}"#);
        for text in ["", "7:", ":7", "coupon:", "coupon:x", "seat:1", "-7"] {
            assert!(text.parse::<Claim>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_outcome_is_called_by_a_class_that_means_it() {
        for kind in Kind::ALL {
            for (class, outcome) in kind.classes() {
                assert_eq!(kind.outcome(class), Some(*outcome));
                assert_eq!(outcome.name(kind).and_then(|name| kind.outcome(name)), Some(*outcome));
            }
            assert!(kind.outcome("UNKNOWN").is_some(), "no answer is a class of every kind");
        }
    }
}
