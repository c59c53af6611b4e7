//! A busy moment, made up: what snapshots, the bench and the README's pictures are drawn from.

use std::{collections::BTreeMap, sync::Arc};

use contract::{
    claim::{
        Claim,
        coupon::{GRANTS, PENDING, ROWS, STOCK},
    },
    figures,
    system::System,
};
use record::{
    event::{
        CacheSample, Figures, LoadSample,
        names::{self, ComponentState, Provider, Stage},
        plan::AlarmPlan,
        watch::{
            Broker, ComponentSample, DeadLetter, Digest, KafkaSample, LagStatus, LockWait, Member, MysqlSample,
            PartitionLag, PoolSample, RedisSample, SlowCommand, SlowQuery, StackSample,
        },
    },
    goal::{GoalResult, State},
    state::{AlarmNow, Away, Funnel},
};

use super::{
    board,
    logs::Logs,
    model::{Alarm, AlarmState, Board, Check, LogLine, Phase, Series, Source, Subject, Tone, Verdict, Word},
};

/// A coupon event at its height: Kafka falls behind, MySQL is locked, everything can be read.
pub fn busy() -> Board {
    Board {
        at_ms: 47_200,
        profile: "coupon-event".into(),
        stage: Some(Stage::Load),
        phases: vec![
            Phase { scenario: "rush".into(), number: 4, of: Some(7), target: 5_000.0, progress: Some(0.57) },
            Phase { scenario: "twice".into(), number: 1, of: Some(1), target: 50.0, progress: Some(0.31) },
        ],
        progress: Some(0.31),
        load: Some(load()),
        series: series(),
        goals: vec![
            goal("http_req_duration{name:issue}", "p(95)<100", Some(87.63), State::Met),
            goal("http_req_failed", "rate<0.05", Some(0.0), State::Met),
            goal("consumer_lag", "max<1000", Some(2_348.0), State::Missed),
            goal("http_reqs", "count>=50000", None, State::Unknown),
        ],
        alarms: alarms(),
        funnel: Funnel {
            steps: figures::funnel(System::default().kind())
                .iter()
                .zip([Some(15_234), Some(1_000), Some(997), Some(812)])
                .map(|(step, came)| (step.label, came))
                .collect(),
            dead_letters: Some(2),
        },
        kind: System::default().kind(),
        subjects: subjects(),
        verdict: Verdict { tone: Tone::Warn, text: "checks not run yet, 1 goal missed".into(), exit_code: None },
        attention: alarms()[..2].iter().map(board::raised).collect(),
        kafka: Source { newest: Some(Arc::new(kafka())), away: None },
        redis: Source { newest: Some(Arc::new(redis())), away: None },
        mysql: Source { newest: Some(Arc::new(mysql())), away: None },
        stack: Source { newest: Some(Arc::new(stack())), away: None },
        checks: Vec::new(),
        happenings: vec![
            Word { at_ms: Some(3_000), tone: Tone::Plain, text: "stage seed".into() },
            Word { at_ms: Some(5_000), tone: Tone::Plain, text: "stage load".into() },
            Word { at_ms: Some(31_000), tone: Tone::Warn, text: "consumer-2 restarted: exit status 137".into() },
            Word { at_ms: Some(40_000), tone: Tone::Plain, text: "add consumer: consumer-4 is ready".into() },
        ],
    }
}

/// The same with Redis away, and after the checks: one of them is violated.
pub fn trouble() -> Board {
    let why = "connection refused (127.0.0.1:6379)";
    let check = |id: &str, verdict: names::Verdict, evidence: &str, rows: &[&str]| Check {
        id: id.into(),
        verdict,
        severity: names::Severity::Violation,
        evidence: evidence.into(),
        rows: rows.iter().map(|row| (*row).to_owned()).collect(),
    };
    let mut board = busy();
    board.at_ms = 160_000;
    board.stage = Some(Stage::Verify);
    board.redis.away = Some(Away { since_ms: 72_000, why: why.into() });
    board.checks = vec![
        check(
            "CP5",
            names::Verdict::Violated,
            "coupon 1: 2 users without a row",
            &["user 4711, grant 831", "user 4712, grant 832"],
        ),
        check("CP2", names::Verdict::Unknown, "Redis cannot be read", &[]),
        check("CP1", names::Verdict::Holds, "coupon 1: 998 rows of 1,000", &[]),
        check("SY1", names::Verdict::Holds, "15,234 requests, 15,234 outcomes", &[]),
    ];
    board.verdict = Verdict { tone: Tone::Bad, text: "1 check VIOLATED, 1 goal missed".into(), exit_code: None };
    let bad = |at_ms, text: String| Word { at_ms: Some(at_ms), tone: Tone::Bad, text };
    let broken = [
        bad(72_000, format!("redis away since 01:12: {why}")),
        bad(159_000, "CP5 violated: coupon 1: 2 users without a row".into()),
    ];
    board.attention = broken.into_iter().chain(board.attention).collect();
    board
}

fn load() -> LoadSample {
    let outcome = |class: &str, n| (class.to_owned(), n);
    let cache = |name: &str, answers, p95_ms| (name.to_owned(), CacheSample { answers, p95_ms: Some(p95_ms) });
    LoadSample {
        vus: 2_850,
        rps: 2_310.4,
        sent: 41_207,
        p50_ms: Some(12.4),
        p95_ms: Some(87.63),
        p99_ms: Some(123.0),
        outcomes: BTreeMap::from([
            outcome("DUPLICATE", 948),
            outcome("ERROR", 16),
            outcome("OK", 25_957),
            outcome("QUEUED", 1_000),
            outcome("SOLD_OUT", 13_286),
        ]),
        cache: BTreeMap::from([cache("hit", 22_104, 9.2), cache("miss", 3_853, 61.0)]),
        ..LoadSample::default()
    }
}

/// Something that swings, without chance in it.
fn wave(n: usize, base: f64, swing: f64) -> Vec<Option<f64>> {
    (0..n)
        .map(|i| Some((base + swing * ((i as f64) / 7.0).sin() + swing * ((i as f64) / 3.1).cos() / 3.0).max(0.0)))
        .collect()
}

fn series() -> Series {
    let mut p99 = wave(47, 90.0, 40.0);
    p99[20] = None;
    let mut lag = wave(46, 1_200.0, 1_100.0);
    lag.push(Some(2_348.0));
    Series {
        rps: (0..47).map(|i| Some(f64::from(i) * 50.0)).collect(),
        p50: wave(47, 10.0, 4.0),
        p95: wave(47, 60.0, 25.0),
        p99,
        lag,
        redis_ops: wave(47, 5_000.0, 2_000.0),
        redis_memory: wave(47, 1e8, 2e7),
        connections: wave(47, 40.0, 12.0),
        queries: wave(47, 900.0, 300.0),
    }
}

fn goal(metric: &str, expression: &str, actual: Option<f64>, state: State) -> GoalResult {
    GoalResult { metric: metric.into(), expression: expression.into(), actual, state }
}

/// One in each state.
fn alarms() -> Vec<Alarm> {
    let alarm = |metric: &str, (warning, critical), state, value, component: &str| {
        let mut now = AlarmNow::default();
        now.plan = AlarmPlan { metric: metric.into(), warning, critical, for_s: 10.0, act: None };
        now.component = (!component.is_empty()).then(|| component.to_owned());
        (now.value, now.highest) = (value, value);
        Alarm { now, state }
    };
    let lag = (Some(100.0), Some(1_000.0));
    let mut all = vec![
        alarm("consumer_lag", lag, AlarmState::Critical, Some(2_348.0), ""),
        alarm("cpu", (Some(0.8), None), AlarmState::Warning, Some(1.18), "api-1"),
        alarm("memory", (None, Some(0.9)), AlarmState::Pending, Some(0.947), "kafka-1"),
        alarm("mysql_connections_used", (Some(0.8), None), AlarmState::Ok, Some(0.74), ""),
        alarm("http_req_failed", (Some(0.1), None), AlarmState::Unknown, None, ""),
    ];
    all[0].now.plan.act = Some("add consumers".into());
    (all[0].now.since_ms, all[1].now.since_ms) = (Some(31_000), Some(40_000));
    all
}

fn subjects() -> Vec<Subject> {
    let subject = |id, name: &str, total, figures| Subject {
        claim: Claim::coupon(id),
        name: name.into(),
        total: Some(total),
        figures,
    };
    let counted =
        |stock, grants, pending| Figures::default().with(STOCK, stock).with(GRANTS, grants).with(PENDING, pending);
    vec![
        subject(1, "선착순 5,000원 할인 쿠폰", 1_000, counted(0, 1_000, 3).with(ROWS, 812)),
        subject(2, "신규 가입 10,000원", 500, counted(500, 0, 0)),
    ]
}

fn kafka() -> KafkaSample {
    let partition = |n: i32, status, lag: Option<u64>, slope: f64, hot| PartitionLag {
        topic: "coupon-issue".into(),
        partition: n,
        start: 0,
        end: 4_000 + i64::from(n),
        committed: lag.map(|lag| 4_000 + i64::from(n) - lag as i64),
        lag,
        status,
        slope: Some(slope),
        drain_s: (slope < 0.0).then_some(95.0),
        time_lag_ms: lag.map(|lag| lag as f64 * 1.7),
        produced_per_s: Some(310.0),
        consumed_per_s: Some(310.0 - slope),
        hot,
        leader: Some(1),
        member: Some(format!("consumer-{}", n % 3 + 1)),
    };
    let member = |n: i32, partitions: &[i32]| Member {
        client: format!("consumer-{n}"),
        id: format!("consumer-{n}-0193"),
        host: "/127.0.0.1".into(),
        partitions: BTreeMap::from([("coupon-issue".into(), partitions.to_vec())]),
    };
    let dead = |offset, reason: &str, key: &str| DeadLetter {
        partition: 0,
        offset,
        at: "2026-11-21T09:12:33.123Z".into(),
        reason: reason.into(),
        key: key.into(),
        value: format!("{{\"eventId\":\"0193-{offset}\",\"couponId\":1,\"userId\":\"{key}\",\"name\":\"선착순\"}}"),
    };
    KafkaSample {
        group: "coupon-issue-group".into(),
        state: "Stable".into(),
        status: LagStatus::Warn,
        lag: Some(2_348),
        slope: Some(41.2),
        drain_s: Some(95.0),
        time_lag_ms: Some(2_890.0),
        produced_per_s: Some(930.0),
        consumed_per_s: Some(889.0),
        unread: BTreeMap::new(),
        partitions: vec![
            partition(0, LagStatus::Warn, Some(1_700), 52.0, true),
            partition(1, LagStatus::CatchingUp, Some(640), -12.5, false),
            partition(2, LagStatus::Ok, Some(8), 0.0, false),
            partition(3, LagStatus::NoCommit, None, 0.0, false),
        ],
        members: Some(vec![member(1, &[0, 3]), member(2, &[1]), member(3, &[2]), member(4, &[])]),
        rebalances: 1,
        brokers: (1..=3).map(|id| Broker { id, address: format!("127.0.0.1:{}", 9_091 + id) }).collect(),
        dead_letters: Some(2),
        dead_reasons: BTreeMap::from([("not JSON".into(), 1), ("unknown coupon 99".into(), 1)]),
        newest_dead: vec![dead(1, "unknown coupon 99", "4711"), dead(0, "not JSON", "4712")],
    }
}

fn redis() -> RedisSample {
    let slow = |id, micros, command: &str| SlowCommand { id, at: 1_795_252_353, micros, command: command.into() };
    RedisSample {
        latency_ms: Some(0.42),
        hit_rate: Some(0.962),
        used_memory: 241 << 20,
        max_memory: 256 << 20,
        policy: "allkeys-lru".into(),
        evicted: 1_204,
        expired: 88,
        ops_per_s: 6_120.0,
        clients: 46,
        slow: vec![
            slow(18, 54_120, "ZUNIONSTORE ranking:3d 3 ranking:20261119 ranking:20261120 ranking:20261121"),
            slow(17, 11_002, "EVALSHA 5b1f… 4 coupon:1:stock coupon:1:users"),
        ],
        ..RedisSample::default()
    }
}

fn mysql() -> MysqlSample {
    let pool =
        |process: &str, in_use, idle, waiting| PoolSample { process: process.into(), in_use, idle, waiting, max: 20 };
    let digest = |text: &str, count, total_ms, rows_examined, rows_sent| Digest {
        text: text.into(),
        count,
        total_ms,
        rows_examined,
        rows_sent,
    };
    MysqlSample {
        latency_ms: Some(0.9),
        connections: 74,
        max_connections: 100,
        running: 9,
        queries_per_s: Some(1_240.0),
        pools: vec![pool("api-1", 20, 0, 7), pool("consumer-1", 4, 6, 0), pool("consumer-2", 3, 7, 0)],
        lock_waits: Some(vec![
            LockWait {
                waiting: 118,
                waiting_sql: "UPDATE coupons SET issued = issued + 10 WHERE id = 1 AND issued + 10 <= quantity".into(),
                waited_s: 2.4,
                blocking: 97,
                blocking_sql: String::new(),
                blocking_age_s: 12.1,
                table: "`ecom_db`.`coupons`".into(),
            },
            LockWait {
                waiting: 119,
                waiting_sql: "UPDATE coupons SET issued = issued + 10 WHERE id = 1".into(),
                waited_s: 0.3,
                blocking: 118,
                blocking_sql: "UPDATE coupons SET issued = issued + 10 WHERE id = 1 AND issued + 10 <= quantity".into(),
                blocking_age_s: 2.6,
                table: "`ecom_db`.`coupons`".into(),
            },
        ]),
        row_lock_waits: 312,
        row_lock_time_ms: 48_200,
        deadlocks: Some(1),
        digests: Some(vec![
            digest("INSERT INTO `coupon_users` ( `coupon_id` , `user_id` ) VALUES (...)", 1_204, 5_220.0, 0, 0),
            digest("SELECT * FROM `products` WHERE `name` LIKE ?", 88, 4_100.0, 88_000, 40),
        ]),
        slow: Some(vec![SlowQuery {
            at: "2026-11-21T09:12:30.001Z".into(),
            query_ms: 812.0,
            lock_ms: 640.0,
            rows_examined: 1_000_000,
            sql: "SELECT product_id, SUM(quantity) FROM order_items GROUP BY product_id /* 인기 상품 */".into(),
        }]),
        buffer_pool: 512 << 20,
        buffer_pool_used: Some(0.81),
        buffer_pool_hits: Some(0.998),
        ..MysqlSample::default()
    }
}

fn stack() -> StackSample {
    let component = |name: &str, cpu: f64, mem: u64| ComponentSample {
        name: name.into(),
        provider: Provider::Docker,
        state: ComponentState::Running,
        health: "healthy".into(),
        cpu: Some(cpu),
        cpu_limit_percent: Some(100.0),
        throttled: Some(0.0),
        mem: Some(mem << 20),
        mem_limit: Some(1 << 30),
        network: Some((48 << 20, 92 << 20)),
        disk: Some((1 << 20, 210 << 20)),
        open_files: Some(212),
        ports: vec!["127.0.0.1:3306->3306/tcp".into()],
        ..ComponentSample::default()
    };
    let mut components = vec![
        component("mysql", 97.2, 890),
        component("redis", 22.0, 248),
        component("kafka-1", 61.5, 970),
        component("api-1", 118.0, 88),
        component("consumer-1", 12.0, 34),
        component("consumer-2", 0.0, 0),
    ];
    components[0].throttled = Some(11.4);
    components[1].mem_limit = Some(512 << 20);
    let gone = &mut components[5];
    (gone.state, gone.health, gone.restarts) = (ComponentState::Restarting, String::new(), 2);
    (gone.exit_code, gone.oom_killed, gone.cpu, gone.mem) = (Some(137), true, None, None);
    StackSample { components }
}

/// Lines of three components.
pub fn logs() -> Logs {
    let mut logs = Logs::default();
    let lines = [
        ("mysql", "2026-11-21 18:12:30 97 [Warning] Aborted connection 97 to db: 'ecom_db' user: 'ecomctl'"),
        ("api-1", "2026-11-21T09:12:30.104Z  INFO ecomctl_backend::api: GET /api/products?query=텀블러 200 in 3 ms"),
        ("kafka-1", "[2026-11-21 09:12:31,004] INFO [GroupCoordinator 1]: Stabilized group coupon-issue-group"),
        (
            "consumer-2",
            "2026-11-21T09:12:32.104Z ERROR ecomctl_backend::consumer: batch of 10 failed: lock wait timeout exceeded; it is read again",
        ),
        ("redis", "\u{1b}[33m1:M 21 Nov 2026 09:12:33.001 * Background saving started by pid 77\u{1b}[0m"),
    ];
    for (i, (component, text)) in lines.iter().cycle().take(40).enumerate() {
        let at = format!("2026-11-21T09:12:{:02}.{:03}Z", i / 2, i % 2 * 500 + i * 7);
        logs.push(LogLine::new(at, (*component).into(), (*text).into()));
    }
    logs
}
