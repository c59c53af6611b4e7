//! Where compose files and what they put into containers are found: `compose/` of the current folder wins over what
//! is built in, file by file.

use std::{
    env, fs, io,
    path::{Component, Path, PathBuf},
};

use base::yaml::suggest::did_you_mean;

use super::error::ComposeErrors;

/// Most bytes of a file that is put into a container.
const MAX_BYTES: u64 = 1024 * 1024;

macro_rules! built_in {
    ($($path:literal),+ $(,)?) => { &[$(($path, include_str!(concat!("../../../compose/", $path)))),+] };
}

/// Path below `compose/` → text. A list by hand, because then a changed file is compiled in again.
const BUILT_IN: &[(&str, &str)] = built_in![
    "backend.yaml",
    "base.yaml",
    "cluster.yaml",
    "grafana/dashboards.yaml",
    "grafana/datasources.yaml",
    "grafana/k6.json",
    "kafka/health.sh",
    "kafka/server.properties",
    "kafka/start.sh",
    "monitoring.yaml",
    "mysql/my.cnf",
    "original.yaml",
    "prometheus/prometheus.yaml",
    "redis/redis.conf",
];

/// The text of one compose file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Its name, as messages show it.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// The compose files `names` (`base`, `cluster`, …), in that order: to be merged one over the other.
///
/// # Errors
/// Names the file that is not there or cannot be read, and those that are.
pub fn find(names: &[&str]) -> Result<Vec<SourceFile>, ComposeErrors> {
    names.iter().map(|name| find_in(Path::new(FOLDER), name)).collect()
}

/// The folder from which relative paths of compose files are taken: `compose` of the current folder, absolute.
///
/// # Errors
/// When the current folder is gone.
pub fn working_dir() -> Result<PathBuf, ComposeErrors> {
    let here = env::current_dir().map_err(|e| ComposeErrors::of(format!("the current folder cannot be read: {e}")))?;
    Ok(here.join(FOLDER))
}

/// Names of the compose files that are built in.
pub fn names() -> Vec<&'static str> {
    let files = BUILT_IN.iter().filter_map(|(path, _)| path.strip_suffix(".yaml"));
    files.filter(|name| !name.contains('/')).collect()
}

/// A file below `compose/` that is built in, as `mysql/my.cnf`.
pub fn built_in(path: &str) -> Option<&'static str> {
    BUILT_IN.iter().find(|(known, _)| *known == path).map(|(_, text)| *text)
}

const FOLDER: &str = "compose";
/// Names of files that are built in begin with this.
pub(super) const BUILT_IN_MARK: &str = "(built in) ";

/// Compose files of the folder `compose` that nobody reads, in words.
pub fn unread() -> Vec<String> {
    unread_in(Path::new(FOLDER))
}

fn unread_in(folder: &Path) -> Vec<String> {
    let read: Vec<String> = names().iter().map(|name| format!("{name}.yaml")).collect();
    let others = entries(folder).into_iter().filter(|entry| {
        let end = Path::new(entry).extension().map(|end| end.to_string_lossy().to_ascii_lowercase());
        end.is_some_and(|end| end == "yaml" || end == "yml") && !read.contains(entry)
    });
    let word = |other: String| {
        format!("{} is not read: ecomctl reads {} there", folder.join(other).display(), read.join(", "))
    };
    others.map(word).collect()
}

/// Names in a folder, sorted; none where it cannot be read.
fn entries(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// `base.yml`, `Base.YAML`: meant for `base.yaml`.
fn is_spelling_of(entry: &str, name: &str) -> bool {
    let entry = entry.to_lowercase();
    entry == format!("{name}.yml") || entry == format!("{name}.yaml")
}

fn find_in(folder: &Path, name: &str) -> Result<SourceFile, ComposeErrors> {
    let file = format!("{name}.yaml");
    let path = folder.join(&file);
    if let Some(bytes) = read(&path).map_err(ComposeErrors::of)? {
        let text = String::from_utf8(bytes)
            .map_err(|_| ComposeErrors::of(format!("{} is not UTF-8; save it as UTF-8", path.display())))?;
        return Ok(SourceFile { name: path.display().to_string(), text });
    }
    if let Some(text) = built_in(&file) {
        if let Some(other) = entries(folder).iter().find(|entry| is_spelling_of(entry, name)) {
            let other = folder.join(other);
            let message = format!("{} is not read: call it {}", other.display(), path.display());
            return Err(ComposeErrors::of(message));
        }
        return Ok(SourceFile { name: format!("{BUILT_IN_MARK}{FOLDER}/{file}"), text: text.to_owned() });
    }
    let known = names();
    let hint = did_you_mean(name, known.iter().copied());
    let message = format!("there is no compose file {}{hint}; built in: {}", path.display(), known.join(", "));
    Err(ComposeErrors::of(message))
}

/// The bytes of a file; none where there is none.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, String> {
    let fail = |why: String| format!("cannot read {}: {why}", path.display());
    let meta = match fs::metadata(path) {
        Ok(meta) => meta,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(None),
        Err(e) => return Err(fail(e.to_string())),
    };
    if !meta.is_file() {
        return Err(fail("it is no file".into()));
    }
    if meta.len() > MAX_BYTES {
        return Err(fail(format!("it has {} bytes; at most {MAX_BYTES} are allowed", meta.len())));
    }
    fs::read(path).map(Some).map_err(|e| fail(e.to_string()))
}

/// Files that `file:` of a config or secret names.
pub(super) struct Contents<'a> {
    folder: &'a Path,
}

impl<'a> Contents<'a> {
    /// Relative paths start at `folder`.
    pub fn new(folder: &'a Path) -> Self {
        Self { folder }
    }

    /// The bytes of `path`, of the folder or built in.
    pub fn read(&self, path: &str) -> Result<Vec<u8>, String> {
        let parts = Path::new(path).components().filter(|part| *part != Component::CurDir);
        let plain = parts.collect::<PathBuf>();
        let full = self.folder.join(&plain);
        if let Some(bytes) = read(&full)? {
            return Ok(bytes);
        }
        let embedded = plain.to_str().and_then(built_in);
        embedded.map(|text| text.as_bytes().to_vec()).ok_or_else(|| format!("there is no file {}", full.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Somebody who writes `base.yml` means it: the built-in file in its place would be another stack.
    #[test]
    fn files_that_are_not_read_are_told_with_the_name_that_is() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["base.yml", "docker-compose.yml", "cluster.yaml", "notes.txt"] {
            fs::write(folder.path().join(name), "services: {}").unwrap();
        }
        let error = find_in(folder.path(), "base").unwrap_err().to_string();
        assert!(error.contains("base.yml is not read") && error.ends_with("base.yaml"), "{error}");
        assert!(find_in(folder.path(), "cluster").unwrap().name.ends_with("cluster.yaml"));
        assert!(find_in(folder.path(), "backend").unwrap().name.starts_with(BUILT_IN_MARK));
        let told = unread_in(folder.path());
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(
            told[1].contains("docker-compose.yml is not read") && told[1].contains("base.yaml, cluster.yaml"),
            "{told:?}"
        );
        assert!(unread_in(Path::new("/nowhere")).is_empty());
    }
}
