//! Figures of a container out of its control group, as the kernel counts them: at once, where the Engine runs on this
//! machine.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use super::Figures;

/// Where a container's counters stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Folder {
    /// In a tree of their controller's.
    V1(PathBuf),
    /// In the only tree there is.
    V2(PathBuf),
}

/// The folder of `controller` for the container `id`, whose first process has the control groups `groups`. A pid of another
/// machine may be that of some process here: the path must name the container.
pub(super) fn folder(groups: &str, root: &Path, id: &str, controller: &str) -> Option<Folder> {
    let lines = groups.lines().filter_map(|line| {
        let (number, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        Some((number, controllers, path.strip_prefix('/')?))
    });
    let ours = |path: &str| !id.is_empty() && path.contains(id) && !path.contains("..");
    let lines: Vec<_> = lines.filter(|(_, _, path)| ours(path)).collect();
    if let Some((_, controllers, path)) = lines.iter().find(|line| line.1.split(',').any(|name| name == controller)) {
        return Some(Folder::V1(root.join(controllers).join(path)));
    }
    let (_, _, path) = lines.iter().find(|(number, controllers, _)| *number == "0" && controllers.is_empty())?;
    Some(Folder::V2(root.join(path)))
}

/// What the kernel had counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Reading {
    at: Instant,
    /// Nanoseconds of all CPUs.
    cpu: u64,
    /// Bytes without page cache that can be given back at once.
    memory: u64,
}

impl Reading {
    /// What it used since `before`.
    pub fn since(&self, before: &Self) -> Figures {
        let passed = self.at.duration_since(before.at).as_nanos() as f64;
        // A counter that fell belongs to another life of the container.
        let used = self.cpu.checked_sub(before.cpu).filter(|_| passed > 0.0);
        let cpu = used.map(|used| used as f64 / passed * 100.0);
        Figures { cpu, memory: Some(self.memory), ..Figures::default() }
    }
}

/// Reads the counters of the container `id`, whose first process is `pid`; none where they cannot be seen from here.
pub(super) fn read(pid: i64, id: &str) -> Option<Reading> {
    read_below(Path::new("/proc"), Path::new("/sys/fs/cgroup"), pid, id)
}

fn read_below(proc: &Path, root: &Path, pid: i64, id: &str) -> Option<Reading> {
    let groups = fs::read_to_string(proc.join(pid.to_string()).join("cgroup")).ok()?;
    let text = |folder: &Path, file: &str| fs::read_to_string(folder.join(file)).ok();
    let number = |folder: &Path, file: &str| text(folder, file)?.trim().parse::<u64>().ok();
    let field = |folder: &Path, file: &str, name: &str| {
        let text = text(folder, file)?;
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse::<u64>().ok())
    };
    let cpu = match folder(&groups, root, id, "cpuacct")? {
        Folder::V1(folder) => number(&folder, "cpuacct.usage")?,
        Folder::V2(folder) => field(&folder, "cpu.stat", "usage_usec")?.saturating_mul(1_000),
    };
    let (used, cache) = match folder(&groups, root, id, "memory")? {
        Folder::V1(folder) => {
            (number(&folder, "memory.usage_in_bytes")?, field(&folder, "memory.stat", "total_inactive_file"))
        }
        Folder::V2(folder) => (number(&folder, "memory.current")?, field(&folder, "memory.stat", "inactive_file")),
    };
    Some(Reading { at: Instant::now(), cpu, memory: used.saturating_sub(cache.unwrap_or(0)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "e2808bd50cc035513ce2447e7cf6c1982835fdafbeca4b08510cf7ea2aed18ad";

    #[test]
    fn each_version_has_its_folder() {
        let root = Path::new("/sys/fs/cgroup");
        let v1 = format!(
            "9:name=systemd:/docker/{ID}\n4:memory:/docker/{ID}\n1:cpu,cpuacct:/docker/{ID}\n0::/docker/{ID}\n"
        );
        let at = |controllers: &str| Some(Folder::V1(format!("/sys/fs/cgroup/{controllers}/docker/{ID}").into()));
        assert_eq!(folder(&v1, root, ID, "memory"), at("memory"));
        assert_eq!(folder(&v1, root, ID, "cpuacct"), at("cpu,cpuacct"));
        let v2 = format!("0::/system.slice/docker-{ID}.scope\n");
        let expected = format!("/sys/fs/cgroup/system.slice/docker-{ID}.scope");
        assert_eq!(folder(&v2, root, ID, "memory"), Some(Folder::V2(expected.into())));
        for other in ["0::/user.slice\n", "0::/../docker\n", "", "nonsense", "4:memory:/docker/other\n0::/\n"] {
            assert_eq!(folder(other, root, ID, "memory"), None, "{other}: that is another process");
        }
        assert_eq!(folder(&v2, root, "", "memory"), None);
    }

    /// A glance at a container takes no second of the Engine's, and its figures are the same in both versions.
    #[test]
    fn both_versions_give_the_same_figures() {
        let folder = tempfile::tempdir().unwrap();
        let (proc, root) = (folder.path().join("proc"), folder.path().join("cgroup"));
        let write = |path: PathBuf, text: &str| {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let v1 = |controllers: &str, file: &str| root.join(controllers).join("docker").join(ID).join(file);
        write(proc.join("7/cgroup"), &format!("4:memory:/docker/{ID}\n1:cpu,cpuacct:/docker/{ID}\n"));
        write(v1("cpu,cpuacct", "cpuacct.usage"), "5000000\n");
        write(v1("memory", "memory.usage_in_bytes"), "1000\n");
        write(v1("memory", "memory.stat"), "inactive_file 1\ntotal_inactive_file 400\n");
        let v2 = root.join("docker").join(ID);
        write(proc.join("8/cgroup"), &format!("0::/docker/{ID}\n"));
        write(v2.join("cpu.stat"), "usage_usec 5000\nuser_usec 1\n");
        write(v2.join("memory.current"), "1000\n");
        write(v2.join("memory.stat"), "anon 3\ninactive_file 400\n");
        for pid in [7, 8] {
            let now = read_below(&proc, &root, pid, ID).unwrap();
            assert_eq!((now.cpu, now.memory), (5_000_000, 600), "{pid}");
            let earlier = now.at.checked_sub(std::time::Duration::from_millis(10)).unwrap();
            let before = Reading { at: earlier, cpu: 0, memory: 0 };
            let figures = now.since(&before);
            assert_eq!((figures.cpu, figures.memory), (Some(50.0), Some(600)), "{pid}");
            assert_eq!(before.since(&now).cpu, None, "it was started anew");
        }
        assert_eq!(read_below(&proc, &root, 9, ID), None);
        assert_eq!(read_below(&proc, &root, 7, "another"), None);
    }
}
