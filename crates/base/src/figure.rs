//! Figures as people read them.

/// A count with thousands set apart: `15,234`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A rate, with as many places as say something: `2,310`, `12.5`, `0.20`, `0`.
pub fn rate(per_second: f64) -> String {
    match per_second {
        0.0 => "0".into(),
        rate if rate < 9.995 => format!("{rate:.2}"),
        rate if rate < 99.95 => format!("{rate:.1}"),
        rate => count(rate.round() as u64),
    }
}

/// Milliseconds, with as many places as say something.
pub fn millis(ms: Option<f64>) -> String {
    match ms {
        None => "-".into(),
        Some(ms) if ms < 10.0 => format!("{ms:.2}"),
        Some(ms) if ms < 100.0 => format!("{ms:.1}"),
        Some(ms) => format!("{ms:.0}"),
    }
}

/// Bytes in a few places: `512M`, `1.2G`, `9.5K`, `0`.
pub fn bytes(n: u64) -> String {
    let mut value = n as f64;
    for unit in ["", "K", "M", "G", "T"] {
        // What would be rounded up to the next unit belongs to it.
        if value < 999.5 || unit == "T" {
            return if value < 9.95 && !unit.is_empty() {
                format!("{value:.1}{unit}")
            } else {
                format!("{value:.0}{unit}")
            };
        }
        value /= 1024.0;
    }
    String::new()
}

/// A share of a whole in percent; `-` of nothing.
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 { "-".into() } else { format!("{:.2} %", part as f64 * 100.0 / whole as f64) }
}

/// A figure that may be missing.
pub fn or_dash<T: std::fmt::Display>(value: Option<T>) -> String {
    value.map_or_else(|| "-".into(), |v| v.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_set_apart_by_thousands() {
        for (n, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (15_234, "15,234"), (1_234_567, "1,234,567")] {
            assert_eq!(count(n), text);
        }
    }

    /// A slow load is no load of 0 per second.
    #[test]
    fn rates_keep_the_places_that_say_something() {
        for (rate_per_second, text) in [
            (0.0, "0"),
            (0.2, "0.20"),
            (1.0, "1.00"),
            (9.996, "10.0"),
            (12.54, "12.5"),
            (99.96, "100"),
            (2_310.4, "2,310"),
        ] {
            assert_eq!(rate(rate_per_second), text);
        }
    }

    #[test]
    fn bytes_take_four_places_at_most() {
        let cases = [
            (0, "0"),
            (999, "999"),
            (1_000, "1.0K"),
            (1_536, "1.5K"),
            (512 << 20, "512M"),
            (5 << 30, "5.0G"),
            (1023 << 20, "1.0G"),
        ];
        for (n, text) in cases {
            assert_eq!(bytes(n), text, "{n}");
        }
        assert_eq!(bytes(u64::MAX), "16777216T");
    }

    #[test]
    fn a_share_of_nothing_is_no_number() {
        assert_eq!((percent(1, 0).as_str(), percent(1_000, 15_234).as_str()), ("-", "6.56 %"));
    }
}
