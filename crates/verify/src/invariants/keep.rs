//! What offends: counted, some of it kept for the report, all of it written to a file up to a limit that is told.

use std::{
    fs::File,
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, BufWriter, Write},
    path::Path,
};

use serde_json::{Map, Value, json};

use super::{
    Known,
    judge::{Exercised, Found},
};

/// Version of the file.
const SCHEMA_VERSION: u32 = 1;

/// Most rows and bytes of a file.
const MOST_ROWS: u64 = 100_000;
const MOST_BYTES: usize = 64 << 20;
/// Longest row that a report shows, in characters.
const MOST_SHOWN: usize = 200;

/// Takes what offends, row by row.
pub(super) struct Keeper<'a> {
    id: &'a str,
    keep: usize,
    folder: Option<&'a Path>,
    file: Option<BufWriter<File>>,
    written: (u64, usize),
    shown: Vec<String>,
    offenders: u64,
    digest: u64,
}

impl<'a> Keeper<'a> {
    /// Shows `keep` of them, and writes all into `folder`.
    pub fn new(id: &'a str, keep: u32, folder: Option<&'a Path>) -> Self {
        let (file, written, shown) = (None, (0, 0), Vec::new());
        // What an earlier look wrote; as a rule there was none.
        let _ = folder.map(|folder| std::fs::remove_file(folder.join(name(id))));
        Self { id, keep: keep as usize, folder, file, written, shown, offenders: 0, digest: 0 }
    }

    /// Whether nothing offended so far.
    pub fn is_empty(&self) -> bool {
        self.offenders == 0
    }

    /// Takes one.
    pub fn take(&mut self, columns: &[String], row: Vec<Value>) -> Known<()> {
        let words: Vec<String> =
            columns.iter().zip(&row).map(|(column, value)| format!("{column} {}", text(value))).collect();
        let words = words.join(", ");
        self.offenders += 1;
        // Servers give rows in any order.
        let mut hasher = DefaultHasher::new();
        words.hash(&mut hasher);
        self.digest = self.digest.wrapping_add(hasher.finish());
        if self.shown.len() < self.keep {
            self.shown.push(words.chars().take(MOST_SHOWN).collect());
        }
        let row: Map<String, Value> = columns.iter().cloned().zip(row).collect();
        self.write(&Value::Object(row)).map_err(|e| format!("cannot write what offends: {e}"))
    }

    /// The file is made with the first row: one without any would say nothing.
    fn write(&mut self, row: &Value) -> io::Result<()> {
        let Some(folder) = self.folder else { return Ok(()) };
        if self.written.0 >= MOST_ROWS || self.written.1 >= MOST_BYTES {
            return Ok(());
        }
        if self.file.is_none() {
            std::fs::create_dir_all(folder)?;
            let mut file = BufWriter::new(File::create(folder.join(name(self.id)))?);
            writeln!(file, "{}", json!({"schema_version": SCHEMA_VERSION, "set": "invariant", "id": self.id}))?;
            self.file = Some(file);
        }
        let line = row.to_string();
        if let Some(file) = &mut self.file {
            writeln!(file, "{line}")?;
        }
        self.written = (self.written.0 + 1, self.written.1 + line.len());
        Ok(())
    }

    /// What it comes to.
    pub fn finish(mut self, exercised: Known<Exercised>) -> Known<Found> {
        let place = match &mut self.file {
            Some(file) => {
                file.flush().map_err(|e| format!("cannot write what offends: {e}"))?;
                let all = self.written.0 == self.offenders;
                let what = if all { "all of it".to_owned() } else { format!("the first {}", self.written.0) };
                Some(format!("{what} in sets/{}", name(self.id)))
            }
            None => None,
        };
        Ok(Found { offenders: self.offenders, shown: self.shown, digest: self.digest, place, exercised })
    }
}

/// Its file.
fn name(id: &str) -> String {
    format!("invariant-{id}.ndjson")
}

/// A value for people.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "NULL".into(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_it_is_in_the_file_and_some_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let mut keeper = Keeper::new("X1", 2, Some(folder.path()));
        for n in 0..5 {
            keeper.take(&["id".into(), "name".into()], vec![n.into(), Value::Null]).unwrap();
        }
        let found = keeper.finish(Ok(Exercised::Absent)).unwrap();
        assert_eq!((found.offenders, found.shown), (5, vec!["id 0, name NULL".to_owned(), "id 1, name NULL".into()]));
        assert_eq!(found.place.unwrap(), "all of it in sets/invariant-X1.ndjson");
        let text = std::fs::read_to_string(folder.path().join("invariant-X1.ndjson")).unwrap();
        assert_eq!((text.lines().count(), text.lines().last()), (6, Some(r#"{"id":4,"name":null}"#)));
    }

    #[test]
    fn a_file_has_an_end_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let mut keeper = Keeper::new("X1", 1, Some(folder.path()));
        for n in 0..MOST_ROWS + 3 {
            keeper.take(&["id".into()], vec![n.into()]).unwrap();
        }
        let found = keeper.finish(Ok(Exercised::Absent)).unwrap();
        assert_eq!(
            (found.offenders, found.place.unwrap()),
            (100_003, "the first 100000 in sets/invariant-X1.ndjson".into())
        );
    }

    #[test]
    fn the_order_of_rows_is_no_change() {
        let digest = |rows: [u64; 2]| {
            let mut keeper = Keeper::new("X1", 1, None);
            for row in rows {
                keeper.take(&["id".into()], vec![row.into()]).unwrap();
            }
            keeper.finish(Ok(Exercised::Absent)).unwrap().digest
        };
        assert_eq!(digest([1, 2]), digest([2, 1]));
        assert_ne!(digest([1, 2]), digest([1, 3]));
    }
}
