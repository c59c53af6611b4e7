//! What the image holds: the program, its loader, its libraries, and the few files that clients look for in `/etc`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, Read, Seek as _, SeekFrom, Write},
    path::{Path, PathBuf},
};

use hyper::body::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use super::{USER, is_file};

/// Folder of everything that is ours: no file of a base image is replaced.
const HOME: &str = "/opt/ecomctl";
/// Authorities that TLS clients trust.
pub(super) const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Blocks that go to the Engine.
const BLOCK: usize = 256 * 1024;

/// Files of the image, known by their paths on this machine.
#[derive(Debug)]
pub(super) struct Pack {
    /// Where the program lies on this machine.
    pub program: PathBuf,
    /// SHA-256 of the program.
    pub digest: String,
    /// Name in the image's library folder → file of this machine.
    libraries: BTreeMap<String, PathBuf>,
    /// Name of the loader in that folder; none for a static program.
    loader: Option<String>,
}

impl Pack {
    /// Looks at the program that runs now and at what it has mapped.
    pub fn of_this_program() -> io::Result<Self> {
        let program = std::env::current_exe()?;
        // This file is the one that runs, even where the path has another one by now.
        let mut file = File::open("/proc/self/exe")?;
        let interpreter = interpreter(&mut file)?;
        file.rewind()?;
        let mut hash = Sha256::new();
        io::copy(&mut file, &mut hash)?;
        let digest = hex(&hash.finalize());
        let mut libraries = BTreeMap::new();
        let mut loader = None;
        if let Some(path) = interpreter {
            for library in mapped(&fs::read_to_string("/proc/self/maps")?, &program) {
                add(&mut libraries, &library);
            }
            add_resolvers(&mut libraries);
            let real = path.canonicalize()?;
            let name = file_name(&path);
            libraries.insert(name.clone(), real);
            loader = Some(name);
        }
        Ok(Self { program, digest, libraries, loader })
    }

    /// How the program is started: by its own loader with its own libraries, whatever the base image has.
    pub fn entrypoint(&self) -> Vec<String> {
        let program = format!("{HOME}/ecomctl");
        match &self.loader {
            None => vec![program],
            Some(loader) => {
                vec![format!("{HOME}/lib/{loader}"), "--library-path".into(), format!("{HOME}/lib"), program]
            }
        }
    }

    /// Writes the archive: a root file system, or with `dockerfile` the context of a build that copies `root/`.
    pub fn write(&self, to: mpsc::Sender<io::Result<Bytes>>, dockerfile: Option<&str>) -> io::Result<()> {
        let mut archive = Archive {
            tar: tar::Builder::new(Blocks { to, block: Vec::with_capacity(BLOCK) }),
            below: if dockerfile.is_some() { "root" } else { "" },
            folders: BTreeSet::new(),
        };
        if let Some(text) = dockerfile {
            let mut header = header(tar::EntryType::Regular, 0o644);
            header.set_size(text.len() as u64);
            archive.tar.append_data(&mut header, "Dockerfile", text.as_bytes())?;
        } else {
            let nobody = format!("root:x:0:0::/:/\nnobody:x:{USER}:{USER}::/tmp:/\n");
            archive.text("/etc/passwd", &nobody)?;
            archive.text("/etc/group", &format!("root:x:0:\nnobody:x:{USER}:\n"))?;
            archive.text("/etc/nsswitch.conf", "hosts: files dns\n")?;
            archive.folder("/tmp", 0o1777)?;
            archive.folder("/run/secrets", 0o755)?;
        }
        if is_file(Path::new(CERTIFICATES)) {
            archive.file(CERTIFICATES, Path::new(CERTIFICATES), 0o644)?;
        }
        for (name, path) in &self.libraries {
            archive.file(&format!("{HOME}/lib/{name}"), path, 0o755)?;
        }
        archive.file(&format!("{HOME}/ecomctl"), Path::new("/proc/self/exe"), 0o755)?;
        archive.tar.into_inner()?.flush()
    }
}

struct Archive {
    tar: tar::Builder<Blocks>,
    below: &'static str,
    folders: BTreeSet<PathBuf>,
}

impl Archive {
    /// The path in the archive, after its folders were written.
    fn place(&mut self, path: &str) -> io::Result<PathBuf> {
        let relative = path.trim_start_matches('/');
        let parent = Path::new(relative).parent().unwrap_or(Path::new(""));
        let missing: Vec<_> = parent.ancestors().filter(|folder| !folder.as_os_str().is_empty()).collect();
        for folder in missing.into_iter().rev() {
            self.folder(&folder.to_string_lossy(), 0o755)?;
        }
        Ok(Path::new(self.below).join(relative))
    }

    fn folder(&mut self, path: &str, mode: u32) -> io::Result<()> {
        let relative = PathBuf::from(path.trim_start_matches('/'));
        if !self.folders.insert(relative.clone()) {
            return Ok(());
        }
        let place = self.place(path)?;
        self.tar.append_data(&mut header(tar::EntryType::Directory, mode), place, io::empty())
    }

    fn text(&mut self, path: &str, text: &str) -> io::Result<()> {
        let place = self.place(path)?;
        let mut header = header(tar::EntryType::Regular, 0o644);
        header.set_size(text.len() as u64);
        self.tar.append_data(&mut header, place, text.as_bytes())
    }

    fn file(&mut self, path: &str, from: &Path, mode: u32) -> io::Result<()> {
        let place = self.place(path)?;
        let file = File::open(from).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", from.display())))?;
        let size = file.metadata()?.len();
        let mut header = header(tar::EntryType::Regular, mode);
        header.set_size(size);
        // A file that grows meanwhile must not break the archive.
        self.tar.append_data(&mut header, place, file.take(size))
    }
}

fn header(kind: tar::EntryType, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(0);
    header
}

/// Collects what is written into blocks, and waits while the Engine has enough of them.
struct Blocks {
    to: mpsc::Sender<io::Result<Bytes>>,
    block: Vec<u8>,
}

impl Write for Blocks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..taken]);
        if self.block.len() >= BLOCK {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let block = std::mem::replace(&mut self.block, Vec::with_capacity(BLOCK));
        self.to.blocking_send(Ok(block.into())).map_err(|_| io::Error::other("the Engine stopped listening"))
    }
}

/// Files that `/proc/self/maps` shows, without the program itself: its libraries, and what they are on this machine.
fn mapped(maps: &str, program: &Path) -> BTreeSet<PathBuf> {
    let paths = maps.lines().filter_map(|line| Some(PathBuf::from(&line[line.find('/')?..])));
    // Only code: data that some part of the program mapped is no library.
    paths.filter(|path| path != program && file_name(path).contains(".so") && is_file(path)).collect()
}

/// Adds a library under each name by which a loader may ask for it: maps show `libz.so.1.3`, asked is `libz.so.1`.
fn add(libraries: &mut BTreeMap<String, PathBuf>, library: &Path) {
    libraries.insert(file_name(library), library.to_owned());
    let Some(folder) = library.parent() else { return };
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
        // `libz.so` is for linkers.
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_link
            && Path::new(&name).extension().is_none_or(|end| end != "so")
            && entry.path().canonicalize().is_ok_and(|real| real == library)
        {
            libraries.insert(name, library.to_owned());
        }
    }
}

/// Parts of an older C library that are loaded when the first name is looked up.
fn add_resolvers(libraries: &mut BTreeMap<String, PathBuf>) {
    let folder = libraries.get("libc.so.6").and_then(|path| path.parent().map(Path::to_owned));
    for name in ["libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2"] {
        if let Some(real) = folder.as_ref().and_then(|folder| folder.join(name).canonicalize().ok()) {
            libraries.insert(name.to_owned(), real);
        }
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The loader that a program of 64 bits asks for (`PT_INTERP`); none for a static one.
fn interpreter(file: &mut File) -> io::Result<Option<PathBuf>> {
    const PT_INTERP: u32 = 3;
    let bad = || io::Error::new(io::ErrorKind::InvalidData, "this program is no ELF file of 64 bits");
    let mut head = [0; 64];
    file.read_exact(&mut head)?;
    if head[..6] != [0x7f, b'E', b'L', b'F', 2, 1] {
        return Err(bad());
    }
    let (table, size, count) = (u64_at(&head, 32), usize::from(u16_at(&head, 54)), u64::from(u16_at(&head, 56)));
    if size < 56 {
        return Err(bad());
    }
    let mut entry = vec![0; size];
    for n in 0..count {
        file.seek(SeekFrom::Start(table + n * size as u64))?;
        file.read_exact(&mut entry)?;
        if u32::from(u16_at(&entry, 0)) | u32::from(u16_at(&entry, 2)) << 16 != PT_INTERP {
            continue;
        }
        let (offset, length) = (u64_at(&entry, 8), u64_at(&entry, 32));
        let mut path = Vec::new();
        file.seek(SeekFrom::Start(offset))?;
        Read::by_ref(file).take(length.min(4096)).read_to_end(&mut path)?;
        let path = path.split(|byte| *byte == 0).next().unwrap_or_default();
        return Ok(Some(PathBuf::from(String::from_utf8_lossy(path).into_owned())));
    }
    Ok(None)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).and_then(|b| b.try_into().ok()).map_or(0, u16::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_found_by_the_names_that_are_asked_for() {
        let pack = Pack::of_this_program().unwrap();
        let Some(loader) = &pack.loader else { return };
        assert!(pack.libraries.contains_key(loader), "{pack:?}");
        for path in pack.libraries.values() {
            assert!(path.is_file(), "{}", path.display());
        }
        assert_eq!(pack.digest.len(), 64);
    }

    #[test]
    fn only_libraries_count_among_what_is_mapped() {
        let maps = "5500-5600 r--p 0 fd:00 1 /usr/bin/cat\n7f00-7f01 r-xp 0 fd:00 2 /usr/share/locale/C.utf8\n\
                    7f00-7f01 rw-p 0 0:0 0 \n7ffe-7fff r-xp 0 0:0 0 [vdso]\n7f00-7f01 r-xp 0 fd:00 2 /nowhere/libx.so.1\n";
        assert!(mapped(maps, Path::new("/usr/bin/cat")).is_empty());
    }

    #[test]
    fn the_archive_holds_the_program_and_its_folders_once() {
        let (sender, mut receiver) = mpsc::channel(4);
        let pack = Pack {
            program: "/x".into(),
            digest: String::new(),
            libraries: BTreeMap::from([("libx.so.1".into(), PathBuf::from("/proc/self/exe"))]),
            loader: None,
        };
        let writing = std::thread::spawn(move || pack.write(sender, None));
        let mut bytes = Vec::new();
        while let Some(block) = receiver.blocking_recv() {
            bytes.extend_from_slice(&block.unwrap());
        }
        writing.join().unwrap().unwrap();
        let mut archive = tar::Archive::new(&bytes[..]);
        let names: Vec<_> =
            archive.entries().unwrap().map(|e| e.unwrap().path().unwrap().display().to_string()).collect();
        for name in ["etc/passwd", "tmp", "run/secrets", "opt/ecomctl/lib/libx.so.1", "opt/ecomctl/ecomctl"] {
            assert_eq!(names.iter().filter(|n| n.trim_end_matches('/') == name).count(), 1, "{name} in {names:?}");
        }
    }
}
