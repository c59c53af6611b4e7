//! What a request claims, as a profile says it.

use contract::claim::{Claim, Id, Kind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    answer::{AnswerSpec, JsonPath},
    request::Variable,
};

/// One claim, or several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Claims {
    /// One.
    One(ClaimSpec),
    /// Several.
    Several(Vec<ClaimSpec>),
}

impl Claims {
    /// All of them, in their order.
    pub fn list(&self) -> &[ClaimSpec] {
        match self {
            Self::One(claim) => std::slice::from_ref(claim),
            Self::Several(claims) => claims,
        }
    }
}

/// One thing of a kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClaimSpec {
    /// What kind of thing.
    pub kind: Kind,
    /// Which one: a number, a UUID, exactly one variable, or where the answer says it.
    pub id: IdSpec,
    /// Where the answer says what it calls the thing that it gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<AnswerSpec>,
}

/// An id as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum IdSpec {
    /// A number.
    Number(u64),
    /// A UUID, or a variable.
    Text(String),
    /// Only the answer says it.
    Answer(AnswerSpec),
}

/// Where the id of a claim comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdSource {
    /// It is the same for all requests.
    Fixed(Id),
    /// It is filled in for each.
    Variable(Variable),
    /// It stands there in the answer.
    Answer(JsonPath),
}

impl IdSpec {
    /// Where the id comes from.
    ///
    /// # Errors
    /// What is wrong with the text, and what to write.
    pub fn source(&self) -> Result<IdSource, String> {
        match self {
            Self::Number(number) => Ok(IdSource::Fixed(Id::Number(*number))),
            Self::Text(text) => match Variable::whole(text) {
                Some(variable) => Ok(IdSource::Variable(variable)),
                None => text.parse().map(IdSource::Fixed).map_err(|_| {
                    format!("`{text}` is no id; allowed: a number, a UUID, or one of {}", Variable::allowed())
                }),
            },
            Self::Answer(answer) => answer.path().map(IdSource::Answer),
        }
    }
}

impl IdSource {
    /// What requests that claim such a thing of `kind` are counted by.
    pub fn counted(&self, kind: Kind) -> Claim {
        let id = match self {
            Self::Fixed(id) => Some(*id),
            Self::Variable(_) | Self::Answer(_) => None,
        };
        Claim { kind, id }
    }
}
