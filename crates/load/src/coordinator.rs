//! Starts the threads, reports while they run, and merges what they measured.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use record::{
    event::{CacheSample, LoadSample},
    goal::{self, Goal, State, Trend},
};

use super::{
    LoadControl, LoadError, LoadEvent, LoadPlan, LoadSummary,
    cache::{ByCache, CacheAnswer},
    clock::{Clock, Nanos},
    compile::Compiled,
    failure,
    figures::Figures,
    ledger, machine,
    measure::{Measures, add},
    schedule::{Phase, SECOND},
    shared::Shared,
    worker::Worker,
};

/// Threads publish at whole seconds; the reader comes a little later.
const AFTER: Nanos = 30_000_000;
/// Shortest time, in seconds, of which a sample tells the rate.
const SHORTEST_S: f64 = 0.25;
/// Goals that may end the load are looked at this often.
const GOALS_EVERY: u64 = 2;

/// Runs a load to its end. It blocks; `on_event` is called from this thread, once a second and at each phase.
///
/// # Errors
/// When the plan cannot run (nothing was sent then), or a thread could not go on.
pub fn run(
    plan: &LoadPlan,
    control: &LoadControl,
    on_event: &mut dyn FnMut(LoadEvent),
) -> Result<LoadSummary, LoadError> {
    let compiled = Arc::new(Compiled::new(plan)?);
    let rooms = rooms(&compiled, control)?;
    let threads = plan.threads.clamp(1, 1024);
    let clock = Clock::new(plan.origin);
    if let Some(folder) = &plan.ledger {
        ledger::begin(folder).map_err(|error| LoadError::ledger(folder, error))?;
    }
    let start = clock.now();
    control.begin(clock, start, &compiled.scenarios, &rooms);
    let shared = Shared {
        plan: compiled,
        targets: plan.targets.clone(),
        users: plan.users,
        threads: threads as u32,
        ledger: plan.ledger.clone(),
        random_seed: plan.random_seed,
        clock,
        start,
        control: control.clone(),
        rooms,
        stop: AtomicBool::new(false),
        broken: Mutex::new(None),
        publishes_all: !plan.goals.is_empty(),
        published: std::iter::repeat_with(Default::default).take(threads).collect(),
    };
    let mut reporter = Reporter::new(&shared, plan);
    let measures = run_threads(&shared, threads, &mut reporter, on_event);
    control.end();
    let measures = measures?;
    let now = clock.now().saturating_sub(shared.start);
    reporter.sample(on_event);
    let (vus, aborted_by) = (reporter.vus, reporter.aborted_by.take());
    if let Some(folder) = &plan.ledger
        && shared.is_sound()
        && let Err(error) = ledger::finish(folder)
    {
        shared.break_off(LoadError::ledger(folder, error));
    }
    let figures = Figures { plan: Arc::clone(&shared.plan), measures, now, vus };
    Ok(LoadSummary::new(figures, &plan.goals, aborted_by, shared.reason()))
}

/// Virtual users that each scenario is allotted: with room for more, where the machine has it.
fn rooms(plan: &Compiled, control: &LoadControl) -> Result<Vec<u32>, LoadError> {
    let connections = |rooms: &[u32]| rooms.iter().copied().map(u64::from).sum();
    let roomy: Vec<u32> = plan.scenarios.iter().map(|scenario| control.room(&scenario.schedule)).collect();
    if machine::allow_connections(connections(&roomy)).is_ok() {
        return Ok(roomy);
    }
    let planned: Vec<u32> = plan.scenarios.iter().map(|scenario| scenario.schedule.max_vus()).collect();
    machine::allow_connections(connections(&planned))?;
    Ok(planned)
}

/// Runs the workers and reports until the last one is over. The first error stops the others.
fn run_threads(
    shared: &Shared,
    threads: usize,
    reporter: &mut Reporter<'_>,
    on_event: &mut dyn FnMut(LoadEvent),
) -> Result<Measures, LoadError> {
    thread::scope(|scope| {
        let (alive, ended) = mpsc::channel::<()>();
        let mut handles = Vec::with_capacity(threads);
        let mut result = Ok(Measures::new(&shared.plan));
        for number in 0..threads {
            let alive = alive.clone();
            let work = move || {
                // Dropped at the end, also by a panic: the reporter waits until all are gone.
                let _alive = alive;
                let outcome = Worker::new(shared, number).and_then(Worker::run);
                if outcome.is_err() {
                    shared.stop.store(true, Ordering::Relaxed);
                }
                outcome
            };
            match thread::Builder::new().name(format!("load-{number}")).spawn_scoped(scope, work) {
                Ok(handle) => handles.push(handle),
                Err(error) => {
                    shared.stop.store(true, Ordering::Relaxed);
                    result = Err(LoadError::Thread(error));
                    break;
                }
            }
        }
        drop(alive);
        reporter.follow(&ended, on_event);
        for handle in handles {
            let outcome = handle.join().unwrap_or(Err(LoadError::Died));
            result = match (result, outcome) {
                (Ok(mut all), Ok(own)) => {
                    all.merge(&own);
                    Ok(all)
                }
                (Err(first), _) => Err(first),
                (Ok(_), Err(error)) => Err(error),
            };
        }
        result
    })
}

/// Tells what happens while the threads work.
struct Reporter<'a> {
    shared: &'a Shared,
    /// Phases that have not begun: start, scenario, number, target; the next one last.
    phases: Vec<(Nanos, usize, usize, f64)>,
    /// The second of the next sample.
    second: u64,
    sampled_at: Nanos,
    sampled_sent: u64,
    rps: f64,
    vus: Option<(f64, f64, f64)>,
    goals: &'a BTreeMap<String, Vec<Goal>>,
    aborted_by: Option<String>,
}

impl<'a> Reporter<'a> {
    fn new(shared: &'a Shared, plan: &'a LoadPlan) -> Self {
        let mut phases = Vec::new();
        for (scenario, compiled) in shared.plan.scenarios.iter().enumerate() {
            for (index, Phase { start, target, .. }) in compiled.schedule.phases().into_iter().enumerate() {
                phases.push((start, scenario, index, target));
            }
        }
        phases.sort_by_key(|(start, scenario, index, _)| std::cmp::Reverse((*start, *scenario, *index)));
        Self {
            shared,
            phases,
            second: 1,
            sampled_at: shared.start,
            sampled_sent: 0,
            rps: 0.0,
            vus: None,
            goals: &plan.goals,
            aborted_by: None,
        }
    }

    /// Reports until all threads are gone.
    fn follow(&mut self, ended: &Receiver<()>, on_event: &mut dyn FnMut(LoadEvent)) {
        loop {
            let at = self.shared.clock.now().saturating_sub(self.shared.start);
            self.enter_phases(at, on_event);
            let next_sample = self.second * SECOND + AFTER;
            if at >= next_sample {
                self.sample(on_event);
                self.look_at_goals(at, on_event);
                self.second = at / SECOND + 1;
                continue;
            }
            let next_phase = self.phases.last().map_or(Nanos::MAX, |(start, ..)| *start);
            let wait = Duration::from_nanos(next_sample.min(next_phase).saturating_sub(at));
            if let Err(RecvTimeoutError::Disconnected) = ended.recv_timeout(wait) {
                return;
            }
        }
    }

    fn enter_phases(&mut self, at: Nanos, on_event: &mut dyn FnMut(LoadEvent)) {
        while let Some((start, scenario, index, target)) = self.phases.last().copied() {
            if start > at || self.shared.stopping() {
                return;
            }
            self.phases.pop();
            let scenario = self.shared.plan.scenarios[scenario].name.clone();
            on_event(LoadEvent::Phase { scenario, index, target });
        }
    }

    /// Reads what the threads published.
    fn sample(&mut self, on_event: &mut dyn FnMut(LoadEvent)) {
        let plan = &self.shared.plan;
        let mut sample = LoadSample::default();
        let mut outcomes = vec![0; plan.classes.len()];
        let mut failures = failure::Counts::default();
        let mut latencies = Trend::default();
        let (mut cached, mut cached_latencies) = (ByCache::default(), ByCache::default());
        for thread in 0..self.shared.published.len() {
            let Some(mut slot) = self.shared.published(thread) else { continue };
            sample.vus += slot.vus;
            sample.sent += slot.sent;
            for (claim, sent) in &slot.claims {
                *sample.claims.entry(claim.kind.name().to_owned()).or_default() += sent;
            }
            sample.dropped += slot.dropped;
            add(&mut outcomes, &slot.outcomes);
            add(&mut failures, &slot.failures);
            latencies.merge(&slot.latencies);
            slot.latencies.clear();
            cached.add(slot.cached);
            cached_latencies.merge(&slot.cached_latencies);
            slot.cached_latencies.clear();
        }
        let now = self.shared.clock.now();
        let seconds = now.saturating_sub(self.sampled_at) as f64 / SECOND as f64;
        // The last sample may come right behind another one; a rate over so short a time says nothing.
        if seconds >= SHORTEST_S {
            self.rps = (sample.sent - self.sampled_sent) as f64 / seconds;
            (self.sampled_at, self.sampled_sent) = (now, sample.sent);
        }
        sample.rps = self.rps;
        sample.outcomes = plan.by_name(&outcomes);
        sample.failures = failure::by_name(&failures);
        sample.mean_ms = latencies.mean();
        sample.p50_ms = latencies.percentile(50.0);
        sample.p95_ms = latencies.percentile(95.0);
        sample.p99_ms = latencies.percentile(99.0);
        sample.cache = cache_samples(&cached, &cached_latencies);
        let vus = f64::from(sample.vus);
        let (_, min, max) = self.vus.unwrap_or((vus, vus, vus));
        self.vus = Some((vus, min.min(vus), max.max(vus)));
        on_event(LoadEvent::Sample(sample));
    }

    /// Tells how the goals stand, and ends the load when one with `abortOnFail` is missed. Without samples a goal is not
    /// missed yet.
    fn look_at_goals(&mut self, at: Nanos, on_event: &mut dyn FnMut(LoadEvent)) {
        if self.goals.is_empty() || !(at / SECOND).is_multiple_of(GOALS_EVERY) {
            return;
        }
        let mut measures = Measures::new(&self.shared.plan);
        for thread in 0..self.shared.published.len() {
            if let Some(all) = self.shared.published(thread).as_ref().and_then(|slot| slot.all.as_ref()) {
                measures.merge(all);
            }
        }
        let plan = Arc::clone(&self.shared.plan);
        let figures = Figures { plan, measures, now: at, vus: self.vus };
        let (mut results, mut missed) = (Vec::new(), None);
        for (metric, goal) in self.goals.iter().flat_map(|(metric, goals)| goals.iter().map(move |goal| (metric, goal)))
        {
            let result = goal::evaluate_one(metric, goal.expression(), |selector| figures.metric(selector));
            if result.state == State::Missed && goal.aborts_at(Duration::from_nanos(at)) {
                missed.get_or_insert_with(|| format!("{metric}: {}", goal.expression()));
            }
            if result.state != State::Unknown {
                results.push(result);
            }
        }
        if !results.is_empty() {
            on_event(LoadEvent::Goals(results));
        }
        if let Some(goal) = missed.filter(|_| self.aborted_by.is_none()) {
            self.shared.stop.store(true, Ordering::Relaxed);
            self.aborted_by = Some(goal.clone());
            on_event(LoadEvent::Aborted { goal });
        }
    }
}

/// Both, as soon as one answer said whether it came from a cache.
fn cache_samples(answers: &ByCache<u64>, latencies: &ByCache<Trend>) -> BTreeMap<String, CacheSample> {
    if answers.all() == 0 {
        return BTreeMap::new();
    }
    let sample = |of| CacheSample { answers: *answers.of(of), p95_ms: latencies.of(of).percentile(95.0) };
    CacheAnswer::ALL.into_iter().map(|of| (of.name().to_owned(), sample(of))).collect()
}
