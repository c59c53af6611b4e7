//! The state folder (`.ecomctl`): private, versioned, locked while it is changed, and written atomically.

mod lock;

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use base::files;
use serde::{Serialize, de::DeserializeOwned};

pub use self::lock::{RUN, SERVE, StateLock};
use super::{
    error::InfraError,
    owned::{self, Owner},
    room,
    stack::{SCHEMA_VERSION, Stack},
};

/// The state folder: one that carries our mark.
#[derive(Debug, Clone)]
pub struct StateDir {
    root: PathBuf,
    owner: Owner,
}

impl StateDir {
    /// Opens the folder; makes it (0700, ignored by git, with our mark) where it is missing or empty.
    ///
    /// # Errors
    /// [`InfraError::NotState`] for a folder that is none of ecomctl's.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, InfraError> {
        let given = path.as_ref();
        let refuse = |path: &Path| match impossible(path) {
            Some(why) => Err(InfraError::StateFolder { path: path.to_owned(), why }),
            None => Ok(()),
        };
        refuse(&std::path::absolute(given).map_err(InfraError::io("find", given))?)?;
        create_private(given)?;
        let root = given.canonicalize().map_err(InfraError::io("open", given))?;
        refuse(&root)?;
        let not_made = || InfraError::NotState { path: given.to_owned(), why: "it cannot be made one".into() };
        let owner = Owner::claim(&root, true)?.ok_or_else(not_made)?;
        let dir = Self { root, owner };
        let ignore = dir.path(".gitignore");
        if !ignore.exists() {
            dir.write(&ignore, b"*\n")?;
        }
        Ok(dir)
    }

    /// Opens the folder if it is there; an empty one counts as none.
    ///
    /// # Errors
    /// [`InfraError::NotState`] for a folder that is none of ecomctl's.
    pub fn open(path: impl AsRef<Path>) -> Result<Option<Self>, InfraError> {
        match path.as_ref().canonicalize() {
            Ok(root) if root.is_dir() => Ok(Owner::claim(&root, false)?.map(|owner| Self { root, owner })),
            Ok(root) => Err(InfraError::Io { action: "open", path: root, source: io::ErrorKind::NotADirectory.into() }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(InfraError::io("open", path.as_ref())(e)),
        }
    }

    /// Who it is.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// The folder, absolute.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A path below the folder.
    pub fn path(&self, below: impl AsRef<Path>) -> PathBuf {
        self.root.join(below)
    }

    /// A folder below the folder, made where it is missing.
    pub fn folder(&self, below: impl AsRef<Path>) -> Result<PathBuf, InfraError> {
        let path = self.path(below);
        make_private(&path)?;
        Ok(path)
    }

    /// Data of a system: `data/<system>`.
    pub fn data(&self, system: &str) -> PathBuf {
        self.path("data").join(system)
    }

    /// Log of a component: `logs/<name>.log`.
    pub fn log(&self, name: &str) -> PathBuf {
        self.path("logs").join(format!("{name}.log"))
    }

    /// Systems of which there are data, in the order of their names.
    pub fn systems(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("data")).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.retain(|name| owned::is_plain(name) && self.data(name).is_dir());
        names.sort();
        names
    }

    /// The stack that was brought up last; none where there never was one, or `down -v` removed it. What in it was started
    /// for another folder, of which this one is a copy, is left out, and so is a pid that another program has by now.
    pub fn load_stack(&self) -> Result<Option<Stack>, InfraError> {
        let path = self.path("stack.json");
        let Some(mut stack) = self.load_json::<Stack>(&path, SCHEMA_VERSION)? else { return Ok(None) };
        if stack.owner.as_deref().is_some_and(|id| id != self.owner.id()) {
            stack.components.clear();
            stack.docker = None;
        }
        stack.components.retain(|_, component| !component.process.is_some_and(|p| self.owner.is_foreign(p)));
        Ok(Some(stack))
    }

    /// The stack that is up.
    ///
    /// # Errors
    /// [`InfraError::NotUp`] where nothing was started since the last `down`.
    pub fn require_stack(&self) -> Result<Stack, InfraError> {
        let up = self.load_stack()?.filter(|stack| !stack.components.is_empty());
        up.ok_or_else(|| InfraError::NotUp { state: self.root.clone() })
    }

    /// Writes `stack.json`.
    pub fn save_stack(&self, stack: &Stack) -> Result<(), InfraError> {
        let owner = Some(self.owner.id().to_owned());
        let stack = Stack { schema_version: SCHEMA_VERSION, owner, ..stack.clone() };
        self.save_json(&self.path("stack.json"), &stack)
    }

    /// Forgets the stack.
    pub fn remove_stack(&self) -> Result<(), InfraError> {
        let path = self.path("stack.json");
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(InfraError::io("remove", path)(e)),
            _ => Ok(()),
        }
    }

    /// Reads a state file that carries `schema_version`; none where it is missing.
    pub fn load_json<T: DeserializeOwned>(&self, path: &Path, known: u32) -> Result<Option<T>, InfraError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(InfraError::io("read", path)(e)),
        };
        let bad = |why: String| InfraError::BadState { path: path.to_owned(), why };
        let value: serde_json::Value = serde_json::from_str(&text).map_err(|e| bad(e.to_string()))?;
        let found = value.get("schema_version").and_then(serde_json::Value::as_u64);
        match found {
            None => return Err(bad("it has no schema_version".into())),
            Some(found) if found > u64::from(known) => {
                return Err(InfraError::NewerState { path: path.to_owned(), found, known });
            }
            Some(_) => {}
        }
        serde_json::from_value(value).map(Some).map_err(|e| bad(e.to_string()))
    }

    /// Writes a state file: whole or not at all, readable by its owner alone.
    pub fn save_json<T: Serialize>(&self, path: &Path, value: &T) -> Result<(), InfraError> {
        let text = serde_json::to_vec_pretty(value)
            .map_err(|e| InfraError::BadState { path: path.to_owned(), why: e.to_string() })?;
        self.write(path, &text)
    }

    /// Writes a file with mode 0600, whole or not at all.
    pub fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), InfraError> {
        files::replace(path, bytes).map_err(InfraError::io("write", path))
    }

    /// Says whether a server has room.
    ///
    /// # Errors
    /// [`InfraError::NoSpace`] with the folder and what is free.
    pub fn check_space(&self) -> Result<(), InfraError> {
        let free = room::free_bytes(&self.root).map_err(InfraError::io("look at", &self.root))?;
        if free < room::NEEDED_BYTES {
            return Err(InfraError::NoSpace { path: self.root.clone(), free, need: room::NEEDED_BYTES });
        }
        Ok(())
    }

    /// A short folder for sockets, outside the state folder: a socket's path ends at 107 bytes. It depends on the user and
    /// the state folder alone: a server that was started in a desktop's shell is found again by cron.
    ///
    /// # Errors
    /// When it cannot be made, or belongs to another user.
    pub fn run_folder(&self) -> Result<PathBuf, InfraError> {
        let uid = nix::unistd::getuid().as_raw();
        let session = PathBuf::from(format!("/run/user/{uid}"));
        let is_ours = fs::symlink_metadata(&session).is_ok_and(|found| found.is_dir() && found.uid() == uid);
        let base = if is_ours { session.join("ecomctl") } else { PathBuf::from(format!("/tmp/ecomctl-{uid}")) };
        // The id, which stays when the folder is moved.
        let path = base.join(self.owner.id().get(..8).unwrap_or("0"));
        create_private(&path)?;
        // In /tmp anybody could have made it first, and would own the sockets.
        let owner = fs::symlink_metadata(&base).map_err(InfraError::io("look at", &base))?;
        if owner.uid() != uid || !owner.is_dir() {
            let source = io::Error::other("it belongs to another user");
            return Err(InfraError::Io { action: "use", path: base, source });
        }
        Ok(path)
    }

    /// The same folder by a path of letters, digits and `/._-` alone. A blank, a comma, a quote, a `#` or a `%` has a meaning
    /// in the settings file of one server or another (Kafka's `log.dirs` is a list) and in their scripts; where the folder's
    /// own path has one, a link in [`Self::run_folder`] leads there.
    ///
    /// # Errors
    /// When the link cannot be made.
    pub fn plain(&self) -> Result<Self, InfraError> {
        if is_plain(&self.root) {
            return Ok(self.clone());
        }
        let link = self.run_folder()?.join("state");
        match fs::read_link(&link) {
            Ok(there) if there == self.root => return Ok(Self { root: link, owner: self.owner.clone() }),
            // A copy has the same mark; two stacks would share one path.
            Ok(there) if there.is_dir() => {
                let source = io::Error::other(format!("it leads to {}, of which this is a copy", there.display()));
                return Err(InfraError::Io { action: "use", path: link, source });
            }
            // The folder was moved.
            Ok(_) => fs::remove_file(&link).map_err(InfraError::io("remove", &link))?,
            Err(_) => {}
        }
        std::os::unix::fs::symlink(&self.root, &link).map_err(InfraError::io("make", &link))?;
        Ok(Self { root: link, owner: self.owner.clone() })
    }
}

/// Longest path that is given to servers as it is: some keep less than 512 bytes for a name below it.
const LONGEST_PLAIN: usize = 200;
/// Longest path of a state folder: names below it must fit into the 4,096 bytes that the system takes.
const LONGEST: usize = 3_500;

fn is_plain(path: &Path) -> bool {
    let bytes = path.as_os_str().as_encoded_bytes();
    bytes.len() <= LONGEST_PLAIN && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(byte))
}

/// Why `path` can be the path of no state folder; none: it can.
pub(super) fn impossible(path: &Path) -> Option<&'static str> {
    match path.to_str() {
        None => Some("its path is not UTF-8, and stands in files of JSON"),
        Some(text) if text.contains(char::is_control) => Some("its path has a line break or another control character"),
        Some(text) if text.len() > LONGEST => Some("its path is too long"),
        Some(_) => None,
    }
}

fn create_private(path: &Path) -> Result<(), InfraError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(InfraError::io("create", path))
}

/// Makes a folder of mode 0700 with its parents; one that is there is closed to others.
fn make_private(path: &Path) -> Result<(), InfraError> {
    create_private(path)?;
    let metadata = fs::symlink_metadata(path).map_err(InfraError::io("look at", path))?;
    // What a link points at is the user's own to open and close.
    if !metadata.is_symlink() && metadata.mode() & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(InfraError::io("protect", path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn state() -> (tempfile::TempDir, StateDir) {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::create(dir.path().join("s")).unwrap();
        (dir, state)
    }

    #[test]
    fn it_is_private_and_ignored_by_git() {
        let (_dir, state) = state();
        assert_eq!(fs::metadata(state.root()).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::read_to_string(state.path(".gitignore")).unwrap(), "*\n");
        state.write(&state.path("secret"), b"x").unwrap();
        assert_eq!(fs::metadata(state.path("secret")).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn whatever_its_path_there_is_a_plain_one_that_leads_there() {
        let dir = tempfile::tempdir().unwrap();
        for name in
            ["a b", "a,b", "상태", "it's \"#1\" 100% $HOME \\ `x`", "-rf", "=;:&|<>*?[]{}()!~^", &"x".repeat(230)]
        {
            let state = StateDir::create(dir.path().join(name)).unwrap();
            let plain = state.plain().unwrap();
            assert!(is_plain(plain.root()), "{name} → {}", plain.root().display());
            assert_eq!(plain.root().canonicalize().unwrap(), state.root());
            assert_eq!(state.plain().unwrap().root(), plain.root(), "it is made once");
            fs::remove_dir_all(state.run_folder().unwrap()).unwrap();
            assert!(state.path(".gitignore").exists(), "the link alone goes with the run folder");
        }
        let (_dir, state) = state();
        assert_eq!(state.plain().unwrap().root(), state.root());
    }

    #[test]
    fn a_path_that_no_file_of_ours_can_hold_is_refused_before_anything_is_made() {
        use std::os::unix::ffi::OsStrExt as _;
        let dir = tempfile::tempdir().unwrap();
        for name in [&b"a\nb"[..], b"a\xffb", b"a\tb"] {
            let path = dir.path().join(std::ffi::OsStr::from_bytes(name));
            let error = StateDir::create(&path).unwrap_err();
            assert!(error.is_usage() && error.to_string().contains("--state-dir"), "{error}");
            assert!(!path.exists());
        }
    }

    #[test]
    fn a_newer_file_is_refused_and_a_broken_one_named() {
        let (_dir, state) = state();
        let path = state.path("stack.json");
        fs::write(&path, r#"{"schema_version": 99, "what": "ever"}"#).unwrap();
        let message = state.load_stack().unwrap_err().to_string();
        assert!(message.contains("newer ecomctl (schema_version 99; this one knows up to 2)"), "{message}");
        for text in ["{", "[]", r#"{"schema_version": 1}"#] {
            fs::write(&path, text).unwrap();
            let message = state.load_stack().unwrap_err().to_string();
            assert!(message.contains("stack.json cannot be used"), "{message}");
        }
        fs::remove_file(&path).unwrap();
        assert!(state.load_stack().unwrap().is_none());
        assert!(matches!(state.require_stack(), Err(InfraError::NotUp { .. })));
    }

    #[test]
    fn a_full_disk_is_told_with_its_folder_and_what_is_free() {
        let (_dir, state) = state();
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let message = InfraError::io("write", state.path("stack.json"))(full).to_string();
        assert!(message.starts_with(&format!("no room in {}: ", state.root().display())), "{message}");
        assert!(message.contains("512 MiB are needed"), "{message}");
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let (_dir, state) = state();
        fs::write(state.path("file"), "").unwrap();
        let message = StateDir::create(state.path("file/x")).unwrap_err().to_string();
        assert!(message.contains("cannot create") && message.contains("file/x"), "{message}");
        assert!(StateDir::open(state.path("none")).unwrap().is_none());
        let project = state.folder("project").unwrap();
        fs::write(project.join("main.rs"), "").unwrap();
        let message = StateDir::create(&project).unwrap_err().to_string();
        assert!(message.contains("no state folder"), "{message}");
    }
}
