//! What a line of a log says behind its time: how urgent it is, and the message, in the forms that MySQL, MariaDB, Redis,
//! Kafka and our own processes write. Time and component have columns of their own, and need not stand twice.

use jiff::tz::TimeZone;

pub mod stamp;

/// How urgent a line is, as its writer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For who looks for a fault in the program.
    Debug,
    /// As it should be.
    Info,
    /// Look at it.
    Warn,
    /// Wrong.
    Error,
}

impl Level {
    /// As it stands in its column.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }

    /// In the words of the servers.
    fn of(word: &str) -> Option<Self> {
        Some(match word.to_ascii_uppercase().as_str() {
            "TRACE" | "DEBUG" => Self::Debug,
            "INFO" | "NOTE" | "SYSTEM" | "NOTICE" => Self::Info,
            "WARN" | "WARNING" => Self::Warn,
            "ERROR" | "FATAL" | "CRITICAL" => Self::Error,
            _ => return None,
        })
    }

    /// In the signs of Redis.
    fn of_sign(sign: &str) -> Option<Self> {
        Some(match sign {
            "." | "-" => Self::Debug,
            "*" => Self::Info,
            "#" => Self::Warn,
            _ => return None,
        })
    }
}

/// The level of `line`, where it says one, and the byte at which its message begins.
///
/// ```text
/// 2026-11-21T09:55:01.501811Z 1 [System] [MY-013577] [Server] …      MySQL
/// 2026-11-21  9:55:01 0 [Note] …                                     MariaDB
/// 1:M 21 Nov 2026 09:56:26.542 * …                                   Redis, Valkey
/// 2026-11-21T09:55:01.501+09 [main] INFO …                           Kafka from its jars
/// [2026-11-21 09:55:01,501] INFO …                                   Kafka from a download
/// 2026-11-21T09:55:01.501811Z  INFO ecomctl_backend::run: …          our own
/// ```
pub fn said(line: &str) -> (Option<Level>, usize) {
    let coloured = colour(line);
    // What the time is does not matter here, and so neither does the zone.
    let Some((_, behind)) = stamp::split(&line[coloured..], &TimeZone::UTC) else { return (None, 0) };
    let behind = coloured + behind;
    let (word, rest) = word(line, behind);
    let begins = |from: usize| from + (line[from..].len() - line[from..].trim_start().len());
    if let Some(level) = Level::of_sign(word) {
        return (Some(level), begins(rest));
    }
    if let Some(level) = Level::of(word) {
        return (Some(level), begins(own(line, rest)));
    }
    // A connection's number or a thread's name stands before the level.
    let (second, after) = self::word(line, rest);
    let (number, bracket) = (word.bytes().all(|byte| byte.is_ascii_digit()), inside(word));
    let level = match (number, bracket) {
        (true, _) if !word.is_empty() => inside(second).and_then(Level::of),
        (_, Some(_)) => Level::of(second),
        _ => None,
    };
    match level.map(|level| (level, after)).or_else(|| Some((Level::of(bracket?)?, rest))) {
        Some((level, from)) => (Some(level), begins(from)),
        None => (None, begins(behind)),
    }
}

/// Behind the sequence with which a program colours what follows.
fn colour(line: &str) -> usize {
    let Some(sequence) = line.strip_prefix("\x1b[") else { return 0 };
    sequence.find('m').map_or(0, |end| end + 3)
}

/// Behind the name of the module, in lines of our own: who wrote the line stands in the component's column.
fn own(line: &str, from: usize) -> usize {
    let (module, rest) = word(line, from);
    if module.starts_with("ecomctl") && module.ends_with(':') { rest } else { from }
}

/// The word at or behind `from`, and where it ends. Brackets are a word of their own: `[info][gc]` are two.
fn word(line: &str, from: usize) -> (&str, usize) {
    let text = line[from..].trim_start();
    let begin = line.len() - text.len();
    let bracket = text.find(']').filter(|_| text.starts_with('[')).map(|end| end + 1);
    let end = bracket.or_else(|| text.find(' ')).unwrap_or(text.len());
    (&text[..end], begin + end)
}

fn inside(word: &str) -> Option<&str> {
    word.strip_prefix('[')?.strip_suffix(']')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Time and level have columns of their own; what stood twice cut messages in half.
    #[test]
    fn each_server_says_its_level_and_its_message_in_a_form_of_its_own() {
        use Level::{Debug, Error, Info, Warn};
        for (line, level, message) in [
            (
                "2026-11-21T09:55:01.501811Z 1 [System] [MY-013577] [Server] ended",
                Some(Info),
                "[MY-013577] [Server] ended",
            ),
            ("2026-11-21T09:55:01.501811Z 0 [ERROR] [MY-010119] Aborting", Some(Error), "[MY-010119] Aborting"),
            (
                "2026-11-21  9:55:01 0 [Note] mariadbd: ready for connections",
                Some(Info),
                "mariadbd: ready for connections",
            ),
            ("2026-11-21 19:55:01 97 [Warning] Aborted connection 97", Some(Warn), "Aborted connection 97"),
            ("1:M 21 Nov 2026 09:56:26.542 * Ready to accept", Some(Info), "Ready to accept"),
            ("1:M 21 Nov 2026 09:56:26.542 # Server initialized", Some(Warn), "Server initialized"),
            ("1:M 21 Nov 2026 09:56:26.542 - DB 0: 1 keys", Some(Debug), "DB 0: 1 keys"),
            (
                "2026-11-21T18:55:01.501+09 [main] INFO kafka.server.Kafka - started",
                Some(Info),
                "kafka.server.Kafka - started",
            ),
            ("[2026-11-21 18:55:01,501] WARN [Broker id=1] slow", Some(Warn), "[Broker id=1] slow"),
            ("[2026-11-21T06:25:01.501-0330][info][gc] Pause", Some(Info), "[gc] Pause"),
            (
                "2026-11-21T09:55:01.501811Z  INFO ecomctl_backend::run: api-1 is ready port=7",
                Some(Info),
                "api-1 is ready port=7",
            ),
            ("2026-11-21T09:55:01.501811Z ERROR hyper: gone", Some(Error), "hyper: gone"),
            ("\x1b[33m1:M 21 Nov 2026 09:56:26.542 * Ready\x1b[0m", Some(Info), "Ready\x1b[0m"),
            ("2026-11-21T09:55:01Z 쿠폰 발급", None, "쿠폰 발급"),
            ("2026-11-21T09:55:01Z", None, ""),
            ("no time at all: error", None, "no time at all: error"),
        ] {
            let (found, from) = said(line);
            assert_eq!((found, &line[from..]), (level, message), "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_line_panics(line in "([\\[]?2026-11-21[T ]09:55:01[.,0-9Z]{0,5}\\]?)?[\\[\\] *#0-9A-Z]{0,12}.{0,10}") {
            let (_, from) = said(&line);
            prop_assert!(line.is_char_boundary(from));
        }
    }
}
