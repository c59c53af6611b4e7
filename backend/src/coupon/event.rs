//! The event that one granted coupon becomes, as it stands in Redis (`pending`) and in Kafka.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One granted coupon, the value of a record in the coupon topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CouponEvent {
    /// Drawn by the API before it asks the gate; the row's unique key.
    pub event_id: Uuid,
    /// Coupon.
    pub coupon_id: u64,
    /// Who got it.
    pub user_id: u64,
    /// The gate's number of the grant: 1, 2, 3 … within the epoch.
    pub grant_seq: u64,
    /// Epoch, `"<run_id>:<life>:<counter>"`.
    pub epoch: String,
    /// When the API asked for it, by its own clock, in milliseconds since 1970.
    pub granted_at_ms: u64,
}

/// The same before the gate has numbered it: what the gate keeps in `pending`, after the number and a `|`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingEvent {
    /// See [`CouponEvent::event_id`].
    pub event_id: Uuid,
    /// Coupon.
    pub coupon_id: u64,
    /// Who asks for it.
    pub user_id: u64,
    /// Epoch, `"<run_id>:<life>:<counter>"`.
    pub epoch: String,
    /// See [`CouponEvent::granted_at_ms`].
    pub granted_at_ms: u64,
}

impl PendingEvent {
    /// The event once the gate has numbered it.
    pub fn numbered(self, grant_seq: u64) -> CouponEvent {
        let Self { event_id, coupon_id, user_id, epoch, granted_at_ms } = self;
        CouponEvent { event_id, coupon_id, user_id, grant_seq, epoch, granted_at_ms }
    }

    /// Its JSON. Plain numbers and text always have one.
    pub fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl CouponEvent {
    /// Its JSON. Plain numbers and text always have one.
    pub fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The member of `pending` for an event (JSON as the caller of the gate sent it) with its number.
pub fn pending_member(grant_seq: u64, event: &str) -> String {
    format!("{grant_seq}|{event}")
}

/// Reads a member of `pending`; `None` when it is none of ours.
pub fn parse_pending(member: &str) -> Option<CouponEvent> {
    let (seq, event) = member.split_once('|')?;
    let event: PendingEvent = serde_json::from_str(event).ok()?;
    Some(event.numbered(seq.parse().ok()?))
}

/// The counter of an epoch `"<run_id>:<life>:<counter>"`.
pub fn epoch_counter(epoch: &str) -> Option<u64> {
    epoch.rsplit_once(':')?.1.parse().ok()
}

/// The Redis run id of an epoch `"<run_id>:<life>:<counter>"`.
pub fn epoch_run_id(epoch: &str) -> &str {
    epoch.split_once(':').map_or(epoch, |(run_id, _)| run_id)
}

/// The life of an epoch `"<run_id>:<life>:<counter>"`; empty in the name `"<run_id>:<counter>"` that version 0.1 gave.
pub fn epoch_life(epoch: &str) -> &str {
    epoch.rsplit_once(':').and_then(|(rest, _)| rest.split_once(':')).map_or("", |(_, life)| life)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_json_is_the_published_one() {
        let event = CouponEvent {
            event_id: Uuid::nil(),
            coupon_id: 1,
            user_id: 42,
            grant_seq: 17,
            epoch: "runid:3".into(),
            granted_at_ms: 0,
        };
        assert_eq!(
            event.json(),
            r#"{"event_id":"00000000-0000-0000-0000-000000000000","coupon_id":1,"user_id":42,"grant_seq":17,"epoch":"runid:3","granted_at_ms":0}"#
        );
    }

    #[test]
    fn what_is_no_event_is_not_read() {
        for member in ["", "|", "1|", "1|{}", "x|{}", "{}", "1|null"] {
            assert_eq!(parse_pending(member), None, "{member}");
        }
        assert_eq!(epoch_counter("abc:7"), Some(7));
        assert_eq!(epoch_counter("abc"), None);
        assert_eq!(epoch_counter("abc:-1"), None);
        assert_eq!(epoch_run_id("abc:7"), "abc");
        assert_eq!(epoch_life("abc:7"), "", "as version 0.1 named it");
        let named = "abc:6f1c9a02b7de:7";
        assert_eq!((epoch_run_id(named), epoch_life(named), epoch_counter(named)), ("abc", "6f1c9a02b7de", Some(7)));
    }

    proptest! {
        #[test]
        fn a_pending_member_reads_back(seq: u64, coupon_id: u64, user_id: u64, epoch in "[a-f0-9]{40}:[a-f0-9]{12}:[0-9]{1,9}") {
            let event =
                PendingEvent { event_id: Uuid::now_v7(), coupon_id, user_id, epoch, granted_at_ms: seq / 2 };
            let member = pending_member(seq, &event.json());
            prop_assert_eq!(parse_pending(&member), Some(event.numbered(seq)));
        }
        #[test]
        fn no_text_panics(text in ".{0,80}") {
            let _ = parse_pending(&text);
            let _ = (epoch_counter(&text), epoch_run_id(&text), epoch_life(&text));
        }
    }
}
