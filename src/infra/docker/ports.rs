//! Ports that are about to be published: free, or told with their owner.

use std::{collections::HashMap, time::Duration};

use bollard::query_parameters::ListContainersOptions;

use super::{Engine, labels, list::Container};
use crate::{
    compose::model::Service,
    infra::{error::InfraError, ports},
};

/// Looking for the owner must not take long.
const LOOK: Duration = Duration::from_secs(5);

/// Looks at the ports of a container before it is made or started. Those that containers hold which are `going` will be
/// free. An Engine on another machine has other ports; there only the start can tell.
///
/// # Errors
/// [`InfraError::PublishedPort`] with who has it.
pub(super) async fn check(
    engine: &Engine,
    component: &str,
    service: &Service,
    going: &[Container],
) -> Result<(), InfraError> {
    let held = |port: u16| going.iter().any(|c| c.ports.iter().any(|published| published.host == port));
    for port in service.ports.iter().filter(|port| port.published != 0 && port.protocol == "tcp") {
        if engine.is_local() && !ports::is_free(port.published) && !held(port.published) {
            return Err(taken(engine, component, port.published).await);
        }
    }
    Ok(())
}

/// Who has `port`, in words: a container, or another program.
pub(super) async fn taken(engine: &Engine, component: &str, port: u16) -> InfraError {
    let owner = match publisher(engine, port).await {
        Some(container) => container,
        None if engine.is_local() => {
            ports::owner(port).map_or_else(|| "another program".to_owned(), |owner| owner.to_string())
        }
        None => "a program on the Engine's machine".to_owned(),
    };
    InfraError::PublishedPort { component: component.to_owned(), port, owner }
}

/// The container that publishes `port`: the program that holds it is only the Engine's proxy.
async fn publisher(engine: &Engine, port: u16) -> Option<String> {
    let filters = HashMap::from([("publish".to_owned(), vec![port.to_string()])]);
    let options = ListContainersOptions { filters: Some(filters), ..Default::default() };
    let listing = engine.docker.list_containers(Some(options));
    let found = tokio::time::timeout(LOOK, listing).await.ok()?.ok()?.into_iter().next()?;
    let name = found.names.unwrap_or_default().into_iter().next()?;
    let project = found.labels.unwrap_or_default().remove(labels::PROJECT);
    let project = project.map_or_else(String::new, |project| format!(" of the compose project {project}"));
    Some(format!("the container {}{project}", name.trim_start_matches('/')))
}

/// The port that the Engine says is taken, in its own words at a start.
pub(super) fn in_words(why: &str) -> Option<u16> {
    let taken = ["port is already allocated", "address already in use"];
    if !taken.iter().any(|words| why.contains(words)) {
        return None;
    }
    // `Bind for 127.0.0.1:3306 failed: port is already allocated`, `listen tcp4 127.0.0.1:3306: bind: address already in use`
    let mut numbers = why.split(|c: char| !(c.is_ascii_digit() || c == '.' || c == ':')).filter_map(|word| {
        let (_, port) = word.trim_end_matches(':').rsplit_once(':')?;
        port.parse().ok()
    });
    numbers.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_found_in_the_engines_words() {
        let docker = "driver failed programming external connectivity on endpoint x: Bind for 127.0.0.1:3306 failed: port is already allocated";
        assert_eq!(in_words(docker), Some(3306));
        let proxy = "Error starting userland proxy: listen tcp4 127.0.0.1:6379: bind: address already in use";
        assert_eq!(in_words(proxy), Some(6379));
        assert_eq!(in_words("no such image"), None);
    }
}
