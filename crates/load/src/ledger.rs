//! The ledger: what each request that claims something was answered, on disk, so that it neither grows in memory nor
//! depends on what the servers say afterwards. Consistency is proven against it.
//!
//! One file a generator thread, `ledger/<thread>.bin`: [`MAGIC`], then [`Entry`] after [`Entry`], little endian (`entry`).
//! Ledgers of version 1 are read too.

mod entry;

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

pub use contract::claim::Outcome;

pub use self::entry::{Entry, Receipt};
use self::entry::{LONGEST, Version};

/// First bytes of a ledger file: name and version.
pub const MAGIC: &[u8; 8] = b"ECLEDG02";
/// The same of version 1.
const MAGIC_1: &[u8; 8] = b"ECLEDG01";
/// File beside the ledger's as long as it is being written. A ledger that was broken off may end behind a whole entry:
/// only this tells that others are missing.
const UNFINISHED: &str = "unfinished";

/// Marks the ledger of `folder`, which is created, as one that is being written.
pub(super) fn begin(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    File::create(folder.join(UNFINISHED)).map(drop)
}

/// Says that all entries are on disk.
pub(super) fn finish(folder: &Path) -> io::Result<()> {
    std::fs::remove_file(folder.join(UNFINISHED))
}

/// Writes the ledger of one generator thread.
#[derive(Debug)]
pub struct LedgerWriter {
    file: BufWriter<File>,
}

impl LedgerWriter {
    /// Creates `folder/<thread>.bin`.
    pub fn create(folder: &Path, thread: usize) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let mut file = BufWriter::with_capacity(1 << 16, File::create(folder.join(format!("{thread}.bin")))?);
        file.write_all(MAGIC)?;
        Ok(Self { file })
    }

    /// Adds one entry.
    pub fn push(&mut self, entry: Entry) -> io::Result<()> {
        let mut bytes = [0; LONGEST];
        let length = entry.encode(&mut bytes);
        self.file.write_all(&bytes[..length])
    }

    /// Writes out what is buffered.
    pub fn finish(mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Why a ledger cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The file system said no.
    #[error("cannot read the ledger {path}: {cause}")]
    Io {
        /// File or folder.
        path: PathBuf,
        /// Cause.
        cause: io::Error,
    },
    /// Entries are missing.
    #[error("the ledger {0} was never finished: the load is under way, or was broken off; it proves nothing")]
    Unfinished(PathBuf),
    /// It is no ledger, or another version.
    #[error("{0} is not a ledger of this version of ecomctl")]
    Foreign(PathBuf),
    /// It ends in the middle, or holds what does not exist.
    #[error("the ledger {path} is damaged at byte {at}; what it proves cannot be trusted")]
    Damaged {
        /// File.
        path: PathBuf,
        /// Position.
        at: u64,
    },
}

/// Reads every ledger file of `folder` and hands each entry to `visit`.
///
/// # Errors
/// When the folder has no ledger, it was not written to its end, or one of its files is foreign or damaged: a ledger is
/// whole or proves nothing.
pub fn read(folder: &Path, mut visit: impl FnMut(Entry)) -> Result<(), LedgerError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |cause| LedgerError::Io { path, cause }
    };
    if folder.join(UNFINISHED).exists() {
        return Err(LedgerError::Unfinished(folder.to_owned()));
    }
    let mut files = std::fs::read_dir(folder)
        .map_err(at(folder))?
        .map(|entry| entry.map(|e| e.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(at(folder))?;
    files.retain(|path| path.extension().is_some_and(|e| e == "bin"));
    files.sort();
    if files.is_empty() {
        return Err(at(folder)(io::Error::new(io::ErrorKind::NotFound, "it has no *.bin file")));
    }
    for path in files {
        read_file(&path, &mut visit)?;
    }
    Ok(())
}

fn read_file(path: &Path, visit: &mut impl FnMut(Entry)) -> Result<(), LedgerError> {
    let io = |cause| LedgerError::Io { path: path.to_owned(), cause };
    let mut file = BufReader::with_capacity(1 << 16, File::open(path).map_err(io)?);
    let mut magic = [0; MAGIC.len()];
    let whole = fill(&mut file, &mut magic).map_err(io)? == magic.len();
    let version = match &magic {
        MAGIC if whole => Version::Second,
        MAGIC_1 if whole => Version::First,
        _ => return Err(LedgerError::Foreign(path.to_owned())),
    };
    let mut at = MAGIC.len() as u64;
    loop {
        let damaged = || LedgerError::Damaged { path: path.to_owned(), at };
        let mut bytes = [0; LONGEST];
        // An entry's first bytes say how long it is.
        let (head, mut filled) = (version.head(), 0);
        filled += fill(&mut file, &mut bytes[..head]).map_err(io)?;
        if filled == 0 {
            return Ok(());
        }
        let length = version.length(&bytes).filter(|_| filled == head).ok_or_else(damaged)?;
        filled += fill(&mut file, &mut bytes[head..length]).map_err(io)?;
        let entry = (filled == length).then(|| version.decode(&bytes)).flatten();
        visit(entry.ok_or_else(damaged)?);
        at += length as u64;
    }
}

/// Reads until `bytes` is full or the file ends; returns how many were read.
fn fill(file: &mut impl Read, bytes: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests;
