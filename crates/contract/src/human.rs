//! Durations and passwords as people write them in a profile.

use std::{fmt, str::FromStr, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A duration written as `150ms`, `10s`, `1m30s` or `2h`. The units are `us`, `ms`, `s`, `m`, `h`; they may be joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct HumanDuration(pub Duration);

impl HumanDuration {
    /// `millis` milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }
    /// `secs` seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }
    /// Whole milliseconds.
    pub fn millis(self) -> u64 {
        self.0.as_millis() as u64
    }
}

/// Why a text is no duration.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a duration: write a number with a unit, such as 150ms, 10s, 1m30s or 2h")]
pub struct DurationError(String);

impl FromStr for HumanDuration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fail = || DurationError(text.to_owned());
        let mut rest = text.trim();
        if rest == "0" {
            return Ok(Self(Duration::ZERO));
        }
        let mut total = Duration::ZERO;
        if rest.is_empty() {
            return Err(fail());
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(fail)?;
            let number: f64 = rest[..digits].parse().map_err(|_| fail())?;
            rest = &rest[digits..];
            let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
            let unit = match &rest[..letters] {
                "us" | "µs" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                _ => return Err(fail()),
            };
            rest = &rest[letters..];
            let part = Duration::try_from_secs_f64(number * unit).map_err(|_| fail())?;
            total = total.checked_add(part).ok_or_else(fail)?;
        }
        Ok(Self(total))
    }
}

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        match micros {
            0 => f.write_str("0s"),
            n if n % 1_000 != 0 => write!(f, "{n}us"),
            n if n % 1_000_000 != 0 => write!(f, "{}ms", n / 1_000),
            n => {
                let (hours, minutes, seconds) = (n / 3_600_000_000, n / 60_000_000 % 60, n / 1_000_000 % 60);
                for (value, unit) in [(hours, "h"), (minutes, "m"), (seconds, "s")] {
                    if value > 0 {
                        write!(f, "{value}{unit}")?;
                    }
                }
                Ok(())
            }
        }
    }
}

impl Serialize for HumanDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HumanDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for HumanDuration {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A number with a unit: us, ms, s, m or h; parts may be joined, as in 1m30s.",
            "pattern": r"^(0|([0-9]+(\.[0-9]+)?(us|µs|ms|s|m|h))+)$"
        })
    }
}

/// A password. It is written out only where it is saved (files with mode 0600) and never by `{:?}`.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps `value`.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }
    /// The password itself, for the client that has to send it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_as_people_write_them() {
        for (text, millis) in
            [("150ms", 150), ("10s", 10_000), ("1m30s", 90_000), ("2h", 7_200_000), ("1.5s", 1_500), ("0", 0)]
        {
            assert_eq!(text.parse::<HumanDuration>().map(HumanDuration::millis), Ok(millis), "{text}");
        }
        for text in ["", "10", "s", "10 s", "-1s", "10x", "1e9h", "NaNs", "99999999999999999999h"] {
            assert!(text.parse::<HumanDuration>().is_err(), "{text} was taken");
        }
    }

    #[test]
    fn a_secret_does_not_show_itself() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "***");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(micros in 0_u64..1_000_000_000_000) {
            let duration = HumanDuration(Duration::from_micros(micros));
            prop_assert_eq!(duration.to_string().parse(), Ok(duration));
        }
        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = text.parse::<HumanDuration>();
        }
    }
}
