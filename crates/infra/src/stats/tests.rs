use std::collections::BTreeMap;

use super::*;
use crate::{
    docker::stats::{Figures, Oom, Seen},
    process::ProcessRef,
};

fn component(provider: &str) -> Component {
    Component {
        provider: provider.into(),
        version: "1".into(),
        address: "127.0.0.1:3306".into(),
        process: None,
        log: None,
        container: None,
        restarts: 0,
    }
}

fn stack(components: Vec<(&str, Component)>) -> BTreeMap<String, Component> {
    components.into_iter().map(|(name, c)| (name.to_owned(), c)).collect()
}

fn in_docker(id: &str) -> Component {
    let container = Some(ContainerRef { id: id.into(), name: format!("shop-{id}") });
    Component { container, restarts: 1, ..component("docker") }
}

fn container(id: &str, state: &str) -> Container {
    let pid = (state == "running").then_some(1);
    let seen = Seen { id: id.into(), name: format!("shop-{id}"), state: state.into(), pid, ..Seen::default() };
    Container { seen, figures: Figures::default(), oom: None }
}

#[test]
fn both_providers_stand_in_one_table() {
    let me = process::this().unwrap();
    let own = Component { process: Some(me), ..component("native") };
    let gone = ProcessRef { start_time: me.start_time + 1, ..me };
    let dead = Component { process: Some(gone), ..component("native") };
    let stack =
        stack(vec![("mysql", in_docker("a")), ("redis", own), ("kafka-1", dead), ("kafka-2", component("external"))]);
    let mut mysql = container("a", "running");
    mysql.seen.restarts = 2;
    mysql.seen.memory_limit = Some(512 << 20);
    mysql.figures.memory = Some(300 << 20);
    mysql.oom = Some(Oom::Cgroup(1));
    let mut job = container("job", "exited");
    (job.seen.exit_code, job.seen.may_end) = (Some(0), true);
    let usage = |pid: i32| {
        (pid == me.pid).then_some(Usage { cpu: Some(12.34), memory: 5, disk: Some((1, 2)), open_files: Some(7) })
    };
    let rows = merge(&stack, usage, Some(Ok(vec![job, mysql])));
    let words: Vec<_> =
        rows.iter().map(|r| (r.sample.name.as_str(), r.sample.state.name(), r.sample.health.as_str())).collect();
    assert_eq!(
        words,
        [
            ("kafka-1", "exited", "exited"),
            ("kafka-2", "external", ""),
            ("mysql", "running", ""),
            ("redis", "running", ""),
            ("shop-job", "exited", "done"),
        ]
    );
    let mysql = &rows[2].sample;
    assert_eq!((mysql.restarts, mysql.mem, mysql.mem_limit), (3, Some(300 << 20), Some(512 << 20)));
    assert_eq!((mysql.oom_killed, mysql.oom_evidence.as_deref()), (true, Some("its cgroup counts 1 OOM kill(s)")));
    let redis = &rows[3];
    assert_eq!((redis.sample.cpu, redis.sample.open_files, redis.pid), (Some(12.3), Some(7), Some(me.pid)));
}

#[test]
fn a_container_that_cannot_be_seen_is_never_called_running() {
    let stack = stack(vec![("mysql", in_docker("a"))]);
    let state = |containers| merge(&stack, |_| None, Some(containers))[0].sample.clone();
    assert_eq!(state(Ok(vec![])).state, ComponentState::Gone);
    let unknown = state(Err("the Docker Engine does not answer".into()));
    assert_eq!((unknown.state.name(), unknown.health.as_str()), ("unknown", "the Docker Engine does not answer"));
    // Recreated by `docker compose`: another id, the same component.
    let mut other = container("b", "running");
    other.seen.component = Some("mysql".into());
    assert_eq!(state(Ok(vec![other])).state, ComponentState::Running);
}

#[test]
fn a_name_without_number_means_all_of_its_kind() {
    let known = ["api-1", "api-small-1", "kafka-1", "kafka-2", "mysql"];
    let meant = |names: &[&str]| {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        meant(&names, &known).map(|names| names.join(" ")).map_err(|e| e.to_string())
    };
    assert_eq!(meant(&[]).unwrap(), known.join(" "));
    assert_eq!(meant(&["kafka", "mysql"]).unwrap(), "kafka-1 kafka-2 mysql");
    assert_eq!(meant(&["api"]).unwrap(), "api-1");
    assert_eq!(meant(&["kafka-2"]).unwrap(), "kafka-2");
    let error = meant(&["nginx"]).unwrap_err();
    assert!(error.contains("no component is named `nginx`; there are: api-1,"), "{error}");
}
