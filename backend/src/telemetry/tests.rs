use std::collections::BTreeMap;

use super::*;
use crate::domains;

/// The rules of `promtool check metrics`: readers of the older format find no help, no type, or another name where
/// they do not hold.
#[test]
fn the_older_format_keeps_its_rules() {
    let metrics = Metrics::new();
    domains::figures(&metrics);
    let text = metrics.text(Format::Text);
    let (mut helps, mut types) = (BTreeMap::new(), BTreeMap::new());
    for line in text.lines() {
        if let Some((name, words)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            assert!(!words.is_empty() && helps.insert(name, words).is_none(), "{line}");
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
            assert!(helps.contains_key(name) && types.insert(name, kind).is_none(), "{line}");
            for unit in ["_ms", "_milliseconds", "_kib", "_percent", "_counter", "_gauge", "_histogram"] {
                assert!(!name.contains(unit), "{line}");
            }
        } else {
            assert!(!line.starts_with('#'), "{line}");
            let name = line.split(['{', ' ']).next().unwrap();
            let parts = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            let kind = types.get(name).or_else(|| parts.and_then(|name| types.get(name)));
            assert!(kind.is_some_and(|kind| (*kind == "histogram") == parts.is_some()), "{line}");
        }
    }
    for name in ["process_cpu_seconds_total", "process_open_fds", "process_threads", "ecom_coupon_requests_total"] {
        assert!(types.contains_key(name), "{name} is not in\n{text}");
    }
    let open = metrics.text(Format::OpenMetrics);
    assert!(open.ends_with("# EOF\n") && open.contains("# TYPE process_cpu_seconds counter\n"), "{open}");
}
