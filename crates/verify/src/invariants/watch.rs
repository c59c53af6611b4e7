//! Looks at what must hold at every moment while the load runs.

use std::time::Duration;

use contract::endpoint::Endpoints;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{CheckResult, Listed, When, judge, look};
use crate::Verdict;

/// Shortest time between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// A look is followed by a pause of so many times as long: it must not become a load of its own.
const PAUSES: u32 = 19;
/// Longest time of one statement while the load runs.
const LIMIT: Duration = Duration::from_secs(5);

/// Looks until `stop`, at most once a second, and tells each violation once. What cannot be read is left to the
/// look at the end.
pub async fn watch(
    endpoints: Endpoints,
    listed: Vec<Listed>,
    tell: mpsc::Sender<CheckResult>,
    stop: CancellationToken,
) {
    let mut open: Vec<&Listed> = listed.iter().filter(|one| one.invariant.when == When::Load).collect();
    let mut pause = EVERY;
    while !open.is_empty() {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        let began = tokio::time::Instant::now();
        let mut seen = look(&endpoints, &open, LIMIT, None).await;
        pause = EVERY.max(began.elapsed() * PAUSES);
        for one in std::mem::take(&mut open) {
            // A database does not get its tables in the middle of a load.
            if seen.left_out.contains_key(&one.id) {
                continue;
            }
            let result = seen.found.remove(&one.id).map(|found| judge::result(one, found));
            match result.filter(|result| result.verdict == Verdict::Violated) {
                Some(result) => drop(tell.send(result).await),
                None => open.push(one),
            }
        }
    }
}
