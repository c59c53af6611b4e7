//! Whose a state folder, a process, a container, a network or a volume is. It is decided here and nowhere else: whatever
//! opens, writes, ends or deletes asks this first.
//!
//! A state folder is one that carries our mark, the file [`MARK`], with an id. The id goes with the folder wherever it is
//! moved; processes carry it in their environment, and whatever the Engine makes carries it as a label. A copy of a folder
//! gets an id of its own: it owns nothing of what the first one started.

mod old;
mod remove;

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use base::files;
use serde::{Deserialize, Serialize};

pub use self::remove::{Removal, remove_tree};
use super::{
    error::InfraError,
    process::{self, Mark, ProcessRef},
};

/// The file that makes a folder a state folder.
pub const MARK: &str = "ecomctl.json";
/// Label: compose's own name of a project.
pub const PROJECT: &str = "com.docker.compose.project";
/// Label: state folder, where it was when the thing was made.
pub const STATE: &str = "dev.ecomctl.state";
/// Label: id of the state folder.
pub const ID: &str = "dev.ecomctl.id";
/// Label: system whose stack a thing belongs to.
pub const SYSTEM: &str = "dev.ecomctl.system";

const SCHEMA_VERSION: u32 = 1;

/// Who a state folder is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    schema_version: u32,
    /// 32 hexadecimal digits; none for a folder without a mark.
    id: String,
    /// Where the folder was when the mark was written.
    folder: PathBuf,
    /// System → compose project, where it is not named after the id: those of ecomctl 0.1.0.
    #[serde(default)]
    projects: BTreeMap<String, String>,
}

/// What a thing of the Engine says about its owner; empty where it says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Labels<'a> {
    /// [`ID`]
    pub id: &'a str,
    /// [`STATE`]
    pub state: &'a str,
    /// [`PROJECT`]
    pub project: &'a str,
}

impl<'a> Labels<'a> {
    /// Reads them from a map.
    pub fn of(labels: &'a std::collections::HashMap<String, String>) -> Self {
        let get = |key: &str| labels.get(key).map_or("", String::as_str);
        Self { id: get(ID), state: get(STATE), project: get(PROJECT) }
    }
}

impl Owner {
    /// Claims `folder`, which is there: one with our mark, one of ecomctl 0.1.0, or (`make`) an empty one. None for an
    /// empty one that is not to be made.
    ///
    /// # Errors
    /// [`InfraError::NotState`] for any other folder; nothing was written into it then.
    pub fn claim(folder: &Path, make: bool) -> Result<Option<Self>, InfraError> {
        let refuse = |why: &str| InfraError::NotState { path: folder.to_owned(), why: why.to_owned() };
        let facts = fs::metadata(folder).map_err(InfraError::io("look at", folder))?;
        let me = nix::unistd::geteuid();
        if facts.uid() != me.as_raw() && !me.is_root() {
            return Err(refuse("it belongs to another user"));
        }
        if let Some(owner) = Self::read(folder)? {
            return owner.settled(folder).map(Some);
        }
        if is_empty(folder)? {
            return if make { Self::new(folder, BTreeMap::new()).first(folder).map(Some) } else { Ok(None) };
        }
        match old::recognise(folder) {
            Ok(projects) => Self::new(folder, projects).first(folder).map(Some),
            Err(why) => Err(refuse(&format!("it has no {MARK}, and {why}"))),
        }
    }

    /// Who `folder` is, for whoever only labels what it makes; without a mark it has no id.
    pub fn of(folder: &Path) -> Self {
        let unmarked = || Self { id: String::new(), ..Self::new(folder, BTreeMap::new()) };
        Self::read(folder).ok().flatten().map_or_else(unmarked, |owner| Self { folder: folder.to_owned(), ..owner })
    }

    fn new(folder: &Path, projects: BTreeMap<String, String>) -> Self {
        let random = uuid::Uuid::new_v4().simple().to_string();
        // What 0.1.0 made and still runs is found by the number of its folder's path, which so begins the id.
        let id = if projects.is_empty() { random } else { format!("{:08x}{}", number(folder), &random[8..]) };
        Self { schema_version: SCHEMA_VERSION, id, folder: folder.to_owned(), projects }
    }

    /// The mark of a folder; none where there is none.
    fn read(folder: &Path) -> Result<Option<Self>, InfraError> {
        let path = folder.join(MARK);
        let bad = |why: String| InfraError::NotState { path: folder.to_owned(), why: format!("its {MARK} {why}") };
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(bad(format!("cannot be read: {e}"))),
        };
        let value: serde_json::Value = serde_json::from_str(&text).map_err(|e| bad(format!("is damaged: {e}")))?;
        let found = value["schema_version"].as_u64().unwrap_or(0);
        if found > u64::from(SCHEMA_VERSION) {
            return Err(InfraError::NewerState { path, found, known: SCHEMA_VERSION });
        }
        let owner: Self = serde_json::from_value(value).map_err(|e| bad(format!("is damaged: {e}")))?;
        let whole = owner.id.len() == 32 && owner.id.bytes().all(|b| b.is_ascii_hexdigit());
        if !whole || !owner.projects.iter().all(|(system, project)| is_plain(system) && is_plain(project)) {
            return Err(bad("is damaged: no such id or project is given by ecomctl".into()));
        }
        Ok(Some(owner))
    }

    /// Says where the folder is now: at the same place, moved there, or a copy, which becomes somebody else.
    fn settled(self, folder: &Path) -> Result<Self, InfraError> {
        if self.folder == folder {
            return Ok(self);
        }
        let inode = |path: &Path| fs::metadata(path).ok().map(|facts| (facts.dev(), facts.ino()));
        let first = Self::read(&self.folder).ok().flatten().filter(|first| first.id == self.id);
        let copied = first.is_some() && inode(&self.folder) != inode(folder);
        if copied || self.lives_elsewhere(folder) {
            let copy = Self::new(folder, BTreeMap::new());
            copy.write(folder)?;
            return Ok(copy);
        }
        let moved = Self { folder: folder.to_owned(), ..self };
        // Where nothing can be written nothing can be changed either; whoever only looks is served.
        let _ = moved.write(folder);
        Ok(moved)
    }

    /// Whether servers of this id run in another folder with the same mark: one that was moved, and `folder` was copied from
    /// it before anybody opened it.
    fn lives_elsewhere(&self, folder: &Path) -> bool {
        let servers = process::marked(|mark| mark.folder_id.as_ref() == Some(&self.id));
        let at = servers.into_iter().filter_map(|(_, server)| fs::read_link(format!("/proc/{}/cwd", server.pid)).ok());
        let is_first = |at: &Path| Self::read(at).ok().flatten().is_some_and(|first| first.id == self.id);
        at.into_iter().any(|at| at.ancestors().any(|at| at != folder && is_first(at)))
    }

    /// Writes the first mark of a folder. Of two who do so at once both get the same.
    fn first(self, folder: &Path) -> Result<Self, InfraError> {
        let path = folder.join(MARK);
        let beside = folder.join(format!(".{MARK}.{}", self.id));
        let written = files::replace(&beside, &self.text()).and_then(|()| fs::hard_link(&beside, &path));
        let removed = fs::remove_file(&beside);
        match written {
            Ok(()) => {
                removed.map_err(InfraError::io("write", &path))?;
                Ok(self)
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Self::read(folder)?.map_or(Ok(self), Ok),
            Err(e) => Err(InfraError::io("write", path)(e)),
        }
    }

    fn write(&self, folder: &Path) -> Result<(), InfraError> {
        let path = folder.join(MARK);
        files::replace(&path, &self.text()).map_err(InfraError::io("write", path))
    }

    fn text(&self) -> Vec<u8> {
        let folder = self.folder.to_string_lossy();
        let value = serde_json::json!({
            "schema_version": self.schema_version, "id": self.id, "folder": folder, "projects": self.projects,
        });
        format!("{value:#}\n").into_bytes()
    }

    /// The id of the folder.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where the folder is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Name of the compose project of `system`: its volumes and containers begin with it.
    pub fn project(&self, system: &str) -> String {
        let id = if self.id.is_empty() { format!("{:08x}", number(&self.folder)) } else { self.id.clone() };
        let named = || format!("ecomctl-{}-{system}", &id[..id.len().min(10)]);
        self.projects.get(system).cloned().unwrap_or_else(named)
    }

    /// Compose projects of ecomctl 0.1.0 that were taken over: what is in them has no label with an id.
    pub fn old_projects(&self) -> impl Iterator<Item = &String> {
        self.projects.values()
    }

    /// Systems that ecomctl 0.1.0 brought up here.
    pub fn old_systems(&self) -> impl Iterator<Item = String> {
        self.projects.keys().cloned()
    }

    /// The system that a project of this folder serves.
    pub fn system_of(&self, project: &str) -> Option<String> {
        let old = self.projects.iter().find(|(_, known)| *known == project).map(|(system, _)| system.clone());
        old.or_else(|| project.strip_prefix(&self.project("")).filter(|rest| !rest.is_empty()).map(str::to_owned))
    }

    /// Whether a container, network or volume with these labels was made for this folder.
    pub fn owns(&self, labels: Labels<'_>) -> bool {
        if !labels.id.is_empty() {
            return labels.id == self.id;
        }
        // Made by 0.1.0, which knew a folder by its path alone. Moved since, it is ours where nobody else is there.
        let path = Path::new(labels.state);
        let moved = || self.projects.values().any(|project| project == labels.project) && !path.exists();
        !labels.state.is_empty() && (path == self.folder || moved())
    }

    /// Whether a process with this mark was started for this folder. `recorded`: `stack.json` says so.
    pub fn owns_process(&self, mark: &Mark, recorded: bool) -> bool {
        if let Some(id) = &mark.folder_id {
            return *id == self.id;
        }
        mark.folder == self.folder || (recorded && !mark.folder.exists())
    }

    /// Whether a process that was written down runs and is not ours: the pid is somebody else's by now, or the file is a copy.
    pub fn is_foreign(&self, process: ProcessRef) -> bool {
        // Where we may not look, pid and start time have to do.
        let foreign = |mark: Option<Mark>| !mark.is_some_and(|mark| self.owns_process(&mark, true));
        process::is_alive(process) && process::mark(process.pid).is_ok_and(foreign)
    }

    /// Component → process, of all that run for this folder, written down or not.
    pub fn processes(&self) -> Vec<(String, ProcessRef)> {
        let found = process::marked(|mark| self.owns_process(mark, false));
        found.into_iter().map(|(mark, process)| (mark.component, process)).collect()
    }
}

/// Whether a name can stand in a path or a project.
pub fn is_plain(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    !name.is_empty() && name.len() < 100 && name.bytes().all(plain)
}

/// FNV-1a of a path: by it 0.1.0 named the folder of a state folder's sockets.
fn number(folder: &Path) -> u32 {
    let bytes = folder.as_os_str().as_encoded_bytes();
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

fn is_empty(path: &Path) -> Result<bool, InfraError> {
    let mut entries = fs::read_dir(path).map_err(InfraError::io("read", path))?.flatten();
    Ok(entries.all(|entry| entry.file_name() == "lost+found"))
}

#[cfg(test)]
mod tests;
