//! What is asked of the Engine: which services of a project, how many containers of each, and how to go about it.

use std::{path::Path, time::Duration};

use compose::model::Project;

use crate::error::InfraError;

/// A file that is put into a container besides the configs and secrets of its service.
#[derive(Clone, PartialEq, Eq)]
pub struct ExtraFile {
    /// Absolute path in the container.
    pub path: String,
    /// What it holds; it may be a secret.
    pub bytes: Vec<u8>,
    /// Its mode.
    pub mode: u32,
    /// User that owns it.
    pub uid: u32,
    /// Group that owns it.
    pub gid: u32,
}

impl std::fmt::Debug for ExtraFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ExtraFile({}, {} bytes)", self.path, self.bytes.len())
    }
}

/// A service that is wanted.
#[derive(Debug, Clone, Default)]
pub struct Order {
    /// Its name.
    pub service: String,
    /// How many containers; 0 takes what its file says.
    pub replicas: u16,
    /// Containers that are there already and are not looked at: the order is for more of them.
    pub beyond: u16,
    /// Files of each container of the order; may be shorter.
    pub files: Vec<Vec<ExtraFile>>,
}

/// What is to be brought up.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct ApplyRequest<'a> {
    /// The project.
    pub project: &'a Project,
    /// Services of it; those that they depend on are brought up too.
    pub services: &'a [Order],
    /// State folder, for the labels.
    pub state: &'a Path,
    /// Images that are not here may be fetched.
    pub pull: bool,
    /// Make every container anew.
    pub recreate: bool,
    /// Remove containers of services that the project does not have any more.
    pub orphans: bool,
    /// Asked before anything that is there is ended or replaced.
    pub may_replace: &'a (dyn Fn() -> Result<(), InfraError> + Sync),
    /// On failure leave what was made.
    pub keep_failed: bool,
    /// How long one container may take until it is what others wait for.
    pub ready_within: Duration,
    /// Wait until every container is healthy (without a health check: runs), and not only until it was started.
    pub wait: bool,
}
