//! Limits that no container can live with are told before anything ends or starts: those below what is reserved for it,
//! and those of memory below what it uses now.

use std::collections::BTreeMap;

use compose::model::{Project, Resources, Service};

use super::{
    Engine, hash,
    list::{Container, ContainerState},
    request::ExtraFile,
    stats,
};
use crate::error::InfraError;

/// Limits of a container, as the Engine keeps them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Billionths of a CPU.
    pub nano_cpus: Option<i64>,
    /// Bytes.
    pub memory: Option<i64>,
    /// Bytes that are reserved.
    pub reserved_memory: Option<i64>,
    /// Processes.
    pub pids: Option<i64>,
}

impl Limits {
    /// The same in the words of a compose file. What is reserved of the CPUs is not kept by the Engine.
    fn resources(self, reserved_cpus: Option<f64>) -> Resources {
        let bytes = |bytes: Option<i64>| bytes.and_then(|bytes| u64::try_from(bytes).ok());
        Resources {
            cpus: self.nano_cpus.map(|nano| nano as f64 / 1e9),
            memory: bytes(self.memory),
            pids: self.pids,
            reserved_cpus,
            reserved_memory: bytes(self.reserved_memory),
        }
    }
}

/// A limit of a service that is lower than what the service reserves. The Engine refuses that of memory, and only where
/// it starts the container; a CPU that is reserved and may not be used is no more sensible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BelowReservation {
    service: String,
    /// `cpus` or `memory`, as in `deploy.resources`.
    key: &'static str,
    limit: String,
    reserved: String,
}

impl BelowReservation {
    /// What is wrong, with both figures.
    pub fn found(&self) -> String {
        let Self { service, limit, reserved, .. } = self;
        format!("{service} reserves {reserved} and may use {limit} only")
    }

    /// What to set.
    pub fn remedy(&self) -> String {
        let Self { service, key, .. } = self;
        let [raise, lower] = ["LIMIT", "RESERVE"].map(|kind| super::failure::variable_of(kind, service, key));
        format!(
            "raise deploy.resources.limits.{key} of {service}{raise}, or lower its deploy.resources.reservations.{key}{lower}"
        )
    }
}

/// Each limit of these services that is below their reservation.
pub fn below_reservations<'s>(services: impl Iterator<Item = (&'s String, &'s Service)>) -> Vec<BelowReservation> {
    let mut all = Vec::new();
    for (name, service) in services {
        let Resources { cpus, memory, reserved_cpus, reserved_memory, .. } = service.resources;
        let mut add = |key, limit, reserved| all.push(BelowReservation { service: name.clone(), key, limit, reserved });
        if let (Some(limit), Some(reserved)) = (cpus, reserved_cpus)
            && limit < reserved
        {
            add("cpus", format!("{limit} CPUs"), format!("{reserved} CPUs"));
        }
        if let (Some(limit), Some(reserved)) = (memory, reserved_memory)
            && limit < reserved
        {
            add("memory", memory_words(limit), memory_words(reserved));
        }
    }
    all
}

/// `256 MiB of memory`; in smaller units where it does not come out even, so that two different figures look different.
fn memory_words(bytes: u64) -> String {
    let (shift, unit) = match bytes.trailing_zeros() {
        20.. => (20, "MiB"),
        10.. => (10, "KiB"),
        _ => (0, "bytes"),
    };
    format!("{} {unit} of memory", bytes >> shift)
}

/// Refuses limits below reservations, all of them at once.
///
/// # Errors
/// With each service, both figures and what to set.
pub(super) fn keep_reservations<'s>(
    services: impl Iterator<Item = (&'s String, &'s Service)>,
) -> Result<(), InfraError> {
    let all = below_reservations(services);
    if all.is_empty() {
        return Ok(());
    }
    let joined = |of: fn(&BelowReservation) -> String| all.iter().map(of).collect::<Vec<_>>().join("; ");
    Err(InfraError::Docker {
        action: "hold to the limits".into(),
        why: joined(BelowReservation::found),
        remedy: joined(BelowReservation::remedy),
    })
}

/// Compares the memory that containers use which are `going` with what their successors may use. Only where nothing but
/// the limits changes: with other settings a server may well need less.
///
/// # Errors
/// Where one uses more than it may use then.
pub(super) async fn check<'t>(
    engine: &Engine,
    project: &Project,
    images: &BTreeMap<String, String>,
    wanted: impl Iterator<Item = (&'t str, &'t Service, &'t [ExtraFile])>,
    going: &[Container],
) -> Result<(), InfraError> {
    for (name, service, files) in wanted {
        let Some(limit) = service.resources.memory else { continue };
        let image = images.get(&service.image).map_or("", String::as_str);
        let same_but_lower = |old: &&Container| {
            let resources = old.limits.resources(service.resources.reserved_cpus);
            let before = Service { resources, ..service.clone() };
            old.service == name
                && old.state == ContainerState::Running
                && old.limits.memory.is_none_or(|had| u64::try_from(had).is_ok_and(|had| had > limit))
                && old.hash == hash::of(project, &before, image, files)
        };
        let Some(old) = going.iter().find(same_but_lower) else { continue };
        // An Engine that gives no figures leaves it to the start.
        if let Some(used) = stats::memory_of(&engine.docker, &old.id).await.filter(|used| *used > limit) {
            return Err(InfraError::Docker {
                action: format!("replace {}", old.component),
                why: format!("it uses {} MiB now, and could use {} MiB then", used.div_ceil(1 << 20), limit >> 20),
                remedy: format!(
                    "raise deploy.resources.limits.memory of {name}{}, or let it use less",
                    super::failure::variable_of("LIMIT", name, "memory")
                ),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_below_its_reservation_is_told_with_both_figures_and_what_to_set() {
        let service = |cpus: [f64; 2], memory: [u64; 2]| Service {
            resources: Resources {
                cpus: Some(cpus[0]),
                reserved_cpus: Some(cpus[1]),
                memory: Some(memory[0]),
                reserved_memory: Some(memory[1]),
                pids: None,
            },
            ..Service::default()
        };
        let services = BTreeMap::from([
            ("equal".to_owned(), service([0.5, 0.5], [1 << 20, 1 << 20])),
            ("kafka-2".to_owned(), service([0.1, 0.25], [2 << 20, 1 << 20])),
            ("other".to_owned(), service([1.0, 0.5], [(256 << 20) - 1, 256 << 20])),
            ("redis".to_owned(), service([1.0, 0.5], [6500 << 10, 256 << 20])),
            ("unset".to_owned(), Service::default()),
        ]);
        let InfraError::Docker { why, remedy, .. } = keep_reservations(services.iter()).unwrap_err() else { panic!() };
        assert_eq!(
            why.split("; ").collect::<Vec<_>>(),
            [
                "kafka-2 reserves 0.25 CPUs and may use 0.1 CPUs only",
                "other reserves 256 MiB of memory and may use 268435455 bytes of memory only",
                "redis reserves 256 MiB of memory and may use 6500 KiB of memory only",
            ]
        );
        for words in [
            "raise deploy.resources.limits.cpus of kafka-2 (ECOMCTL_LIMIT_KAFKA_CPUS), or lower its \
             deploy.resources.reservations.cpus (ECOMCTL_RESERVE_KAFKA_CPUS)",
            "of other, or lower its deploy.resources.reservations.memory;",
            "(ECOMCTL_RESERVE_REDIS_MEMORY)",
        ] {
            assert!(remedy.contains(words), "{words}: {remedy}");
        }
    }
}
