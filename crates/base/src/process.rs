//! Which process it is: a pid with its start time, read from `/proc`.

use std::fs;

use serde::{Deserialize, Serialize};

/// A process that ecomctl started. A pid alone may have been given to another program since; with the start time it
/// cannot be mistaken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessRef {
    /// Process id; also the id of its process group.
    pub pid: i32,
    /// Field 22 of `/proc/<pid>/stat`: clock ticks since boot.
    pub start_time: u64,
}

/// The fields of `/proc/<pid>/stat` that are used here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// `R`, `S`, `D`, `Z` …
    pub state: char,
    /// Process group.
    pub group: i32,
    /// CPU time of user and kernel, in clock ticks.
    pub cpu_ticks: u64,
    /// Clock ticks since boot.
    pub start_time: u64,
    /// Resident memory, in pages.
    pub resident_pages: u64,
}

impl Stat {
    /// Reads a line of `/proc/<pid>/stat`. The program's name may hold spaces and brackets: fields count from the last one.
    pub fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line[line.rfind(')')? + 1..].split_ascii_whitespace().collect();
        let number = |field: usize| fields.get(field - 3).and_then(|text| text.parse::<u64>().ok());
        Some(Self {
            state: fields.first()?.chars().next()?,
            group: fields.get(2)?.parse().ok()?,
            cpu_ticks: number(14)? + number(15)?,
            start_time: number(22)?,
            resident_pages: number(24)?,
        })
    }

    /// Of a living or dead process.
    pub fn read(pid: i32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }
}

/// Start time of a process in clock ticks since boot; none where there is no such process.
pub fn start_time(pid: i32) -> Option<u64> {
    Stat::read(pid).map(|stat| stat.start_time)
}

/// This process.
pub fn this() -> Option<ProcessRef> {
    reference(std::process::id())
}

/// The process that has `pid` now.
pub fn reference(pid: u32) -> Option<ProcessRef> {
    let pid = i32::try_from(pid).ok()?;
    Some(ProcessRef { pid, start_time: start_time(pid)? })
}

/// Whether this very process still runs; one that ended but was not collected does not.
pub fn is_alive(process: ProcessRef) -> bool {
    Stat::read(process.pid)
        .is_some_and(|stat| stat.start_time == process.start_time && !matches!(stat.state, 'Z' | 'X'))
}

/// The program of a process, for people.
pub fn program(pid: i32) -> Option<String> {
    Some(fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim().to_owned())
}
