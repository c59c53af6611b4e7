//! How fast one generator thread is, and what a request costs it, beside `wrk` where that is installed.
//!
//! ```text
//! cargo bench --bench load_client                              against a no-op axum server of its own, on one thread
//! cargo bench --bench load_client -- --target 127.0.0.1:80     against a server that runs already (`GET /`)
//! ```
//!
//! Both clients run in turn against the same server, three rounds, 64 connections. Figures of different machines or
//! runs are not to be compared; the ratios are. Where the server is the limit, the time on the processor tells more
//! than the rate.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::{
    collections::BTreeMap,
    error::Error,
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use load::{self, LoadControl, LoadPlan};
use nix::sys::resource::{UsageWho, getrusage};
use profile::model::Scenario;
use serde_json::json;

const ROUNDS: usize = 3;
const CONNECTIONS: u32 = 64;
const SECONDS: u64 = 4;

/// What a client did in one round.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
struct Figures {
    per_second: f64,
    /// Microseconds on the processor, of the client alone.
    cpu_us: f64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|arg| arg == "serve") {
        return serve();
    }
    if !args.iter().any(|arg| arg == "--bench") {
        println!("run it by `cargo bench --bench load_client`");
        return Ok(());
    }
    let given = args.iter().position(|arg| arg == "--target").and_then(|at| args.get(at + 1));
    let own = if given.is_none() { Some(Server::start()?) } else { None };
    let target: SocketAddr = match (&own, given) {
        (Some(server), _) => server.address,
        (None, Some(text)) => text.parse()?,
        (None, None) => return Err("no target".into()),
    };
    let version = wrk_version();
    println!("GET http://{target}/ · {CONNECTIONS} connections · one client thread · {ROUNDS} × {SECONDS} s");
    let (mut ours, mut wrks) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(ecomctl(target)?);
        if version.is_some() {
            wrks.push(wrk(target)?);
        }
    }
    let ours = median(ours);
    let name = format!("ecomctl {}", env!("CARGO_PKG_VERSION"));
    println!("{name:<16} {:>10.0} requests/s   {:.2} µs of processor time a request", ours.per_second, ours.cpu_us);
    if let Some(version) = version {
        let wrk = median(wrks);
        println!(
            "{version:<16} {:>10.0} requests/s   {:.2} µs of processor time a request",
            wrk.per_second, wrk.cpu_us
        );
        println!(
            "ratio            {:>10.2} of wrk's rate   {:.2} of wrk's time",
            ours.per_second / wrk.per_second,
            ours.cpu_us / wrk.cpu_us
        );
    } else {
        println!("wrk is not installed: no ratio");
    }
    Ok(())
}

fn median(mut rounds: Vec<Figures>) -> Figures {
    rounds.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
    rounds.get(rounds.len() / 2).copied().unwrap_or(Figures { per_second: 0.0, cpu_us: 0.0 })
}

/// Time on the processor of this process, or of its children that have ended.
fn processor_us(who: UsageWho) -> Result<f64, Box<dyn Error>> {
    let usage = getrusage(who)?;
    let micros = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 * 1e6 + time.tv_usec() as f64;
    Ok(micros(usage.user_time()) + micros(usage.system_time()))
}

fn ecomctl(target: SocketAddr) -> Result<Figures, Box<dyn Error>> {
    let scenario: Scenario = serde_json::from_value(json!({
        "executor": "constant-vus", "vus": CONNECTIONS, "duration": format!("{SECONDS}s"),
        "requests": [{"name": "noop", "path": "/"}]
    }))?;
    let plan = LoadPlan {
        targets: vec![target],
        host: target.to_string(),
        scenarios: BTreeMap::from([("bench".to_owned(), scenario)]),
        users: 1,
        threads: 1,
        ledger: None,
        origin: Instant::now(),
        random_seed: 0,
        goals: BTreeMap::new(),
    };
    let before = processor_us(UsageWho::RUSAGE_SELF)?;
    let summary = load::run(&plan, &LoadControl::default(), &mut |_| {})?;
    let after = processor_us(UsageWho::RUSAGE_SELF)?;
    if summary.outcomes.keys().any(|class| class != "OK") {
        return Err(format!("not every request was answered: {:?}", summary.outcomes).into());
    }
    Ok(Figures { per_second: summary.rps, cpu_us: (after - before) / summary.sent.max(1) as f64 })
}

fn wrk_version() -> Option<String> {
    // It prints its version and ends with 1.
    let output = Command::new("wrk").arg("-v").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Some(text.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
}

fn wrk(target: SocketAddr) -> Result<Figures, Box<dyn Error>> {
    let before = processor_us(UsageWho::RUSAGE_CHILDREN)?;
    let output = Command::new("wrk")
        .args(["-t1", &format!("-c{CONNECTIONS}"), &format!("-d{SECONDS}s"), &format!("http://{target}/")])
        .output()?;
    let after = processor_us(UsageWho::RUSAGE_CHILDREN)?;
    let text = String::from_utf8(output.stdout)?;
    let number = |mark: &str| {
        text.lines()
            .find(|line| line.contains(mark))
            .and_then(|line| line.split_whitespace().find_map(|word| word.parse::<f64>().ok()))
    };
    let sent = number("requests in").ok_or_else(|| format!("wrk said: {text}"))?;
    let per_second = number("Requests/sec:").ok_or_else(|| format!("wrk said: {text}"))?;
    Ok(Figures { per_second, cpu_us: (after - before) / sent.max(1.0) })
}

/// The no-op server, in a process of its own, which ends with this one.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start() -> Result<Self, Box<dyn Error>> {
        let mut child = Command::new(std::env::current_exe()?).arg("serve").stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        std::thread::sleep(Duration::from_millis(100));
        Ok(Self { child, address: line.trim().parse()? })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serve() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let app = axum::Router::new().route("/", axum::routing::get(|| async { axum::http::StatusCode::NO_CONTENT }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        axum::serve(listener, app).await?;
        Ok(())
    })
}
