//! The metrics that an alarm can watch. Names are those of the goals where a goal has the metric too.

use base::{figure::count, yaml::suggest::did_you_mean};

/// What a value counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Records, connections, letters.
    Count,
    /// Milliseconds.
    Millis,
    /// Part of a whole: 0.8 is 80 %.
    Share,
}

impl Unit {
    /// Largest level that makes sense.
    pub const fn most(self) -> f64 {
        match self {
            Self::Count => 1e15,
            // A day.
            Self::Millis => 86_400_000.0,
            Self::Share => 1.0,
        }
    }
}

/// A metric that exists.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// Name.
    pub name: &'static str,
    /// What its values count.
    pub unit: Unit,
    /// What it says.
    pub about: &'static str,
}

const fn known(name: &'static str, unit: Unit, about: &'static str) -> Known {
    Known { name, unit, about }
}

/// All metrics, in the order of their names.
pub const METRICS: &[Known] = &[
    known("consumer_lag", Unit::Count, "records not yet consumed"),
    known("consumer_time_lag", Unit::Millis, "age of the oldest record not yet consumed, in ms"),
    known(
        "cpu",
        Unit::Share,
        "share of its CPU limit, or without one of all cores, that the busiest process or container uses",
    ),
    known("dead_letters", Unit::Count, "records dead-lettered since the run began"),
    known("http_req_duration", Unit::Millis, "mean duration of the requests that ended in the last second, in ms"),
    known("http_req_failed", Unit::Share, "share of the last second's requests with outcome UNKNOWN or ERROR"),
    known("memory", Unit::Share, "share of its memory limit that the fullest container uses; none without limits"),
    known("mysql_connections", Unit::Count, "connections to MySQL of all programs"),
    known("mysql_connections_used", Unit::Share, "share of max_connections that is in use"),
    known("redis_memory", Unit::Share, "share of Redis's maxmemory that is in use; none without a maxmemory"),
];

/// Finds a metric by name.
///
/// # Errors
/// In words: the nearest name and all that there are.
pub fn find(name: &str) -> Result<&'static Known, String> {
    let called = |name: &str| METRICS.iter().find(|known| known.name == name);
    called(name).ok_or_else(|| {
        let names = || METRICS.iter().map(|known| known.name);
        let tagged = name.split_once('{').is_some_and(|(metric, _)| called(metric).is_some());
        let hint = if tagged { "; it takes no tags here".to_owned() } else { did_you_mean(name, names()) };
        format!("there is no alarm over `{name}`{hint}; there are: {}", names().collect::<Vec<_>>().join(", "))
    })
}

/// A value of an alarm's metric in its unit: `2,348`, `120 ms`, `83 %`.
pub fn in_unit(metric: &str, value: f64) -> String {
    match find(metric).map(|known| known.unit) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_stands_once_in_order() {
        assert!(METRICS.windows(2).all(|pair| pair[0].name < pair[1].name));
    }

    #[test]
    fn the_document_names_every_metric() {
        let document = include_str!("../../../../docs/profile.md");
        for known in METRICS {
            assert!(document.contains(&format!("| `{}` |", known.name)), "docs/profile.md: no `{}`", known.name);
        }
    }

    #[test]
    fn a_metric_that_is_not_there_is_told_with_those_that_are() {
        assert!(find("consumer_lga").unwrap_err().starts_with(
            "there is no alarm over `consumer_lga` (did you mean `consumer_lag`?); there are: consumer_lag, "
        ));
        assert!(find("http_req_duration{name:a}").unwrap_err().contains("; it takes no tags here; there are: "));
    }

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
            assert_eq!(in_unit(metric, value), words, "{metric} {value}");
        }
    }
}
