//! The consumer protocol's assignment: which partitions a member reads, as the group's leader wrote it.
//!
//! version: i16, then topics: i32 times { name: i16 length and bytes, partitions: i32 times i32 }, then bytes that are
//! the assignor's own. Big-endian.

use std::collections::BTreeMap;

/// Topic → partitions; absent for bytes that are no assignment.
pub(super) fn decode(bytes: &[u8]) -> Option<BTreeMap<String, Vec<i32>>> {
    let mut rest = bytes;
    let _version = i16::from_be_bytes(take(&mut rest)?);
    let topics = i32::from_be_bytes(take(&mut rest)?);
    let mut found: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    for _ in 0..topics {
        let length = usize::try_from(i16::from_be_bytes(take(&mut rest)?)).ok()?;
        let (name, after) = rest.split_at_checked(length)?;
        rest = after;
        let partitions = found.entry(std::str::from_utf8(name).ok()?.to_owned()).or_default();
        let count = i32::from_be_bytes(take(&mut rest)?);
        for _ in 0..count {
            partitions.push(i32::from_be_bytes(take(&mut rest)?));
        }
    }
    for partitions in found.values_mut() {
        partitions.sort_unstable();
    }
    Some(found)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encode(topics: &BTreeMap<String, Vec<i32>>) -> Vec<u8> {
        let mut bytes = vec![0, 1];
        bytes.extend((topics.len() as i32).to_be_bytes());
        for (name, partitions) in topics {
            bytes.extend((name.len() as i16).to_be_bytes());
            bytes.extend(name.as_bytes());
            bytes.extend((partitions.len() as i32).to_be_bytes());
            bytes.extend(partitions.iter().flat_map(|partition| partition.to_be_bytes()));
        }
        bytes.extend((-1_i32).to_be_bytes());
        bytes
    }

    #[test]
    fn a_member_without_an_assignment_reads_nothing() {
        assert_eq!(decode(&[]), None);
        assert_eq!(decode(&encode(&BTreeMap::new())), Some(BTreeMap::new()));
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(topics in proptest::collection::btree_map("[a-z가-힣.-]{1,20}", proptest::collection::btree_set(0_i32..100, 0..8), 0..4)) {
            let topics = topics.into_iter().map(|(name, numbers)| (name, numbers.into_iter().collect())).collect();
            prop_assert_eq!(decode(&encode(&topics)), Some(topics));
        }

        #[test]
        fn no_bytes_make_it_panic_or_hang(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode(&bytes);
        }
    }
}
