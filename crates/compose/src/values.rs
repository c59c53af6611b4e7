//! Texts of compose that stand for something else: times, sizes, modes, command lines.

use std::time::Duration;

/// `1h2m3.5s`, `500ms`: numbers with units, one after the other.
pub(super) fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let unit = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let seconds = match &after[..unit] {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            _ => return None,
        };
        let part = number.parse::<f64>().ok()? * seconds;
        total = total.checked_add(Duration::try_from_secs_f64(part).ok()?)?;
        rest = &after[unit..];
    }
    (!text.is_empty()).then_some(total)
}

/// A time as compose prints it: `1m30s`, `500ms`.
pub(super) fn print_duration(time: Duration) -> String {
    if time.is_zero() {
        return "0s".into();
    }
    if time < Duration::from_secs(1) {
        return format!("{}ms", plain(time.as_secs_f64() * 1e3));
    }
    let whole = time.as_secs();
    let (hours, minutes) = (whole / 3_600, whole / 60 % 60);
    let seconds = plain((whole % 60) as f64 + f64::from(time.subsec_nanos()) / 1e9);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

fn plain(x: f64) -> String {
    let text = format!("{x:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `512m`, `1gb`, `1048576`: powers of 1,024.
pub fn bytes(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim_start() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return None,
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(1 << shift);
    }
    let exact = number.parse::<f64>().ok()? * (1_u64 << shift) as f64;
    (exact < 1e18).then_some(exact as u64)
}

/// `0444` or `0o444`; without the zero it is decimal, as in YAML.
pub(super) fn mode(text: &str) -> Option<u32> {
    let mode = match text.strip_prefix("0o").or_else(|| text.strip_prefix('0')) {
        Some("") => Some(0),
        Some(octal) => u32::from_str_radix(octal, 8).ok(),
        None => text.parse().ok(),
    };
    mode.filter(|mode| *mode <= 0o7777)
}

/// Whether a plain text is a number or a date to some readers of YAML, docker compose among them: `1_000`, `0b11`, `-0x1F`,
/// `0o17`, `.inf`, `2001-01-01`.
pub(super) fn is_doubtful(text: &str) -> bool {
    let bare = text.strip_prefix(['+', '-']).unwrap_or(text);
    let words = |rest: &str| rest.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if bare.len() > 2 && ["0b", "0o", "0x", "0B", "0O", "0X"].iter().any(|base| bare.starts_with(base)) {
        return words(&bare[2..]);
    }
    if matches!(bare.to_ascii_lowercase().as_str(), ".inf" | ".nan") {
        return true;
    }
    let is_number = || bare.replace('_', "").parse::<f64>().is_ok();
    if bare.starts_with(|c: char| c.is_ascii_digit() || c == '.') && bare.contains('_') && is_number() {
        return true;
    }
    // A day, alone or with a time behind it.
    let mut parts = text.splitn(3, '-');
    let digits = |part: Option<&str>, most: usize| {
        part.is_some_and(|p| (1..=most).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit()))
    };
    let year = text.find('-') == Some(4) && digits(parts.next(), 4);
    let month = digits(parts.next(), 2);
    let day = parts.next().and_then(|rest| rest.split(['T', 't', ' ']).next());
    year && month && digits(day, 2)
}

/// Splits a command line as a shell would, without doing anything else that a shell does.
pub(super) fn words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, ' ' | '\t' | '\n' | '\r') => words.extend(word.take()),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (Some(open), c) if c == open => quote = None,
            (None | Some('"'), '\\') => {
                let next = chars.next().ok_or("it ends with a backslash")?;
                let word = word.get_or_insert_default();
                // Between double quotes a backslash escapes only what would be special there.
                if quote.is_some() && !matches!(next, '"' | '\\' | '$' | '`') {
                    word.push('\\');
                }
                word.push(next);
            }
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed".into());
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_as_compose_writes_them() {
        for (text, millis) in [("10s", 10_000), ("1m30s", 90_000), ("1h", 3_600_000), ("500ms", 500), ("1.5s", 1_500)] {
            assert_eq!(duration(text), Some(Duration::from_millis(millis)), "{text}");
            assert_eq!(duration(&print_duration(Duration::from_millis(millis))), duration(text), "{text}");
        }
        assert_eq!(print_duration(Duration::from_secs(90)), "1m30s");
        for text in ["", "10", "s", "1d", "-1s", "1s 2", "..s", "99999999999999999999h"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_and_modes() {
        for (text, size) in [("512m", 512 << 20), ("1gb", 1 << 30), ("7", 7), ("0.5K", 512), ("64 MiB", 64 << 20)] {
            assert_eq!(bytes(text), Some(size), "{text}");
        }
        for text in ["", "m", "1x", "-1", "99999999999t", "1.2.3m"] {
            assert_eq!(bytes(text), None, "{text}");
        }
        assert_eq!(["0444", "0o444", "292", "0"].map(mode), [Some(0o444), Some(0o444), Some(0o444), Some(0)]);
        assert_eq!(["rw", "0999", "99999"].map(mode), [None, None, None]);
    }

    /// What docker compose prints otherwise than it is written, or refuses; the rest it takes as a text, or as written.
    #[test]
    fn texts_that_are_numbers_or_days_to_some_are_known() {
        for text in [
            "1_000",
            "0b11",
            "-0x1F",
            "0o17",
            "0o_17",
            "0X1f",
            ".inf",
            "-.Inf",
            "+.INF",
            ".NaN",
            "1_0.5",
            "2001-01-01",
            "2001-1-1",
            "2001-12-14t21:59:43.10-05:00",
            "2001-12-14 21:59:43",
        ] {
            assert!(is_doubtful(text), "{text}");
        }
        for text in [
            "yes",
            "off",
            "a_b",
            "1_a",
            "0x",
            "0b",
            "190:20:30",
            "inf",
            "nan",
            "1.2.3",
            "10.0.0.1",
            "2001-01",
            "a-1-1",
            "20011-01-01",
            "2001-01-01x",
            "_1",
            "-",
            "",
            "8.0-debian",
            "12ab",
            "é-1-1",
        ] {
            assert!(!is_doubtful(text), "{text}");
        }
    }

    #[test]
    fn command_lines_are_split_as_by_a_shell() {
        for (line, wanted) in [
            ("a  b\tc", vec!["a", "b", "c"]),
            ("sh -c 'echo \"$A\" x'", vec!["sh", "-c", "echo \"$A\" x"]),
            (r#"a "b \" \n c" d\ e"#, vec!["a", r#"b " \n c"#, "d e"]),
            ("'' a\"\"b", vec!["", "ab"]),
            ("", vec![]),
        ] {
            assert_eq!(words(line).unwrap(), wanted, "{line}");
        }
        assert!(words("a 'b").is_err() && words("a \\").is_err());
    }

    proptest! {
        #[test]
        fn quoted_words_come_back(list in proptest::collection::vec("[^'\\\\\"]{0,8}", 0..5)) {
            let line = list.iter().map(|w| format!("'{w}'")).collect::<Vec<_>>().join(" ");
            prop_assert_eq!(words(&line), Ok(list));
        }
        #[test]
        fn no_text_panics(text in ".{0,30}") {
            let _ = (duration(&text), bytes(&text), mode(&text), words(&text));
        }
        #[test]
        fn printed_times_are_read_again(millis in 0_u64..200_000_000) {
            let time = Duration::from_millis(millis);
            prop_assert_eq!(duration(&print_duration(time)), Some(time));
        }
    }
}
