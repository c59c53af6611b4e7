//! What must be true of an invariant before anything is started for it.

use std::collections::BTreeSet;

use base::yaml::suggest::did_you_mean;

use super::{Asked, Invariant, MOST_KEPT, Reading, When, command, statement};

/// Longest id, in characters: it is part of a file's name.
const MOST_ID: usize = 32;
/// Longest statement in words, in characters: it is one line of a report.
const MOST_SAYS: usize = 160;

/// Everything that is wrong with an invariant: the key within it (empty: it as a whole), and what is allowed.
pub fn problems(id: &str, invariant: &Invariant) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut say = |key: &str, why: String| found.push((key.to_owned(), why));
    if !is_id(id) {
        say("", format!("`{id}` is no id; allowed: letters, digits, `_` and `-`, a letter first, up to {MOST_ID}"));
    }
    let says = invariant.says.trim();
    if says.is_empty() || says.chars().count() > MOST_SAYS || says.chars().any(char::is_control) {
        say("says", format!("one line of 1 to {MOST_SAYS} characters says what must be true"));
    }
    if !(1..=MOST_KEPT).contains(&invariant.keep) {
        say("keep", format!("{} is out of range; allowed: 1 to {MOST_KEPT}", invariant.keep));
    }
    sources(invariant, &mut say);
    readings(invariant, &mut say);
    parameters(invariant, &mut say);
    found
}

fn is_id(id: &str) -> bool {
    id.starts_with(|c: char| c.is_ascii_alphabetic())
        && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
        && id.len() <= MOST_ID
}

/// It asks for one thing, and two stores are never read at one moment.
fn sources(invariant: &Invariant, say: &mut impl FnMut(&str, String)) {
    let sides = invariant.left.is_some() || invariant.right.is_some();
    let given = [invariant.mysql.is_some(), invariant.redis.is_some(), sides];
    if given.iter().filter(|given| **given).count() != 1 {
        say("", "one of these is needed, and one only: `mysql`, `redis`, or `left` with `right` and `key`".into());
        return;
    }
    match (sides, &invariant.key) {
        (true, None) => say("key", "this key is missing: the column by which `left` and `right` are compared".into()),
        (false, Some(_)) => say("key", "`key` goes with `left` and `right` only".into()),
        _ => {}
    }
    if sides && (invariant.left.is_none() || invariant.right.is_none()) {
        say("", "`left` and `right` go together".into());
    }
    let Some(Asked::Equal(left, right, _)) = invariant.asks() else { return };
    let one_snapshot = matches!((&left, &right), (Reading::Select(_), Reading::Select(_)));
    if invariant.when == When::Load && !one_snapshot {
        let why = "two readings are of one moment in MySQL alone; with Redis among them: `when: rest`";
        say("when", why.into());
    }
}

fn readings(invariant: &Invariant, say: &mut impl FnMut(&str, String)) {
    for (key, sql) in invariant.statements() {
        if let Err(why) = statement::checked(sql, &invariant.parameters) {
            // A name that is none is told where it stands.
            let named = invariant.parameters.values().any(|name| statement::identifier(name).is_err());
            if !named || statement::checked(sql, &std::collections::BTreeMap::new()).is_err() {
                say(key, why);
            }
        }
    }
    let commands = [("left", &invariant.left), ("right", &invariant.right), ("exercised", &invariant.exercised)];
    let commands = commands.into_iter().filter_map(|(key, reading)| match reading {
        Some(Reading::Command(words)) => Some((key, words)),
        _ => None,
    });
    for (key, words) in commands.chain(invariant.redis.iter().map(|words| ("redis", words))) {
        if let Err(why) = command::checked(words) {
            say(key, why);
        }
    }
}

fn parameters(invariant: &Invariant, say: &mut impl FnMut(&str, String)) {
    let open: BTreeSet<&str> = invariant.statements().flat_map(|(_, sql)| statement::names(sql)).collect();
    for (name, value) in &invariant.parameters {
        let key = format!("parameters.{name}");
        if !open.contains(name.as_str()) {
            let hint = did_you_mean(name, open.iter().copied());
            say(&key, format!("no statement has ${{{name}}}{hint}"));
        } else if let Err(why) = statement::identifier(value) {
            say(&key, why);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(yaml: &str) -> Vec<String> {
        let invariant: Invariant = serde_yaml::from_str(yaml).unwrap();
        problems("OK1", &invariant).into_iter().map(|(key, why)| format!("{key}: {why}")).collect()
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        assert_eq!(wrong("{says: x, mysql: SELECT 1, exercised: SELECT 1}"), Vec::<String>::new());
        assert_eq!(wrong("{says: x, left: SELECT 1 AS k, right: [HGETALL, a], key: k}"), Vec::<String>::new());
        insta::assert_debug_snapshot!([
            wrong("{says: ' ', keep: 0}"),
            wrong("{says: x, mysql: SELECT 1, redis: [GET, a], keep: 21}"),
            wrong("{says: x, left: SELECT 1, when: load}"),
            wrong("{says: x, left: SELECT 1, right: [GET, a], key: k, when: load}"),
            wrong("{says: x, redis: [SET, a, 1], key: k, exercised: DELETE FROM t}"),
            wrong("{says: x, mysql: 'SELECT 1 FROM ${table.a}', parameters: {table.b: c, table.a: 'x`y'}}"),
        ]);
    }

    #[test]
    fn ids_are_short_words() {
        let invariant: Invariant = serde_yaml::from_str("{says: x, mysql: SELECT 1}").unwrap();
        for (id, good) in [("PT1", true), ("seat_2-b", true), ("1PT", false), ("../x", false), ("", false)] {
            assert_eq!(problems(id, &invariant).is_empty(), good, "{id}");
        }
    }
}
