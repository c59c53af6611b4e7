//! Names that the backend, the seeder, the probes and the checks share, whichever the system: see [`crate::system`] for
//! those that are a system's own.
//!
//! This module holds no behaviour on purpose: `verify` may use these names, but never the code that it judges.

use uuid::{Builder, Uuid};

/// Suffix of the dead-letter topic of a topic.
pub const DEAD_LETTER_SUFFIX: &str = ".DLT";

/// Dead-letter topic that belongs to `topic`.
pub fn dead_letter_topic(topic: &str) -> String {
    format!("{topic}{DEAD_LETTER_SUFFIX}")
}

/// Redis key of product `id`, as JSON and with a time to live. A cache and nothing else: any of these may go at any time.
pub fn product_key(id: u64) -> String {
    format!("product:{id}")
}

/// Header of a dead letter: topic the record came from (UTF-8).
pub const HEADER_TOPIC: &str = "dlt-original-topic";
/// Header of a dead letter: partition the record came from (decimal).
pub const HEADER_PARTITION: &str = "dlt-original-partition";
/// Header of a dead letter: offset the record came from (decimal).
pub const HEADER_OFFSET: &str = "dlt-original-offset";
/// Header of a dead letter: why it is dead (UTF-8).
pub const HEADER_ERROR: &str = "dlt-error";

/// Public id of a seeded user: a UUID (version 8, RFC 9562) that follows from the user's id, so that whoever makes load knows
/// it without asking the database. It hides nothing.
pub fn public_id(user: u64) -> Uuid {
    // The finaliser of SplitMix64 (Steele, Lea, Flood 2014): neighbouring users get unlike ids.
    let mix = |seed: u64| {
        let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&mix(user.wrapping_add(1)).to_be_bytes());
    // The other half is the id itself, so that no two users share one; the top byte holds the variant.
    bytes[8..].copy_from_slice(&user.to_be_bytes());
    Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_user_has_a_public_id_of_its_own() {
        let ids: std::collections::BTreeSet<Uuid> = (0..10_000).map(public_id).collect();
        assert_eq!(ids.len(), 10_000);
        assert_eq!(public_id(1), public_id(1));
        assert_eq!(public_id(7).get_version_num(), 8);
    }
}
