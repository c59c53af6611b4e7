//! Ports that are about to be published: free, or told with their owner.

use compose::model::Service;

use super::{
    Engine,
    list::{self, Container},
};
use crate::{error::InfraError, ports};

/// The program by which an Engine publishes ports.
const PROXY: &str = "docker-proxy";

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

/// Who holds `port` of this machine, in words: a container before a program, because the program that holds a container's
/// port is only the Engine's proxy.
pub async fn holder(port: u16) -> String {
    let owner = ports::owner(port);
    // Whoever may not see the program of another user may still be told by the Engine.
    let by_engine = owner.as_ref().is_none_or(|o| o.program.as_deref().is_none_or(|p| p == PROXY));
    if by_engine
        && let Ok(engine) = Engine::connect().await
        && engine.is_local()
        && let Some(container) = list::found_by(&engine, "publish", &port.to_string(), false).await.into_iter().next()
    {
        return container;
    }
    owner.map_or_else(|| "another program".to_owned(), |owner| owner.to_string())
}

/// Who has `port`, in words: a container, or another program.
pub(super) async fn taken(engine: &Engine, component: &str, port: u16) -> InfraError {
    // A container before a program: the program that holds its port is only the Engine's proxy.
    let owner = match list::found_by(engine, "publish", &port.to_string(), false).await.into_iter().next() {
        Some(container) => container,
        None if engine.is_local() => {
            ports::owner(port).map_or_else(|| "another program".to_owned(), |owner| owner.to_string())
        }
        None => "a program on the Engine's machine".to_owned(),
    };
    InfraError::PublishedPort { component: component.to_owned(), port, owner }
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
