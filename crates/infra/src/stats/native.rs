//! Figures of processes, from `/proc`.

use std::{collections::BTreeMap, fs, time::Instant};

use crate::process::{self, ProcessRef, Stat};

/// What a process uses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Usage {
    /// Percent of one core since the last look; absent at the first.
    pub cpu: Option<f64>,
    /// Resident bytes.
    pub memory: u64,
    /// Bytes read from and written to disks.
    pub disk: Option<(u64, u64)>,
    /// Open file descriptors.
    pub open_files: Option<u64>,
}

/// Processes with what they had used at the last look.
#[derive(Debug, Default)]
pub(super) struct Processes {
    before: BTreeMap<i32, (Instant, Stat)>,
}

impl Processes {
    /// Looks at a process; none where it has ended.
    pub fn look(&mut self, process: ProcessRef) -> Option<Usage> {
        let stat = Stat::read(process.pid).filter(|_| process::is_alive(process))?;
        let now = Instant::now();
        let before = self.before.insert(process.pid, (now, stat));
        let before = before.filter(|(_, before)| before.start_time == stat.start_time);
        let cpu = before.and_then(|(then, before)| {
            let ticks = stat.cpu_ticks.checked_sub(before.cpu_ticks)?;
            let seconds = now.duration_since(then).as_secs_f64();
            let cpu = ticks as f64 / sysconf(nix::unistd::SysconfVar::CLK_TCK, 100) as f64 / seconds * 100.0;
            (seconds > 0.0).then_some(cpu)
        });
        Some(Usage {
            cpu,
            memory: stat.resident_pages * sysconf(nix::unistd::SysconfVar::PAGE_SIZE, 4096),
            disk: disk(process.pid),
            open_files: fs::read_dir(format!("/proc/{}/fd", process.pid)).ok().map(|all| all.count() as u64),
        })
    }
}

/// Bytes that the process made the disks read and write; absent where the kernel does not tell.
fn disk(pid: i32) -> Option<(u64, u64)> {
    parse_io(&fs::read_to_string(format!("/proc/{pid}/io")).ok()?)
}

fn parse_io(text: &str) -> Option<(u64, u64)> {
    let field =
        |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")?.trim().parse().ok());
    Some((field("read_bytes")?, field("write_bytes")?))
}

fn sysconf(variable: nix::unistd::SysconfVar, default: u64) -> u64 {
    nix::unistd::sysconf(variable).ok().flatten().and_then(|value| u64::try_from(value).ok()).unwrap_or(default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_disks_are_not_bytes_of_calls() {
        let text =
            "rchar: 9\nwchar: 8\nsyscr: 1\nsyscw: 1\nread_bytes: 4096\nwrite_bytes: 512\ncancelled_write_bytes: 7\n";
        assert_eq!(parse_io(text), Some((4_096, 512)));
        assert_eq!(parse_io("rchar: 9\n"), None);
    }

    #[test]
    fn a_process_that_works_is_seen_to_work() {
        let me = process::this().unwrap();
        let mut processes = Processes::default();
        let first = processes.look(me).unwrap();
        assert_eq!(first.cpu, None, "one look says nothing about a pace");
        assert!(first.memory > 1 << 20 && first.open_files > Some(2), "{first:?}");
        let begun = Instant::now();
        let mut n = 0_u64;
        while begun.elapsed().as_millis() < 300 {
            n = std::hint::black_box(n + 1);
        }
        let cpu = processes.look(me).unwrap().cpu.unwrap();
        assert!(cpu > 10.0, "{cpu} % of a core while nothing else was done");
        let gone = ProcessRef { start_time: me.start_time + 1, ..me };
        assert_eq!(processes.look(gone), None);
    }
}
