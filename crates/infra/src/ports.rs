//! Ports of this machine: which are free, and who holds one.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener},
};

use super::process;

/// A program that listens.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Owner {
    /// Its pid; none where it belongs to another user.
    pub pid: Option<i32>,
    /// Its name.
    pub program: Option<String>,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.program, self.pid) {
            (Some(program), Some(pid)) => write!(f, "{program} (pid {pid})"),
            (None, Some(pid)) => write!(f, "pid {pid}"),
            _ => f.write_str("a process of another user"),
        }
    }
}

/// One listening socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listening {
    /// Address it listens on.
    pub address: IpAddr,
    /// Port.
    pub port: u16,
    /// Inode of the socket, by which its process is found.
    pub inode: u64,
}

/// Reads the listening sockets of `/proc/net/tcp` or `tcp6`.
pub fn parse_listening(table: &str) -> Vec<Listening> {
    let line = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        // 0A is LISTEN.
        if *fields.get(3)? != "0A" {
            return None;
        }
        let (address, port) = fields.get(1)?.split_once(':')?;
        Some(Listening {
            address: parse_address(address)?,
            port: u16::from_str_radix(port, 16).ok()?,
            inode: fields.get(9)?.parse().ok()?,
        })
    };
    table.lines().skip(1).filter_map(line).collect()
}

/// The kernel prints each 32-bit word in the machine's own byte order.
fn parse_address(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(hex.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    match hex.len() {
        8 => Some(IpAddr::V4(Ipv4Addr::from(word(0)?))),
        32 => {
            let mut bytes = [0; 16];
            for part in 0..4 {
                bytes[part * 4..part * 4 + 4].copy_from_slice(&word(part * 8)?);
            }
            let address = Ipv6Addr::from(bytes);
            Some(address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4))
        }
        _ => None,
    }
}

/// All listening sockets of this machine.
pub fn listening() -> Vec<Listening> {
    let table = |path| parse_listening(&fs::read_to_string(path).unwrap_or_default());
    [table("/proc/net/tcp"), table("/proc/net/tcp6")].concat()
}

/// Who holds 127.0.0.1:`port`; none where nobody does.
pub fn owner(port: u16) -> Option<Owner> {
    let sockets = listening()
        .into_iter()
        .filter(|socket| socket.port == port && (socket.address.is_loopback() || socket.address.is_unspecified()));
    let inodes: BTreeSet<u64> = sockets.map(|socket| socket.inode).collect();
    if inodes.is_empty() {
        return None;
    }
    let pid = socket_owners(&inodes).into_values().next();
    Some(Owner { pid, program: pid.and_then(process::program) })
}

/// Whether the process `pid` itself listens on `port`.
pub fn belongs_to(port: u16, pid: i32) -> bool {
    let inodes: BTreeSet<u64> = listening().into_iter().filter(|s| s.port == port).map(|s| s.inode).collect();
    sockets_of(pid).any(|inode| inodes.contains(&inode))
}

/// Inode → pid, as far as this user may see.
fn socket_owners(inodes: &BTreeSet<u64>) -> BTreeMap<u64, i32> {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.flat_map(|pid| sockets_of(pid).map(move |inode| (inode, pid)))
        .filter(|(inode, _)| inodes.contains(inode))
        .collect()
}

fn sockets_of(pid: i32) -> impl Iterator<Item = u64> {
    fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten().filter_map(|entry| {
        let target = fs::read_link(entry.path()).ok()?;
        target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    })
}

/// Whether nobody listens on 127.0.0.1:`port`.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// A free loopback port that is not in `taken`. It lies outside the range from which the kernel takes ports for
/// outgoing connections: otherwise a restarted server could find its port used by a client of the load.
pub fn free(taken: &BTreeSet<u16>) -> io::Result<u16> {
    let ephemeral = ephemeral_range();
    for _ in 0..500 {
        let port = rand::random_range(15_000_u16..32_000);
        if !taken.contains(&port) && !(ephemeral.0..=ephemeral.1).contains(&port) && is_free(port) {
            return Ok(port);
        }
    }
    // Somebody made the whole range ephemeral; then the kernel's choice is as good as any.
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn ephemeral_range() -> (u16, u16) {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut numbers = text.split_ascii_whitespace().filter_map(|n| n.parse().ok());
    (numbers.next().unwrap_or(32_768), numbers.next().unwrap_or(60_999))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listening_sockets_are_read_and_others_skipped() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0  0 12345 1 0\n\
            1: 0100007F:0CEA 0100007F:9999 01 00000000:00000000 00:00000000 00000000  0  0 777 1 0\n\
            2: 0000000000000000FFFF00000100007F:2384 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 99 1\n\
            junk\n";
        let localhost = IpAddr::V4(Ipv4Addr::LOCALHOST);
        assert_eq!(
            parse_listening(table),
            [
                Listening { address: localhost, port: 3306, inode: 12345 },
                Listening { address: localhost, port: 9092, inode: 99 },
            ]
        );
    }

    #[test]
    fn the_owner_of_a_port_is_named() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let me = std::process::id() as i32;
        assert_eq!(owner(port).unwrap().pid, Some(me));
        assert!(belongs_to(port, me) && !belongs_to(port, 1) && !is_free(port));
        drop(listener);
        assert!(owner(port).is_none() && is_free(port));
    }

    #[test]
    fn a_free_port_is_not_one_for_outgoing_connections() {
        let (low, high) = ephemeral_range();
        let port = free(&BTreeSet::new()).unwrap();
        assert!(!(low..=high).contains(&port), "{port}");
    }
}
