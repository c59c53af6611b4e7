//! Deleting a folder of ours: all of it or nothing, and never what a link in it points at.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::error::InfraError;

/// What came of a deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    /// There was nothing.
    Absent,
    /// It was there, and is gone.
    Gone,
    /// Nothing was deleted, because this leads to somewhere else.
    Link {
        /// The link.
        link: PathBuf,
        /// What it points at.
        target: PathBuf,
    },
}

/// Deletes the folder `below` of `root` with everything in it. Nothing is deleted where it, or anything in it, is a link:
/// what is behind it is not ours to delete, and without it the rest would be half of something.
///
/// # Errors
/// When something cannot be looked at or deleted, with its path.
pub fn remove_tree(root: &Path, below: &Path) -> Result<Removal, InfraError> {
    let mut path = root.to_owned();
    for part in below.components() {
        path.push(part);
        match fs::symlink_metadata(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Removal::Absent),
            Err(e) => return Err(InfraError::io("look at", path)(e)),
            Ok(facts) if facts.is_symlink() => return Ok(link(path)),
            Ok(_) => {}
        }
    }
    if let Some(found) = link_in(&path)? {
        return Ok(link(found));
    }
    match fs::remove_dir_all(&path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(InfraError::io("delete", path)(e)),
        _ if fs::symlink_metadata(&path).is_ok() => {
            let source = io::Error::other("something else is writing into it");
            Err(InfraError::Io { action: "delete", path, source })
        }
        _ => Ok(Removal::Gone),
    }
}

fn link(link: PathBuf) -> Removal {
    let target = fs::canonicalize(&link).or_else(|_| fs::read_link(&link)).unwrap_or_default();
    Removal::Link { link, target }
}

/// The first link below `folder`; none is followed.
fn link_in(folder: &Path) -> Result<Option<PathBuf>, InfraError> {
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).map_err(InfraError::io("read", &folder))? {
            let entry = entry.map_err(InfraError::io("read", &folder))?;
            let kind = entry.file_type().map_err(InfraError::io("look at", entry.path()))?;
            if kind.is_symlink() {
                return Ok(Some(entry.path()));
            }
            if kind.is_dir() {
                open.push(entry.path());
            }
        }
    }
    Ok(None)
}
