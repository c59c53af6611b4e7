//! Where the text of a profile is found: a file, or one that is built in.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fmt, fs,
    path::{Path, PathBuf},
};

use include_dir::{Dir, include_dir};

use super::{problem::ProfileError, suggest::did_you_mean};

static BUILT_IN: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../profiles");
/// Largest file that is read.
const MAX_BYTES: u64 = 512 * 1024;

/// Where a profile was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// Part of the program, under this name.
    BuiltIn(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::BuiltIn(name) => write!(f, "(built in) profiles/{name}.yaml"),
        }
    }
}

/// Whether this is a path and not a name.
pub(crate) fn is_path(text: &str) -> bool {
    text.contains('/') || Path::new(text).extension().is_some_and(is_yaml)
}

fn is_yaml(extension: &OsStr) -> bool {
    extension.eq_ignore_ascii_case("yaml") || extension.eq_ignore_ascii_case("yml")
}

/// Finds a profile by name or path: its short name, where it is, and its text.
pub(crate) fn find(name_or_path: &str) -> Result<(String, Source, String), ProfileError> {
    if is_path(name_or_path) {
        let path = PathBuf::from(name_or_path);
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = read(&path)?;
        return Ok((name, Source::File(path), text));
    }
    // A name is asked of the file system only when it looks like one.
    let plain = !name_or_path.is_empty()
        && name_or_path.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c))
        && !name_or_path.starts_with('.');
    if plain {
        let path = Path::new("profiles").join(format!("{name_or_path}.yaml"));
        if path.is_file() {
            let text = read(&path)?;
            return Ok((name_or_path.to_owned(), Source::File(path), text));
        }
        if let Some(text) = built_in(name_or_path) {
            return Ok((name_or_path.to_owned(), Source::BuiltIn(name_or_path.to_owned()), text.to_owned()));
        }
    }
    let known = names();
    Err(ProfileError::NotFound {
        name: name_or_path.chars().take(80).collect(),
        hint: did_you_mean(name_or_path, known.iter().map(String::as_str)),
        known: known.iter().cloned().collect::<Vec<_>>().join(", "),
    })
}

/// The text of a built-in profile.
pub(crate) fn built_in(name: &str) -> Option<&'static str> {
    BUILT_IN.get_file(format!("{name}.yaml"))?.contents_utf8()
}

/// Names of all profiles: those of the current folder and those built in.
pub(crate) fn names() -> BTreeSet<String> {
    let stem = |path: &Path| {
        let yaml = path.extension().is_some_and(|e| e == "yaml");
        yaml.then(|| path.file_stem().unwrap_or_default().to_string_lossy().into_owned())
    };
    let local = fs::read_dir("profiles").into_iter().flatten().flatten().filter_map(|e| stem(&e.path()));
    BUILT_IN.files().filter_map(|f| stem(f.path())).chain(local).collect()
}

pub(crate) fn read(path: &Path) -> Result<String, ProfileError> {
    let fail = |why: String| ProfileError::Read { path: path.to_owned(), why };
    let meta = fs::metadata(path).map_err(|e| fail(e.to_string()))?;
    if !meta.is_file() {
        return Err(fail("it is no file".into()));
    }
    if meta.len() > MAX_BYTES {
        return Err(fail(format!("it has {} bytes; a profile has at most {MAX_BYTES}", meta.len())));
    }
    let bytes = fs::read(path).map_err(|e| fail(e.to_string()))?;
    String::from_utf8(bytes).map_err(|e| {
        let line = e.as_bytes()[..e.utf8_error().valid_up_to()].split(|b| *b == b'\n').count();
        fail(format!("line {line} is not UTF-8; save the file as UTF-8"))
    })
}
