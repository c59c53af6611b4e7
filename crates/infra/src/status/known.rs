//! What should be there: everything that was written down, by `up` and by whoever launched a backend.

use std::collections::BTreeMap;

use contract::process::is_backend;
use record::event::{
    names::{ComponentState, Provider},
    watch::ComponentSample,
};

use crate::{
    choice::Server,
    error::InfraError,
    launched::Launched,
    stack::{Component, Stack},
    state::StateDir,
    stats::{self, Row},
};

const MISSING: &str = "not up: `ecomctl up` starts it";
const UNRECORDED: &str = "nobody wrote it down: it is just being started, or a command that was killed has left it behind; \
                          `ecomctl up` and `ecomctl down` end it";

/// What was written down.
pub(super) struct Known {
    pub stack: Option<Stack>,
    /// Components of the stack, and those that a command has launched.
    pub components: BTreeMap<String, Component>,
    /// What a command launched that was killed.
    orphans: Option<Launched>,
}

impl Known {
    /// Reads the state folder.
    pub fn read(state: &StateDir) -> Result<Self, InfraError> {
        let stack = state.load_stack()?;
        let mut components = stack.as_ref().map(|stack| stack.components.clone()).unwrap_or_default();
        let mut launched = Launched::load(state)?;
        for (name, component) in launched.iter().flat_map(|launched| &launched.components) {
            // A process that was started anew is here first.
            components.insert(name.clone(), component.clone());
        }
        let orphans = launched.take_if(|launched| !launched.is_owned());
        Ok(Self { stack, components, orphans })
    }

    /// Whether any of it runs in containers, as far as was written down.
    pub fn runs_in_docker(&self) -> bool {
        self.stack.as_ref().is_some_and(stats::runs_in_docker)
            || self.components.values().any(|component| component.container.is_some())
    }

    /// Adds what carries our mark and was not written down, and the servers that are missing; says of the rest whose it is.
    pub fn complete(&self, state: &StateDir, mut rows: Vec<Row>) -> Vec<Row> {
        for (name, process) in state.owner().processes() {
            if !self.components.contains_key(&name) && rows.iter().all(|row| row.sample.name != name) {
                let sample = sample(&name, Provider::Native, ComponentState::Running, UNRECORDED);
                rows.push(Row { sample, pid: Some(process.pid), container: None });
            }
        }
        for row in &mut rows {
            self.explain(row);
        }
        if !rows.is_empty() {
            rows.extend(self.missing(&rows));
        }
        rows.sort_by_key(|row| place(&row.sample.name));
        rows
    }

    /// What a killed command left is not well, whatever it does.
    fn explain(&self, row: &mut Row) {
        let sample = &mut row.sample;
        let orphan = self.orphans.as_ref().filter(|launched| launched.components.contains_key(&sample.name));
        if let Some(launched) = orphan {
            let pid = launched.owner.map_or_else(String::new, |owner| format!(" (pid {})", owner.pid));
            sample.health = match sample.state {
                ComponentState::Running => {
                    format!("the command that launched it was killed{pid}: it drains and ends, or `ecomctl down`")
                }
                _ => format!("the command that launched it was killed{pid}"),
            };
            if row.pid.is_none() && row.container.is_none() {
                sample.state = ComponentState::Gone;
            }
        } else if is_backend(&sample.name) && !self.components.contains_key(&sample.name) {
            UNRECORDED.clone_into(&mut sample.health);
        }
    }

    fn missing(&self, rows: &[Row]) -> Vec<Row> {
        let there = |name: &str| rows.iter().any(|row| row.sample.name == name);
        let brokers = self.stack.as_ref().map_or(1, |stack| stack.brokers.max(1));
        let nodes = (1..=brokers).map(|node| format!("kafka-{node}")).filter(|_| !there(Server::Kafka.name()));
        let servers = [Server::Mysql, Server::Redis].map(|server| server.name().to_owned());
        let absent = servers.into_iter().chain(nodes).filter(|name| !there(name));
        absent
            .map(|name| Row {
                sample: sample(&name, Provider::from("-"), ComponentState::Missing, MISSING),
                pid: None,
                container: None,
            })
            .collect()
    }
}

fn sample(name: &str, provider: Provider, state: ComponentState, health: &str) -> ComponentSample {
    ComponentSample { name: name.to_owned(), provider, state, health: health.to_owned(), ..ComponentSample::default() }
}

/// Servers first, in the order in which people name them; then the backend, then what else there is.
fn place(name: &str) -> (usize, String, u32) {
    let (kind, number) = name.rsplit_once('-').unwrap_or((name, ""));
    // `consumer-10` comes behind `consumer-9`.
    let (kind, number) = number.parse().map_or((name, 0), |number| (kind, number));
    let roles = ["mysql", "redis", "kafka", "api", "consumer", "reconciler"];
    let is_one = |role: &str| {
        kind == role || (is_backend(name) && kind.strip_prefix(role).is_some_and(|rest| rest.starts_with('-')))
    };
    (roles.into_iter().position(is_one).unwrap_or(roles.len()), kind.to_owned(), number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{process, process::ProcessRef, stack::ContainerRef};

    fn component(text: &str) -> Component {
        let text = format!(r#"{{"provider": "native", "version": "1", "address": "a:1"{text}}}"#);
        serde_json::from_str(&text).unwrap()
    }

    fn row(name: &str, state: &str, health: &str) -> Row {
        Row {
            sample: sample(name, Provider::Native, state.into(), health),
            pid: (state == "running").then_some(1),
            container: None,
        }
    }

    fn known(components: &[&str]) -> Known {
        let components = components.iter().map(|name| ((*name).to_owned(), component(""))).collect();
        Known { stack: None, components, orphans: None }
    }

    fn states(rows: &[Row]) -> Vec<(&str, &str, bool)> {
        let healthy = |row: &Row| matches!(row.sample.health.as_str(), "" | "healthy" | "done");
        rows.iter().map(|row| (row.sample.name.as_str(), row.sample.state.name(), healthy(row))).collect()
    }

    /// `up` had failed: two containers ran, the third server was gone, and `status` said that nothing was up, or that all
    /// of it was well.
    #[test]
    fn a_server_that_is_missing_is_a_row_and_nothing_at_all_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::create(folder.path().join("state")).unwrap();
        let rows = vec![row("kafka-1", "running", ""), row("mysql", "running", "")];
        let rows = known(&["mysql", "kafka-1"]).complete(&state, rows);
        assert_eq!(
            states(&rows),
            [("mysql", "running", true), ("redis", "missing", false), ("kafka-1", "running", true)]
        );
        assert!(known(&[]).complete(&state, Vec::new()).is_empty());
        let external = known(&["kafka"]).complete(&state, vec![row("kafka", "external", "")]);
        let names: Vec<_> = external.iter().map(|row| row.sample.name.as_str()).collect();
        assert_eq!(names, ["mysql", "redis", "kafka"], "external brokers are one component");
    }

    /// The run was killed, its API and consumers were stopped by hand: they were "done", and the exit code was 0.
    #[test]
    fn what_a_killed_run_left_is_told_and_never_well() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::create(folder.path().join("state")).unwrap();
        let me = process::this().unwrap();
        let launched = serde_json::json!({
            "schema_version": 1, "owner": ProcessRef { start_time: me.start_time + 1, ..me },
            "components": {"api-1": component(""), "consumer-1": component("")}
        });
        std::fs::write(state.path("launched.json"), launched.to_string()).unwrap();
        let known = Known::read(&state).unwrap();
        assert_eq!(known.components.len(), 2);
        let mut left = row("consumer-2", "exited", "done");
        left.container = Some(ContainerRef { id: "c".into(), name: "c".into() });
        let rows = vec![row("api-1", "exited", "exited"), row("consumer-1", "running", ""), left];
        let rows = known.complete(&state, rows);
        let backend: Vec<_> = states(&rows).into_iter().skip(3).collect();
        assert_eq!(
            backend,
            [("api-1", "gone", false), ("consumer-1", "running", false), ("consumer-2", "exited", false)]
        );
        assert!(rows[3].sample.health.contains(&format!("was killed (pid {})", me.pid)), "{:?}", rows[3]);
    }

    #[test]
    fn rows_stand_in_the_order_in_which_people_name_them() {
        let mut names = [
            "prometheus",
            "consumer-10",
            "api-small",
            "kafka-2",
            "consumer-9",
            "redis",
            "reconciler-1",
            "api-1",
            "kafka-init",
            "mysql",
        ];
        names.sort_by_key(|name| place(name));
        let expected = "mysql redis kafka-2 api-1 api-small consumer-9 consumer-10 reconciler-1 kafka-init prometheus";
        assert_eq!(names.join(" "), expected);
    }
}
