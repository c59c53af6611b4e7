//! The socket of a run: acts from other processes of the same user.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use record::act::{Act, ActResult};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{UnixListener, UnixStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Control, MOST_BYTES};

/// Connections at once; more are told so and closed.
const CONNECTIONS: usize = 8;
/// Longest pause between two lines of a connection.
const IDLE: Duration = Duration::from_secs(60);
/// Longest time that writing an answer may take.
const WRITE_WITHIN: Duration = Duration::from_secs(5);
/// Pause after a connection could not be accepted (no file descriptors, say).
const PAUSE: Duration = Duration::from_millis(100);

/// The socket at work. Dropping it closes it and removes its file.
#[derive(Debug)]
pub struct Server {
    path: PathBuf,
    stop: CancellationToken,
}

impl Server {
    /// Listens on `path`, for this user alone. A socket that was left there by a run that is gone is replaced.
    ///
    /// # Errors
    /// When another run listens there, or the socket cannot be made.
    pub fn start(path: &Path, control: Control) -> io::Result<Self> {
        remove_stale(path)?;
        // Nobody else can enter the folder (0700), so there is no moment in which others could connect.
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        let stop = CancellationToken::new();
        tokio::spawn(accept(listener, control, stop.clone()));
        Ok(Self { path: path.to_owned(), stop })
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
        // A file that cannot be removed is stale: the next run replaces it.
        let _ = fs::remove_file(&self.path);
    }
}

fn remove_stale(path: &Path) -> io::Result<()> {
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "another run listens there")),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(_) => fs::remove_file(path),
    }
}

async fn accept(listener: UnixListener, control: Control, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let connections = TaskTracker::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted.map(|(stream, _)| stream),
            () = stop.cancelled() => return,
        };
        let Ok(stream) = stream else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let (control, stop) = (control.clone(), stop.clone());
        let place = Arc::clone(&places).try_acquire_owned().ok();
        connections.spawn(async move {
            let talking = async {
                match place {
                    Some(_place) if ours(&stream) => talk(stream, &control).await,
                    Some(_) => {}
                    None => drop(answer(&mut { stream }, &ActResult::refused("too many connections")).await),
                }
            };
            tokio::select! {
                () = talking => {}
                () = stop.cancelled() => {}
            }
        });
    }
}

/// Whether the other end is a process of this user, or of root.
fn ours(stream: &UnixStream) -> bool {
    let me = nix::unistd::getuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == me || peer.uid() == 0)
}

/// Answers line by line until the other end closes, is silent for too long, or writes what is no line.
async fn talk(stream: UnixStream, control: &Control) {
    let (reading, mut writing) = stream.into_split();
    let mut reading = BufReader::with_capacity(MOST_BYTES, reading);
    loop {
        let mut line = Vec::new();
        let mut limited = (&mut reading).take(MOST_BYTES as u64 + 1);
        match tokio::time::timeout(IDLE, limited.read_until(b'\n', &mut line)).await {
            Ok(Ok(0) | Err(_)) | Err(_) => return,
            Ok(Ok(_)) => {}
        }
        let whole = line.ends_with(b"\n");
        let result = match parse(&line) {
            _ if !whole && line.len() > MOST_BYTES => {
                ActResult::refused(format!("a line may have {MOST_BYTES} bytes at most"))
            }
            Ok(act) => control.act(act).await,
            Err(why) => ActResult::refused(why),
        };
        if answer(&mut writing, &result).await.is_err() || !whole {
            return;
        }
    }
}

/// Reads a line.
fn parse(line: &[u8]) -> Result<Act, String> {
    serde_json::from_slice(line).map_err(|e| format!("this is no act: {e}"))
}

async fn answer(stream: &mut (impl tokio::io::AsyncWrite + Unpin), result: &ActResult) -> io::Result<()> {
    let mut line = serde_json::to_vec(result)?;
    line.push(b'\n');
    match tokio::time::timeout(WRITE_WITHIN, stream.write_all(&line)).await {
        Ok(written) => written,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use proptest::prelude::*;

    use super::*;
    use crate::run::control::send;

    /// A server whose acts are done by saying their words.
    fn echo(path: &Path) -> Server {
        let (control, mut asked) = Control::channel();
        tokio::spawn(async move {
            while let Some(one) = asked.recv().await {
                let _ = one.answer.send(ActResult::done(one.act.to_string()));
            }
        });
        Server::start(path, control).unwrap()
    }

    async fn raw(path: &Path, bytes: &[u8]) -> Vec<ActResult> {
        let (reading, mut writing) = UnixStream::connect(path).await.unwrap().into_split();
        // The server may close before all was written.
        let _ = writing.write_all(bytes).await;
        let _ = writing.shutdown().await;
        let mut lines = BufReader::new(reading).lines();
        let mut answers = Vec::new();
        while let Ok(Ok(Some(line))) = tokio::time::timeout(Duration::from_secs(10), lines.next_line()).await {
            answers.push(serde_json::from_str(&line).unwrap());
        }
        answers
    }

    #[tokio::test]
    async fn acts_come_through_and_what_is_none_is_refused_without_harm() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let server = echo(&path);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        for act in [
            Act::StopLoad,
            Act::SetVus(7),
            Act::SetRate(1.5),
            Act::FollowPlan,
            Act::AddConsumer,
            Act::RemoveConsumer,
            Act::Verify,
            Act::Restart("redis".into()),
            Act::Export("/tmp/screen.txt".into()),
        ] {
            assert_eq!(send(&path, &act).await.unwrap(), ActResult::done(act.to_string()));
        }
        let answers = raw(&path, b"{\"act\":\"set_vus\",\"value\":3}\nnonsense\n{\"act\":\"stop_load\"}\n").await;
        let done: Vec<_> = answers.iter().map(|answer| answer.done).collect();
        assert_eq!(done, [true, false, true], "{answers:?}");
        let long = raw(&path, &vec![b'x'; MOST_BYTES * 3]).await;
        assert!(long.len() == 1 && long[0].text.contains("4096 bytes"), "{long:?}");
        drop(server);
        assert!(!path.exists() && send(&path, &Act::StopLoad).await.is_err());
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_living_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "left behind by one that was killed");
        let server = echo(&path);
        assert_eq!(send(&path, &Act::Verify).await.unwrap(), ActResult::done("verify"));
        let (control, _asked) = Control::channel();
        let error = Server::start(&path, control).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert_eq!(send(&path, &Act::Verify).await.unwrap(), ActResult::done("verify"), "the first goes on");
        drop(server);
    }

    #[tokio::test]
    async fn idle_connections_cannot_lock_others_out_silently() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let _server = echo(&path);
        let mut idle = Vec::new();
        for _ in 0..CONNECTIONS {
            idle.push(UnixStream::connect(&path).await.unwrap());
        }
        let refused = raw(&path, b"").await;
        assert_eq!(refused, [ActResult::refused("too many connections")]);
        idle.clear();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(send(&path, &Act::Verify).await.unwrap().done);
    }

    #[tokio::test]
    async fn a_run_that_ended_says_so() {
        let (control, asked) = Control::channel();
        drop(asked);
        assert_eq!(control.act(Act::StopLoad).await, ActResult::refused("the run has ended"));
    }

    proptest! {
        #[test]
        fn no_line_breaks_the_reader(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&line);
        }

        #[test]
        fn every_act_survives_its_line(vus in any::<u32>(), rate in 0.001_f64..1e7, name in "[a-z0-9-]{1,20}") {
            for act in [Act::SetVus(vus), Act::SetRate(rate), Act::Restart(name)] {
                prop_assert_eq!(parse(&serde_json::to_vec(&act).unwrap()), Ok(act));
            }
        }
    }
}
