//! Memory limits that are lowered under a server that runs: too low is told before anything ends.

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
                    super::failure::variable_of(name)
                ),
            });
        }
    }
    Ok(())
}
