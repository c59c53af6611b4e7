//! `ports` and `expose`

use std::net::IpAddr;

use crate::{
    model::Port,
    node::{At, Node, Value},
    reader::{Key, Placed, Reader},
};

/// Most ports of one range.
const MOST: u16 = 1_000;
const SHORT: &str = "127.0.0.1:HOST:CONTAINER[/tcp|udp], each a port or a range such as 9092-9094";

/// First and last port.
type Range = (u16, u16);

#[derive(Default)]
struct Long {
    host_ip: Option<String>,
    published: Option<Range>,
    target: Option<u16>,
    protocol: Option<String>,
}

const KEYS: &[Key<Long>] = &[
    ("host_ip", |r, l, n| l.host_ip = r.word(n)),
    ("mode", |r, _, n| {
        r.parsed(n, "ingress or host, which mean the same here", |text| {
            ["ingress", "host"].contains(&text).then_some(())
        });
    }),
    ("protocol", |r, l, n| l.protocol = r.parsed(n, "tcp or udp", protocol)),
    ("published", |r, l, n| l.published = r.parsed(n, "a port, 0 to 65535", range)),
    ("target", |r, l, n| l.target = r.parsed(n, "a port, 1 to 65535", |t| t.parse().ok().filter(|p| *p > 0))),
];

/// Reads `ports`; ranges are spread out.
pub(super) fn read(reader: &mut Reader<'_>, node: &Node) -> Vec<Placed<Port>> {
    let ports = reader.items(node, |reader, item| {
        let ports = if let Value::Map(_) = item.value { long(reader, item) } else { short(reader, item) };
        Some(ports.into_iter().map(|value| Placed { at: item.at, value }).collect::<Vec<_>>())
    });
    ports.into_iter().flatten().collect()
}

fn long(reader: &mut Reader<'_>, node: &Node) -> Vec<Port> {
    let mut long = Long::default();
    reader.fields(node, KEYS, &["app_protocol", "name"], &mut long);
    let Some(target) = long.target else {
        reader.problem(node.at, "`target`, the port of the container, is missing");
        return Vec::new();
    };
    let Some(published) = long.published else {
        reader.problem(node.at, "`published`, the port of this machine, is missing; 0 takes a free one");
        return Vec::new();
    };
    spread(reader, node.at, long.host_ip.as_deref(), published, (target, target), long.protocol)
}

fn short(reader: &mut Reader<'_>, node: &Node) -> Vec<Port> {
    let Some(text) = reader.scalar(node, SHORT).map(|s| s.text.clone()) else { return Vec::new() };
    let (ports, kind) = match text.split_once('/') {
        Some((ports, kind)) => (ports, protocol(kind)),
        None => (text.as_str(), Some("tcp".to_owned())),
    };
    // An IPv6 address has colons too.
    let mut from_behind = ports.rsplitn(3, ':');
    let target = from_behind.next().and_then(range).filter(|(first, _)| *first > 0);
    let published = from_behind.next();
    let host = from_behind.next();
    let (Some(kind), Some(target)) = (kind, target) else {
        reader.problem(node.at, format!("`{text}` is no port; write {SHORT}"));
        return Vec::new();
    };
    // `127.0.0.1::80` takes a free port.
    let published = match published {
        Some("") => Some((0, 0)),
        Some(published) => range(published),
        None => {
            open_to_all(reader, node.at, target.0);
            return Vec::new();
        }
    };
    let Some(published) = published else {
        reader.problem(node.at, format!("`{text}` is no port; write {SHORT}"));
        return Vec::new();
    };
    spread(reader, node.at, host, published, target, Some(kind))
}

fn spread(
    reader: &mut Reader<'_>,
    at: At,
    host: Option<&str>,
    published: Range,
    target: Range,
    protocol: Option<String>,
) -> Vec<Port> {
    let Some(host) = host else {
        open_to_all(reader, at, target.0);
        return Vec::new();
    };
    let Some(ip) = address(host) else {
        reader.problem(at, format!("`{host}` is no address; write 127.0.0.1"));
        return Vec::new();
    };
    if !ip.is_loopback() {
        let why = "this machine's neighbours could reach it; ecomctl publishes on 127.0.0.1 only";
        reader.problem(at, format!("the port would be published on {ip}: {why}"));
        return Vec::new();
    }
    let count = target.1 - target.0;
    if published != (0, 0) && published.1 - published.0 != count || count >= MOST {
        let message = format!("both ranges must have the same number of ports, {MOST} at most");
        reader.problem(at, message);
        return Vec::new();
    }
    let protocol = protocol.unwrap_or_else(|| "tcp".into());
    let published = |step| if published.0 == 0 { 0 } else { published.0 + step };
    (0..=count)
        .map(|step| Port {
            host_ip: Some(ip),
            published: published(step),
            target: target.0 + step,
            protocol: protocol.clone(),
        })
        .collect()
}

fn open_to_all(reader: &mut Reader<'_>, at: At, target: u16) {
    let why = "without an address the port would be published on all of this machine's";
    let message = format!("{why}; write 127.0.0.1:PORT:{target} (ecomctl publishes on 127.0.0.1 only)");
    reader.problem(at, message);
}

fn address(text: &str) -> Option<IpAddr> {
    text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text).parse().ok()
}

fn protocol(text: &str) -> Option<String> {
    ["tcp", "udp"].contains(&text).then(|| text.to_owned())
}

fn range(text: &str) -> Option<Range> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let plain = |text: &str| text.chars().all(|c| c.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    let range: Range = (plain(first)?, plain(last)?);
    (range.0 <= range.1 && (range.0 > 0 || range.1 == 0)).then_some(range)
}

/// Reads `expose`.
pub(super) fn expose(reader: &mut Reader<'_>, node: &Node) -> Vec<u16> {
    let ranges = reader.items(node, |reader, item| {
        reader.parsed(item, "a port or a range of at most 1000, such as 9092-9094", |text| {
            let (first, last) = range(text.strip_suffix("/tcp").unwrap_or(text))?;
            (first > 0 && last - first < MOST).then_some(first..=last)
        })
    });
    ranges.into_iter().flatten().collect()
}
