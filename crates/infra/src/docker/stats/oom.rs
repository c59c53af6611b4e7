//! Whether the kernel ended a process of a container because its memory was used up, and how that is known.
//!
//! The Engine's flag is set only when the container ends, and is false while PID 1 lives: a server whose child was killed
//! looks well. The kernel's own count says it at once, where the container's cgroup can be seen; else the Engine's events
//! do.

use std::{
    collections::{BTreeMap, HashMap},
    fmt, fs,
    path::Path,
    pin::pin,
};

use bollard::{Docker, query_parameters::EventsOptionsBuilder};
use futures_util::{Stream, StreamExt as _};

use super::{
    LIMIT, Seen,
    cgroup::{self, Folder},
};

/// How an OOM kill is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Oom {
    /// The kernel's count, in this life of the container.
    Cgroup(u64),
    /// The Engine's flag, set when it ended.
    Flag,
    /// The Engine's events since it was made.
    Events(u64),
}

impl fmt::Display for Oom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cgroup(kills) => write!(f, "its cgroup counts {kills} OOM kill(s)"),
            Self::Flag => f.write_str("the Engine's OOMKilled flag"),
            Self::Events(events) => write!(f, "{events} OOM event(s) of the Engine"),
        }
    }
}

/// The best evidence there is; none where nothing says so.
pub fn oom(seen: &Seen, events: u64) -> Option<Oom> {
    let kills = seen.pid.and_then(|pid| cgroup_kills(pid, &seen.id));
    match kills {
        Some(kills) if kills > 0 => Some(Oom::Cgroup(kills)),
        _ if seen.oom_flag => Some(Oom::Flag),
        // The count of a running container is of this life; its earlier ones are in the events.
        _ if events > 0 => Some(Oom::Events(events)),
        _ => None,
    }
}

/// OOM kills that the kernel counts for the container `id`, whose first process is `pid`; none where its cgroup cannot be
/// seen from here: an Engine on another machine, or in a virtual one.
pub fn cgroup_kills(pid: i64, id: &str) -> Option<u64> {
    kills_below(Path::new("/proc"), Path::new("/sys/fs/cgroup"), pid, id)
}

fn kills_below(proc: &Path, root: &Path, pid: i64, id: &str) -> Option<u64> {
    let groups = fs::read_to_string(proc.join(pid.to_string()).join("cgroup")).ok()?;
    let file = match cgroup::folder(&groups, root, id, "memory")? {
        Folder::V1(folder) => folder.join("memory.oom_control"),
        Folder::V2(folder) => folder.join("memory.events"),
    };
    oom_kill(&fs::read_to_string(file).ok()?)
}

/// The line `oom_kill N`, in both versions.
fn oom_kill(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

/// OOM events of the containers that the Engine still remembers: id → how many. An Engine keeps its last 256 events.
pub async fn oom_events(docker: &Docker, seen: &[Seen]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    // Asked only where there may be something that nothing else tells.
    let doubtful = |seen: &&Seen| seen.restarts > 0 || seen.exit_code == Some(137) || !is_visible(seen);
    let ids: Vec<String> = seen.iter().filter(doubtful).map(|seen| seen.id.clone()).collect();
    let oldest = seen.iter().filter_map(|seen| seen.created.parse::<jiff::Timestamp>().ok()).min();
    let Some(oldest) = oldest.filter(|_| !ids.is_empty()) else { return counts };
    let mut stream = pin!(events_of(docker, ids, oldest, jiff::Timestamp::now().as_second()));
    let read = async {
        while let Some(id) = stream.next().await {
            *counts.entry(id).or_default() += 1;
        }
    };
    // What was read until then counts.
    let _ = tokio::time::timeout(LIMIT, read).await;
    counts
}

/// Whether the Engine has told, or tells within a second, of an OOM kill in the life of the container `id` that began at
/// `began`. It may hear of the end before it hears of the cause.
pub async fn soon_tells_oom(docker: &Docker, id: &str, began: &str) -> bool {
    let Ok(began) = began.parse() else { return false };
    let mut stream = pin!(events_of(docker, vec![id.to_owned()], began, jiff::Timestamp::now().as_second() + 1));
    tokio::time::timeout(LIMIT, stream.next()).await.is_ok_and(|event| event.is_some())
}

/// Ids of the containers of `ids` in which a process was killed for its memory, once a kill, from `since` until the second
/// `until`, which is waited for; then the stream ends.
fn events_of(
    docker: &Docker,
    ids: Vec<String>,
    since: jiff::Timestamp,
    until: i64,
) -> impl Stream<Item = String> + use<> {
    let filters = HashMap::from([("container", ids), ("event", vec!["oom".to_owned()])]);
    let (from, until) = (since.as_second().to_string(), until.to_string());
    let options = EventsOptionsBuilder::default().since(&from).until(&until).filters(&filters).build();
    docker.events(Some(options)).filter_map(|event| async { event.ok()?.actor?.id })
}

fn is_visible(seen: &Seen) -> bool {
    seen.pid.is_some_and(|pid| cgroup_kills(pid, &seen.id).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "e2808bd50cc035513ce2447e7cf6c1982835fdafbeca4b08510cf7ea2aed18ad";

    #[test]
    fn the_count_is_read_in_both_versions() {
        assert_eq!(oom_kill("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"), Some(3));
        assert_eq!(oom_kill("low 0\nhigh 0\nmax 12\noom 2\noom_kill 1\noom_group_kill 0\n"), Some(1));
        assert_eq!(oom_kill("oom_kill_disable 0\nunder_oom 0\n"), None, "kernels before 4.13 do not count");
    }

    #[test]
    fn the_kernels_count_goes_before_the_engines_flag() {
        let folder = tempfile::tempdir().unwrap();
        let (proc, root) = (folder.path().join("proc"), folder.path().join("cgroup"));
        let group = root.join("memory/docker").join(ID);
        fs::create_dir_all(&group).unwrap();
        fs::create_dir_all(proc.join("7")).unwrap();
        fs::write(proc.join("7/cgroup"), format!("4:memory:/docker/{ID}\n")).unwrap();
        fs::write(group.join("memory.oom_control"), "oom_kill 2\n").unwrap();
        assert_eq!(kills_below(&proc, &root, 7, ID), Some(2));
        assert_eq!(kills_below(&proc, &root, 8, ID), None);

        let mut seen = Seen { id: ID.into(), oom_flag: true, ..Seen::default() };
        assert_eq!(oom(&seen, 5), Some(Oom::Flag));
        seen.oom_flag = false;
        assert_eq!(oom(&seen, 5), Some(Oom::Events(5)));
        assert_eq!(oom(&seen, 0), None);
    }
}
