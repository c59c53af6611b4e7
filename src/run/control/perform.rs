//! Does the acts that are asked for, one task for both ways in, and writes each of them into the run's events.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use contract::process::is_backend;
use infra::{
    self,
    choice::Server,
    docker::{self, Engine},
    env::Env,
    process::{self, GRACE},
    stack::Stack,
    state::StateDir,
};
use load::LoadControl;
use nix::sys::signal::Signal;
use record::{
    act::{Act, ActResult},
    event::{Event, plan::Proven},
    state::RunState,
};
use tokio::sync::{mpsc, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use verify::{self, Verdict};

use super::Asked;
use crate::run::{
    backend::{Backend, Running},
    measure,
    recorder::Emitter,
    walk::Marks,
};

/// What the stages have at work at the moment, for the acts and the watchers.
#[derive(Debug, Clone, Default)]
pub(in crate::run) struct Live {
    load: Arc<Mutex<Option<LoadControl>>>,
    /// The backend, where this run launched it. Held while a process is added or taken away.
    pub backend: Arc<tokio::sync::Mutex<Option<Backend>>>,
    servers: Arc<Mutex<Option<Stack>>>,
    /// The backend's processes when they could be asked last.
    running: Arc<Mutex<Vec<Running>>>,
    /// Container of a server → how it ended, while it is stopped.
    ended: Arc<Mutex<BTreeMap<String, String>>>,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Live {
    /// The servers are up.
    pub fn set_servers(&self, stack: &Stack) {
        *locked(&self.servers) = Some(stack.clone());
    }

    /// The container of the server `name` has ended, and how; or it runs again.
    #[allow(dead_code, reason = "for whoever watches the containers of the servers")]
    pub fn set_ended(&self, name: &str, how: Option<String>) {
        let mut ended = locked(&self.ended);
        match how {
            Some(how) => drop(ended.insert(name.to_owned(), how)),
            None => drop(ended.remove(name)),
        }
    }

    /// How a system's servers (`mysql`, `redis`, `kafka`) ended, where all of them are known to have. The processes are
    /// those of `stack.json`: another shell may have restarted one meanwhile.
    pub fn gone(&self, state: &StateDir, system: &str) -> Option<String> {
        let server = Server::ALL.into_iter().find(|server| server.name() == system)?;
        let stack = state.load_stack().ok().flatten()?;
        let ended = locked(&self.ended);
        let mut how = Vec::new();
        for (name, component) in stack.components.iter().filter(|(name, _)| server.has(name)) {
            match (component.process, &component.container) {
                (_, Some(_)) => how.push(ended.get(name)?.clone()),
                (Some(process), None) if !process::is_alive(process) => {
                    how.push(format!("{name} (pid {}) has ended", process.pid));
                }
                _ => return None,
            }
        }
        (!how.is_empty()).then(|| how.join(", "))
    }

    /// A load runs, or none does.
    pub fn set_load(&self, control: Option<LoadControl>) {
        *locked(&self.load) = control;
    }

    /// The stack with the backend's processes as they are now.
    pub fn stack(&self) -> Option<Stack> {
        let mut stack = locked(&self.servers).clone()?;
        let mut running = locked(&self.running);
        // While a process is being added the last answer has to do.
        if let Ok(backend) = self.backend.try_lock() {
            *running = backend.as_ref().map(Backend::running).unwrap_or_default();
        }
        for one in running.iter() {
            stack.components.insert(one.name.clone(), one.component());
        }
        Some(stack)
    }
}

/// Does acts.
#[derive(Clone)]
pub(in crate::run) struct Performer {
    /// What is at work.
    pub live: Live,
    /// Where acts and results are written.
    pub emitter: Emitter,
    /// The state folder.
    pub state: StateDir,
    /// What tells the run's evidence from another's.
    pub marks: Arc<Marks>,
    /// What is proven.
    pub proven: Proven,
    /// The newest state.
    pub snapshots: watch::Receiver<Arc<RunState>>,
    /// Ends what is under way.
    pub cancel: CancellationToken,
}

impl Performer {
    /// Does what is asked until nobody can ask any more, or `cancel`; then waits for what is under way.
    pub async fn run(self, mut asked: mpsc::Receiver<Asked>) {
        let slow = TaskTracker::new();
        loop {
            let one = tokio::select! {
                one = asked.recv() => one,
                () = self.cancel.cancelled() => None,
            };
            let Some(Asked { act, answer }) = one else { break };
            // A restart must not keep somebody from stopping the load.
            let performer = self.clone();
            slow.spawn(async move {
                let result = performer.perform(&act).await;
                let _ = answer.send(result);
            });
        }
        slow.close();
        slow.wait().await;
    }

    async fn perform(&self, act: &Act) -> ActResult {
        if matches!(act, Act::AddConsumer | Act::RemoveConsumer | Act::Restart(_)) {
            self.tell(act, String::new()).await;
        }
        let result = tokio::select! {
            result = self.do_it(act) => result,
            () = self.cancel.cancelled() => ActResult::refused("the run is ending"),
        };
        let word = if result.done { "" } else { "not done: " };
        self.tell(act, format!("{word}{}", result.text)).await;
        result
    }

    async fn tell(&self, act: &Act, result: String) {
        self.emitter.emit(Event::Act { what: act.to_string(), result }).await;
    }

    async fn do_it(&self, act: &Act) -> ActResult {
        match act {
            Act::StopLoad => self.load("the load ends; requests under way are finished", |load| {
                load.stop();
                Ok(())
            }),
            Act::SetVus(vus) => self.load(&format!("{vus} virtual users from now on"), |load| load.set_vus(*vus)),
            Act::SetRate(rate) => {
                self.load(&format!("{rate} iterations per second from now on"), |load| load.set_rate(*rate))
            }
            Act::FollowPlan => self.load("the plan holds again", LoadControl::follow_plan),
            Act::AddConsumer => self.add_consumer().await,
            Act::RemoveConsumer => self.remove_consumer().await,
            Act::Verify => self.verify().await,
            Act::Restart(component) => self.restart(component).await,
            Act::Export(path) => ActResult::done(format!("the screen stands in {path}")),
        }
    }

    fn load(&self, done: &str, change: impl FnOnce(&LoadControl) -> Result<(), load::ControlError>) -> ActResult {
        let control = locked(&self.live.load).clone();
        match control.filter(|control| !control.is_stopped()) {
            Some(control) => change(&control).map_or_else(ActResult::refused, |()| ActResult::done(done)),
            None => ActResult::refused(load::ControlError::NotRunning),
        }
    }

    async fn add_consumer(&self) -> ActResult {
        let mut backend = self.live.backend.lock().await;
        let Some(backend) = backend.as_mut() else { return ActResult::refused(NOT_OURS) };
        let name = match backend.add_consumer(&self.emitter).await {
            Ok(name) => name,
            Err(error) => return ActResult::refused(error),
        };
        let consumers = backend.consumers();
        let partitions = self.snapshots.borrow().probe.as_ref().map_or(0, |probe| probe.partitions.len());
        let idle = if partitions > 0 && consumers > partitions {
            format!("; there are {partitions} partitions, so {} have nothing to do", consumers - partitions)
        } else {
            String::new()
        };
        ActResult::done(format!("{name} is ready, {consumers} consumers{idle}"))
    }

    async fn remove_consumer(&self) -> ActResult {
        let mut backend = self.live.backend.lock().await;
        let Some(backend) = backend.as_mut() else { return ActResult::refused(NOT_OURS) };
        match backend.remove_consumer().await {
            Ok(name) => ActResult::done(format!("{name} drained and ended, {} consumers", backend.consumers())),
            Err(why) => ActResult::refused(why),
        }
    }

    /// Counts only: the sets stand still after the drain, and are compared then.
    async fn verify(&self) -> ActResult {
        let snapshot = self.snapshots.borrow().clone();
        let Some(sample) = &snapshot.probe else { return ActResult::refused("nothing was counted yet") };
        let facts = measure::live_facts(&self.proven, &self.marks);
        let mut found = verify::live(sample, &facts);
        // Those that are data are looked at all the while, and the first time that one is false is kept.
        found.extend(self.marks.under_load().into_values());
        for check in &found {
            self.emitter.emit(check.event()).await;
        }
        let unread: Vec<_> = sample.errors.keys().cloned().collect();
        let unread = if unread.is_empty() { String::new() } else { format!("; not read: {}", unread.join(", ")) };
        let violated = found.iter().filter(|check| check.verdict == Verdict::Violated);
        let violated: Vec<_> = violated.map(|check| format!("{} {}", check.id, check.evidence)).collect();
        if violated.is_empty() {
            let counted = verify::counted(&facts);
            let counted = match counted.split_last() {
                Some((last, [])) => format!("no count contradicts {last}"),
                Some((last, others)) => format!("no count contradicts {} or {last}", others.join(", ")),
                None => "nothing that is proven is counted while the load runs".into(),
            };
            return ActResult::done(format!("{counted}{unread}; the sets are compared after the drain"));
        }
        ActResult::done(format!("violated: {}{unread}", violated.join("; ")))
    }

    async fn restart(&self, component: &str) -> ActResult {
        if is_backend(component) {
            return self.restart_process(component).await;
        }
        let silent = |_: infra::UpEvent| {};
        match infra::restart(&self.state, &[component.to_owned()], Env::from_process(), &silent, self.cancel.clone())
            .await
        {
            Ok(report) => {
                // Pids and container ids are others now.
                self.live.set_servers(&report.stack);
                ActResult::done(format!("{component} was restarted and answers"))
            }
            Err(error) => ActResult::refused(error),
        }
    }

    /// Asked to end, a process drains; the one that watches it starts it again.
    async fn restart_process(&self, name: &str) -> ActResult {
        let done = || ActResult::done(format!("{name} drains and is started again"));
        let Some(component) = self.live.stack().and_then(|stack| stack.components.get(name).cloned()) else {
            return ActResult::refused(format!("{name} is no process of this run"));
        };
        if let Some(container) = component.container {
            let engine = match Engine::connect().await {
                Ok(engine) => engine,
                Err(error) => return ActResult::refused(error),
            };
            return match docker::stop(&engine, name, &container.id, GRACE).await {
                Ok(()) => done(),
                Err(error) => ActResult::refused(error),
            };
        }
        match component.process.filter(|process| process::is_alive(*process)) {
            Some(process) => {
                process::signal_group(process, Signal::SIGTERM);
                done()
            }
            None => ActResult::refused(format!("no process {name} of this run is alive")),
        }
    }
}

const NOT_OURS: &str = "this run did not launch the backend: it was up before, or belongs to somebody else";
