//! Why a profile cannot be used.

use std::{fmt, path::PathBuf};

pub(crate) use base::yaml::problem::line;
pub use base::yaml::problem::{Place, Problem};

/// Why a profile cannot be used. Nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// No file and no built-in profile has this name.
    #[error("there is no profile `{name}`{hint}; known: {known}; a file is given by its path, as in ./{name}.yaml")]
    NotFound {
        /// What was asked for.
        name: String,
        /// ` (did you mean …?)`, or nothing.
        hint: String,
        /// Names that exist.
        known: String,
    },
    /// The file cannot be read.
    #[error("cannot read the profile {}: {why}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A flag that changes the profile cannot be applied.
    #[error("{flag}: {why}")]
    Override {
        /// The flag with its value.
        flag: String,
        /// Why, and what is allowed.
        why: String,
    },
    /// The profile says something that is not allowed.
    #[error("{}", Listing { source_name, problems })]
    Invalid {
        /// The file, as people see it.
        source_name: String,
        /// Everything that was found, in the order of the file; never empty.
        problems: Vec<Problem>,
    },
}

/// A file that is no profile at all could bring thousands; nobody reads them.
const MOST_SHOWN: usize = 50;

/// One line for each problem, in the form that editors jump to.
struct Listing<'a> {
    source_name: &'a str,
    problems: &'a [Problem],
}

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.problems.iter().take(MOST_SHOWN);
        let mut lines: Vec<String> = shown.map(|p| line(self.source_name, p)).collect();
        if self.problems.len() > MOST_SHOWN {
            lines.push(format!("… and {} more", self.problems.len() - MOST_SHOWN));
        }
        f.write_str(&lines.join("\n"))
    }
}

/// What a rule found that knows keys and no places.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// A key, and what is not allowed about it.
    Problem(String, String),
    /// A key, and what is allowed, but perhaps not meant.
    Doubt(String, String),
}
