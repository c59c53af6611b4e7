//! Keys, executors and methods that people know from k6 or from our plans, and that are not there: what to do instead.
//! "Unknown key" alone would make them look for a slip of their own.

/// Not there yet → what to do instead.
const KEYS: &[(&[&str], &str)] = &[
    (&["auth", "cookies", "params"], "write `headers`, as in {Authorization: \"Basic …\"}"),
    (&["tags"], "figures are by `name` and scenario: give requests names of their own"),
    (
        &["extract", "if", "choose"],
        "an iteration sends its requests in order; ${user.id}, ${user.publicId} and ${uuid} are filled in",
    ),
    (&["feeds", "data"], "${user.id}, ${user.publicId} and ${uuid} are filled in"),
    (&["timeUnit", "time_unit"], "`rate` is in iterations per second: 30 a minute are `rate: 0.5`"),
    (
        &["preAllocatedVUs", "pre_allocated_vus"],
        "all virtual users of `maxVUs` are there from the beginning: take the key away",
    ),
    (
        &["startTime", "start_time"],
        "all scenarios start together; to run loads one after the other, give several profiles: `ecomctl run A B`",
    ),
    (
        &["gracefulStop", "graceful_stop", "gracefulRampDown", "graceful_ramp_down"],
        "iterations under way may go on for 30s, as in k6: take the key away",
    ),
    (&["startRate", "start_rate"], "`constant-arrival-rate` keeps one `rate`"),
    (&["iterations", "maxDuration", "max_duration"], "a load ends by time: give a `duration`"),
    (&["exec"], "an iteration sends what stands under `requests`, in this order"),
    (&["env"], "${NAME} is filled in from `-e NAME=value`"),
    (&["setup", "teardown", "options", "import"], "a profile has no scripts: see `ecomctl profiles sample`"),
];

/// Called otherwise here, or in another place.
const ELSEWHERE: &[(&[&str], &str)] = &[
    (&["url", "uri"], "write `path`, as in /api/products; the host comes from `--api-url`, or is the backend's"),
    (&["query"], "write it into `path`, behind `?`"),
    (&["json", "payload", "form"], "write `body`, as in {userId: \"${user.id}\"}"),
    (&["thresholds"], "they are called `goals`"),
    (&["expect", "status", "responses"], "write `outcomes`, status → class, as in {410: SOLD_OUT}"),
    (&["sleep", "thinkTime", "think_time", "pause"], "write `think`, at the scenario"),
    (&["weight"], "give each its own scenario, with virtual users or a rate"),
    (&["plant"], "what breaks data on purpose is for ecomctl's own tests; nothing of a profile writes"),
    (&["users"], "`seed.users` says how many users there are"),
];

/// Executor of k6 → what to do instead.
const EXECUTORS: &[(&str, &str)] = &[
    ("ramping-arrival-rate", "take constant-arrival-rate, one profile for each rate"),
    ("shared-iterations", "take constant-vus with a duration"),
    ("per-vu-iterations", "take constant-vus with a duration; `once: true` sends a request once for each virtual user"),
    ("externally-controlled", "change virtual users or rate of a run on its dashboard: `ecomctl tui`"),
];

/// Methods of HTTP that are not sent yet.
const METHODS: &[&str] = &["PATCH", "HEAD", "OPTIONS", "QUERY", "TRACE", "CONNECT"];

fn named<'a>(table: &[(&[&str], &'a str)], key: &str) -> Option<&'a str> {
    table.iter().find(|(keys, _)| keys.contains(&key)).map(|(_, instead)| *instead)
}

/// What is said of a key that is not there, if it is known from elsewhere.
pub(super) fn key(key: &str) -> Option<String> {
    let later = named(KEYS, key).map(|instead| format!("`{key}` is not supported yet: {instead}"));
    later.or_else(|| named(ELSEWHERE, key).map(|instead| format!("unknown key `{key}`: {instead}")))
}

/// The same of an executor.
pub(super) fn executor(name: &str) -> Option<String> {
    let (_, instead) = EXECUTORS.iter().find(|(known, _)| *known == name)?;
    Some(format!("`{name}` is not supported yet: {instead}"))
}

/// Whether `name` is a method that is not sent yet.
pub(super) fn method(name: &str) -> bool {
    METHODS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key that a profile has is never called unknown, and each stands in one row.
    #[test]
    fn no_key_that_is_there_stands_here() {
        let rows: Vec<&str> = KEYS.iter().chain(ELSEWHERE).flat_map(|(keys, _)| keys.iter().copied()).collect();
        for (i, row) in rows.iter().enumerate() {
            assert!(!rows[..i].contains(row), "{row} stands here twice");
        }
        let schema = super::super::schema().to_string();
        // Elsewhere these two are keys: of the seed, and of what is taken out of an answer.
        for row in rows.iter().filter(|row| !["users", "json"].contains(row)) {
            assert!(!schema.contains(&format!("\"{row}\":{{")), "{row} is a key of profiles");
        }
        for (name, _) in EXECUTORS {
            assert!(!schema.contains(&format!("\"const\":\"{name}\"")), "{name} is an executor");
        }
    }
}
