//! What answers call the entries that they promised, held against the entries that are there.

use std::{collections::HashMap, fmt};

use contract::claim::Id;
use load::ledger::Receipt;
use mysql_async::{Error, Transaction, Value, prelude::Queryable};

use super::entries::Booking;

/// What answers called the entry of one booking. Whoever asks again is told the same one: a second id is that of another entry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Receipts {
    told: [Option<u64>; 2],
    /// Promises that were to tell an entry and told none.
    pub missing: u32,
}

impl Receipts {
    /// Takes what one promise told; none where it was not asked.
    pub fn add(&mut self, receipt: Option<Receipt>) {
        let id = match receipt {
            None => return,
            Some(Receipt::Given(Id::Number(id))) => id,
            // Entries have numbers.
            Some(Receipt::Given(Id::Uuid(_)) | Receipt::Missing) => return self.missing += 1,
        };
        match self.told {
            [None, _] => self.told[0] = Some(id),
            [Some(first), None] if first != id => self.told[1] = Some(id),
            // Two are enough to say that one of them is wrong.
            _ => {}
        }
    }

    /// The entries that were told.
    pub fn told(self) -> impl Iterator<Item = u64> {
        self.told.into_iter().flatten()
    }
}

/// A promised booking that is not there as it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Suspect {
    pub booking: Booking,
    /// The entry that was told, where one was.
    pub told: Option<u64>,
    /// The entry that its user and key have.
    pub has: Option<u64>,
}

/// Whose an entry is: its user and key.
pub(super) type Owner = (u64, String);

/// A suspect, and whose the entry is that was told.
pub(super) struct Named<'a>(pub &'a Suspect, pub Option<&'a Owner>);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(Suspect { booking, told, has }, owner) = self;
        write!(f, "{booking}")?;
        let Some(told) = told else { return Ok(()) };
        write!(f, ", told entry {told}, which is ")?;
        match owner {
            Some((user, key)) => write!(f, "that of user {user}, key {key}")?,
            None => f.write_str("not there")?,
        }
        has.map_or(Ok(()), |has| write!(f, " (it has entry {has})"))
    }
}

/// Entry → whose it is, of those that `suspects` were told.
pub(super) async fn owners(snapshot: &mut Transaction<'_>, suspects: &[Suspect]) -> Result<HashMap<u64, Owner>, Error> {
    let ids: Vec<Value> = suspects.iter().filter_map(|suspect| suspect.told.map(Value::from)).collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let marks = vec!["?"; ids.len()].join(", ");
    let sql = format!("SELECT id, user_id, idempotency_key FROM point_entries WHERE id IN ({marks})");
    let rows: Vec<(u64, u64, String)> = snapshot.exec(sql, ids).await?;
    Ok(rows.into_iter().map(|(id, user, key)| (id, (user, key))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_repeated_tells_the_same_entry() {
        let told = |receipts: &[Option<Receipt>]| {
            let mut all = Receipts::default();
            for receipt in receipts {
                all.add(*receipt);
            }
            (all.told().collect::<Vec<_>>(), all.missing)
        };
        let entry = |id| Some(Receipt::Given(Id::Number(id)));
        assert_eq!(told(&[None, None]), (vec![], 0), "nobody asked");
        assert_eq!(told(&[entry(7), None, entry(7), entry(7)]), (vec![7], 0));
        assert_eq!(told(&[entry(7), entry(8), entry(9), entry(7)]), (vec![7, 8], 0));
        assert_eq!(told(&[Some(Receipt::Missing), entry(7)]), (vec![7], 1));
        let uuid = "018f3c1e-0000-7000-8000-000000000001".parse().unwrap();
        assert_eq!(told(&[Some(Receipt::Given(uuid))]), (vec![], 1), "that is no entry's id");
    }

    #[test]
    fn an_entry_is_named_with_whose_it_is() {
        let booking = Booking { user: 3, key: Id::Number(9) };
        let owner = (4, "k".to_owned());
        let named = |told, has, owner| Named(&Suspect { booking, told, has }, owner).to_string();
        assert_eq!(named(None, None, None), "user 3, key 9");
        assert_eq!(named(Some(7), None, None), "user 3, key 9, told entry 7, which is not there");
        assert_eq!(
            named(Some(7), Some(8), Some(&owner)),
            "user 3, key 9, told entry 7, which is that of user 4, key k (it has entry 8)"
        );
    }
}
