//! The time that a line of a log begins with, in the forms that MySQL, MariaDB, Redis, Kafka and our own processes write.

use jiff::{
    Timestamp,
    civil::DateTime,
    tz::{Offset, TimeZone},
};

const MONTHS: [&[u8]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// Time of `line`; none where it does not begin with one. Times without a zone are those of `zone`.
///
/// ```text
/// 2026-11-21T09:55:01.501811Z 1 [System] …      MySQL, our own
/// 2026-11-21  9:55:01 0 [Note] …                MariaDB
/// 1:M 21 Nov 2026 09:56:26.542 * …              Redis, Valkey
/// 2026-11-21T09:55:01.501+09 [main] INFO …      Kafka from its jars
/// [2026-11-21 09:55:01,501] INFO …              Kafka from a download
/// ```
pub fn of(line: &str, zone: &TimeZone) -> Option<Timestamp> {
    split(line, zone).map(|(time, _)| time)
}

/// The time that `line` begins with, and the byte at which it goes on behind it.
pub fn split(line: &str, zone: &TimeZone) -> Option<(Timestamp, usize)> {
    let mut scan = Scan { rest: line.as_bytes() };
    scan.skip(b"[");
    let mut behind = scan.clone();
    let time = if let Some(time) = iso(&mut behind, zone) {
        time
    } else {
        behind = scan;
        redis(&mut behind, zone)?
    };
    if line.starts_with('[') {
        behind.skip(b"]");
    }
    // Only ASCII was read, so that this is where a character begins.
    Some((time, line.len() - behind.rest.len()))
}

fn iso(scan: &mut Scan<'_>, zone: &TimeZone) -> Option<Timestamp> {
    let (year, month, day) = (scan.digits(4, 4)?, scan.after(b"-")?.digits(2, 2)?, scan.after(b"-")?.digits(2, 2)?);
    if scan.after(b"T").is_none() {
        scan.after(b" ")?;
        // MariaDB writes the hour with a blank instead of a zero.
        scan.skip(b" ");
    }
    let time = scan.time()?;
    let civil = civil(year, month, day, time)?;
    match scan.offset() {
        Some(offset) => offset.to_timestamp(civil).ok(),
        None => zone.to_timestamp(civil).ok(),
    }
}

fn redis(scan: &mut Scan<'_>, zone: &TimeZone) -> Option<Timestamp> {
    scan.digits(1, 10)?;
    // Master, replica, child or sentinel.
    scan.after(b":")?.letter()?;
    let day = scan.after(b" ")?.digits(1, 2)?;
    let month = scan.after(b" ")?.take(3)?;
    let month = MONTHS.iter().position(|name| *name == month)? as u32 + 1;
    let year = scan.after(b" ")?.digits(4, 4)?;
    let time = scan.after(b" ")?.time()?;
    zone.to_timestamp(civil(year, month, day, time)?).ok()
}

fn civil(year: u32, month: u32, day: u32, (hour, minute, second, nanos): (u32, u32, u32, u32)) -> Option<DateTime> {
    let small = |n: u32| i8::try_from(n).ok();
    let (year, nanos) = (i16::try_from(year).ok()?, i32::try_from(nanos).ok()?);
    DateTime::new(year, small(month)?, small(day)?, small(hour)?, small(minute)?, small(second)?, nanos).ok()
}

/// What is left of a line.
#[derive(Clone)]
struct Scan<'a> {
    rest: &'a [u8],
}

impl<'a> Scan<'a> {
    fn skip(&mut self, text: &[u8]) {
        let _ = self.after(text);
    }

    /// Behind `text`; none where it does not stand here.
    fn after(&mut self, text: &[u8]) -> Option<&mut Self> {
        self.rest = self.rest.strip_prefix(text)?;
        Some(self)
    }

    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(n)?;
        self.rest = rest;
        Some(taken)
    }

    fn letter(&mut self) -> Option<()> {
        self.take(1)?[0].is_ascii_uppercase().then_some(())
    }

    /// A number of `least` to `most` digits, and no more of them behind it.
    fn digits(&mut self, least: usize, most: usize) -> Option<u32> {
        let n = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if n < least || n > most {
            return None;
        }
        std::str::from_utf8(self.take(n)?).ok()?.parse().ok()
    }

    /// `9:05:01`, `09:05:01.5`, `09:05:01,501`
    fn time(&mut self) -> Option<(u32, u32, u32, u32)> {
        let time = (self.digits(1, 2)?, self.after(b":")?.digits(2, 2)?, self.after(b":")?.digits(2, 2)?);
        let mut nanos = 0;
        if matches!(self.rest.first(), Some(b'.' | b',')) && self.rest.get(1).is_some_and(u8::is_ascii_digit) {
            self.take(1)?;
            let n = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let digits = self.take(n)?;
            for place in 0..9 {
                nanos = nanos * 10 + digits.get(place).map_or(0, |digit| u32::from(digit - b'0'));
            }
        }
        Some((time.0, time.1, time.2, nanos))
    }

    /// `Z`, `+09`, `+0900`, `-03:30`
    fn offset(&mut self) -> Option<Offset> {
        if self.after(b"Z").is_some() {
            return Some(Offset::UTC);
        }
        let sign = match self.rest.first()? {
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        self.take(1)?;
        let pair = |two: &[u8]| std::str::from_utf8(two).ok()?.parse::<i32>().ok();
        let hours = pair(self.take(2)?)?;
        self.skip(b":");
        let minutes = match self.rest {
            [a, b, ..] if a.is_ascii_digit() && b.is_ascii_digit() => pair(self.take(2)?)?,
            _ => 0,
        };
        Offset::from_seconds(sign * (hours * 3_600 + minutes * 60)).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seoul() -> TimeZone {
        TimeZone::fixed(Offset::constant(9))
    }

    #[test]
    fn each_server_says_its_time_in_a_form_of_its_own() {
        for (line, expected) in [
            ("2026-11-21T09:55:01.501811Z 1 [System] [MY-013577] ended", "2026-11-21T09:55:01.501811Z"),
            ("2026-11-21T18:55:01.501811+09:00 1 [System]", "2026-11-21T09:55:01.501811Z"),
            ("2026-11-21  9:55:01 0 [Note] mariadbd: ready", "2026-11-21T00:55:01Z"),
            ("2026-11-21 19:55:01 0 [Note] mariadbd: ready", "2026-11-21T10:55:01Z"),
            ("1:M 21 Nov 2026 09:56:26.542 * Ready", "2026-11-21T00:56:26.542Z"),
            ("31337:C 01 Jan 2027 09:00:00.000 # oO0O", "2027-01-01T00:00:00Z"),
            ("2026-11-21T18:55:01.501+09 [main] INFO kafka", "2026-11-21T09:55:01.501Z"),
            ("2026-11-21T09:55:01.501Z [main] INFO kafka", "2026-11-21T09:55:01.501Z"),
            ("[2026-11-21 18:55:01,501] INFO [Broker id=1]", "2026-11-21T09:55:01.501Z"),
            ("[2026-11-21T06:25:01.501-0330][info][gc] Pause", "2026-11-21T09:55:01.501Z"),
            ("2026-11-21T09:55:01.501811Z  INFO ecomctl_backend::run: ready", "2026-11-21T09:55:01.501811Z"),
        ] {
            assert_eq!(of(line, &seoul()), Some(expected.parse().unwrap()), "{line}");
        }
    }

    #[test]
    fn other_lines_have_none() {
        for line in [
            "",
            "\tat kafka.Kafka.main(Kafka.scala:112)",
            "2026-13-21T09:55:01Z there is no such month",
            "2026-02-30 09:55:01 nor such a day",
            "20261121 9:55:01 nor such a form",
            "1:M Monday",
            "12:5",
            "[main] INFO no time here",
            "쿠폰 발급",
        ] {
            assert_eq!(of(line, &seoul()), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_line_panics(line in "[\\[]?[0-9:TZ .,+-]{0,40}.{0,10}") {
            let _ = of(&line, &seoul());
        }

        #[test]
        fn what_is_written_is_read_back(nanos in 0_i64..4_000_000_000_000_000_000) {
            let time = Timestamp::from_nanosecond(nanos.into()).unwrap();
            prop_assert_eq!(of(&format!("{time} word"), &seoul()), Some(time));
        }
    }
}
