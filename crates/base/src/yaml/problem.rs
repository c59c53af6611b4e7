//! What is wrong with a file, and where.

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In the file; both count from 1.
    File {
        /// Line.
        line: usize,
        /// Column, in characters.
        column: usize,
    },
    /// On the command line, e.g. `--set backend.consumers=0`.
    Flag(String),
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// Key path, e.g. `scenarios.event.stages[1].duration`; empty: the file as a whole.
    pub path: String,
    /// What is wrong, and what is allowed.
    pub message: String,
}

impl Problem {
    /// A problem of the file as a whole.
    pub fn of_file(line: usize, column: usize, message: impl Into<String>) -> Self {
        Self { place: Place::File { line, column }, path: String::new(), message: message.into() }
    }
}

/// `file:line:column: key path: message`
pub fn line(source_name: &str, problem: &Problem) -> String {
    let place = match &problem.place {
        Place::File { line, column } => format!("{source_name}:{line}:{column}: "),
        Place::Flag(flag) => format!("{flag} (on {source_name}): "),
    };
    let path = if problem.path.is_empty() { String::new() } else { format!("{}: ", problem.path) };
    format!("{place}{path}{}", problem.message)
}
