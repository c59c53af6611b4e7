//! One entry, as it stands on disk.
//!
//! Version 2: kind, outcome and the forms of key and receipt, a byte each ([`HEAD`]); actor, start and end, eight bytes each;
//! then key and receipt, of eight bytes for a number and sixteen for a UUID. A receipt that was asked for and is not there has a form
//! of its own, and no bytes.
//! Version 1, which knew one kind: key, user, start and end, eight bytes each; outcome, a byte.

use contract::claim::{Id, Kind, Outcome};
use uuid::Uuid;

/// First bytes of an entry of version 2: they say how long it is.
const HEAD: usize = 4;
/// Bytes before the key.
const FIXED: usize = HEAD + 3 * 8;
/// Bytes of an entry of version 1.
const FIRST: usize = 33;
/// Bytes that an entry takes at most.
pub(super) const LONGEST: usize = FIXED + 2 * 16;

/// Form of a receipt that is missing.
const MISSING: u8 = 3;

/// The id that an answer was to give to what it promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receipt {
    /// It gave this one.
    Given(Id),
    /// It gave none that could be read.
    Missing,
}

/// What one request that claimed something was answered, or that it had to be given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// What kind of thing was claimed.
    pub kind: Kind,
    /// Which one, where request or answer say so.
    pub key: Option<Id>,
    /// User who asked.
    pub actor: u64,
    /// Just before the first byte was written: nanoseconds since the run's monotonic start.
    pub start_ns: u64,
    /// Just after the last byte was read.
    pub end_ns: u64,
    /// What came of it.
    pub outcome: Outcome,
    /// What the answer calls it; none where nobody asked, or nothing was promised.
    pub receipt: Option<Receipt>,
}

impl Entry {
    /// Writes the entry into `bytes`; returns how many it takes.
    pub(super) fn encode(self, bytes: &mut [u8; LONGEST]) -> usize {
        let (receipt, receipt_form) = match self.receipt {
            None => (None, form(None)),
            Some(Receipt::Given(id)) => (Some(id), form(Some(id))),
            Some(Receipt::Missing) => (None, MISSING),
        };
        bytes[..HEAD].copy_from_slice(&[self.kind as u8, self.outcome as u8, form(self.key), receipt_form]);
        let mut end = HEAD;
        let mut put = |part: &[u8]| {
            bytes[end..end + part.len()].copy_from_slice(part);
            end += part.len();
        };
        for number in [self.actor, self.start_ns, self.end_ns] {
            put(&number.to_le_bytes());
        }
        for id in [self.key, receipt] {
            match id {
                None => {}
                Some(Id::Number(number)) => put(&number.to_le_bytes()),
                Some(Id::Uuid(uuid)) => put(&uuid.to_bytes_le()),
            }
        }
        end
    }
}

/// What kind of id stands there.
const fn form(id: Option<Id>) -> u8 {
    match id {
        None => 0,
        Some(Id::Number(_)) => 1,
        Some(Id::Uuid(_)) => 2,
    }
}

/// Bytes of an id of this form; none where there is no such form.
const fn size(form: u8) -> Option<usize> {
    match form {
        0 => Some(0),
        1 => Some(8),
        2 => Some(16),
        _ => None,
    }
}

/// How entries are written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Version {
    First,
    Second,
}

impl Version {
    /// Bytes that say how long an entry is.
    pub fn head(self) -> usize {
        match self {
            Self::First => FIRST,
            Self::Second => HEAD,
        }
    }

    /// Bytes of the entry that begins as `bytes`; none where none begins so.
    pub fn length(self, bytes: &[u8; LONGEST]) -> Option<usize> {
        match self {
            Self::First => Some(FIRST),
            Self::Second if bytes[3] == MISSING => Some(FIXED + size(bytes[2])?),
            Self::Second => Some(FIXED + size(bytes[2])? + size(bytes[3])?),
        }
    }

    /// Reads an entry; none where it holds what does not exist.
    pub fn decode(self, bytes: &[u8; LONGEST]) -> Option<Entry> {
        match self {
            Self::First => first(bytes),
            Self::Second => second(bytes),
        }
    }
}

fn first(bytes: &[u8; LONGEST]) -> Option<Entry> {
    Some(Entry {
        kind: Kind::OF_A_NUMBER,
        key: Some(Id::Number(number(bytes, 0)?)),
        actor: number(bytes, 8)?,
        start_ns: number(bytes, 16)?,
        end_ns: number(bytes, 24)?,
        outcome: Outcome::from_byte(bytes[32])?,
        receipt: None,
    })
}

fn second(bytes: &[u8; LONGEST]) -> Option<Entry> {
    Some(Entry {
        kind: Kind::from_byte(bytes[0])?,
        outcome: Outcome::from_byte(bytes[1])?,
        actor: number(bytes, HEAD)?,
        start_ns: number(bytes, HEAD + 8)?,
        end_ns: number(bytes, HEAD + 16)?,
        key: id(bytes, bytes[2], FIXED)?,
        receipt: match bytes[3] {
            MISSING => Some(Receipt::Missing),
            form => id(bytes, form, FIXED + size(bytes[2])?)?.map(Receipt::Given),
        },
    })
}

fn number(bytes: &[u8; LONGEST], at: usize) -> Option<u64> {
    bytes.get(at..at + 8)?.try_into().map(u64::from_le_bytes).ok()
}

/// The id of this form at `at`; the outer none: there is no such form.
#[expect(clippy::option_option, reason = "an entry may have no id, and bytes may be none")]
fn id(bytes: &[u8; LONGEST], form: u8, at: usize) -> Option<Option<Id>> {
    match form {
        0 => Some(None),
        1 => Some(Some(Id::Number(number(bytes, at)?))),
        2 => Some(Some(Id::Uuid(Uuid::from_bytes_le(bytes.get(at..at + 16)?.try_into().ok()?)))),
        _ => None,
    }
}
