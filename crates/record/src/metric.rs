//! The registry of metrics: what is measured, stated once for goals, alarms, histories and documents.
//!
//! A metric is judged over a whole run (a goal), at each moment (an alarm), kept over time (a history), or several of
//! these; [`Known::goal`] and [`Known::alarm`] say which, and what it means there. [`reading`] reads values from events.

mod list;
pub mod reading;

use base::{figure::count, yaml::suggest::did_you_mean};
use contract::system::{Domain, System};

pub use self::list::*;

/// How values of a metric come together over a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Values with percentiles.
    Trend,
    /// Number of events.
    Counter,
    /// Last value, smallest and largest.
    Gauge,
    /// Share of samples that are true.
    Rate,
}

impl Kind {
    /// Its name in messages and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Trend => "trend",
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Rate => "rate",
        }
    }
}

/// What a value counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Records, connections, letters.
    Count,
    /// As many each second.
    PerSecond,
    /// Milliseconds.
    Millis,
    /// Bytes.
    Bytes,
    /// Part of a whole: 0.8 is 80 %.
    Share,
}

impl Unit {
    /// Largest level that makes sense.
    pub const fn most(self) -> f64 {
        match self {
            Self::Count | Self::PerSecond | Self::Bytes => 1e15,
            // A day.
            Self::Millis => 86_400_000.0,
            Self::Share => 1.0,
        }
    }
}

/// Whose word a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The load generator's.
    Load,
    /// Answers' that say whether they came from a cache.
    Cache,
    /// The consumer group's that turns claims into rows.
    Group,
    /// Redis's.
    Redis,
    /// MySQL's.
    Mysql,
    /// The processes' and containers'.
    Stack,
}

impl Source {
    /// What gives the values, in words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Load => "the load generator",
            Self::Cache => "a cache in front of what is read",
            Self::Group => "a consumer group",
            Self::Redis => "Redis",
            Self::Mysql => "MySQL",
            Self::Stack => "processes and containers",
        }
    }

    /// Whether `system` has it.
    pub fn is_of(self, system: System) -> bool {
        match self {
            Self::Cache => system.description().domains.contains(&Domain::Products),
            Self::Load | Self::Group | Self::Redis | Self::Mysql | Self::Stack => true,
        }
    }
}

/// A metric that exists.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Known {
    /// Name; k6's where k6 has the metric.
    pub name: &'static str,
    /// How its values come together over a run.
    pub kind: Kind,
    /// What a value counts.
    pub unit: Unit,
    /// Whose word it is.
    pub source: Source,
    /// Tags by which a goal can choose its samples.
    pub tags: &'static [&'static str],
    /// What it says over a whole run, with the unit; none where no goal can be over it.
    pub goal: Option<&'static str>,
    /// What it says at one moment; none where no alarm can watch it.
    pub alarm: Option<&'static str>,
}

impl Known {
    const fn new(name: &'static str, kind: Kind, unit: Unit, source: Source) -> Self {
        Self { name, kind, unit, source, tags: &[], goal: None, alarm: None }
    }

    const fn by(self, tags: &'static [&'static str]) -> Self {
        Self { tags, ..self }
    }

    const fn goal(self, about: &'static str) -> Self {
        Self { goal: Some(about), ..self }
    }

    const fn alarm(self, about: &'static str) -> Self {
        Self { alarm: Some(about), ..self }
    }
}

/// The metrics that goals can be over.
pub fn goals() -> impl Iterator<Item = &'static Known> {
    METRICS.iter().copied().filter(|known| known.goal.is_some())
}

/// The metrics that alarms can watch.
pub fn alarms() -> impl Iterator<Item = &'static Known> {
    METRICS.iter().copied().filter(|known| known.alarm.is_some())
}

/// Finds a metric that an alarm can watch.
///
/// # Errors
/// In words: the nearest name and all that there are.
pub fn find_alarm(name: &str) -> Result<&'static Known, String> {
    let called = |name: &str| alarms().find(|known| known.name == name);
    called(name).ok_or_else(|| {
        let mut names: Vec<_> = alarms().map(|known| known.name).collect();
        names.sort_unstable();
        let tagged = name.split_once('{').is_some_and(|(metric, _)| called(metric).is_some());
        let hint =
            if tagged { "; it takes no tags here".to_owned() } else { did_you_mean(name, names.iter().copied()) };
        format!("there is no alarm over `{name}`{hint}; there are: {}", names.join(", "))
    })
}

/// A value of an alarm's metric in its unit: `2,348`, `120 ms`, `83 %`.
pub fn in_unit(metric: &str, value: f64) -> String {
    match find_alarm(metric).map(|known| known.unit) {
        Ok(Unit::Share) => format!("{} %", plain(value * 100.0)),
        Ok(Unit::Millis) => format!("{} ms", plain(value)),
        Ok(_) | Err(_) => plain(value),
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
    use std::fmt::Write as _;

    use super::*;

    const DOCUMENT: &str = include_str!("../../../docs/profile.md");

    #[test]
    fn each_name_stands_once() {
        let mut names: Vec<_> = METRICS.iter().map(|m| m.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), METRICS.len());
    }

    /// The table of the document, as it has to be.
    #[test]
    fn the_document_has_every_metric_of_goals() {
        let mut table = "| metric | type | tags | what it says |\n|---|---|---|---|\n".to_owned();
        for known in goals() {
            let tags: Vec<_> = known.tags.iter().map(|tag| format!("`{tag}`")).collect();
            let about = known.goal.unwrap_or_default();
            let _ = writeln!(table, "| `{}` | {} | {} | {about} |", known.name, known.kind.name(), tags.join(", "));
        }
        assert!(DOCUMENT.contains(&table), "docs/profile.md has another table of goals' metrics than this:\n{table}");
    }

    #[test]
    fn the_document_names_the_metrics_of_alarms_and_no_others() {
        let rows = DOCUMENT.split_once("| metric | unit | what it says |\n|---|---|---|\n").unwrap().1;
        let rows = rows.lines().map_while(|row| row.strip_prefix("| `")?.split_once("` | "));
        let mut named: Vec<&str> = rows.map(|(name, _)| name).collect();
        let mut known: Vec<&str> = alarms().map(|known| known.name).collect();
        named.sort_unstable();
        known.sort_unstable();
        assert_eq!(named, known);
    }

    #[test]
    fn a_metric_that_is_not_there_is_told_with_those_that_are() {
        assert!(find_alarm("consumer_lga").unwrap_err().starts_with(
            "there is no alarm over `consumer_lga` (did you mean `consumer_lag`?); there are: consumer_lag, "
        ));
        assert!(find_alarm("http_req_duration{name:a}").unwrap_err().contains("; it takes no tags here; there are: "));
        assert!(find_alarm("redis_duration").is_err(), "a metric of goals alone");
    }

    #[test]
    fn only_what_is_sold_is_cached() {
        let without: Vec<_> = System::ALL.into_iter().filter(|system| !Source::Cache.is_of(*system)).collect();
        assert_eq!(without, [System::Fcfs]);
        assert!(System::ALL.into_iter().all(|system| Source::Group.is_of(system)));
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
