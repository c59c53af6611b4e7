//! Scripts of the repository, run as people run them.

use std::{
    fs,
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::support::{both, wait};

/// Ends with the test.
struct Guarded(Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An Engine ends its containers before itself, which may take longer than a minute. Whoever stops it waits, is told
/// what for, and the next start does not find the old one in its way. (The process here is no Engine: it only takes as
/// long to end.)
#[test]
fn an_engine_that_still_ends_its_containers_is_waited_for() {
    let cache = tempfile::tempdir().unwrap();
    let folder = cache.path().join("ecomctl/engine");
    fs::create_dir_all(&folder).unwrap();
    let slow = "trap 'sleep 22; exit 0' TERM; touch \"$0\"; while :; do sleep 0.1; done";
    let ready = cache.path().join("ready");
    let mut command = Command::new("bash");
    command.args(["-c", slow]).arg(&ready).stdin(Stdio::null()).process_group(0);
    let mut engine = Guarded(command.spawn().unwrap());
    let since = Instant::now();
    while !ready.exists() {
        assert!(since.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(20));
    }
    let pid = engine.0.id();
    let fields = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let start = fields.rsplit(") ").next().unwrap().split(' ').nth(19).unwrap();
    fs::write(folder.join("started"), format!("{pid} {start}\n")).unwrap();
    // A process that has ended is gone only when its parent, this test, has asked.
    let reaped = std::thread::spawn(move || engine.0.wait());

    let mut stop = Command::new("scripts/engine.sh");
    stop.arg("stop").env("XDG_CACHE_HOME", cache.path()).current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = wait(stop.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap(), Duration::from_secs(60));
    let said = both(&output);
    assert!(output.status.success() && said.contains(&format!("Ended the Docker Engine (pid {pid})")), "{said}");
    assert!(said.contains("waits for its containers to end:") && said.contains("10 s so far"), "{said}");
    assert!(reaped.join().unwrap().unwrap().success(), "it was not given the time to end by itself");
    assert!(!folder.join("started").exists() && !folder.join("stopping").exists(), "{said}");
}
