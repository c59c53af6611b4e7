use std::time::Instant;

use contract::claim::{
    Claim,
    coupon::{GRANTS, PENDING, ROWS, STOCK},
};

use super::*;
use crate::{
    event::{
        Figures,
        plan::{GoalPlan, PhasePlan, ScenarioPlan},
        watch::{ComponentSample, Digest, Member, PartitionLag, PoolSample, SlowCommand, SlowQuery},
    },
    goal::State,
    metric::{HTTP_REQS, THROTTLED},
};

fn at(t_ms: u64, event: Event) -> Stamped {
    Stamped { t_ms, event }
}

fn after(events: impl IntoIterator<Item = (u64, Event)>) -> RunState {
    let mut state = RunState::default();
    for (t_ms, event) in events {
        state.apply(&at(t_ms, event));
    }
    state
}

fn started() -> Event {
    let phases = vec![
        PhasePlan { start_s: 0.0, duration_s: 10.0, target: 50.0 },
        PhasePlan { start_s: 10.0, duration_s: 30.0, target: 0.0 },
    ];
    let goal = |metric: &str, expression: &str| GoalPlan { metric: metric.into(), expression: expression.into() };
    let plan = RunPlan {
        scenarios: vec![ScenarioPlan { name: "event".into(), open: false, max_vus: 50, phases }],
        goals: vec![goal("consumer_lag", "max<100"), goal("http_req_duration", "p(95)<50")],
        ..RunPlan::default()
    };
    Event::RunStarted { schema_version: 1, profile: "quick".into(), at: "now".into(), plan: Some(Box::new(plan)) }
}

fn stage(name: &str) -> Event {
    Event::Stage { name: name.into() }
}

#[test]
fn a_source_is_away_from_its_first_failure_until_its_next_sample() {
    let gone = |why: &str| Event::Unreachable { source: "redis".into(), why: why.into() };
    let state = after([(5, Event::Redis(RedisSample::default())), (10, gone("refused")), (20, gone("no route"))]);
    assert_eq!(state.away["redis"], Away { since_ms: 10, why: "no route".into() });
    assert_eq!(state.redis.as_ref().map(|redis| redis.t_ms), Some(5), "the last sample stays, with its time");
    let state = after([(10, gone("refused")), (30, Event::Redis(RedisSample::default()))]);
    assert!(state.away.is_empty());
}

#[test]
fn an_act_and_its_result_are_one_entry() {
    let act = |what: &str, result: &str| Event::Act { what: what.into(), result: result.into() };
    let state = after([(1, act("vus 5", "")), (2, act("restart redis", "")), (3, act("vus 5", "done"))]);
    let acts: Vec<_> = state.acts.iter().map(|act| (act.t_ms, act.what.as_str(), act.result.as_str())).collect();
    assert_eq!(acts, [(1, "vus 5", "done"), (2, "restart redis", "")]);
}

#[test]
fn progress_follows_the_plan_and_stands_when_the_load_is_over() {
    let phase = |index| Event::Phase { scenario: "event".into(), index, target: 50.0 };
    let mut state = after([(0, started()), (1_000, stage("load")), (1_000, phase(0)), (6_000, stage_free())]);
    let progress = state.progress("event").unwrap();
    assert_eq!((progress.index, progress.of, progress.phase_done, progress.left_s), (0, 2, 0.5, 35.0));
    state.apply(&at(11_000, phase(1)));
    state.apply(&at(31_000, stage("drain")));
    state.apply(&at(99_000, stage("verify")));
    let progress = state.progress("event").unwrap();
    assert_eq!((progress.index, progress.done, progress.left_s), (1, 0.75, 10.0));
    assert_eq!(state.load_done(), Some(0.75));
    assert_eq!(state.progress("other"), None);
    assert_eq!(RunState::default().progress("event"), None);
}

/// An event that only lets time go on.
fn stage_free() -> Event {
    Event::Process { name: "api-1".into(), state: ProcessState::Started, detail: String::new() }
}

#[test]
fn goals_over_the_servers_are_judged_live_and_the_last_word_stays() {
    let lag = |lag| Event::Probe(ProbeSample { lag: Some(lag), ..ProbeSample::default() });
    let mut state = after([(0, started()), (1, lag(10))]);
    let states = |state: &RunState| state.goals.iter().map(|goal| goal.state).collect::<Vec<_>>();
    assert_eq!(states(&state), [State::Met, State::Unknown]);
    state.apply(&at(2, lag(500)));
    assert_eq!(states(&state), [State::Missed, State::Unknown]);
    let met = |goal: &GoalResult| GoalResult { state: State::Met, actual: Some(1.0), ..goal.clone() };
    state.apply(&at(3, Event::Goals { results: vec![met(&state.goals[1])], last: false }));
    assert_eq!(states(&state), [State::Missed, State::Met]);
    state.apply(&at(4, Event::Goals { results: vec![met(&state.goals[0])], last: true }));
    state.apply(&at(5, lag(900)));
    assert_eq!(states(&state), [State::Met, State::Met]);
}

#[test]
fn the_funnel_counts_what_is_in_flight_and_leaves_out_what_is_not_known() {
    let coupon = Figures::default().with(ROWS, 80).with(GRANTS, 100).with(PENDING, 5);
    let probe =
        ProbeSample { subjects: [(Claim::coupon(1), coupon)].into(), dead_letters: Some(1), ..ProbeSample::default() };
    let load = LoadSample { claims: [("coupon".to_owned(), 300)].into(), ..LoadSample::default() };
    let state = after([(1, Event::Load(load)), (2, Event::Probe(probe.clone()))]);
    let steps = |funnel: &Funnel| funnel.steps.iter().map(|(_, came)| *came).collect::<Vec<_>>();
    let funnel = state.funnel();
    assert_eq!(steps(&funnel), [Some(300), Some(100), Some(95), Some(80)]);
    assert_eq!((funnel.dead_letters, funnel.in_flight()), (Some(1), Some(19)));
    let mut blind = probe;
    blind.subjects.insert(Claim::coupon(2), Figures::default());
    let funnel = after([(1, Event::Probe(blind))]).funnel();
    assert_eq!((steps(&funnel), funnel.in_flight()), (vec![None; 4], None), "one coupon was not read");
    let gates = [(Claim::coupon(1), Figures::default().with(STOCK, 1).with(GRANTS, 9).with(PENDING, 2))].into();
    let funnel = after([(1, Event::Redis(RedisSample { subjects: gates, ..RedisSample::default() }))]).funnel();
    assert_eq!(steps(&funnel), [None, Some(9), Some(7), None]);
}

#[test]
fn a_hundred_thousand_samples_leave_trends_and_the_true_maximum() {
    let probe = |lag| Event::Probe(ProbeSample { lag, ..ProbeSample::default() });
    let mut state = RunState::default();
    for lag in (0..100_000_u64).rev() {
        state.apply(&at(1, probe(Some(lag))));
    }
    let lags = state.seen.trend("consumer_lag").unwrap();
    assert_eq!((state.seen.most_lag(), lags.count()), (Some(99_999), 100_000));
    let nothing = after([(1, probe(None)), (2, Event::Load(LoadSample { mean_ms: Some(1.0), ..Default::default() }))]);
    assert_eq!(*nothing.seen, Seen::default(), "a server that cannot be read leaves no figure");
}

/// Samples as a large stack gives them: 12 partitions, 20 components, 10 coupons.
fn samples(i: u64) -> Vec<Event> {
    let text = |length: usize| "SELECT ".repeat(length / 7);
    let wave = (i % 97) as f64;
    let classes = ["QUEUED", "SOLD_OUT", "DUPLICATE", "ERROR", "UNKNOWN", "OK"];
    let coupon = Figures::default().with(ROWS, i).with(GRANTS, i).with(STOCK, 1).with(PENDING, 2);
    let partition = |p: i32| PartitionLag {
        topic: "coupon-issue".into(),
        partition: p,
        lag: Some(i % 1_000),
        ..Default::default()
    };
    let component = |n: usize| ComponentSample {
        name: format!("component-{n}"),
        cpu: Some(wave),
        mem: Some(i),
        throttled: Some(1.0),
        ..Default::default()
    };
    vec![
        Event::Load(LoadSample {
            vus: 5_000,
            sent: i * 100,
            rps: 1_000.0 + wave,
            outcomes: classes.iter().map(|class| ((*class).to_owned(), i * 10)).collect(),
            p50_ms: Some(wave),
            p95_ms: Some(wave * 2.0),
            p99_ms: Some(wave * 3.0),
            ..LoadSample::default()
        }),
        Event::Probe(ProbeSample {
            subjects: (1..=10).map(|id| (Claim::coupon(id), coupon.clone())).collect(),
            lag: Some(i % 5_000),
            time_lag_ms: Some(wave),
            redis_ms: Some(0.2),
            mysql_connections: Some(40),
            ..ProbeSample::default()
        }),
        Event::Kafka(KafkaSample {
            lag: Some(i % 5_000),
            partitions: (0..12).map(partition).collect(),
            members: Some(vec![Member { client: text(30), ..Member::default() }; 6]),
            ..KafkaSample::default()
        }),
        Event::Redis(RedisSample {
            hit_rate: Some(0.9),
            evicted: i,
            slow: vec![SlowCommand { command: text(200), ..SlowCommand::default() }; 20],
            ..RedisSample::default()
        }),
        Event::Mysql(MysqlSample {
            pools: vec![PoolSample { process: "api-1".into(), ..PoolSample::default() }; 8],
            digests: Some(vec![Digest { text: text(300), ..Digest::default() }; 10]),
            slow: Some(vec![SlowQuery { sql: text(500), ..SlowQuery::default() }; 10]),
            lock_waits: Some(Vec::new()),
            ..MysqlSample::default()
        }),
        Event::Stack(StackSample { components: (0..20).map(component).collect() }),
        Event::Goals { results: Vec::new(), last: false },
        Event::Warning { message: format!("warning {i}: {}", text(100)) },
        Event::Act { what: format!("vus {i}"), result: "done".into() },
    ]
}

#[test]
fn every_event_survives_its_line() {
    let goal = GoalResult { metric: "m".into(), expression: "avg<1".into(), state: State::Missed, actual: Some(1.5) };
    let more = [
        started(),
        stage("load"),
        Event::Phase { scenario: "event".into(), index: 1, target: 2.5 },
        Event::Goals { results: vec![goal], last: true },
        Event::Redis(RedisSample {
            subjects: [(Claim::coupon(7), Figures::default())].into(),
            ..RedisSample::default()
        }),
        Event::Unreachable { source: "redis".into(), why: "gone".into() },
        Event::Alarm {
            metric: "cpu".into(),
            level: crate::event::AlarmLevel::Warning,
            value: 0.93,
            threshold: 0.8,
            component: Some("mysql".into()),
            act: Some("look".into()),
        },
        Event::Check {
            id: "CP1".into(),
            verdict: Verdict::Holds,
            severity: Severity::Violation,
            evidence: String::new(),
            rows: vec!["a".into()],
        },
        Event::Finished { verdict: Overall::Consistent, exit_code: 0 },
    ];
    for event in samples(12).into_iter().chain(more) {
        let line = serde_json::to_string(&at(3, event.clone())).unwrap();
        let read: Stamped = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert_eq!(read, at(3, event));
    }
}

#[test]
fn eight_hours_of_samples_stay_small_and_cheap_to_apply() {
    const SECONDS: u64 = 8 * 3_600;
    let mut state = after([(0, started()), (0, stage("load"))]);
    let mut published = Arc::new(state.clone());
    let mut longest = std::time::Duration::ZERO;
    let began = Instant::now();
    for i in 1..=SECONDS {
        let events: Vec<_> = samples(i).into_iter().map(|event| at(i * 1_000, event)).collect();
        let since = Instant::now();
        for event in &events {
            state.apply(event);
        }
        // As the recorder does: a snapshot is always out, so that shared parts are copied before they change.
        published = Arc::new(state.clone());
        longest = longest.max(since.elapsed());
    }
    let each = began.elapsed() / SECONDS as u32;
    // Written out as text every figure takes about as much as in memory; histograms are written with every bucket.
    let bytes = format!("{state:?}").len();
    println!("state after 8 h: {bytes} bytes; a second of events: {each:?}, longest {longest:?}");
    assert!(bytes < 10 << 20, "{bytes} bytes");
    let points = state.history.of(HTTP_REQS).len();
    assert!(points <= MOST_POINTS && points > MOST_POINTS / 3);
    assert_eq!((state.history.parts(THROTTLED).count(), state.history.parts(HTTP_REQS).count()), (20, 6));
    assert_eq!(state.seen.trend("consumer_lag").map(Trend::count), Some(SECONDS));
    let rows = state.history.figure(Claim::coupon(10), ROWS).and_then(Series::newest);
    assert_eq!(rows, Some(SECONDS as f64));
    assert_eq!((state.warnings.len(), state.acts.len()), (MOST_WARNINGS, MOST_ACTS));
    assert_eq!(*published, state);
}
