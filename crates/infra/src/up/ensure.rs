//! One server (or the brokers of one cluster) from any state to an answering one.

use std::{fs, path::PathBuf, process::ExitStatus, time::Duration};

use record::event::names::Provider;
use tokio::time::{Instant, sleep};

use super::{ComponentReport, Up, UpEvent, probe::Probe};
use crate::{
    error::{InfraError, StartFailure},
    logs,
    native::Server,
    ports,
    process::{self, Detached, GRACE, ProcessRef, Spawn},
    ready,
    stack::Component,
};

/// How long a server that runs already may take to answer before it is started again.
const REUSE_LIMIT: Duration = Duration::from_secs(5);
/// Time limit of one attempt while a server starts.
const ATTEMPT: Duration = Duration::from_secs(10);
/// Pause between attempts.
const PAUSE: Duration = Duration::from_millis(20);

/// A server that runs: found, or started now.
struct Running<'a> {
    server: &'a Server,
    process: ProcessRef,
    /// There for those that were started now.
    child: Option<Detached>,
}

impl Running<'_> {
    fn exit_status(&self) -> Option<ExitStatus> {
        self.child.as_ref().and_then(Detached::exit_status)
    }
}

/// A process that was ended because its settings changed, and how it is started again as it was.
pub(super) struct Replaced {
    name: String,
    spawn: Spawn,
    conf: (PathBuf, Vec<u8>),
    port: u16,
    component: Component,
}

impl Up<'_> {
    /// Reuses or starts `servers`; `probe` asks as a client would, and gives the version.
    pub(super) async fn ensure(&self, servers: &[Server], probe: &Probe) -> Result<Vec<ComponentReport>, InfraError> {
        let begun = Instant::now();
        let found: Vec<Option<ProcessRef>> = servers.iter().map(|server| self.usable(server)).collect();
        if found.iter().all(Option::is_some) {
            match tokio::time::timeout(REUSE_LIMIT, probe.ask(REUSE_LIMIT)).await {
                Ok(Ok(version)) => {
                    let report = |server| self.report(server, &version, begun, true);
                    return Ok(servers.iter().map(report).collect());
                }
                Ok(Err(error)) => self.note(format!("{error}; it is started again")),
                Err(_) => self.note(format!("{} does not answer; it is started again", servers[0].name)),
            }
            return self.start_all(servers, vec![None; servers.len()], probe, begun).await;
        }
        self.start_all(servers, found, probe, begun).await
    }

    /// Starts those that are not in `found`, and waits until all answer.
    async fn start_all(
        &self,
        servers: &[Server],
        found: Vec<Option<ProcessRef>>,
        probe: &Probe,
        begun: Instant,
    ) -> Result<Vec<ComponentReport>, InfraError> {
        let starts = servers.iter().zip(&found).map(|(server, process)| async move {
            match process {
                Some(process) => Ok(Running { server, process: *process, child: None }),
                None => self.start(server).await,
            }
        });
        let running = futures_util::future::try_join_all(starts).await?;
        let version = self.wait_ready(&running, probe, begun).await?;
        Ok(running.iter().map(|r| self.report(r.server, &version, begun, r.child.is_none())).collect())
    }

    /// The recorded process, if it runs with the settings that it would get now.
    fn usable(&self, server: &Server) -> Option<ProcessRef> {
        let process = self.stack().components.get(&server.name)?.process?;
        (process::is_alive(process) && server.is_configured()).then_some(process)
    }

    async fn start<'s>(&self, server: &'s Server) -> Result<Running<'s>, InfraError> {
        let old = self.stack().components.get(&server.name).cloned();
        let restarts = old.as_ref().map_or(0, |component| component.restarts + 1);
        if let Some((component, process)) = old.and_then(|component| Some((component.clone(), component.process?))) {
            if process::is_alive(process) {
                self.request.may_replace()?;
            }
            self.note_replaced(server, component, process);
            process::terminate(process, GRACE).await;
        }
        (self.progress)(UpEvent::Starting { name: server.name.clone() });
        server.prepare(&self.request.state).await?;
        let child = process::spawn_detached(&server.spawn).map_err(InfraError::io("start", &server.spawn.program))?;
        self.started().push((server.name.clone(), child.process));
        let component = Component {
            provider: Provider::Native,
            version: String::new(),
            address: server.address(),
            process: Some(child.process),
            log: Some(server.spawn.log.clone()),
            container: None,
            restarts,
        };
        let stack = {
            let mut stack = self.stack();
            stack.components.insert(server.name.clone(), component);
            // Written under the lock: servers start side by side, and the last to write must know all of them.
            self.request.state.save_stack(&stack)
        };
        stack?;
        Ok(Running { server, process: child.process, child: Some(child) })
    }

    /// Writes down how a process that runs with other settings was started. One with the same settings is started again
    /// because it does not answer: there is nothing to go back to.
    fn note_replaced(&self, server: &Server, component: Component, process: ProcessRef) {
        if !process::is_alive(process) || server.is_configured() {
            return;
        }
        let (Ok(conf), Some(spawn)) = (fs::read(&server.conf), process::as_started(process, &server.spawn)) else {
            return;
        };
        let port = component.address.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        let replaced = Replaced {
            name: server.name.clone(),
            spawn,
            conf: (server.conf.clone(), conf),
            port: port.unwrap_or_default(),
            component,
        };
        self.replaced().push(replaced);
    }

    /// Starts what was ended for other settings as it was, and waits until it listens. Gives what runs.
    pub(super) async fn put_back_processes(&self) -> Vec<(String, Component)> {
        let replaced = std::mem::take(&mut *self.replaced());
        let back = replaced.into_iter().map(|old| async move {
            let name = old.name.clone();
            match self.put_back(old).await {
                Ok(component) => Some((name, component)),
                Err(error) => {
                    self.note(format!("{name} could not be started again as it was: {error}; `ecomctl up` starts it"));
                    None
                }
            }
        });
        futures_util::future::join_all(back).await.into_iter().flatten().collect()
    }

    async fn put_back(&self, old: Replaced) -> Result<Component, InfraError> {
        self.request.state.write(&old.conf.0, &old.conf.1)?;
        let child = process::spawn_detached(&old.spawn).map_err(InfraError::io("start", &old.spawn.program))?;
        let begun = Instant::now();
        while !ready::accepts(old.port).await
            && child.exit_status().is_none()
            && begun.elapsed() < self.request.ready_within
        {
            sleep(PAUSE).await;
        }
        if let Some(status) = child.exit_status() {
            let Replaced { name: component, spawn, .. } = old;
            let tail = logs::tail(&spawn.log, 20).unwrap_or_default();
            let (cause, status) = ("its process ended".to_owned(), Some(process::describe(status)));
            return Err(StartFailure { component, cause, status, waited: begun.elapsed(), log: spawn.log, tail }.into());
        }
        (self.progress)(UpEvent::PutBack { name: old.name });
        let restarts = old.component.restarts + 1;
        Ok(Component { process: Some(child.process), restarts, ..old.component })
    }

    async fn wait_ready(&self, running: &[Running<'_>], probe: &Probe, begun: Instant) -> Result<String, InfraError> {
        let limit = self.request.ready_within;
        let mut last = "it does not listen yet".to_owned();
        loop {
            if let Some(dead) = running.iter().find(|r| !process::is_alive(r.process)) {
                // The thread that collects it may be a moment behind.
                sleep(Duration::from_millis(50)).await;
                return Err(failure(dead, "its process ended", begun));
            }
            if begun.elapsed() > limit {
                return Err(failure(&running[0], &last, begun));
            }
            match attempt(running, probe).await {
                Ok(version) => return foreign(running).map_or(Ok(version), |(r, why)| Err(failure(r, &why, begun))),
                Err(why) => last = why,
            }
            sleep(PAUSE).await;
        }
    }

    fn report(&self, server: &Server, version: &str, begun: Instant, reused: bool) -> ComponentReport {
        let report = ComponentReport {
            name: server.name.clone(),
            provider: Provider::Native,
            version: version.to_owned(),
            address: server.address(),
            took_ms: begun.elapsed().as_millis() as u64,
            reused,
        };
        if let Some(component) = self.stack().components.get_mut(&server.name) {
            version.clone_into(&mut component.version);
        }
        (self.progress)(UpEvent::Ready(report.clone()));
        report
    }

    pub(super) fn note(&self, message: String) {
        (self.progress)(UpEvent::Note { message });
    }
}

/// Asks once: first whether anybody listens, which costs nothing, then as a client.
async fn attempt(running: &[Running<'_>], probe: &Probe) -> Result<String, String> {
    for r in running {
        let port = r.server.ports.first().copied().unwrap_or_default();
        if !ready::accepts(port).await {
            return Err(format!("{} does not listen on port {port} yet", r.server.name));
        }
    }
    match tokio::time::timeout(ATTEMPT, probe.ask(ATTEMPT)).await {
        Ok(result) => result.map_err(|e| e.to_string()),
        Err(_) => Err(format!("no answer within {} s", ATTEMPT.as_secs())),
    }
}

/// A server that answered on our port but is not our process.
fn foreign<'r, 's>(running: &'r [Running<'s>]) -> Option<(&'r Running<'s>, String)> {
    running.iter().find_map(|r| {
        let port = r.server.ports.first().copied()?;
        if ports::belongs_to(port, r.process.pid) {
            return None;
        }
        let owner = ports::owner(port).map_or_else(|| "nobody".into(), |owner| owner.to_string());
        Some((r, format!("port {port} is answered by {owner}, not by its own process (pid {})", r.process.pid)))
    })
}

fn failure(r: &Running<'_>, cause: &str, begun: Instant) -> InfraError {
    let log = r.server.spawn.log.clone();
    StartFailure {
        component: r.server.name.clone(),
        cause: cause.to_owned(),
        status: r.exit_status().map(process::describe),
        waited: begun.elapsed(),
        tail: logs::tail(&log, 20).unwrap_or_default(),
        log,
    }
    .into()
}
