//! PT6 on a real MySQL: what people were told about their points, held against `point_entries`.

use std::collections::BTreeMap;

use contract::{
    claim::{Claim, Id, Kind},
    endpoint::Endpoints,
    system::System,
};
use load::ledger::{Entry, LedgerWriter, Outcome, Receipt};
use mysql_async::{Conn, prelude::Queryable};
use uuid::Uuid;
use verify::{self, CheckResult, LogBefore, Overall, Sizes, Verdict, VerifyPlan, invariants::InvariantPlan};

use crate::support;

/// As the backend's migrations make it.
const TABLE: &str = "CREATE TABLE point_entries (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, \
    user_id BIGINT UNSIGNED NOT NULL, kind VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, \
    delta BIGINT NOT NULL, balance_after BIGINT NOT NULL, \
    idempotency_key VARCHAR(200) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, \
    request_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL, \
    created_at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6), \
    UNIQUE KEY uk_point_entries_user_key (user_id, idempotency_key))";
/// Users, each with an opening entry from before the run.
const USERS: u64 = 4;
/// Bookings of each user.
const EACH: u64 = 300;

/// Bookings of a run that is in order.
struct Booked {
    endpoints: Endpoints,
    sql: Conn,
    folder: tempfile::TempDir,
    sent: u64,
}

/// The key of booking `n` of `user`.
fn key(user: u64, n: u64) -> Uuid {
    Uuid::from_u64_pair(user, n)
}

/// The number of its entry.
const fn entry(user: u64, n: u64) -> u64 {
    user * 1_000 + n
}

#[expect(clippy::unnecessary_wraps, reason = "others tell nothing")]
fn given(entry: u64) -> Option<Receipt> {
    Some(Receipt::Given(Id::Number(entry)))
}

impl Booked {
    /// Each user's bookings: those whose number is a multiple of 10 were refused, and of 10 plus 1 nobody knows; every
    /// second one of these was made.
    async fn new() -> Self {
        Self::told(1, |_| None).await
    }

    /// The same, asked for so many times each, where a promise of an entry tells what `receipt` says.
    async fn told(times: u64, receipt: fn(u64) -> Option<Receipt>) -> Self {
        let mut endpoints = support::servers();
        let database = format!("points_{}", rand::random_range(1_u64..1 << 40));
        let mut sql = Conn::new(endpoints.mysql.opts(0, 1)).await.unwrap();
        sql.query_drop(format!("CREATE DATABASE {database} CHARACTER SET utf8mb4")).await.unwrap();
        sql.query_drop(format!("USE {database}")).await.unwrap();
        endpoints.mysql.database = database;
        sql.query_drop(TABLE).await.unwrap();
        let mut booked = Self { endpoints, sql, folder: tempfile::tempdir().unwrap(), sent: 0 };
        booked.write(times, receipt).await;
        booked
    }

    async fn write(&mut self, times: u64, receipt: fn(u64) -> Option<Receipt>) {
        let mut ledger = LedgerWriter::create(&self.folder.path().join("ledger"), 0).unwrap();
        let mut made = Vec::new();
        for user in 1..=USERS {
            self.run(&format!(
                "INSERT INTO point_entries (user_id, kind, delta, balance_after, idempotency_key, request_hash, created_at) \
                 VALUES ({user}, 'open', 0, 0, '', '', '1971-01-01')"
            ))
            .await;
            for n in 0..EACH {
                let outcome = match n % 10 {
                    0 => Outcome::Refused,
                    1 => Outcome::Unknown,
                    _ => Outcome::Acknowledged,
                };
                if outcome == Outcome::Acknowledged || n % 20 == 1 {
                    made.push(format!("({}, {user}, 'charge', 1, {n}, '{}', '')", entry(user, n), key(user, n)));
                }
                let (kind, key) = (Kind::Point, Some(Id::Uuid(key(user, n))));
                let receipt = receipt(entry(user, n)).filter(|_| outcome == Outcome::Acknowledged);
                for _ in 0..times {
                    self.sent += 1;
                    let (start_ns, end_ns) = (self.sent * 1_000, self.sent * 1_000 + 500);
                    ledger.push(Entry { kind, key, actor: user, start_ns, end_ns, outcome, receipt }).unwrap();
                }
            }
        }
        ledger.finish().unwrap();
        let columns = "id, user_id, kind, delta, balance_after, idempotency_key, request_hash";
        self.run(&format!("INSERT INTO point_entries ({columns}) VALUES {}", made.join(", "))).await;
    }

    async fn run(&mut self, sql: &str) {
        self.sql.query_drop(sql).await.unwrap();
    }

    fn plan(&self) -> VerifyPlan {
        VerifyPlan {
            endpoints: self.endpoints.clone(),
            system: System::default(),
            topic: "none".into(),
            group: "none".into(),
            subjects: Vec::new(),
            ledger: Some(self.folder.path().join("ledger")),
            sent: [(Claim { kind: Kind::Point, id: None }, self.sent)].into(),
            sets_dir: Some(self.folder.path().join("sets")),
            require: vec!["SY1".into(), "PT6".into()],
            origin_unix_ns: Some(1_700_000_000_000_000_000),
            of_run: None,
            before: LogBefore::default(),
            running: None,
            invariants: InvariantPlan::default(),
        }
    }

    /// Verifies, sees that the folder alone leads to the same report, and drops the database.
    async fn verify(mut self) -> (Overall, BTreeMap<String, CheckResult>) {
        let report = verify::run(&self.plan()).await.unwrap();
        assert_eq!(report, verify::offline(self.folder.path(), None).unwrap(), "from `sets/` and `ledger/` alone");
        let drop = format!("DROP DATABASE {}", self.endpoints.mysql.database);
        self.run(&drop).await;
        if let Some(Sizes::Point(sizes)) = report.sets.first() {
            let bookings = USERS * EACH;
            let shares = (sizes.acknowledged, sizes.refused, sizes.uncertain);
            assert_eq!(shares, (bookings * 8 / 10, bookings / 10, bookings / 10));
        }
        (report.verdict, report.checks.into_iter().map(|check| (check.id.clone(), check)).collect())
    }
}

fn expect(checks: &BTreeMap<String, CheckResult>, verdict: Verdict, says: &str) {
    let check = &checks["PT6"];
    assert!(check.verdict == verdict && check.evidence.contains(says), "{:?}: {}", check.verdict, check.evidence);
}

#[tokio::test(flavor = "multi_thread")]
async fn bookings_in_order_are_proven_with_nothing_of_another_kind() {
    let (verdict, checks) = Booked::new().await.verify().await;
    expect(&checks, Verdict::Holds, "960 acknowledged, 120 refused, 120 unknown");
    assert_eq!(checks["SY1"].evidence, "1200 sent = 960 OK + 120 REFUSED + 120 UNKNOWN");
    assert_eq!((verdict, checks.len()), (Overall::Consistent, 2), "only what is claimed is judged: {checks:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_booking_that_is_lost_doubled_or_made_for_a_refused_one_is_found() {
    let mut lost = Booked::new().await;
    lost.run(&format!("DELETE FROM point_entries WHERE idempotency_key = '{}'", key(2, 7))).await;
    let (verdict, checks) = lost.verify().await;
    expect(&checks, Verdict::Violated, &format!("lost: user 2, key {}", key(2, 7)));
    assert_eq!((verdict, checks["PT6"].rows.len()), (Overall::Violated, 1));

    let mut moved = Booked::new().await;
    moved.run(&format!("UPDATE point_entries SET user_id = 3 WHERE idempotency_key = '{}'", key(2, 7))).await;
    expect(&moved.verify().await.1, Verdict::Violated, &format!("lost: user 2, key {}", key(2, 7)));

    let mut doubled = Booked::new().await;
    doubled.run("ALTER TABLE point_entries DROP KEY uk_point_entries_user_key").await;
    let columns = "user_id, kind, delta, balance_after, idempotency_key, request_hash";
    let again = format!("SELECT {columns} FROM point_entries WHERE idempotency_key = '{}'", key(1, 2));
    doubled.run(&format!("INSERT INTO point_entries ({columns}) {again}")).await;
    expect(&doubled.verify().await.1, Verdict::Violated, &format!("more than one entry: user 1, key {}", key(1, 2)));

    let mut made = Booked::new().await;
    made.run(&format!("INSERT INTO point_entries ({columns}) VALUES (4, 'use', -1, 0, '{}', '')", key(4, 10))).await;
    expect(
        &made.verify().await.1,
        Verdict::Violated,
        &format!("refused, yet has an entry: user 4, key {}", key(4, 10)),
    );
}

/// Neither a seed since, nor a table that is not there, makes a liar of a run.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_removed_since_or_cannot_be_read_is_unknown() {
    let mut seeded = Booked::new().await;
    seeded.run("DELETE FROM point_entries WHERE user_id = 2").await;
    seeded
        .run("INSERT INTO point_entries (user_id, kind, delta, balance_after, idempotency_key, request_hash) VALUES (2, 'open', 9, 9, '', '')")
        .await;
    let (verdict, checks) = seeded.verify().await;
    expect(
        &checks,
        Verdict::Unknown,
        "240 have no entry, or another one than was told, and whether the entries of their users were removed",
    );
    assert_eq!(verdict, Overall::Unproven);

    let mut absent = Booked::new().await;
    absent.run("DROP TABLE point_entries").await;
    expect(&absent.verify().await.1, Verdict::Unknown, "doesn't exist");

    let mut away = Booked::new().await;
    away.endpoints.mysql.port = 1;
    let report = verify::run(&away.plan()).await.unwrap();
    let pt6 = report.checks.iter().find(|check| check.id == "PT6").unwrap();
    assert!(pt6.verdict == Verdict::Unknown && pt6.evidence.contains("MySQL at"), "{pt6:?}");
    let drop = format!("DROP DATABASE {}", away.endpoints.mysql.database);
    away.run(&drop).await;
}

/// Asked for again with the same key, a booking is told the same entry: that is none too many.
#[tokio::test(flavor = "multi_thread")]
async fn an_entry_is_the_one_that_was_told() {
    let (verdict, checks) = Booked::told(2, given).await.verify().await;
    expect(&checks, Verdict::Holds, "none for a refused one; 960 are the entries that were told");
    assert_eq!(verdict, Overall::Consistent);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_is_not_the_one_that_was_told_is_found() {
    let (told, booking) = (entry(2, 7), format!("user 2, key {}", key(2, 7)));
    let mut renumbered = Booked::told(1, given).await;
    renumbered.run(&format!("UPDATE point_entries SET id = 99999 WHERE id = {told}")).await;
    let (_, checks) = renumbered.verify().await;
    let says =
        format!("another entry than was told: {booking}, told entry {told}, which is not there (it has entry 99999)");
    expect(&checks, Verdict::Violated, &says);
    assert_eq!(checks["PT6"].rows.len(), 1);

    let mut swapped = Booked::told(1, given).await;
    for (from, to) in [(told, 99999), (entry(3, 8), told), (99999, entry(3, 8))] {
        swapped.run(&format!("UPDATE point_entries SET id = {to} WHERE id = {from}")).await;
    }
    let (_, checks) = swapped.verify().await;
    let says = format!("{booking}, told entry {told}, which is that of user 3, key {} (it has entry 3008)", key(3, 8));
    expect(&checks, Verdict::Violated, &says);
    assert_eq!(checks["PT6"].rows.len(), 2, "each of the two was told the other's: {checks:?}");

    let mut moved = Booked::told(1, given).await;
    moved.run(&format!("UPDATE point_entries SET user_id = 3 WHERE id = {told}")).await;
    let (_, checks) = moved.verify().await;
    let says = format!("lost: {booking}, told entry {told}, which is that of user 3, key {}", key(2, 7));
    expect(&checks, Verdict::Violated, &says);

    // It is there twice, and neither is another one than was told.
    let mut doubled = Booked::told(1, given).await;
    doubled.run("ALTER TABLE point_entries DROP KEY uk_point_entries_user_key").await;
    let columns = "user_id, kind, delta, balance_after, idempotency_key, request_hash";
    let again = format!("SELECT 5, {columns} FROM point_entries WHERE id = {told}");
    doubled.run(&format!("INSERT INTO point_entries (id, {columns}) {again}")).await;
    let (_, checks) = doubled.verify().await;
    expect(&checks, Verdict::Violated, &format!("120 unknown; more than one entry: {booking}"));
    assert!(!checks["PT6"].evidence.contains("than was told"), "{checks:?}");
}

/// A promise without an entry proves nothing, and neither do entries that were seeded and booked anew since.
#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_that_is_missing_or_of_older_data_accuses_nobody() {
    let some = |told: u64| if told % 100 == 2 { Some(Receipt::Missing) } else { given(told) };
    let (verdict, checks) = Booked::told(1, some).await.verify().await;
    expect(&checks, Verdict::Unknown, "receipts missing: 12 promises do not say which entry is theirs");
    assert_eq!(verdict, Overall::Unproven);

    let mut seeded = Booked::told(1, given).await;
    let columns = "user_id, kind, delta, balance_after, idempotency_key, request_hash";
    seeded.run("CREATE TABLE kept AS SELECT * FROM point_entries WHERE user_id = 2 AND kind <> 'open'").await;
    seeded.run("DELETE FROM point_entries WHERE user_id = 2").await;
    seeded.run(&format!("INSERT INTO point_entries (id, {columns}) VALUES (900000, 2, 'open', 9, 9, '', '')")).await;
    seeded.run(&format!("INSERT INTO point_entries (id, {columns}) SELECT id + 900000, {columns} FROM kept")).await;
    let (verdict, checks) = seeded.verify().await;
    expect(&checks, Verdict::Unknown, "240 have no entry, or another one than was told");
    assert_eq!(verdict, Overall::Unproven);
}
