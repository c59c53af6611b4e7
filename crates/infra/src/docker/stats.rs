//! Figures of containers, from the Engine's statistics; the same on cgroup v1 and v2.
//!
//! The Engine hands on counters as the kernel keeps them, and they differ between the two versions. [`figures`] turns
//! them into what a person asks for. [`take`] looks once at many containers, [`Sampler`] keeps a stream of each.

mod cgroup;
mod oom;
mod sampler;
mod seen;

use std::{collections::BTreeMap, time::Duration};

use bollard::{
    Docker,
    models::{ContainerCpuStats, ContainerStatsResponse},
    query_parameters::StatsOptionsBuilder,
};
use futures_util::{StreamExt as _, future::join_all};
pub use oom::{Oom, cgroup_kills, oom, oom_events, soon_tells_oom};
pub use sampler::Sampler;
pub use seen::{Seen, look};

/// Time limit of each question.
pub(crate) const LIMIT: Duration = Duration::from_secs(3);
/// CPU use of a single look is measured over this time, five of the scheduler's periods, or until the Engine's next tick.
const WINDOW: Duration = Duration::from_millis(500);

/// What a container uses.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Figures {
    /// Percent of one core.
    pub cpu: Option<f64>,
    /// Share of its CPU periods in which it was held back, in percent; absent without a limit.
    pub throttled: Option<f64>,
    /// Bytes of memory without page cache that can be given back at once.
    pub memory: Option<u64>,
    /// Bytes received and sent, of all its networks.
    pub network: Option<(u64, u64)>,
    /// Bytes read and written, of all disks; absent where the kernel does not count them.
    pub disk: Option<(u64, u64)>,
}

/// Figures of a frame of the Engine's stream, which carries the CPU counters of the frame before.
pub fn figures(now: &ContainerStatsResponse) -> Figures {
    since(now.precpu_stats.as_ref(), now)
}

/// Figures of a reading, with the CPU counters of an earlier one.
pub fn since(before: Option<&ContainerCpuStats>, now: &ContainerStatsResponse) -> Figures {
    let cpu = now.cpu_stats.as_ref();
    Figures {
        cpu: before.zip(cpu).and_then(|(before, now)| cpu_percent(before, now)),
        throttled: before.zip(cpu).and_then(|(before, now)| throttled(before, now)),
        memory: memory(now),
        network: now.networks.as_ref().map(|networks| {
            let sum = |of: fn(&bollard::models::ContainerNetworkStats) -> Option<u64>| {
                networks.values().filter_map(of).fold(0, u64::saturating_add)
            };
            (sum(|network| network.rx_bytes), sum(|network| network.tx_bytes))
        }),
        disk: disk(now),
    }
}

/// Its share of the time that all CPUs together had, times their number: 100 is one core, whatever the machine has.
fn cpu_percent(before: &ContainerCpuStats, now: &ContainerCpuStats) -> Option<f64> {
    let used = |cpu: &ContainerCpuStats| cpu.cpu_usage.as_ref()?.total_usage;
    // A counter that fell belongs to another life of the container.
    let used = used(now)?.checked_sub(used(before)?)?;
    let passed = now.system_cpu_usage?.checked_sub(before.system_cpu_usage?).filter(|passed| *passed > 0)?;
    let listed = || now.cpu_usage.as_ref()?.percpu_usage.as_ref().map(Vec::len);
    let cpus = now.online_cpus.filter(|n| *n > 0).map_or_else(|| listed().unwrap_or(1).max(1) as f64, f64::from);
    Some(used as f64 / passed as f64 * cpus * 100.0)
}

fn throttled(before: &ContainerCpuStats, now: &ContainerCpuStats) -> Option<f64> {
    let (before, now) = (before.throttling_data.as_ref()?, now.throttling_data.as_ref()?);
    // Without a limit there are no periods at all.
    now.periods.filter(|periods| *periods > 0)?;
    let periods = now.periods?.checked_sub(before.periods.unwrap_or(0))?;
    let held_back = now.throttled_periods?.checked_sub(before.throttled_periods.unwrap_or(0))?;
    Some(if periods == 0 { 0.0 } else { held_back as f64 / periods as f64 * 100.0 })
}

/// Usage counts the page cache too, which would make every server that reads files look full. Version 1 counts a group
/// and those below it apart (`total_…`), version 2 does not.
fn memory(now: &ContainerStatsResponse) -> Option<u64> {
    let memory = now.memory_stats.as_ref()?;
    let stats = memory.stats.as_ref();
    let cache = stats.and_then(|stats| stats.get("total_inactive_file").or_else(|| stats.get("inactive_file")));
    Some(memory.usage?.saturating_sub(cache.copied().unwrap_or(0)))
}

/// Version 1 writes `Read`, version 2 `read`, and some engines add further counts of another kind.
fn disk(now: &ContainerStatsResponse) -> Option<(u64, u64)> {
    let entries = now.blkio_stats.as_ref()?.io_service_bytes_recursive.as_ref().filter(|all| !all.is_empty())?;
    let sum = |name: &str| {
        let of_name = entries.iter().filter(|entry| entry.op.as_ref().is_some_and(|op| op.eq_ignore_ascii_case(name)));
        of_name.filter_map(|entry| entry.value).fold(0, u64::saturating_add)
    };
    Some((sum("read"), sum("write")))
}

/// Looks once at the containers `ids`, all at the same time: id → figures. One that cannot be read is left out.
///
/// Two readings of the one-shot kind. Engines that answer it at once need half a second for both; older ones (20.10) read
/// when their clock ticks, each second: they need one second for one container, and two for several.
pub async fn take(docker: &Docker, ids: &[String]) -> BTreeMap<String, Figures> {
    let begun = tokio::time::Instant::now();
    let before = join_all(ids.iter().map(|id| read(docker, id))).await;
    if ids.is_empty() {
        return BTreeMap::new();
    }
    tokio::time::sleep_until(begun + WINDOW).await;
    let after = join_all(ids.iter().map(|id| read(docker, id))).await;
    let pairs = before.into_iter().zip(after).zip(ids);
    pairs
        .filter_map(|((before, after), id)| {
            Some((id.clone(), since(before.and_then(|before| before.cpu_stats).as_ref(), &after?)))
        })
        .collect()
}

/// Bytes of memory that a container uses now; none where the Engine does not say.
pub async fn memory_of(docker: &Docker, id: &str) -> Option<u64> {
    memory(&read(docker, id).await?)
}

/// Looks once at running containers for `window`. Where the kernel's own counters can be seen they are read; older Engines
/// (20.10) answer when their clock ticks, each second, which is too late for a glance: then there are no figures.
pub async fn glance(docker: &Docker, seen: &[Seen], window: Duration) -> BTreeMap<String, Figures> {
    let running = || seen.iter().filter_map(|seen| Some((&seen.id, seen.pid?)));
    let read = |(id, pid): (&String, i64)| Some((id.clone(), cgroup::read(pid, id)?));
    let before: BTreeMap<String, cgroup::Reading> = running().filter_map(read).collect();
    let hidden = running().filter(|(id, _)| !before.contains_key(*id)).map(|(id, _)| async move {
        let frame = tokio::time::timeout(window, self::read(docker, id)).await.ok()??;
        Some((id.clone(), since(None, &frame)))
    });
    let (hidden, ()) = tokio::join!(join_all(hidden), tokio::time::sleep(window));
    let mut figures: BTreeMap<String, Figures> = hidden.into_iter().flatten().collect();
    for (id, now) in running().filter_map(read) {
        let now = before.get(&id).map(|before| now.since(before));
        figures.extend(now.map(|now| (id, now)));
    }
    figures
}

async fn read(docker: &Docker, id: &str) -> Option<ContainerStatsResponse> {
    let options = StatsOptionsBuilder::default().stream(false).one_shot(true).build();
    let mut stream = std::pin::pin!(docker.stats(id, Some(options)));
    let frame = tokio::time::timeout(LIMIT, stream.next()).await.ok()??.ok()?;
    is_alive(&frame).then_some(frame)
}

/// Of a container that does not run the Engine sends a frame with nothing in it.
fn is_alive(frame: &ContainerStatsResponse) -> bool {
    frame.memory_stats.as_ref().is_some_and(|memory| memory.usage.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(name: &str) -> ContainerStatsResponse {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name);
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    fn close(value: Option<f64>, expected: f64) -> bool {
        value.is_some_and(|value| (value - expected).abs() < 0.05)
    }

    #[test]
    fn version_1_is_read_as_the_kernel_counts() {
        let figures = figures(&frame("stats-v1.json"));
        // 0.3 cores allowed and used; 302,927,211 of 1,990,000,000 ns on two CPUs.
        assert!(close(figures.cpu, 30.4), "{figures:?}");
        assert!(close(figures.throttled, 100.0), "held back in ten of ten periods: {figures:?}");
        assert_eq!(figures.memory, Some(65_437_696 - 62_914_560), "the file it read is page cache");
        assert_eq!(figures.network, Some((1_096, 0)));
        assert_eq!(figures.disk, None, "this kernel counts none: that is not zero");
    }

    #[test]
    fn version_2_gives_the_same_figures_from_other_names() {
        let figures = figures(&frame("stats-v2.json"));
        assert!(close(figures.cpu, 50.0), "{figures:?}");
        assert!(close(figures.throttled, 40.0), "{figures:?}");
        assert_eq!(figures.memory, Some(50_634_752 - 12_288));
        assert_eq!(figures.network, Some((1_500, 700)), "both networks");
        assert_eq!(figures.disk, Some((24_576 + 4_096, 139_264)), "bytes of all disks, and nothing else");
    }

    #[test]
    fn what_is_not_known_is_absent_and_never_zero() {
        assert_eq!(figures(&ContainerStatsResponse::default()), Figures::default());
        let now = frame("stats-v1.json");
        let first = since(None, &now);
        assert_eq!((first.cpu, first.throttled), (None, None), "one reading says nothing about a pace");
        assert!(first.memory.is_some());
        // The first frame of a stream carries counters of zero as the ones before.
        let zero = ContainerCpuStats::default();
        assert_eq!(since(Some(&zero), &now).cpu, None);
        // A container that was started again counts from zero.
        assert_eq!(since(now.cpu_stats.as_ref(), &frame_with(&now, 1)).cpu, None);
        assert!(!is_alive(&ContainerStatsResponse::default()));
    }

    fn frame_with(now: &ContainerStatsResponse, used: u64) -> ContainerStatsResponse {
        let mut other = now.clone();
        if let Some(usage) = other.cpu_stats.as_mut().and_then(|cpu| cpu.cpu_usage.as_mut()) {
            usage.total_usage = Some(used);
        }
        other
    }

    #[test]
    fn without_a_limit_nothing_is_throttled() {
        let mut now = frame("stats-v2.json");
        for cpu in [&mut now.cpu_stats, &mut now.precpu_stats] {
            let data = cpu.as_mut().and_then(|cpu| cpu.throttling_data.as_mut()).unwrap();
            (data.periods, data.throttled_periods) = (Some(0), Some(0));
        }
        assert_eq!(figures(&now).throttled, None);
    }

    proptest::proptest! {
        /// Whatever counters say, no figure is negative, and no reading panics.
        #[test]
        fn no_counter_makes_a_figure_negative(a in 0_u64.., b in 0_u64.., c in 0_u64.., d in 0_u64.., cpus in 0_u32..512) {
            let cpu = |used, system| ContainerCpuStats {
                cpu_usage: Some(bollard::models::ContainerCpuUsage { total_usage: Some(used), ..Default::default() }),
                system_cpu_usage: Some(system),
                online_cpus: Some(cpus),
                throttling_data: Some(bollard::models::ContainerThrottlingData {
                    periods: Some(used), throttled_periods: Some(system), throttled_time: None
                }),
            };
            let now = ContainerStatsResponse { cpu_stats: Some(cpu(a, b)), ..Default::default() };
            let figures = since(Some(&cpu(c, d)), &now);
            for figure in [figures.cpu, figures.throttled].into_iter().flatten() {
                proptest::prop_assert!(figure >= 0.0 && figure.is_finite(), "{:?}", figures);
            }
        }
    }
}
