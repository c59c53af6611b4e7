//! Why a seed failed.

use contract::claim::Claim;
use profile::fixture::FixtureError;

/// Why a seed failed. What was written before stays; a repeated seed mends it.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// The fixture cannot be used.
    #[error(transparent)]
    Fixture(#[from] FixtureError),
    /// The schema could not be brought up to date.
    #[error("the schema could not be brought up to date: {0}")]
    Migrate(String),
    /// MySQL refused a statement or did not answer.
    #[error("MySQL at {server}: {what}: {why}")]
    Mysql {
        /// `host:port/database`.
        server: String,
        /// What was being done.
        what: String,
        /// What the server said.
        why: String,
    },
    /// Redis refused a command or did not answer.
    #[error("Redis at {server}: {what}: {why}")]
    Redis {
        /// `host:port/db`.
        server: String,
        /// What was being done.
        what: String,
        /// What the server said.
        why: String,
    },
    /// The user of a server may not do what is needed. Nothing was changed.
    #[error("{server}: the user `{user}` may not {missing}; nothing was changed: grant it, or give another login")]
    Rights {
        /// Which server, where.
        server: String,
        /// Its user.
        user: String,
        /// What is missing, as the server calls it.
        missing: String,
    },
    /// MySQL takes no statements of the size that is sent. Nothing was changed.
    #[error(
        "{server}: max_allowed_packet is {packet} bytes, and {need} are needed; nothing was changed: raise it there"
    )]
    SmallPacket {
        /// Which server, where.
        server: String,
        /// Bytes it takes.
        packet: u64,
        /// Bytes that are needed.
        need: u64,
    },
    /// The API refused a row or did not answer.
    #[error("POST {url} of row {row}: {why}")]
    Api {
        /// The URL.
        url: String,
        /// Number of the row.
        row: u64,
        /// What the API said.
        why: String,
    },
    /// A new epoch could not be opened.
    #[error("the epoch of {} could not be opened: {why}", claim.words())]
    Epoch {
        /// Of what.
        claim: Claim,
        /// Why.
        why: String,
    },
    /// What was counted is not what was asked for.
    #[error("table {table}: asked for {asked} rows, found {found} as asked{extra}; was something else writing to it?")]
    Shortfall {
        /// The table.
        table: &'static str,
        /// Rows asked for.
        asked: u64,
        /// Rows counted that are as asked.
        found: u64,
        /// `, and 3 others`, or nothing.
        extra: String,
    },
    /// Redis does not hold the gate that was opened.
    #[error("the gate of {} in Redis at {server} is not as it was opened: {why}", claim.words())]
    Gate {
        /// Of what.
        claim: Claim,
        /// `host:port/db`.
        server: String,
        /// What is different.
        why: String,
    },
    /// What is to be reset is not there.
    #[error("{} does not exist; run `ecomctl seed` first", .0.words())]
    Missing(Claim),
    /// Data of servers that are not ours would be deleted or changed.
    #[error("this would destroy data on servers that ecomctl did not start: {}; say --yes if that is meant", harm.join("; "))]
    NeedsYes {
        /// What would be deleted or changed, each with its server.
        harm: Vec<String>,
    },
}
