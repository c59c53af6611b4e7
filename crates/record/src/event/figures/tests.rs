use contract::claim::{
    Claim,
    coupon::{GRANTS, ROWS, STOCK},
};

use crate::event::{Event, Stamped};

/// Samples of older versions are read as they were meant.
#[test]
fn figures_of_older_and_newer_versions_are_read() {
    let read = |text: &str| match serde_json::from_str::<Stamped>(text).unwrap().event {
        Event::Probe(sample) => sample,
        other => panic!("{other:?}"),
    };
    let rest = r#""partitions":[],"lag":null,"time_lag_ms":null,"dead_letters":null,"redis_ms":null"#;
    let old = format!(
        r#"{{"t_ms":1,"type":"probe","coupons":{{"7":{{"rows":3,"grants":null,"stock":-1}}}},{rest},"mysql_connections":1}}"#
    );
    let sample = read(&old);
    let figures = &sample.subjects[&Claim::coupon(7)];
    assert_eq!((figures.count(ROWS), figures.get(GRANTS), figures.get(STOCK)), (Some(3), None, Some(-1)));
    assert_eq!(figures.count(STOCK), None, "no count");
    let line = serde_json::to_string(&Stamped { t_ms: 1, event: Event::Probe(sample.clone()) }).unwrap();
    assert!(line.contains(r#""subjects":{"coupon:7":{"rows":3,"stock":-1}}"#), "{line}");
    assert_eq!(read(&line), sample);
    let newer = format!(r#"{{"t_ms":1,"type":"probe","subjects":{{"coupon:7":{{"rows":3,"glow":9}}}},{rest}}}"#);
    assert_eq!(read(&newer).subjects[&Claim::coupon(7)].iter().collect::<Vec<_>>(), [("rows", 3)]);
}
