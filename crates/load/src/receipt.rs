//! Ids out of answers: the body of an answer that is to give one, and how it is found there.
//!
//! Whatever a server sends takes at most [`MOST`] bytes and no more of the stack than the path has steps. What is not plainly
//! an id is none: nothing is guessed.

use std::fmt;

use contract::claim::Id;
use profile::answer::{JsonPath, Step};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Longest body that is kept, in bytes.
pub const MOST: usize = 64 << 10;

/// The body of the answer that is being read.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum Body {
    /// Nobody asks for anything in it.
    #[default]
    Unwanted,
    /// As much of it as came.
    Kept(Vec<u8>),
    /// It has more than [`MOST`] bytes, and none of them is kept.
    TooLong,
}

impl Body {
    /// That of the next answer.
    pub fn next(is_wanted: bool) -> Self {
        if is_wanted { Self::Kept(Vec::new()) } else { Self::Unwanted }
    }

    /// Takes a part of it.
    pub fn take(&mut self, part: &[u8]) {
        if let Self::Kept(bytes) = self {
            if bytes.len() + part.len() > MOST {
                *self = Self::TooLong;
            } else {
                bytes.extend_from_slice(part);
            }
        }
    }

    /// The id at `path`; none where it has none there.
    pub fn id(&self, path: &JsonPath) -> Option<Id> {
        match self {
            Self::Kept(bytes) => id(bytes, path),
            Self::Unwanted | Self::TooLong => None,
        }
    }
}

/// The id at `path` of the JSON in `bytes`: a whole number from 0, or a text that is one or a UUID. None where it is anything
/// else, where nothing or more than one thing stands there, and where `bytes` are not JSON to their end.
pub fn id(bytes: &[u8], path: &JsonPath) -> Option<Id> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let found = At(path.steps()).deserialize(&mut json).ok()?;
    json.end().ok().and(found)
}

/// Reads a value, and returns the id that stands behind these steps. What lies beside the path is passed over, which asks for no
/// stack however deep it is.
struct At<'a>(&'a [Step]);

impl At<'_> {
    fn leaf(&self, id: impl FnOnce() -> Option<Id>) -> Option<Id> {
        if self.0.is_empty() { id() } else { None }
    }
}

impl<'de> DeserializeSeed<'de> for At<'_> {
    type Value = Option<Id>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for At<'_> {
    type Value = Option<Id>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(self.leaf(|| Some(Id::Number(number))))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        // `007` is another text than `7`: only what reads back the same is that id.
        let id = || text.parse().ok().filter(|id: &Id| id.to_string().eq_ignore_ascii_case(text));
        Ok(self.leaf(id))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        if let Some((Step::Place(place), rest)) = self.0.split_first() {
            let mut left = *place;
            while left > 0 && items.next_element::<IgnoredAny>()?.is_some() {
                left -= 1;
            }
            if left == 0 {
                found = items.next_element_seed(At(rest))?.flatten();
            }
        }
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(found)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let (wanted, rest) = match self.0.split_first() {
            Some((Step::Name(name), rest)) => (Some(&**name), rest),
            _ => (None, self.0),
        };
        let (mut found, mut times) = (None, 0);
        while let Some(is_wanted) = fields.next_key_seed(Called(wanted))? {
            if is_wanted {
                found = fields.next_value_seed(At(rest))?;
                times += 1;
            } else {
                fields.next_value::<IgnoredAny>()?;
            }
        }
        // A name that stands there twice means different things to different readers.
        Ok(found.filter(|_| times == 1))
    }
}

/// Whether the name of a field is the wanted one.
struct Called<'a>(Option<&'a str>);

impl<'de> DeserializeSeed<'de> for Called<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Called<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<bool, E> {
        Ok(self.0 == Some(name))
    }
}

#[cfg(test)]
mod tests;
