use crate::event::{Event, Stamped};

/// Recordings of version 0.1 are replayed, and those of a later one may know more kinds.
#[test]
fn a_number_alone_counts_coupons() {
    for (claims, seen) in [
        (r#""coupon_requests":7,"#, vec![("coupon", 7)]),
        (r#""claims":{"coupon":3,"seat":4},"#, vec![("coupon", 3), ("seat", 4)]),
        ("", vec![]),
    ] {
        let line = format!(
            r#"{{"t_ms":1,"type":"load","vus":1,"sent":9,{claims}"rps":1.0,"outcomes":{{}},"p50_ms":null,"p95_ms":null,"p99_ms":null,"dropped":0}}"#
        );
        let read: Stamped = serde_json::from_str(&line).unwrap();
        let Event::Load(sample) = read.event else { panic!("{line}") };
        let found: Vec<_> = sample.claims.iter().map(|(kind, count)| (kind.as_str(), *count)).collect();
        assert_eq!(found, seen);
    }
}
