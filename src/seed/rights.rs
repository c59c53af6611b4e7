//! What the logins may do, asked before anything is changed. Servers of other people give users what they were thought to
//! need; without this a missing right was told after a minute of load. What cannot be known is not held against anybody.

use contract::endpoint::Endpoints;
use mysql_async::prelude::Queryable as _;

use super::{SeedError, SeedPlan, claimed, db::Db};

/// What migrations, the seed and the consumers do with tables.
const NEEDED: [&str; 5] = ["SELECT", "INSERT", "UPDATE", "DELETE", "CREATE"];
/// Largest statement, in bytes, that is sent.
const LARGEST_STATEMENT: u64 = 1 << 20;

/// Looks at MySQL's grants and limits, and at what Redis lets the user do with the gate's keys.
///
/// # Errors
/// [`SeedError::Rights`] with what is missing.
pub(super) async fn look(db: &Db, plan: &SeedPlan, endpoints: &Endpoints) -> Result<(), SeedError> {
    let mut conn = db.conn().await?;
    let server = || format!("MySQL at {}", endpoints.mysql);
    // Who may not see his own grants has unknown ones.
    let grants: Vec<String> = conn.query("SHOW GRANTS").await.unwrap_or_default();
    let missing = missing(&grants, &endpoints.mysql.database);
    if !missing.is_empty() {
        let user = endpoints.mysql.user.clone();
        return Err(SeedError::Rights { server: server(), user, missing: missing.join(", ") });
    }
    let packet: Option<u64> = db.step("reading a limit", conn.query_first("SELECT @@max_allowed_packet")).await?;
    if let Some(packet) = packet.filter(|packet| *packet < LARGEST_STATEMENT) {
        return Err(SeedError::SmallPacket { server: server(), packet, need: LARGEST_STATEMENT });
    }
    claimed::look_at_rights(plan, &endpoints.redis).await
}

/// Of [`NEEDED`], what these lines of SHOW GRANTS do not give on `database`. Roles, and rights on single tables or columns,
/// may give the rest: then nothing is known to be missing.
fn missing(grants: &[String], database: &str) -> Vec<&'static str> {
    let mut given: Vec<String> = Vec::new();
    for grant in grants {
        let Some((what, to)) = grant.strip_prefix("GRANT ").and_then(|grant| grant.split_once(" ON ")) else {
            return Vec::new();
        };
        let scope = to.split_once(" TO ").map_or(to, |(scope, _)| scope).trim_start_matches("TABLE ");
        match scope.strip_suffix(".*") {
            _ if what.contains('(') => return Vec::new(),
            Some("*") => {}
            Some(pattern) if like(pattern.trim_matches('`').as_bytes(), database.as_bytes()) => {}
            None if scope.contains('.') => return Vec::new(),
            Some(_) | None => continue,
        }
        given.extend(what.split(',').map(|right| right.trim().to_ascii_uppercase()));
    }
    if grants.is_empty() || given.iter().any(|right| right.starts_with("ALL")) {
        return Vec::new();
    }
    NEEDED.into_iter().filter(|right| !given.iter().any(|given| given == right)).collect()
}

/// SQL's LIKE, in which a grant names databases.
fn like(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'%', rest)), _) => like(rest, text) || (!text.is_empty() && like(pattern, &text[1..])),
        (Some((b'\\', [escaped, rest @ ..])), Some((byte, text))) => escaped == byte && like(rest, text),
        (Some((b'_', rest)), Some((_, text))) => like(rest, text),
        (Some((wanted, rest)), Some((byte, text))) => wanted.eq_ignore_ascii_case(byte) && like(rest, text),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(grants: &[&str]) -> String {
        missing(&grants.iter().map(|grant| (*grant).to_owned()).collect::<Vec<_>>(), "ecom_db").join(" ")
    }

    /// Only what is known to be missing is held against a user.
    #[test]
    fn grants_are_read_and_an_unknown_right_is_no_missing_one() {
        for (grants, lacks) in [
            (&["GRANT ALL PRIVILEGES ON *.* TO `u`@`%` WITH GRANT OPTION"][..], ""),
            (&["GRANT USAGE ON *.* TO `u`@`%`", "GRANT ALL PRIVILEGES ON `ecom_db`.* TO `u`@`%`"], ""),
            (
                &["GRANT USAGE ON *.* TO `u`@`%`", "GRANT SELECT ON `ecom\\_db`.* TO `u`@`%`"],
                "INSERT UPDATE DELETE CREATE",
            ),
            (
                &["GRANT USAGE ON *.* TO `u`@`%`", "GRANT ALL PRIVILEGES ON `other`.* TO `u`@`%`"],
                "SELECT INSERT UPDATE DELETE CREATE",
            ),
            (&["GRANT SELECT, INSERT, UPDATE, DELETE ON `ecom%`.* TO `u`@`%`"], "CREATE"),
            (&["GRANT SELECT, INSERT ON *.* TO `u`@`%`", "GRANT UPDATE, DELETE, CREATE ON `ecom_db`.* TO `u`@`%`"], ""),
            (&["GRANT USAGE ON *.* TO `u`@`%`", "GRANT `app`@`%` TO `u`@`%`"], ""),
            (&["GRANT USAGE ON *.* TO `u`@`%`", "GRANT SELECT ON `ecom_db`.`users` TO `u`@`%`"], ""),
            (
                &["GRANT USAGE ON *.* TO `u`@`%`", "GRANT PROXY ON ''@'%' TO 'u'@'%'"],
                "SELECT INSERT UPDATE DELETE CREATE",
            ),
            (&[], ""),
        ] {
            assert_eq!(of(grants), lacks, "{grants:?}");
        }
    }
}
