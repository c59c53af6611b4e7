//! What is said of alarms.

use super::count;
use crate::{
    alarm::registry::{self, Unit},
    event::AlarmLevel,
    run::summary::{Alarm, Summary},
};

/// A value of an alarm's metric in its unit: `2,348`, `120 ms`, `83 %`.
pub fn alarm_value(metric: &str, value: f64) -> String {
    match registry::find(metric).map(|known| known.unit) {
        Ok(Unit::Share) => format!("{} %", plain(value * 100.0)),
        Ok(Unit::Millis) => format!("{} ms", plain(value)),
        Ok(Unit::Count) | Err(_) => plain(value),
    }
}

/// As many places as say something: a level of 0.1 % is not 0.
fn plain(value: f64) -> String {
    // 0.8 × 100 is a little more than 80.
    let value = (value * 1e6).round() / 1e6;
    match value.abs() {
        size if size >= 1e15 || value.is_nan() => format!("{value:.3e}"),
        size if size >= 100.0 || value.fract() == 0.0 && size >= 1.0 => {
            let sign = if value < 0.0 { "-" } else { "" };
            format!("{sign}{}", count(size.round() as u64))
        }
        size if size >= 10.0 => format!("{value:.1}"),
        0.0 => "0".into(),
        size if size < 0.01 => format!("{value:.4}"),
        _ => format!("{value:.2}"),
    }
}

/// One line for each alarm that was raised, the worst first.
pub(super) fn lines(summary: &Summary) -> Vec<String> {
    let mut raised: Vec<&Alarm> = summary.alarms.iter().filter(|alarm| alarm.worst > AlarmLevel::Ok).collect();
    raised.sort_by_key(|alarm| std::cmp::Reverse(alarm.worst));
    raised.into_iter().map(line).collect()
}

/// `consumer_lag critical: most 2,348 (warning 100, critical 1,000), raised at 31.0 s, above for 25.0 s; add consumers`
fn line(alarm: &Alarm) -> String {
    let value = |value: f64| alarm_value(&alarm.metric, value);
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
    fn values_stand_in_the_unit_of_their_metric() {
        for (metric, value, words) in [
            ("consumer_lag", 2_348.0, "2,348"),
            ("consumer_lag", 1.0, "1"),
            ("consumer_time_lag", 12.34, "12.3 ms"),
            ("cpu", 0.8, "80 %"),
            ("cpu", 1.184, "118 %"),
            ("mysql_connections_used", 0.001, "0.10 %"),
            ("redis_memory", 0.0, "0 %"),
            ("of another version", 0.25, "0.25"),
            ("consumer_lag", f64::INFINITY, "inf"),
        ] {
            assert_eq!(alarm_value(metric, value), words, "{metric} {value}");
        }
    }

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
