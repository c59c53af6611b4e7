//! Tests of the ledger.

use contract::claim::{Id, Kind};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

fn id() -> impl Strategy<Value = Option<Id>> {
    let number = any::<u64>().prop_map(Id::Number);
    proptest::option::of(prop_oneof![number, any::<u128>().prop_map(|bits| Id::Uuid(Uuid::from_u128(bits)))])
}

fn receipt() -> impl Strategy<Value = Option<Receipt>> {
    id().prop_map(|id| id.map(Receipt::Given)).boxed().prop_union(Just(Some(Receipt::Missing)).boxed())
}

prop_compose! {
    fn entry()(
        kind in prop::sample::select(Kind::ALL.to_vec()),
        outcome in prop::sample::select(Outcome::ALL.to_vec()),
        (key, receipt) in (id(), receipt()),
        (actor, start_ns, end_ns) in any::<(u64, u64, u64)>(),
    ) -> Entry {
        Entry { kind, key, actor, start_ns, end_ns, outcome, receipt }
    }
}

fn entries(folder: &Path) -> Result<Vec<Entry>, LedgerError> {
    let mut entries = Vec::new();
    read(folder, |entry| entries.push(entry))?;
    Ok(entries)
}

fn write(folder: &Path, entries: &[Entry]) -> PathBuf {
    let mut writer = LedgerWriter::create(folder, 0).unwrap();
    for entry in entries {
        writer.push(*entry).unwrap();
    }
    writer.finish().unwrap();
    folder.join("0.bin")
}

fn one() -> Entry {
    Entry {
        kind: Kind::Coupon,
        key: Some(Id::Number(1)),
        actor: 2,
        start_ns: 3,
        end_ns: 4,
        outcome: Outcome::Acknowledged,
        receipt: None,
    }
}

/// A ledger that ends behind a whole entry looks complete: what was lost behind it must not turn rows into rows that
/// nobody asked for.
#[test]
fn a_ledger_that_was_broken_off_is_no_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("ledger");
    begin(&folder).unwrap();
    write(&folder, &[one()]);
    assert!(matches!(entries(&folder), Err(LedgerError::Unfinished(_))));
    finish(&folder).unwrap();
    assert_eq!(entries(&folder).unwrap(), [one()]);
}

/// Runs of version 0.1 are judged again by their own ledgers.
#[test]
fn a_ledger_of_version_1_holds_coupons() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = MAGIC_1.to_vec();
    for (number, outcome) in [(1_u64, 1), (300, 5)] {
        for field in [number, number + 1, number + 2, number + 3] {
            bytes.extend(field.to_le_bytes());
        }
        bytes.push(outcome);
    }
    std::fs::write(folder.path().join("0.bin"), &bytes).unwrap();
    let second = Entry {
        key: Some(Id::Number(300)),
        actor: 301,
        start_ns: 302,
        end_ns: 303,
        outcome: Outcome::Unknown,
        ..one()
    };
    assert_eq!(entries(folder.path()).unwrap(), [one(), second]);
    bytes.pop();
    std::fs::write(folder.path().join("0.bin"), &bytes).unwrap();
    assert!(matches!(entries(folder.path()), Err(LedgerError::Damaged { at: 41, .. })));
}

#[test]
fn another_version_is_foreign() {
    let folder = tempfile::tempdir().unwrap();
    for bytes in [&b""[..], b"ECLEDG0", b"ECLEDG03", b"ECLEDG00", b"something else"] {
        std::fs::write(folder.path().join("0.bin"), bytes).unwrap();
        assert!(matches!(entries(folder.path()), Err(LedgerError::Foreign(_))), "{bytes:?}");
    }
}

proptest! {
    #[test]
    fn entries_read_back(written in prop::collection::vec(entry(), 0..50)) {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &written);
        prop_assert_eq!(entries(folder.path()).unwrap(), written);
    }

    /// Cut anywhere but between two entries, a ledger proves nothing.
    #[test]
    fn a_cut_entry_is_damage(written in prop::collection::vec(entry(), 1..5), cut in 1_usize..28) {
        let folder = tempfile::tempdir().unwrap();
        let path = write(folder.path(), &written);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - cut]).unwrap();
        let damaged = matches!(entries(folder.path()), Err(LedgerError::Damaged { .. }));
        prop_assert!(damaged);
    }

    /// What does not exist is damage, whatever stands behind it, and nothing makes the reader panic.
    #[test]
    fn what_does_not_exist_is_damage(entry in entry(), place in 0_usize..4, byte in 6_u8.., rest: Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let path = write(folder.path(), &[entry]);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[MAGIC.len() + place] = byte;
        bytes.extend(rest);
        std::fs::write(&path, bytes).unwrap();
        let damaged = matches!(entries(folder.path()), Err(LedgerError::Damaged { at: 8, .. }));
        prop_assert!(damaged);
    }
}
