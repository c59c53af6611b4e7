//! The coupon path beside its own yardsticks, in one run on one machine: requests per second of the sold-out answer and
//! of the grant (request → row committed), each as a ratio to the same server's no-op route; and rows per second of the
//! consumer alone, as a ratio to what one connection can bulk-insert into the same table.
//!
//! `make bench`, or `cargo bench --bench coupon_path`. `BENCH_SECONDS` (5) is the length of each part, `BENCH_ROUNDS` (3)
//! how often all of it is done; medians are printed last. `BENCH_PARTS` (`api,consumer`) picks what is measured, and
//! `BENCH_SET` (`key=value,…`) goes to `serve --set`, to try a setting. No test: a figure here never fails a build.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, missing_docs)]

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use load::{self, LoadControl, LoadPlan, LoadSummary};
use mysql_async::{Conn, prelude::Queryable};
use profile::model::Scenario;
use serde_json::{Value, json};

const ECOMCTL: &str = env!("CARGO_BIN_EXE_ecomctl");
const USERS: u64 = 400_000;
const PROFILE: &str = "
system: ecommerce
backend: {consumers: 3, partitions: 3}
seed:
  users: 400000
  products: 10
  coupons: [{id: 1, quantity: 4000000}, {id: 2, quantity: 1}, {id: 3, quantity: 4000000}, {id: 4, quantity: 4000000}]
scenarios: {none: {executor: constant-vus, vus: 1, duration: 1s, requests: [{name: noop, path: /noop}]}}
";

fn main() {
    let seconds = setting("BENCH_SECONDS", 5);
    let rounds = setting("BENCH_ROUNDS", 3);
    let bench = Bench::new();
    bench.ecomctl(&["up", &bench.profile()]);
    println!("{}", versions(&bench));
    let mut all: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for round in 1..=rounds {
        println!("round {round} of {rounds}");
        for (name, value) in one_round(&bench, Duration::from_secs(seconds)) {
            println!("  {name:<44} {value:>12.2}");
            all.entry(name).or_default().push(value);
        }
    }
    println!("median of {rounds}");
    for (name, mut values) in all {
        values.sort_by(f64::total_cmp);
        println!("  {name:<44} {:>12.2}", values[values.len() / 2]);
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn one_round(bench: &Bench, length: Duration) -> Vec<(&'static str, f64)> {
    bench.ecomctl(&["seed", &bench.profile()]);
    let parts = std::env::var("BENCH_PARTS").unwrap_or_else(|_| "api,consumer".into());
    let mut figures = Vec::new();
    if parts.contains("api") {
        figures.extend(api(bench, length));
    }
    if parts.contains("consumer") {
        let consumer = consumer_alone(bench, length);
        let bulk = bulk_insert(bench, 100_000);
        figures.extend([
            ("consumer alone rows/s", consumer),
            ("bulk insert rows/s, one connection", bulk),
            ("consumer : bulk insert (aim 0.50)", consumer / bulk),
        ]);
    }
    figures
}

fn api(bench: &Bench, length: Duration) -> [(&'static str, f64); 5] {
    let serve = Serve::start(bench, "all", 3);
    let api = bench.api();
    // The last of coupon 2 goes first; what follows is the sold-out answer alone.
    Bench::load(api, "POST", "/api/coupons/2/issue", Duration::from_secs(1));
    let noop_before = rate(&Bench::load(api, "GET", "/noop", length));
    let sold_out = rate(&Bench::load(api, "POST", "/api/coupons/2/issue", length));
    let noop_between = rate(&Bench::load(api, "GET", "/noop", length));
    let since = Instant::now();
    let granting = Bench::load(api, "POST", "/api/coupons/1/issue", length);
    let granted = granting.outcomes.get("QUEUED").copied().unwrap_or(0);
    bench.until_rows(1, granted);
    let grant = granted as f64 / since.elapsed().as_secs_f64();
    let noop_after = rate(&Bench::load(api, "GET", "/noop", length));
    drop(serve);

    let sold_out_ratio = sold_out / f64::midpoint(noop_before, noop_between);
    let grant_ratio = grant / f64::midpoint(noop_between, noop_after);
    [
        ("no-op requests/s", f64::midpoint(noop_before, noop_after)),
        ("sold-out requests/s", sold_out),
        ("sold-out : no-op (aim 0.50)", sold_out_ratio),
        ("grants/s, request to row committed", grant),
        ("grant : no-op (aim 0.20)", grant_ratio),
    ]
}

fn rate(summary: &LoadSummary) -> f64 {
    assert_eq!(summary.outcomes.get("UNKNOWN").copied().unwrap_or(0), 0, "requests failed: {:?}", summary.outcomes);
    summary.rps
}

/// Grants pile up in Kafka while no consumer runs; then one consumer works them off.
fn consumer_alone(bench: &Bench, length: Duration) -> f64 {
    let serve = Serve::start(bench, "api", 1);
    let granting = Bench::load(bench.api(), "POST", "/api/coupons/3/issue", length);
    let granted = granting.outcomes.get("QUEUED").copied().unwrap_or(0);
    drop(serve);
    let _serve = Serve::spawn(bench, "consumer", 1);
    // From the first batch on: joining the group is not what is measured.
    let first = bench.until_rows(3, 1);
    let since = Instant::now();
    bench.until_rows(3, granted);
    (granted - first) as f64 / since.elapsed().as_secs_f64()
}

/// What one connection can insert into the consumers' table, 500 rows a statement and transaction.
fn bulk_insert(bench: &Bench, rows: u64) -> f64 {
    bench.runtime.block_on(async {
        let mut conn = Conn::new(bench.mysql()).await.unwrap();
        conn.query_drop("DELETE FROM coupon_users WHERE coupon_id = 4").await.unwrap();
        let since = Instant::now();
        for batch in 0..rows / 500 {
            let mut sql = "INSERT INTO coupon_users (coupon_id, user_id, event_id, grant_seq) VALUES ".to_owned();
            sql.push_str(&vec!["(4,?,?,?)"; 500].join(","));
            let mut params = Vec::with_capacity(1_500);
            for i in 0..500 {
                let n = batch * 500 + i + 1;
                let values: [mysql_async::Value; 3] = [n.into(), uuid::Uuid::now_v7().to_string().into(), n.into()];
                params.extend(values);
            }
            conn.exec_drop(sql, params).await.unwrap();
        }
        let rate = rows as f64 / since.elapsed().as_secs_f64();
        conn.disconnect().await.unwrap();
        rate
    })
}

fn versions(bench: &Bench) -> String {
    let status: Value = serde_json::from_slice(&bench.ecomctl(&["status", "--format", "json"])).unwrap();
    let components = status["components"].as_array().unwrap().iter();
    let words: Vec<_> = components.map(|c| format!("{} {}", c["name"], c["version"])).collect();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("ecomctl {}, {} cores, {}", env!("CARGO_PKG_VERSION"), cores, words.join(", ")).replace('"', "")
}

struct Bench {
    folder: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("ecomctl-bench-").tempdir().unwrap();
        std::fs::write(folder.path().join("bench.yaml"), PROFILE).unwrap();
        Self { folder, runtime: tokio::runtime::Runtime::new().unwrap() }
    }

    fn profile(&self) -> String {
        self.folder.path().join("bench.yaml").to_string_lossy().into_owned()
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(ECOMCTL);
        command.args(args).arg("--state-dir").arg(self.state()).current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    fn ecomctl(&self, args: &[&str]) -> Vec<u8> {
        let output = self.command(args).output().unwrap();
        assert!(output.status.success(), "ecomctl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    fn env(&self) -> Value {
        serde_json::from_slice(&self.ecomctl(&["env", "--format", "json"])).unwrap()
    }

    fn api(&self) -> SocketAddr {
        let env = self.env();
        env["ECOM_API_URL"].as_str().unwrap().trim_start_matches("http://").parse().unwrap()
    }

    fn mysql(&self) -> mysql_async::Opts {
        let endpoint: contract::endpoint::MysqlEndpoint = self.env()["MYSQL_URL"].as_str().unwrap().parse().unwrap();
        endpoint.opts(0, 1)
    }

    /// Closed model, 512 connections, no pause, one generator thread.
    fn load(api: SocketAddr, method: &str, path: &str, length: Duration) -> LoadSummary {
        let mut request = json!({"name": "bench", "method": method, "path": path});
        if method == "POST" {
            request["body"] = json!({"userId": "${user.id}"});
            request["outcomes"] = json!({"200": "QUEUED", "409": "DUPLICATE", "410": "SOLD_OUT"});
        }
        let scenario: Scenario = serde_json::from_value(json!({
            "executor": "constant-vus", "vus": 512, "duration": format!("{}ms", length.as_millis()),
            "user": "sequential", "requests": [request],
        }))
        .unwrap();
        let plan = LoadPlan {
            targets: vec![api],
            host: api.to_string(),
            scenarios: BTreeMap::from([("bench".to_owned(), scenario)]),
            users: USERS,
            threads: 1,
            ledger: None,
            origin: Instant::now(),
            random_seed: 1,
            goals: BTreeMap::new(),
        };
        load::run(&plan, &LoadControl::default(), &mut |_| {}).unwrap()
    }

    /// Waits for `coupons.issued`, which the consumers raise in the transaction that inserts the rows, and returns it.
    /// One connection for all looks: a new one each time would cost the server more than the batch it waits for.
    fn until_rows(&self, coupon: u64, rows: u64) -> u64 {
        let opts = self.mysql();
        self.runtime.block_on(async {
            let mut conn = Conn::new(opts).await.unwrap();
            let since = Instant::now();
            loop {
                let sql = "SELECT issued FROM coupons WHERE id = ?";
                let issued: Option<u64> = conn.exec_first(sql, (coupon,)).await.unwrap();
                if let Some(issued) = issued.filter(|issued| *issued >= rows) {
                    conn.disconnect().await.unwrap();
                    return issued;
                }
                assert!(since.elapsed() < Duration::from_secs(120), "coupon {coupon} never came to {rows} rows");
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = self.command(&["down", "-v"]).output();
    }
}

/// `ecomctl serve` as a child; dropped, it drains.
struct Serve(Child);

impl Serve {
    fn spawn(bench: &Bench, role: &str, consumers: u16) -> Self {
        let set = format!("backend.consumers={consumers}");
        let log = std::fs::File::create(bench.folder.path().join("serve.log")).unwrap();
        let mut command = bench.command(&["serve", &bench.profile(), "--role", role, "--set", &set]);
        for set in std::env::var("BENCH_SET").unwrap_or_default().split(',').filter(|set| !set.is_empty()) {
            command.args(["--set", set]);
        }
        Self(command.stdout(Stdio::null()).stderr(log).spawn().unwrap())
    }

    fn start(bench: &Bench, role: &str, consumers: u16) -> Self {
        let mut serve = Self::spawn(bench, role, consumers);
        let log = bench.folder.path().join("serve.log");
        while !ready(&log) {
            assert!(serve.0.try_wait().unwrap().is_none(), "serve ended: {}", std::fs::read_to_string(&log).unwrap());
            std::thread::sleep(Duration::from_millis(20));
        }
        serve
    }
}

fn ready(log: &Path) -> bool {
    std::fs::read_to_string(log).is_ok_and(|text| text.contains("Ctrl-C drains and stops"))
}

impl Drop for Serve {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(self.0.id() as i32);
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.0.wait();
    }
}
