//! Room on the disk.

use std::{io, path::Path};

/// Bytes that must be free before a server is started.
pub const NEEDED_BYTES: u64 = 512 << 20;

/// Bytes that this user may still write to the file system of `path`.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let stats = nix::sys::statvfs::statvfs(path)?;
    // The widths of these fields differ between platforms.
    #[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
    Ok(u64::from(stats.blocks_available()) * (stats.fragment_size() as u64))
}
