//! Logs of the components: the last lines, and what comes after them.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use super::{error::InfraError, stack::Stack, state::StateDir};

/// Logs are read from the end in blocks of this size.
const BLOCK: u64 = 64 * 1024;
/// No line is longer than this; what follows is cut into further ones.
const LONGEST: usize = 1 << 20;

/// Component → log, of all or of one. After `down` the logs of the last stack are still there.
///
/// # Errors
/// [`InfraError::UnknownService`] with the names there are.
pub fn files(state: &StateDir, service: Option<&str>) -> Result<BTreeMap<String, PathBuf>, InfraError> {
    let stack: Option<Stack> = state.load_stack()?;
    let recorded = stack.into_iter().flat_map(|stack| stack.components);
    let mut files: BTreeMap<_, _> = recorded.filter_map(|(name, c)| Some((name, c.log?))).collect();
    for entry in std::fs::read_dir(state.path("logs")).into_iter().flatten().flatten() {
        let path = entry.path();
        if let Some(name) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".log")) {
            files.entry(name.to_owned()).or_insert_with(|| path.clone());
        }
    }
    let Some(service) = service else { return Ok(files) };
    let known = || files.keys().cloned().collect::<Vec<_>>().join(", ");
    match files.get(service) {
        Some(path) => Ok(BTreeMap::from([(service.to_owned(), path.clone())])),
        None => Err(InfraError::UnknownService { name: service.to_owned(), known: known() }),
    }
}

/// The last `lines` lines of a file, however large it is. Bytes that are no UTF-8 are replaced.
pub fn tail(path: &Path, lines: usize) -> io::Result<Vec<String>> {
    let mut file = File::open(path)?;
    let mut at = file.metadata()?.len();
    let mut bytes: Vec<u8> = Vec::new();
    let mut ends = 0;
    while at > 0 && ends <= lines && bytes.len() < lines.saturating_mul(LONGEST) {
        let step = at.min(BLOCK);
        at -= step;
        file.seek(SeekFrom::Start(at))?;
        let mut block = vec![0; step as usize];
        file.read_exact(&mut block)?;
        ends += String::from_utf8_lossy(&block).matches('\n').count();
        block.append(&mut bytes);
        bytes = block;
    }
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().collect();
    Ok(all[all.len().saturating_sub(lines)..].iter().map(|line| (*line).to_owned()).collect())
}

/// Hands on each line that is written to `path` from now on, until `cancel`. A file that is replaced (a restart) or not
/// there yet is followed from its beginning.
pub async fn follow(path: &Path, cancel: &CancellationToken, mut on_line: impl FnMut(&str)) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let mut file = File::open(path).ok();
    if let Some(file) = &mut file {
        file.seek(SeekFrom::End(0))?;
    }
    let mut rest = Vec::new();
    while !cancel.is_cancelled() {
        if let Some(file) = &mut file {
            while file.take(BLOCK).read_to_end(&mut rest)? > 0 {
                emit(&mut rest, &mut on_line);
            }
        }
        let now = std::fs::metadata(path).ok().map(|m| (m.ino(), m.len()));
        let had = file.as_mut().and_then(|f| Some((f.metadata().ok()?.ino(), f.stream_position().ok()?)));
        match (now, had) {
            (Some((inode, length)), Some((old, position))) if inode == old && length >= position => {}
            (Some(_), _) => {
                rest.push(b'\n');
                emit(&mut rest, &mut on_line);
                file = File::open(path).ok();
            }
            (None, _) => {}
        }
        tokio::select! {
            () = cancel.cancelled() => {}
            () = tokio::time::sleep(Duration::from_millis(100)) => {}
        }
    }
    Ok(())
}

/// Hands on the whole lines (but empty ones) of `rest`, and keeps what is not a line yet.
fn emit(rest: &mut Vec<u8>, on_line: &mut impl FnMut(&str)) {
    let whole = match rest.iter().rposition(|byte| *byte == b'\n') {
        Some(end) => end + 1,
        None if rest.len() > LONGEST => rest.len(),
        None => return,
    };
    for line in String::from_utf8_lossy(&rest[..whole]).lines().filter(|line| !line.is_empty()) {
        on_line(line);
    }
    rest.drain(..whole);
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _, sync::Mutex};

    use super::*;

    #[test]
    fn the_tail_is_the_last_lines_whatever_the_blocks() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let text = (0..30_000).map(|n| format!("line {n}")).collect::<Vec<_>>().join("\n");
        fs::write(&path, &text).unwrap();
        assert_eq!(tail(&path, 2).unwrap(), ["line 29998", "line 29999"]);
        assert_eq!(tail(&path, 20_000).unwrap()[0], "line 10000");
        assert_eq!(tail(&path, 100_000).unwrap().len(), 30_000);
        fs::write(&path, b"a\n\xff\nlast without end").unwrap();
        assert_eq!(tail(&path, 2).unwrap(), ["\u{fffd}", "last without end"]);
        fs::write(&path, "").unwrap();
        assert!(tail(&path, 5).unwrap().is_empty());
    }

    #[tokio::test]
    async fn new_lines_come_through_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        fs::write(&path, "old\n").unwrap();
        let (cancel, seen) = (CancellationToken::new(), Mutex::new(Vec::new()));
        let wait = || tokio::time::sleep(Duration::from_millis(250));
        let write = async {
            wait().await;
            fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"one\ntw").unwrap();
            wait().await;
            fs::rename(&path, dir.path().join("log.1")).unwrap();
            fs::write(&path, "three\n").unwrap();
            wait().await;
            cancel.cancel();
        };
        let read = follow(&path, &cancel, |line| seen.lock().unwrap().push(line.to_owned()));
        let ((), read) = tokio::join!(write, read);
        read.unwrap();
        assert_eq!(*seen.lock().unwrap(), ["one", "tw", "three"]);
    }
}
