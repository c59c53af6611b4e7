//! Two readings that must be equal, key by key.

use std::collections::{BTreeMap, btree_map};

use serde_json::Value;

use super::{
    Known,
    keep::{self, Keeper},
};

/// Most keys and bytes of one side: both are held in memory.
const MOST_KEYS: usize = 500_000;
const MOST_BYTES: usize = 128 << 20;

/// One reading: key → values.
#[derive(Default)]
pub(super) struct Side {
    /// The column that is the key; the first one where there is no name.
    key: Option<String>,
    rows: BTreeMap<String, String>,
    /// Keys that came more than once.
    doubled: Vec<String>,
    values: Option<usize>,
    bytes: usize,
}

impl Side {
    /// Nothing read yet.
    pub fn new(key: Option<&str>) -> Self {
        Self { key: key.map(str::to_owned), ..Self::default() }
    }

    /// Takes one row.
    pub fn take(&mut self, columns: &[String], row: &[Value]) -> Known<()> {
        let at = match &self.key {
            Some(key) => columns
                .iter()
                .position(|column| column.eq_ignore_ascii_case(key))
                .ok_or_else(|| format!("it has no column `{key}`; it has: {}", columns.join(", ")))?,
            None => 0,
        };
        let key = row.get(at).map(|value| plain(&keep::text(value))).unwrap_or_default();
        let others = row.iter().enumerate().filter(|(column, _)| *column != at);
        let values = others.map(|(_, value)| plain(&keep::text(value))).collect::<Vec<_>>().join(", ");
        self.values.get_or_insert(row.len() - 1);
        self.bytes += key.len() + values.len();
        if self.rows.len() >= MOST_KEYS || self.bytes > MOST_BYTES {
            return Err(format!("more than the {MOST_KEYS} keys or {} MiB that are compared", MOST_BYTES >> 20));
        }
        match self.rows.entry(key) {
            btree_map::Entry::Vacant(place) => drop(place.insert(values)),
            btree_map::Entry::Occupied(place) => self.doubled.push(place.key().clone()),
        }
        Ok(())
    }
}

/// Gives `keeper` every key that is on one side alone, twice on one side, or has other values. Returns how many keys
/// there were.
pub(super) fn compare(left: &Side, right: &Side, key: &str, keeper: &mut Keeper<'_>) -> Known<usize> {
    if let (Some(on_left), Some(on_right)) = (left.values, right.values)
        && on_left != on_right
    {
        return Err(format!("left has {on_left} values for each key, right has {on_right}: they cannot be compared"));
    }
    let columns = [key.to_owned(), "left".into(), "right".into()];
    let mut offends = |key: &str, left: Option<&str>, right: Option<&str>| {
        let side = |value: Option<&str>| value.map_or(Value::Null, Value::from);
        keeper.take(&columns, vec![key.into(), side(left), side(right)])
    };
    for key in &left.doubled {
        offends(key, Some("twice"), None)?;
    }
    for key in &right.doubled {
        offends(key, None, Some("twice"))?;
    }
    let mut keys = left.rows.len();
    for (key, values) in &left.rows {
        match right.rows.get(key) {
            Some(other) if other == values => {}
            other => offends(key, Some(values), other.map(String::as_str))?,
        }
    }
    for (key, values) in right.rows.iter().filter(|(key, _)| !left.rows.contains_key(*key)) {
        keys += 1;
        offends(key, None, Some(values))?;
    }
    Ok(keys)
}

/// `5.00` and `5` are one number: stores spell them as they like.
fn plain(text: &str) -> String {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_decimal = digits.split_once('.').is_some_and(|(whole, fraction)| {
        [whole, fraction].iter().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
    });
    let plain = if is_decimal { text.trim_end_matches('0').trim_end_matches('.') } else { text };
    if plain == "-0" { "0".into() } else { plain.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::super::judge::Exercised;
    use super::*;

    fn side(rows: &[(&str, &str)]) -> Side {
        let mut side = Side::new(Some("id"));
        for (key, value) in rows {
            side.take(&["stock".into(), "id".into()], &[(*value).into(), (*key).into()]).unwrap();
        }
        side
    }

    fn offenders(left: &[(&str, &str)], right: &[(&str, &str)]) -> (usize, Vec<String>) {
        let mut keeper = Keeper::new("X1", 20, None);
        let keys = compare(&side(left), &side(right), "id", &mut keeper).unwrap();
        (keys, keeper.finish(Ok(Exercised::Absent)).unwrap().shown)
    }

    #[test]
    fn what_is_missing_doubled_or_differs_offends() {
        assert_eq!(offenders(&[("1", "5.00"), ("2", "7")], &[("2", "7"), ("1", "5")]), (2, vec![]));
        let (keys, found) =
            offenders(&[("1", "5"), ("2", "7"), ("2", "7"), ("3", "0")], &[("1", "6"), ("2", "7"), ("4", "9")]);
        let wanted = [
            "id 2, left twice, right NULL",
            "id 1, left 5, right 6",
            "id 3, left 0, right NULL",
            "id 4, left NULL, right 9",
        ];
        assert_eq!((keys, found), (4, wanted.map(String::from).to_vec()));
    }

    #[test]
    fn sides_that_cannot_be_compared_say_so() {
        let mut other = Side::new(None);
        other.take(&["key".into()], &["1".into()]).unwrap();
        let mut keeper = Keeper::new("X1", 20, None);
        assert!(
            compare(&side(&[("1", "5")]), &other, "id", &mut keeper).unwrap_err().contains("1 values for each key")
        );
        let error = Side::new(Some("key")).take(&["id".into()], &["1".into()]).unwrap_err();
        assert_eq!(error, "it has no column `key`; it has: id");
    }

    #[test]
    fn numbers_are_compared_as_numbers() {
        for (text, wanted) in
            [("5.00", "5"), ("-0.0", "0"), ("0.50", "0.5"), ("10", "10"), ("1.2.30", "1.2.30"), ("a.0", "a.0")]
        {
            assert_eq!(plain(text), wanted);
        }
    }
}
