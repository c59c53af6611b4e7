//! Watches the servers' processes and containers while a run goes on: one that ends is told with how and when, and one that runs
//! again too.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use contract::process::is_backend;
use infra::{
    docker::{self, Container, ContainerState, Engine},
    process,
    stack::Component,
    state::StateDir,
};
use record::event::{Event, names::ProcessState};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{control::Live, recorder::Emitter};

/// Time from look to look.
const EVERY: Duration = Duration::from_millis(500);
/// An Engine that does not answer is asked again this often.
const AGAIN: Duration = Duration::from_secs(5);

/// The watching task. Dropping it ends it.
#[derive(Debug)]
pub struct ServerWatch {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Drop for ServerWatch {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl ServerWatch {
    /// Watches the servers of `state`.
    pub fn start(state: StateDir, emitter: Emitter, live: Live) -> Self {
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let mut watch = Watch { state, emitter, live, engine: None, known: BTreeMap::new() };
            let looking = async {
                loop {
                    watch.look().await;
                    tokio::time::sleep(EVERY).await;
                }
            };
            tokio::select! {
                () = looking => {}
                () = stopped.cancelled() => {}
            }
        });
        Self { stop, task }
    }

    /// Ends the watching, before the servers are stopped on purpose.
    pub async fn stop(mut self) {
        self.stop.cancel();
        // It ends early by a panic of its own only, and then there is nothing left to wait for.
        let _ = (&mut self.task).await;
    }
}

/// What a server is at a look.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Life {
    /// It runs: which life of it, and how it is called.
    Runs { life: String, name: String },
    /// It does not: which life that was, and how it ended.
    Ended { life: String, how: String },
}

struct Watch {
    state: StateDir,
    emitter: Emitter,
    live: Live,
    engine: Option<Result<Engine, Instant>>,
    known: BTreeMap<String, Life>,
}

impl Watch {
    async fn look(&mut self) {
        // Between two writes, or while another shell takes it down, there is nothing to be said.
        let Ok(Some(stack)) = self.state.load_stack() else { return };
        let servers: Vec<_> = stack.components.iter().filter(|(name, _)| !is_backend(name)).collect();
        let project = stack.docker.as_ref().map(|docker| docker.project.clone());
        let in_docker = servers.iter().any(|(_, component)| component.container.is_some());
        let containers = match project.filter(|_| in_docker) {
            Some(project) => self.containers(&project).await,
            None => None,
        };
        for (name, component) in servers {
            let before = self.known.get(name);
            let life = match (component.process, containers.as_ref()) {
                (Some(_), _) => process_life(component),
                (None, Some((engine, all))) => container_life(engine, all, component, before).await,
                (None, None) => None,
            };
            if let Some(life) = life {
                self.see(name, life).await;
            }
        }
    }

    /// The project's containers; none where the Engine does not say.
    async fn containers(&mut self, project: &str) -> Option<(Engine, Vec<Container>)> {
        match &self.engine {
            Some(Ok(_)) => {}
            Some(Err(at)) if at.elapsed() < AGAIN => return None,
            _ => self.engine = Some(Engine::connect().await.map_err(|_| Instant::now())),
        }
        let Some(Ok(engine)) = &self.engine else { return None };
        let engine = engine.clone();
        if let Ok(all) = docker::list(&engine, project).await {
            return Some((engine, all));
        }
        self.engine = Some(Err(Instant::now()));
        None
    }

    /// Tells what became of a server since the look before.
    async fn see(&mut self, name: &str, now: Life) {
        let before = self.known.insert(name.to_owned(), now.clone());
        if before.as_ref() == Some(&now) {
            return;
        }
        match (before, now) {
            // Its end and its new start fell between two looks.
            (Some(Life::Runs { .. }), Life::Runs { name: reference, .. }) => {
                self.say(name, ProcessState::Exited, "it ended between two looks".into()).await;
                self.say(name, ProcessState::Restarted, reference).await;
            }
            (Some(Life::Ended { .. }), Life::Runs { name: reference, .. }) => {
                self.live.set_ended(name, None);
                self.say(name, ProcessState::Restarted, reference).await;
            }
            (Some(Life::Ended { life: old, .. }), Life::Ended { life, .. }) if old == life => {}
            (_, Life::Ended { how, .. }) => {
                self.live.set_ended(name, Some(format!("{name}: {how}")));
                self.say(name, ProcessState::Exited, how).await;
            }
            (None, Life::Runs { .. }) => {}
        }
    }

    async fn say(&self, name: &str, state: ProcessState, detail: String) {
        self.emitter.emit(Event::Process { name: name.to_owned(), state, detail }).await;
    }
}

fn process_life(component: &Component) -> Option<Life> {
    let process = component.process?;
    let life = format!("{} {}", process.pid, process.start_time);
    let name = format!("pid {}", process.pid);
    if process::is_alive(process) {
        return Some(Life::Runs { life, name });
    }
    let status =
        process::exit_of(process).map_or_else(String::new, |status| format!(": {}", process::describe(status)));
    Some(Life::Ended { life, how: format!("its process ({name}) ended{status}") })
}

async fn container_life(
    engine: &Engine,
    all: &[Container],
    component: &Component,
    before: Option<&Life>,
) -> Option<Life> {
    let known = component.container.as_ref()?;
    let Some(now) = all.iter().find(|container| container.id == known.id) else {
        let how = format!("its container {} was removed", known.name);
        return Some(Life::Ended { life: known.id.clone(), how });
    };
    let life = format!("{} {}", now.id, now.started_at.clone().unwrap_or_default());
    match now.state {
        ContainerState::Running | ContainerState::Paused => {
            Some(Life::Runs { life, name: format!("container {}", now.name) })
        }
        ContainerState::Exited | ContainerState::Dead | ContainerState::Restarting => {
            // It is asked once how it ended.
            if let Some(Life::Ended { life: old, how }) =
                before.filter(|b| matches!(b, Life::Ended { life: l, .. } if *l == life))
            {
                return Some(Life::Ended { life: old.clone(), how: how.clone() });
            }
            Some(Life::Ended { life, how: docker::how_it_ended(engine, now).await })
        }
        ContainerState::Created => None,
    }
}
