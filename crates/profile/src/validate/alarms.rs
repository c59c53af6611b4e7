//! Rules of `alarms:`.

use contract::human::HumanDuration;
use record::metric::{self, Unit};

use super::Context;

/// Longest text of `act`, in letters: it has to fit a line.
const MOST_LETTERS: usize = 200;

pub(super) fn validate_metrics(c: &mut Context<'_>) {
    for metric in c.profile.alarms.keys() {
        let path = format!("alarms.{metric}");
        match metric::find_alarm(metric) {
            Ok(known) => c.source(path, metric, known.source),
            Err(why) => c.problem(path, why),
        }
    }
}

pub(super) fn validate_levels(c: &mut Context<'_>) {
    for (metric, alarm) in &c.profile.alarms {
        let Ok(known) = metric::find_alarm(metric) else { continue };
        let levels = [("warning", alarm.warning), ("critical", alarm.critical)];
        if levels.iter().all(|(_, level)| level.is_none()) {
            c.problem(format!("alarms.{metric}"), "there is no level; write `warning`, `critical` or both");
        }
        for (key, level) in levels {
            if let Some(level) = level.filter(|level| !(*level > 0.0 && *level <= known.unit.most())) {
                let hint = if known.unit == Unit::Share { " (a share: 0.8 is 80 %)" } else { "" };
                let message = format!("{level} is out of range; allowed: above 0, to {}{hint}", known.unit.most());
                c.problem(format!("alarms.{metric}.{key}"), message);
            }
        }
        if let (Some(warning), Some(critical)) = (alarm.warning, alarm.critical)
            && critical <= warning
        {
            let message = format!("{critical} is not above the warning level; allowed: more than {warning}");
            c.problem(format!("alarms.{metric}.critical"), message);
        }
    }
}

pub(super) fn validate_holds(c: &mut Context<'_>) {
    for (metric, alarm) in &c.profile.alarms {
        if alarm.hold > HumanDuration::from_secs(86_400) {
            let message = format!("{} is longer than a day; allowed: 0s (at once) to 24h", alarm.hold);
            c.problem(format!("alarms.{metric}.for"), message);
        }
    }
}

pub(super) fn validate_acts(c: &mut Context<'_>) {
    for (metric, alarm) in &c.profile.alarms {
        let Some(act) = &alarm.act else { continue };
        if act.trim().is_empty() || act.chars().count() > MOST_LETTERS || act.chars().any(char::is_control) {
            let message = format!("what to do is one line of 1 to {MOST_LETTERS} letters");
            c.problem(format!("alarms.{metric}.act"), message);
        }
    }
}
