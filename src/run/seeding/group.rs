//! Who reads our topic in a Kafka that ecomctl did not start: a team's own application may consume there under the same
//! group's name, and a backend that joins it would take partitions and events from it.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use contract::process::is_backend;
use infra::stack::Stack;

/// Longest wait for one answer of a broker.
const LIMIT: Duration = Duration::from_secs(5);
/// A consumer of ours that was killed stays a member until its session is over, by default after 6 s.
const SESSION: Duration = Duration::from_secs(7);
/// Time from look to look meanwhile.
const AGAIN: Duration = Duration::from_millis(500);

/// Client id and host of a member.
type Seen = (String, String);

/// Members of our group that are none of the stack's own processes, in words; empty where there are none. Where nobody
/// can tell, `say` is told why: what cannot be read accuses nobody.
pub(super) async fn strangers(stack: &Stack, say: &(dyn Fn(&str) + Sync)) -> Vec<String> {
    let kafka = &stack.endpoints.kafka;
    let own: Vec<&str> = stack.components.keys().map(String::as_str).filter(|name| is_backend(name)).collect();
    let (begun, group) = (Instant::now(), stack.system.claims().group);
    loop {
        let endpoint = kafka.clone();
        let look = tokio::task::spawn_blocking(move || kafka::clients_of(&endpoint, group, LIMIT)).await;
        let why = match look {
            Ok(Ok(Some(members))) => {
                let others = others(members, &own);
                if may_be_gone_soon(&others) && begun.elapsed() < SESSION {
                    tokio::time::sleep(AGAIN).await;
                    continue;
                }
                return words(group, &others).map(|words| format!("Kafka at {kafka}: {words}")).into_iter().collect();
            }
            Ok(Ok(None)) => format!("Kafka at {kafka} does not tell them"),
            Ok(Err(why)) => why,
            Err(error) => error.to_string(),
        };
        say(&format!("whether others consume in the group {group} is not known: {why}"));
        return Vec::new();
    }
}

/// Members that none of the processes `own` is. Each process is one member: a second one of its name is somebody else.
fn others(members: Vec<Seen>, own: &[&str]) -> Vec<Seen> {
    let mut left: BTreeMap<&str, usize> = BTreeMap::new();
    for name in own {
        *left.entry(name).or_default() += 1;
    }
    let mut is_own = |(client, _): &Seen| match left.get_mut(client.as_str()) {
        Some(left) if *left > 0 => {
            *left -= 1;
            true
        }
        _ => false,
    };
    members.into_iter().filter(|member| !is_own(member)).collect()
}

/// All of them have names as our processes have: they may be what is left of ones that were killed.
fn may_be_gone_soon(others: &[Seen]) -> bool {
    !others.is_empty() && others.iter().all(|(client, _)| is_backend(client))
}

/// The most that are named.
const NAMED: usize = 3;

fn words(group: &str, others: &[Seen]) -> Option<String> {
    let mut named: Vec<String> =
        { others.iter().take(NAMED) }.map(|(client, host)| format!("`{}` on {}", short(client), short(host))).collect();
    let more = others.len().saturating_sub(NAMED);
    named.extend((more > 0).then(|| format!("{more} more")));
    (!others.is_empty()).then(|| {
        format!(
            "the consumer group {group} has members that ecomctl did not start here ({}), and a backend would take \
             partitions and events from them",
            named.join(", ")
        )
    })
}

/// Names of others may be of any length.
fn short(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(clients: &[&str]) -> Vec<Seen> {
        clients.iter().map(|client| ((*client).to_owned(), "10.0.0.5".to_owned())).collect()
    }

    /// A team's own consumers are never taken for ours, nor ours for theirs; and a killed one of ours gets time to go.
    #[test]
    fn members_that_are_not_our_processes_are_told() {
        let own = ["api-1", "consumer-1", "consumer-2"];
        for (members, strangers, waits) in [
            (&[][..], &[][..], false),
            (&["consumer-1", "consumer-2"], &[], false),
            (&["billing"], &["billing"], false),
            (&["consumer-1", "billing", ""], &["billing", ""], false),
            (&["consumer-1", "consumer-1"], &["consumer-1"], true),
            (&["consumer-3"], &["consumer-3"], true),
            (&["consumer-3", "billing"], &["consumer-3", "billing"], false),
        ] {
            let found = others(seen(members), &own);
            assert_eq!(found, seen(strangers), "{members:?}");
            assert_eq!(may_be_gone_soon(&found), waits, "{members:?}");
            assert_eq!(words("g", &found).is_some(), !strangers.is_empty(), "{members:?}");
        }
        let words = words("g", &seen(&["a", "b", "c\n", "d", "e"])).unwrap();
        assert!(words.contains("(`a` on 10.0.0.5, `b` on 10.0.0.5, `c` on 10.0.0.5, 2 more)"), "{words}");
    }
}
