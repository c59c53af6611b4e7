//! What a request claims: one thing of a kind. The generator writes it down, a family of checks judges it.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Kinds of what can be claimed. Each is judged by the family of checks of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// One of a limited number, at most once for each user; its id is what there is a limited number of.
    Coupon,
    /// A booking on a user's balance; its id is the key that makes it happen once.
    Point,
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

#[cfg(test)]
mod tests {
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
}
