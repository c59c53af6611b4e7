//! Logs of all components, merged in the order of their times.
//!
//! Processes write files and stamp their lines in forms of their own ([`stamp`](base::log_line::stamp)); containers write to the Engine, which
//! stamps them itself. Either way a line is a [`LogLine`]. [`tail_merged`] gives those that are there, [`follow_merged`]
//! goes on as more are written.

mod file;
mod follow;
mod merge;
mod source;

use jiff::Timestamp;
use serde::Serialize;

use self::{
    file::Clock,
    source::{Place, Source, Sources},
};
pub use self::{file::tail, follow::follow_merged};
use super::{docker, error::InfraError, state::StateDir};

/// Lines of one container at most, where only a beginning was given.
const MOST: usize = 200_000;

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct LogLine {
    /// When it was written.
    #[serde(serialize_with = "as_text")]
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// `mysql`, `kafka-1`, `consumer-2` …
    pub component: String,
    /// The line as it was written.
    pub text: String,
}

fn as_text<S: serde::Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

/// Which lines are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Range {
    /// Lines of each component, from the end; none means all.
    pub lines: Option<usize>,
    /// None older than this.
    pub since: Option<Timestamp>,
}

/// The lines of `range` of the components `names`, or of all, oldest first. After `down` the files of the last stack are
/// still there, those of containers are not. Those of stacks before the last one are read where the range begins at a time.
///
/// # Errors
/// A file or an Engine that cannot be read, and [`InfraError::UnknownService`] with the names there are.
pub async fn tail_merged(state: &StateDir, names: &[String], range: Range) -> Result<Vec<LogLine>, InfraError> {
    let sources = Sources::find(state, names, range.since.is_some()).await?;
    let reads = sources.all.iter().map(|source| read(&sources, source, range));
    let read = futures_util::future::try_join_all(reads).await?;
    Ok(merge::by_time(read.into_iter().map(|(lines, _)| lines).collect()))
}

/// Where the lines of a source end that were read.
#[derive(Debug)]
enum End {
    File(file::Place, Clock),
    Container(Option<Timestamp>),
}

async fn read(sources: &Sources, source: &Source, range: Range) -> Result<(Vec<LogLine>, End), InfraError> {
    let (lines, end) = match &source.place {
        Place::File(path) => {
            let mut clock = Clock::new();
            let (lines, end) = file::read(path, range, &mut clock).map_err(InfraError::io("read", path))?;
            (lines, End::File(end, clock))
        }
        Place::Container(id) => {
            let Some(docker) = &sources.docker else { return Ok((Vec::new(), End::Container(None))) };
            let lines = docker::logs::tail(docker, id, range.lines.unwrap_or(MOST), range.since).await;
            let lines =
                lines.map_err(|e| InfraError::client("docker", &source.component, "logs", docker::words(&e)))?;
            let end = lines.last().map(|(at, _)| *at);
            (lines, End::Container(end))
        }
    };
    let line = |(at, text)| LogLine { at, component: source.component.clone(), text };
    Ok((lines.into_iter().map(line).collect(), end))
}
