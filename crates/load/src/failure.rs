//! Why a request has no answer: the kinds by which failures are counted, and what is kept of the first one of each.

use std::{collections::BTreeMap, io};

/// Why a request has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// Nobody listens there.
    Refused,
    /// The network knows no way there.
    Unreachable,
    /// No connection within the request's time.
    ConnectTimeOut,
    /// No connection for another reason.
    Connect,
    /// Connected, but no whole answer within the request's time.
    TimeOut,
    /// The connection was reset.
    Reset,
    /// The server closed the connection before its answer was whole.
    Closed,
    /// What answers speaks TLS.
    Tls,
    /// What answers does not speak HTTP/1.1.
    Garbage,
}

/// How many kinds there are.
pub(super) const KINDS: usize = 9;
/// Requests by kind of failure.
pub(super) type Counts = [u64; KINDS];

const ALL: [Failure; KINDS] = [
    Failure::Refused,
    Failure::Unreachable,
    Failure::ConnectTimeOut,
    Failure::Connect,
    Failure::TimeOut,
    Failure::Reset,
    Failure::Closed,
    Failure::Tls,
    Failure::Garbage,
];

/// Longest example that is kept, in characters.
const MOST_CHARS: usize = 160;
/// Bytes of an answer that an example shows.
const SHOWN_BYTES: usize = 48;

impl Failure {
    /// Its name in files and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::ConnectTimeOut => "connect time-out",
            Self::Connect => "connect",
            Self::TimeOut => "time-out",
            Self::Reset => "reset",
            Self::Closed => "closed early",
            Self::Tls => "TLS",
            Self::Garbage => "not HTTP",
        }
    }

    /// Why no connection came about.
    pub fn of_connect(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
                Self::Reset
            }
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => {
                Self::Unreachable
            }
            io::ErrorKind::TimedOut => Self::ConnectTimeOut,
            _ => Self::Connect,
        }
    }

    /// What bytes that are no HTTP are: a TLS record begins with its type (21 alert, 22 handshake) and version 3.x.
    pub fn of_garbage(bytes: &[u8]) -> Self {
        if matches!(bytes, [21 | 22, 3, 0..=4, ..]) { Self::Tls } else { Self::Garbage }
    }
}

/// The kinds that occurred, by name.
pub(super) fn by_name(counts: &Counts) -> BTreeMap<String, u64> {
    let seen = ALL.into_iter().zip(counts).filter(|(_, count)| **count > 0);
    seen.map(|(kind, count)| (kind.name().to_owned(), *count)).collect()
}

/// The examples that there are, by the kind's name.
pub(super) fn examples(kept: &[Option<Box<str>>; KINDS]) -> BTreeMap<String, String> {
    let kept = ALL.into_iter().zip(kept);
    kept.filter_map(|(kind, text)| Some((kind.name().to_owned(), text.as_ref()?.to_string()))).collect()
}

/// An example as it is kept: one line, of bounded length.
pub(super) fn bounded(text: &str) -> Box<str> {
    let line = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut kept: String = line.take(MOST_CHARS).collect();
    if text.chars().nth(MOST_CHARS).is_some() {
        kept.push('…');
    }
    kept.into_boxed_str()
}

/// The first bytes of an answer, for people: what cannot be printed is escaped.
pub(super) fn shown(bytes: &[u8]) -> String {
    let more = if bytes.len() > SHOWN_BYTES { "…" } else { "" };
    format!("`{}{more}`", bytes[..bytes.len().min(SHOWN_BYTES)].escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each kind has a number of its own in the counts, and a name of its own in the reports.
    #[test]
    fn kinds_are_numbered_and_named_apart() {
        for (number, kind) in ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, number);
            assert_eq!(ALL.iter().filter(|other| other.name() == kind.name()).count(), 1, "{kind:?}");
        }
    }

    /// A plain port and a TLS port are told apart by what comes back.
    #[test]
    fn tls_is_known_by_its_record() {
        assert_eq!(Failure::of_garbage(b"\x15\x03\x01\x00\x02\x02\x46"), Failure::Tls);
        assert_eq!(Failure::of_garbage(b"\x16\x03\x03\x00\x7a\x02"), Failure::Tls);
        for other in [&b"220 smtp.example ESMTP\r\n"[..], b"\x15\x04\x01", b"\x15", b"", b"SSH-2.0-x"] {
            assert_eq!(Failure::of_garbage(other), Failure::Garbage, "{other:?}");
        }
    }

    /// Whatever a server sends, an example stays one short printable line.
    #[test]
    fn examples_are_bounded() {
        let text = bounded(&format!("a\r\nb\x1b[31m{}", "선".repeat(5_000)));
        assert!(text.chars().count() == MOST_CHARS + 1 && !text.chars().any(char::is_control), "{text}");
        assert_eq!(shown(b"220 x\r\n\xff"), "`220 x\\r\\n\\xff`");
        assert!(shown(&[b'x'; 5_000]).len() < 60);
    }
}
