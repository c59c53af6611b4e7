//! Which gates there are in Redis, by a part of its keys: a server of somebody else may hold millions, and this is
//! only for show.

use std::collections::BTreeSet;

use contract::claim::{GATE_PATTERN, gate_id};

/// Keys that one command looks at.
const AMONG: usize = 10_000;
/// Commands of one search: gates may stand behind very many products of the API's cache.
const STEPS: usize = 10;

/// A search, which whoever has a connection carries out: [`GateScan::command`] until there is none, each answer to
/// [`GateScan::take`].
#[derive(Debug, Default)]
pub struct GateScan {
    cursor: u64,
    steps: usize,
    found: BTreeSet<u64>,
}

impl GateScan {
    /// The next command; none when the search is over.
    pub fn command(&self) -> Option<redis::Cmd> {
        let over = self.steps == STEPS || (self.steps > 0 && self.cursor == 0);
        (!over).then(|| {
            let mut scan = redis::cmd("SCAN");
            scan.arg(self.cursor).arg("MATCH").arg(GATE_PATTERN).arg("COUNT").arg(AMONG);
            scan
        })
    }

    /// Takes in an answer: the cursor that goes on, and keys.
    pub fn take(&mut self, (cursor, keys): (u64, Vec<String>)) {
        (self.cursor, self.steps) = (cursor, self.steps + 1);
        self.found.extend(keys.iter().filter_map(|key| gate_id(key)));
    }

    /// Their ids, lowest numbers first, and no more than `most` of them.
    pub fn ids(self, most: usize) -> Vec<u64> {
        self.found.into_iter().take(most).collect()
    }
}

#[cfg(test)]
mod tests {
    use contract::claim::gate_keys;

    use super::*;

    #[test]
    fn a_search_ends_with_the_keys_or_with_its_steps() {
        let mut scan = GateScan::default();
        assert!(scan.command().is_some());
        let stock = |id| gate_keys(id).stock;
        scan.take((5, vec![stock(7), stock(7).replace('7', "x")]));
        assert!(scan.command().is_some());
        scan.take((0, vec![stock(2), stock(7)]));
        assert!(scan.command().is_none());
        assert_eq!(scan.ids(9), [2, 7], "SCAN may name a key twice");
        let mut endless = GateScan::default();
        let steps = std::iter::from_fn(|| endless.command().map(|_| endless.take((1, Vec::new())))).count();
        assert_eq!(steps, STEPS);
    }
}
