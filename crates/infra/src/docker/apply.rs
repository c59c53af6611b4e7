//! `up` of a project: images, networks and volumes, then its containers in the order of their dependencies.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use compose::model::{Condition, Service};
use futures_util::future::try_join_all;
use tokio_util::sync::CancellationToken;

use super::{
    Engine, around,
    call::{QUICK, within},
    hash, images,
    labels::{self, Owner},
    limits,
    list::{self, Container, ContainerState},
    make::{self, GRACE, Recipe},
    plan::{self, Action, There, Wanted},
    ports,
    remove::waves,
    request::{ApplyRequest, ExtraFile},
    stage::{Stage, Stages},
    undo::Doing,
    wait::{self, Limits, Until},
};
use crate::{
    error::InfraError,
    up::{Progress, UpEvent},
};

/// Brings the services up. Containers with the same settings are left as they are.
///
/// # Errors
/// As [`change`].
pub async fn apply(
    engine: &Engine,
    request: &ApplyRequest<'_>,
    progress: Progress<'_>,
    cancel: &CancellationToken,
) -> Result<Vec<Container>, InfraError> {
    let change = change(engine, request, progress, cancel).await?;
    change.settle(progress).await;
    Ok(change.containers)
}

/// A project that was brought up, with what it replaced still there, stopped.
pub struct Change {
    /// The containers, as they are now.
    pub containers: Vec<Container>,
    doing: Doing,
}

impl Change {
    /// Removes what was replaced. What cannot go is told, and is in the way of nothing.
    pub async fn settle(&self, progress: Progress<'_>) {
        for message in self.doing.settle().await {
            progress(UpEvent::Note { message: format!("could not clean up: {message}") });
        }
    }

    /// Takes everything back: what was made goes, what was replaced runs again.
    pub async fn put_back(&self, progress: Progress<'_>) {
        self.doing.undo(progress).await;
    }
}

/// Brings the services up, and keeps what it replaces until [`Change::settle`] or [`Change::put_back`]: whoever has
/// more to ask of the new containers may still go back.
///
/// First everything that can be known beforehand (images, ports, limits; the Engine accepts each new container beside
/// the old one), then the old ones end, then the new ones start.
///
/// # Errors
/// With the cause, the container's last words and a remedy. What this call made is removed again, what it started is
/// stopped and what it stopped is started, unless `keep_failed`; the same at `cancel`.
pub async fn change(
    engine: &Engine,
    request: &ApplyRequest<'_>,
    progress: Progress<'_>,
    cancel: &CancellationToken,
) -> Result<Change, InfraError> {
    let doing = Doing::new(engine, &request.project.name, request.state);
    let run = Run { engine, request, progress, doing: &doing };
    let result = tokio::select! {
        biased;
        () = cancel.cancelled() => Err(InfraError::Cancelled { stage: "bringing containers up".into() }),
        result = Box::pin(run.all()) => result,
    };
    match result {
        Ok(containers) => Ok(Change { containers, doing }),
        Err(error) => {
            if !request.keep_failed {
                doing.undo(progress).await;
            }
            Err(error)
        }
    }
}

/// One container of the order.
struct Task<'a> {
    name: &'a str,
    service: &'a Service,
    number: u16,
    files: &'a [ExtraFile],
    hash: String,
    action: Action,
    /// Container that has its name, and goes.
    beside: Option<String>,
    /// How often the containers in its place were started again, this time included.
    again: u32,
}

impl Task<'_> {
    fn component(&self) -> String {
        labels::component(self.name, self.number)
    }
}

struct Run<'a> {
    engine: &'a Engine,
    request: &'a ApplyRequest<'a>,
    progress: Progress<'a>,
    doing: &'a Doing,
}

impl Run<'_> {
    async fn all(&self) -> Result<Vec<Container>, InfraError> {
        let project = self.request.project;
        let names = self.names()?;
        limits::keep_reservations(project.services.iter().filter(|(name, _)| names.contains(name)))?;
        let (images, mut there) = tokio::try_join!(
            images::ensure(self.engine, project, &names, self.request.pull, self.progress),
            list::list(self.engine, &project.name),
        )?;
        there.retain(|container| !container.one_off);
        self.ours(&there)?;
        let networks = around::network_ids(self.engine).await?;
        let (mut tasks, mut going) = self.plan(&names, &images, &there, &networks);
        going.extend(tasks.iter().flat_map(|task| task.action.replaced()).cloned());
        self.places(&mut tasks, &there);
        let (going, there): (Vec<Container>, Vec<Container>) = there.into_iter().partition(|c| going.contains(&c.id));
        for task in tasks.iter().filter(|task| task.action.starts()) {
            ports::check(self.engine, &task.component(), task.service, &going).await?;
        }
        if !going.is_empty() {
            (self.request.may_replace)()?;
        }
        limits::check(self.engine, project, &images, tasks.iter().map(|t| (t.name, t.service, t.files)), &going)
            .await?;
        around::ensure(self.doing, project, self.request.state, &names).await?;
        let ids = try_join_all(tasks.iter().map(|task| self.make(task, &images))).await?;
        // All of them before anything is started: a port may go from one service to another. Those first that need others.
        for wave in waves(going) {
            try_join_all(wave.iter().map(|container| self.end(container))).await?;
        }
        self.names_at_last(&tasks, &ids, &there);

        let stages = Stages::new(&names);
        let services = names.iter().map(|name| {
            let own = tasks.iter().zip(&ids).filter(|(task, _)| task.name == name).collect();
            self.service(own, &stages, &tasks)
        });
        let mut done: Vec<Container> = try_join_all(services).await?.into_iter().flatten().collect();
        done.sort_by(|a, b| (&a.service, a.number).cmp(&(&b.service, b.number)));
        Ok(done)
    }

    /// The services that were ordered, and those that they depend on.
    fn names(&self) -> Result<Vec<String>, InfraError> {
        let mut names = BTreeSet::new();
        let mut open: Vec<String> = self.request.services.iter().map(|order| order.service.clone()).collect();
        while let Some(name) = open.pop() {
            let Some(service) = self.request.project.services.get(&name) else {
                let known: Vec<_> = self.request.project.services.keys().cloned().collect();
                return Err(InfraError::UnknownService { name, known: known.join(", ") });
            };
            if names.insert(name) {
                open.extend(service.depends_on.keys().cloned());
            }
        }
        Ok(names.into_iter().collect())
    }

    /// A project of this name that belongs to another folder, or to nobody that we know, is not touched.
    fn ours(&self, there: &[Container]) -> Result<(), InfraError> {
        match there.iter().find(|container| !self.doing.folder.owns(container.labels())) {
            None => Ok(()),
            Some(container) if container.state_folder.is_empty() => Err(InfraError::Docker {
                action: format!("use the project {}", self.request.project.name),
                why: format!("its container {} was not made by ecomctl", container.name),
                remedy: format!("remove that with `docker rm -f {}` if it is yours", container.name),
            }),
            Some(container) => Err(InfraError::Docker {
                action: format!("use the project {}", self.request.project.name),
                why: format!("its container {} belongs to the state folder {}", container.name, container.state_folder),
                remedy: "use that --state-dir, or take it down there".into(),
            }),
        }
    }

    /// What is wanted, each with what has to be done for it; and the ids of those that are too many.
    fn plan(
        &self,
        names: &[String],
        images: &BTreeMap<String, String>,
        there: &[Container],
        networks: &BTreeSet<String>,
    ) -> (Vec<Task<'_>>, Vec<String>) {
        let project = self.request.project;
        let mut tasks = Vec::new();
        for (name, service) in project.services.iter().filter(|(name, _)| names.contains(name)) {
            let order = self.request.services.iter().find(|order| order.service == *name);
            let replicas = order.map(|order| order.replicas).filter(|n| *n > 0).unwrap_or(service.replicas);
            let beyond = order.map_or(0, |order| order.beyond);
            for index in 0..replicas {
                let number = beyond + index + 1;
                let files = order.and_then(|order| order.files.get(usize::from(index)));
                let files = files.map_or(&[][..], Vec::as_slice);
                let image = images.get(&service.image).map_or("", String::as_str);
                let hash = hash::of(project, service, image, files);
                tasks.push(Task {
                    name,
                    service,
                    number,
                    files,
                    hash,
                    action: Action::Create(Vec::new()),
                    beside: None,
                    again: 0,
                });
            }
        }
        let wanted: Vec<Wanted> = tasks.iter().map(|task| self.wanted(task)).collect();
        let found: Vec<There> = there.iter().map(|container| found(container, networks)).collect();
        let knows = |service: &str| project.services.contains_key(service) || project.off.contains(service);
        let mut plan = plan::plan(&wanted, &found, &knows, self.request.recreate, self.request.orphans);
        let beyond = |id: &String| {
            let container = there.iter().find(|container| container.id == *id);
            let order = container.and_then(|c| self.request.services.iter().find(|order| order.service == c.service));
            order.is_some_and(|order| container.is_some_and(|container| container.number <= order.beyond))
        };
        plan.remove.retain(|id| !beyond(id));
        for (task, action) in tasks.iter_mut().zip(plan.actions) {
            task.action = action;
        }
        (tasks, plan.remove)
    }

    fn wanted(&self, task: &Task<'_>) -> Wanted {
        // Its dependents need not be of this order: work that is done is not done twice.
        let done = Some(&Condition::ServiceCompletedSuccessfully);
        let one_shot = self.request.project.services.values().any(|other| other.depends_on.get(task.name) == done);
        Wanted { service: task.name.to_owned(), number: task.number, hash: task.hash.clone(), one_shot }
    }

    /// Finds for each task who has its name now, and how often it was started again.
    fn places(&self, tasks: &mut [Task<'_>], there: &[Container]) {
        for task in tasks {
            let name = make::container_name(self.request.project, task.name, task.service, task.number);
            let holder = there.iter().find(|c| c.name == name).map(|c| c.id.clone());
            task.beside = holder.filter(|_| matches!(task.action, Action::Create(_)));
            let before = |ids: &[String]| {
                let counts = there.iter().filter(|c| ids.contains(&c.id)).map(|c| c.restarts + 1);
                counts.max().unwrap_or(0)
            };
            task.again = match &task.action {
                Action::Create(old) => before(old),
                Action::Start(id) => before(std::slice::from_ref(id)),
                Action::Keep(_) | Action::Unpause(_) => 0,
            };
        }
    }

    /// Writes down who gets another name in the end: those that were made beside others, and those that a killed
    /// replacement left.
    fn names_at_last(&self, tasks: &[Task<'_>], ids: &[String], there: &[Container]) {
        for (task, id) in tasks.iter().zip(ids) {
            let name = make::container_name(self.request.project, task.name, task.service, task.number);
            let left =
                there.iter().any(|c| c.id == *id && c.name.strip_suffix(&name).is_some_and(|s| s.ends_with('_')));
            if task.beside.is_some() || left {
                self.doing.note_name(id, name);
            }
        }
    }

    /// All containers of one service, which are made: when what it depends on is ready, and side by side.
    async fn service(
        &self,
        tasks: Vec<(&Task<'_>, &String)>,
        stages: &Stages,
        all: &[Task<'_>],
    ) -> Result<Vec<Container>, InfraError> {
        let Some((first, _)) = tasks.first() else { return Ok(Vec::new()) };
        let (name, service) = (first.name, first.service);
        let waits = service.depends_on.iter().map(|(other, condition)| stages.wait(other, *condition));
        futures_util::future::join_all(waits).await;
        let started = try_join_all(tasks.iter().map(|(task, id)| self.start(task, id))).await?;
        stages.set(name, Stage::Started);
        let waiting = edges(name, all);
        let limits = self.limits(service);
        for (until, stage) in self.goals(name, all) {
            let reached = started.iter().map(|container| wait::until(self.engine, container, until, limits, &waiting));
            try_join_all(reached).await?;
            stages.set(name, stage);
        }
        let looks = started.iter().map(|container| async move {
            let now = list::inspect(self.engine, &container.id).await?;
            Ok::<_, InfraError>(now.map(|now| Container { reused: container.reused, again: container.again, ..now }))
        });
        Ok(try_join_all(looks).await?.into_iter().flatten().collect())
    }

    /// What a service has to reach, in this order. Whatever another one waits for is among it, so nobody waits for ever.
    fn goals(&self, name: &str, all: &[Task<'_>]) -> Vec<(Until, Stage)> {
        // Services that are not started now wait for nothing.
        let awaited = |condition| all.iter().any(|task| task.service.depends_on.get(name) == Some(&condition));
        let healthy = awaited(Condition::ServiceHealthy);
        if awaited(Condition::ServiceCompletedSuccessfully) {
            let first = healthy.then_some((Until::Up, Stage::Healthy));
            return first.into_iter().chain([(Until::Done, Stage::Completed)]).collect();
        }
        vec![match (healthy, self.request.wait) {
            (true, _) => (Until::Healthy, Stage::Healthy),
            (false, true) => (Until::Up, Stage::Healthy),
            (false, false) => (Until::Runs, Stage::Started),
        }]
    }

    fn limits(&self, service: &Service) -> Limits {
        // Docker's own time between two checks, where the image says how its health is asked.
        let check = service.healthcheck.as_ref();
        let stale = check.map_or(Duration::from_secs(30), |check| check.interval + check.timeout);
        Limits { within: self.request.ready_within, stale }
    }

    /// Makes the container of a task where it has to be made; gives its id.
    async fn make(&self, task: &Task<'_>, images: &BTreeMap<String, String>) -> Result<String, InfraError> {
        if let Some(id) = task.action.kept() {
            return Ok(id.to_owned());
        }
        let (engine, project, service) = (self.engine.clone(), self.request.project.clone(), task.service.clone());
        let (name, number, hash) = (task.name.to_owned(), task.number, task.hash.clone());
        let (files, state) = (task.files.to_vec(), self.request.state.to_owned());
        let image = images.get(&task.service.image).cloned().unwrap_or_default();
        let (apply, beside) = (self.doing.apply.clone(), task.beside.clone());
        let (id, system) = (self.doing.folder.id().to_owned(), self.doing.system.clone());
        let making = async move {
            let owner = Owner { project: &project.name, state: &state, id: &id, system: &system, apply: &apply };
            let recipe = Recipe {
                project: &project,
                name: &name,
                service: &service,
                number,
                hash: &hash,
                image_id: &image,
                files: &files,
                owner,
                beside: beside.as_deref(),
            };
            make::create(&engine, &recipe).await
        };
        self.doing.to_its_end(making).await
    }

    async fn start(&self, task: &Task<'_>, id: &str) -> Result<Container, InfraError> {
        let component = task.component();
        let reused = matches!(task.action, Action::Keep(_));
        if !reused {
            (self.progress)(UpEvent::Starting { name: component.clone() });
        }
        match &task.action {
            Action::Keep(_) => {}
            Action::Unpause(id) => {
                self.doing.note_thawed(&component, id);
                within(&format!("let {component} go on"), QUICK, self.engine.docker.unpause_container(id)).await?;
            }
            Action::Start(_) | Action::Create(_) => {
                if matches!(task.action, Action::Start(_)) {
                    self.doing.note_started(&component, id);
                }
                // A start that the Engine has begun comes to its end: what is undone after it stays undone.
                let (engine, component, id) = (self.engine.clone(), component.clone(), id.to_owned());
                self.doing.to_its_end(async move { make::start(&engine, &component, &id).await }).await?;
            }
        }
        let gone = || InfraError::Docker {
            action: format!("look at {component}"),
            why: "its container is gone".into(),
            remedy: "try again".into(),
        };
        let now = list::inspect(self.engine, id).await?.ok_or_else(gone)?;
        Ok(Container { reused, again: task.again, ..now })
    }

    /// Ends a container that is replaced or not wanted any more; it is removed when all is well.
    async fn end(&self, container: &Container) -> Result<(), InfraError> {
        self.doing.note_going(container);
        if container.pid.is_none() && container.state != ContainerState::Restarting {
            return Ok(());
        }
        let service = self.request.project.services.get(&container.service);
        let grace = service.and_then(|service| service.stop_grace_period).unwrap_or(GRACE);
        let (engine, name, id) = (self.engine.clone(), container.name.clone(), container.id.clone());
        self.doing.to_its_end(async move { make::stop(&engine, &name, &id, grace).await }).await
    }
}

/// `networks` are those that the Engine has. A container that was stopped while its network was removed cannot be started
/// any more, whatever it was made from.
fn found(container: &Container, networks: &BTreeSet<String>) -> There {
    let whole = container.pid.is_some() || container.networks.iter().all(|id| networks.contains(id));
    There {
        id: container.id.clone(),
        service: container.service.clone(),
        number: container.number,
        hash: if whole { container.hash.clone() } else { String::new() },
        state: container.state,
        exit_code: container.exit_code,
    }
}

/// Who waits for `name`, in words.
fn edges(name: &str, all: &[Task<'_>]) -> Vec<String> {
    let mut edges = BTreeSet::new();
    for task in all {
        if let Some(condition) = task.service.depends_on.get(name) {
            let what = match condition {
                Condition::ServiceStarted => "started",
                Condition::ServiceHealthy => "healthy",
                Condition::ServiceCompletedSuccessfully => "done",
            };
            edges.insert(format!("{} waits for {name} to be {what}", task.name));
        }
    }
    edges.into_iter().collect()
}
