//! What a request claims: one thing of a kind. The generator writes it down, a family of checks judges it.
//!
//! What a kind is called, how its answers are sorted, what is counted of it and which checks judge it is data, in one file
//! a kind; nothing else asks which kind it is to know that.

pub mod coupon;
mod point;

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use uuid::Uuid;

pub use self::coupon::{
    EPOCH_ID, EPOCH_SEQUENCE, EPOCH_TOTAL, GATE_FIGURES, GATE_PATTERN, GRANT_PENDING, GateKeys, gate_id, gate_keys,
};
use crate::figures::{Figure, Step, Table};

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
    /// The only one that version 0.1 knew: it wrote the number alone.
    pub const OF_A_NUMBER: Self = Self::Coupon;

    /// What there is to know of it.
    pub const fn description(self) -> &'static Description {
        match self {
            Self::Coupon => &coupon::DESCRIPTION,
            Self::Point => &point::DESCRIPTION,
        }
    }

    /// As it is written in profiles and reports.
    pub const fn name(self) -> &'static str {
        self.description().name
    }

    /// The kind that a ledger writes as `byte`.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }

    /// The classes to which profiles may sort its answers, and what each means. Of several that mean the same, the first is
    /// the one that reports say.
    pub const fn classes(self) -> &'static [(&'static str, Outcome)] {
        self.description().classes
    }

    /// Whether it may be the answer that says which one it is. These two are looked up by what was sent.
    pub const fn is_named_by_answer(self) -> bool {
        match self {
            Self::Coupon | Self::Point => false,
        }
    }

    /// What class `name` means; none where its answers cannot be sorted so.
    pub fn outcome(self, name: &str) -> Option<Outcome> {
        self.classes().iter().find(|(class, _)| *class == name).map(|(_, outcome)| *outcome)
    }
}

/// A kind, as data.
#[derive(Debug)]
pub struct Description {
    /// As it is written in profiles and reports.
    pub name: &'static str,
    /// See [`Kind::classes`].
    pub classes: &'static [(&'static str, Outcome)],
    /// Checks that judge it: id, and what it states.
    pub checks: &'static [(&'static str, &'static str)],
    /// See [`crate::figures::funnel`].
    pub funnel: &'static [Step],
    /// See [`crate::figures::table`].
    pub table: Table,
    /// See [`crate::figures::progress`].
    pub progress: &'static [(&'static str, Figure)],
    /// See [`crate::figures::of`].
    pub figures: &'static [Figure],
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
    /// The one of `kind` that has this number.
    pub const fn numbered(kind: Kind, id: u64) -> Self {
        Self { kind, id: Some(Id::Number(id)) }
    }

    /// Its number, where it has one.
    pub const fn number(self) -> Option<u64> {
        match self.id {
            Some(Id::Number(id)) => Some(id),
            Some(Id::Uuid(_)) | None => None,
        }
    }

    /// As people say it: `coupon 1`.
    pub fn words(self) -> String {
        self.to_string().replacen(':', " ", 1)
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
        if let (Ok(id), None) = (kind.parse(), id) {
            return Ok(Self::numbered(Kind::OF_A_NUMBER, id));
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
mod tests;
