//! Why compose files cannot be used.

use std::fmt;

/// Nobody reads more.
const MOST_SHOWN: usize = 50;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ComposeProblem {
    /// The file, as people see it; empty when no file is at fault.
    pub file: String,
    /// Line, from 1; 0 when no file is at fault.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Key path, e.g. `services.mysql.ports[0]`; empty: the file as a whole.
    pub key: String,
    /// What is wrong, and what is allowed.
    pub message: String,
}

impl fmt::Display for ComposeProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.file.is_empty() {
            write!(f, "{}:{}:{}: ", self.file, self.line, self.column)?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// Everything that is wrong, in the order of the files; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComposeErrors(pub Vec<ComposeProblem>);

impl ComposeErrors {
    /// A problem of no file.
    pub(super) fn of(message: impl Into<String>) -> Self {
        let message = message.into();
        Self(vec![ComposeProblem { file: String::new(), line: 0, column: 0, key: String::new(), message }])
    }
}

impl fmt::Display for ComposeErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.iter().take(MOST_SHOWN);
        let mut lines: Vec<String> = shown.map(ToString::to_string).collect();
        if self.0.len() > MOST_SHOWN {
            lines.push(format!("… and {} more", self.0.len() - MOST_SHOWN));
        }
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for ComposeErrors {}
