//! What is said of alarms.

use record::{event::AlarmLevel, metric::in_unit};

use crate::summary::{Alarm, Summary};

/// One line for each alarm that was raised, the worst first.
pub(super) fn lines(summary: &Summary) -> Vec<String> {
    let mut raised: Vec<&Alarm> = summary.alarms.iter().filter(|alarm| alarm.worst > AlarmLevel::Ok).collect();
    raised.sort_by_key(|alarm| std::cmp::Reverse(alarm.worst));
    raised.into_iter().map(line).collect()
}

/// `consumer_lag critical: most 2,348 (warning 100, critical 1,000), raised at 31.0 s, above for 25.0 s; add consumers`
fn line(alarm: &Alarm) -> String {
    let value = |value: f64| in_unit(&alarm.metric, value);
    let levels = [("warning", alarm.warning), ("critical", alarm.critical)];
    let levels: Vec<_> =
        levels.iter().filter_map(|(name, level)| Some(format!("{name} {}", value((*level)?)))).collect();
    let of = alarm.component.as_ref().map_or_else(String::new, |name| format!(" of {name}"));
    let first = alarm.first_raised_s.map_or_else(String::new, |s| format!(", raised at {s:.1} s"));
    let act = alarm.act.as_ref().map_or_else(String::new, |act| format!("; {act}"));
    format!(
        "{} {}: most {}{of} ({}){first}, above for {:.1} s{act}",
        alarm.metric,
        alarm.worst.name(),
        alarm.highest.map_or_else(|| "-".into(), value),
        levels.join(", "),
        alarm.above_s,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_that_was_raised_is_one_line_with_value_level_and_what_to_do() {
        let alarm = Alarm {
            metric: "cpu".into(),
            warning: Some(0.8),
            critical: None,
            for_s: 10.0,
            worst: AlarmLevel::Warning,
            first_raised_s: Some(31.04),
            above_s: 25.0,
            highest: Some(0.972),
            component: Some("mysql".into()),
            act: Some("look at its digests".into()),
        };
        let words =
            "cpu warning: most 97.2 % of mysql (warning 80 %), raised at 31.0 s, above for 25.0 s; look at its digests";
        assert_eq!(line(&alarm), words);
    }
}
