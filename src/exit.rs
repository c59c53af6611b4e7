//! Exit codes: an interface for scripts. `docs/exit-codes.md` says the same in words.

use std::process::ExitCode;

/// What a command came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done; goals met, consistent.
    Done,
    /// Could not do it.
    Failed,
    /// Usage or profile invalid; nothing was started.
    Usage,
    /// Consistency violated.
    Violated,
    /// Nothing proven.
    Unproven,
    /// Goals missed.
    Missed,
    /// Interrupted by Ctrl-C, after a clean stop.
    Interrupted,
    /// Terminated, after a clean stop.
    Terminated,
}

impl Exit {
    /// The number that the shell sees.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Violated => 3,
            Self::Unproven => 4,
            Self::Missed => 99,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// Of several, the one that counts: 2, 3, 1, 130/143, 4, 99, 0.
    pub fn worst(all: impl IntoIterator<Item = Self>) -> Self {
        let order = [
            Self::Usage,
            Self::Violated,
            Self::Failed,
            Self::Interrupted,
            Self::Terminated,
            Self::Unproven,
            Self::Missed,
        ];
        let all: Vec<_> = all.into_iter().collect();
        order.into_iter().find(|exit| all.contains(exit)).unwrap_or(Self::Done)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_outranks_a_failure_and_a_failure_an_interrupt() {
        use Exit::{Done, Failed, Interrupted, Missed, Unproven, Violated};
        assert_eq!(Exit::worst([Missed, Failed, Violated]), Violated);
        assert_eq!(Exit::worst([Missed, Unproven, Interrupted]), Interrupted);
        assert_eq!(Exit::worst([Interrupted, Failed]), Failed);
        assert_eq!(Exit::worst([Missed, Unproven]), Unproven);
        assert_eq!(Exit::worst([Done, Missed]), Missed);
        assert_eq!(Exit::worst([]), Done);
    }
}
