use std::collections::BTreeMap;

use super::*;

#[test]
fn an_id_reads_back() {
    for text in ["0", "42", "18446744073709551615", "018f3c1e-0000-7000-8000-000000000001"] {
        assert_eq!(text.parse::<Id>().unwrap().to_string(), text);
    }
    for text in ["", "-1", "+1", "1.0", "18446744073709551616", "018f3c1e00007000800000000000000001", "x"] {
        assert!(text.parse::<Id>().is_err(), "{text}");
    }
}

#[test]
fn a_kind_is_named_as_it_is_written() {
    for kind in Kind::ALL {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
    }
}

/// Counts of older versions stay counts of coupons.
#[test]
fn a_claim_reads_back() {
    for text in ["coupon:1", "point", "point:018f3c1e-0000-7000-8000-000000000001"] {
        assert_eq!(text.parse::<Claim>().unwrap().to_string(), text);
    }
    let counts: BTreeMap<Claim, u64> = serde_json::from_str(r#"{"7": 3, "point": 2}"#).unwrap();
    assert_eq!(counts[&Claim::numbered(Kind::Coupon, 7)], 3);
    assert_eq!(serde_json::to_string(&counts).unwrap(), r#"{"coupon:7":3,"point":2}"#);
    for text in ["", "7:", ":7", "coupon:", "coupon:x", "seat:1", "-7"] {
        assert!(text.parse::<Claim>().is_err(), "{text}");
    }
}

#[test]
fn an_outcome_is_called_by_a_class_that_means_it() {
    for kind in Kind::ALL {
        for (class, outcome) in kind.classes() {
            assert_eq!(kind.outcome(class), Some(*outcome));
            assert_eq!(outcome.name(kind).and_then(|name| kind.outcome(name)), Some(*outcome));
        }
        assert!(kind.outcome("UNKNOWN").is_some(), "no answer is a class of every kind");
    }
}
