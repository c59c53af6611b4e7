//! The ledger: what each request for a coupon was answered, on disk, so that it neither grows in memory nor depends on
//! what the servers say afterwards. Consistency is proven against it.
//!
//! One file a generator thread, `ledger/<thread>.bin`: [`MAGIC`], then [`Entry`] after [`Entry`], little endian.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

pub use record::event::names::Outcome;

/// First bytes of a ledger file: name and version.
pub const MAGIC: &[u8; 8] = b"ECLEDG01";
/// Bytes of one entry.
pub const ENTRY_LEN: usize = 33;
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

/// One answered (or given up) request for a coupon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Coupon asked for.
    pub coupon: u64,
    /// User who asked.
    pub user: u64,
    /// Just before the first byte was written: nanoseconds since the run's monotonic start.
    pub start_ns: u64,
    /// Just after the last byte was read.
    pub end_ns: u64,
    /// What came of it.
    pub outcome: Outcome,
}

impl Entry {
    fn encode(self) -> [u8; ENTRY_LEN] {
        let mut bytes = [0; ENTRY_LEN];
        for (i, field) in [self.coupon, self.user, self.start_ns, self.end_ns].into_iter().enumerate() {
            bytes[i * 8..i * 8 + 8].copy_from_slice(&field.to_le_bytes());
        }
        bytes[32] = self.outcome as u8;
        bytes
    }

    fn decode(bytes: &[u8; ENTRY_LEN]) -> Option<Self> {
        let field = |i: usize| bytes[i * 8..i * 8 + 8].try_into().map(u64::from_le_bytes).ok();
        let outcome = Outcome::from_byte(bytes[32])?;
        Some(Self { coupon: field(0)?, user: field(1)?, start_ns: field(2)?, end_ns: field(3)?, outcome })
    }
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
        self.file.write_all(&entry.encode())
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
    /// It ends in the middle, or holds an outcome that does not exist.
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
    if file.read_exact(&mut magic).is_err() || &magic != MAGIC {
        return Err(LedgerError::Foreign(path.to_owned()));
    }
    let mut position = MAGIC.len() as u64;
    loop {
        let mut bytes = [0; ENTRY_LEN];
        let mut filled = 0;
        while filled < ENTRY_LEN {
            match file.read(&mut bytes[filled..]).map_err(io)? {
                0 => break,
                n => filled += n,
            }
        }
        if filled == 0 {
            return Ok(());
        }
        let entry = (filled == ENTRY_LEN).then(|| Entry::decode(&bytes)).flatten();
        visit(entry.ok_or(LedgerError::Damaged { path: path.to_owned(), at: position })?);
        position += ENTRY_LEN as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ledger that ends behind a whole entry looks complete: what was lost behind it must not turn rows into rows that
    /// nobody asked for.
    #[test]
    fn a_ledger_that_was_broken_off_is_no_ledger() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("ledger");
        begin(&folder).unwrap();
        let mut writer = LedgerWriter::create(&folder, 0).unwrap();
        writer.push(Entry { coupon: 1, user: 2, start_ns: 3, end_ns: 4, outcome: Outcome::Queued }).unwrap();
        writer.finish().unwrap();
        assert!(matches!(read(&folder, |_| ()), Err(LedgerError::Unfinished(_))));
        finish(&folder).unwrap();
        let mut entries = 0;
        read(&folder, |_| entries += 1).unwrap();
        assert_eq!(entries, 1);
    }
}
