//! Ports that are about to be published: free, or told with their owner.

use super::{list::Container, plan::Action};
use crate::{
    compose::model::Service,
    infra::{error::InfraError, ports},
};

/// Looks at the ports of a container before it is made or started. Those that its predecessor holds will be free.
///
/// # Errors
/// [`InfraError::PublishedPort`] with who has it.
pub(super) fn check(name: &str, service: &Service, action: &Action, there: &[Container]) -> Result<(), InfraError> {
    let ours = match action {
        Action::Keep(_) | Action::Unpause(_) => return Ok(()),
        Action::Start(id) => std::slice::from_ref(id),
        Action::Create(old) => old.as_slice(),
    };
    let held = |port: u16| {
        there.iter().filter(|c| ours.contains(&c.id)).any(|c| c.ports.iter().any(|published| published.host == port))
    };
    for port in service.ports.iter().filter(|port| port.published != 0 && port.protocol == "tcp") {
        if !ports::is_free(port.published) && !held(port.published) {
            return Err(taken(name, port.published, there));
        }
    }
    Ok(())
}

/// Who has `port`, in words: one of the project's own containers, or another program.
pub(super) fn taken(component: &str, port: u16, there: &[Container]) -> InfraError {
    let container = there.iter().find(|c| c.ports.iter().any(|published| published.host == port));
    let owner = match container {
        Some(container) => format!("container {}", container.name),
        None => ports::owner(port).map_or_else(|| "another program".to_owned(), |owner| owner.to_string()),
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
