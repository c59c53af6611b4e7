//! Widths of text as a terminal counts them: a Korean syllable takes two cells, and is never cut in half.

use std::borrow::Cow;

pub use base::table::fit;
use unicode_width::UnicodeWidthStr;

/// Cells that `text` takes.
pub fn width(text: &str) -> usize {
    text.width()
}

/// `text` without what would move the cursor or change colours: escape sequences go, tabs become spaces.
/// Logs and statements are written by other programs, and must not be able to draw.
pub fn clean(text: &str) -> Cow<'_, str> {
    if !text.chars().any(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => escape(&mut chars),
            '\t' | '\n' => clean.push(' '),
            c if c.is_control() => {}
            c => clean.push(c),
        }
    }
    Cow::Owned(clean)
}

/// Skips the rest of an escape sequence: CSI up to its final byte, OSC up to BEL or ST, else one character.
fn escape(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match chars.peek() {
        Some('[') => {
            chars.next();
            for c in chars.by_ref() {
                if ('@'..='~').contains(&c) {
                    break;
                }
            }
        }
        Some(']') => {
            let mut before = ' ';
            for c in chars.by_ref() {
                if c == '\u{7}' || (before == '\u{1b}' && c == '\\') {
                    break;
                }
                before = c;
            }
        }
        _ => {
            chars.next();
        }
    }
}

/// `text` in lines of no more than `most` cells, broken at spaces where there are any.
pub fn wrap(text: &str, most: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        let mut used = 0;
        for word in clean(paragraph).split(' ') {
            let gap = usize::from(!line.is_empty());
            if used + gap + width(word) <= most {
                line.push_str(if gap == 1 { " " } else { "" });
                line.push_str(word);
                used += gap + width(word);
                continue;
            }
            if !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            let mut rest = word;
            while width(rest) > most {
                let head = fit(rest, most, "").into_owned();
                if head.is_empty() {
                    break; // Not even one character has room.
                }
                rest = &rest[head.len()..];
                lines.push(head);
            }
            used = width(rest);
            rest.clone_into(&mut line);
        }
        lines.push(line);
    }
    lines
}

/// `00:25`, `1:02:03`
pub fn clock(ms: u64) -> String {
    let s = ms / 1_000;
    if s < 3_600 {
        format!("{:02}:{:02}", s / 60, s % 60)
    } else {
        format!("{}:{:02}:{:02}", s / 3_600, s / 60 % 60, s % 60)
    }
}

/// `256 MiB`, `1.5 GiB`
pub fn bytes(n: u64) -> String {
    let mut value = n as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1_024.0 {
            return if value >= 100.0 || unit == "B" || value.fract() < 0.05 {
                format!("{value:.0} {unit}")
            } else {
                format!("{value:.1} {unit}")
            };
        }
        value /= 1_024.0;
    }
    format!("{value:.1} TiB")
}

/// `2,310/s`, `0.4/s`; `-` where it is not known.
pub fn rate(per_s: Option<f64>) -> String {
    match per_s {
        Some(r) if r.is_finite() && r.abs() < 10.0 && r.fract().abs() > 0.05 => format!("{r:.1}/s"),
        Some(r) if r.is_finite() && r < 0.0 => format!("-{}/s", base::figure::count(r.abs().round() as u64)),
        Some(r) if r.is_finite() => format!("{}/s", base::figure::count(r.round() as u64)),
        _ => "-".into(),
    }
}

/// `1,234`; `-` where it is not known.
pub fn count(n: Option<u64>) -> String {
    n.map_or_else(|| "-".into(), base::figure::count)
}

/// `12.1 ms`; `-` where it is not known.
pub fn ms(value: Option<f64>) -> String {
    value.filter(|v| v.is_finite()).map_or_else(|| "-".into(), |v| format!("{} ms", base::figure::millis(Some(v))))
}

/// `340 ms`, `2.9 s`, `12 min` of milliseconds; `-` where it is not known.
pub fn age(value: Option<f64>) -> String {
    match value {
        Some(ms) if ms >= 1_000.0 => seconds(Some(ms / 1_000.0)),
        other => ms(other),
    }
}

/// `97.2 %` of a share 0..1; `-` where it is not known.
pub fn share(value: Option<f64>) -> String {
    value.filter(|v| v.is_finite()).map_or_else(|| "-".into(), |v| format!("{:.1} %", v * 100.0))
}

/// `45 s`, `12 min`, `3.5 h`; `-` where it is not known.
pub fn seconds(value: Option<f64>) -> String {
    match value {
        Some(s) if !s.is_finite() => "-".into(),
        Some(s) if s < 10.0 => format!("{s:.1} s"),
        Some(s) if s < 120.0 => format!("{s:.0} s"),
        Some(s) if s < 7_200.0 => format!("{:.0} min", s / 60.0),
        Some(s) => format!("{:.1} h", s / 3_600.0),
        None => "-".into(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_wide_character_is_never_cut_in_half() {
        for (most, text) in
            [(0, ""), (1, "…"), (2, "…"), (3, "선…"), (4, "선…"), (5, "선착…"), (6, "선착순"), (7, "선착순")]
        {
            assert_eq!(fit("선착순", most, "…"), text, "{most}");
        }
    }

    #[test]
    fn other_programs_cannot_draw() {
        assert_eq!(clean("a\u{1b}[31mred\u{1b}[0m\tb\r"), "ared b");
        assert_eq!(clean("\u{1b}]0;title\u{7}x\u{1b}(By"), "xBy");
        assert_eq!(clean("plain 선착순"), "plain 선착순");
    }

    #[test]
    fn lines_break_at_spaces_and_long_words_anywhere() {
        assert_eq!(wrap("a bb ccc", 4), ["a bb", "ccc"]);
        assert_eq!(wrap("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrap("선착순 할인", 6), ["선착순", "할인"]);
        assert_eq!(wrap("a\n\nb", 6), ["a", "", "b"]);
    }

    #[test]
    fn figures_read_well() {
        assert_eq!((clock(25_000), clock(3_723_000)), ("00:25".into(), "1:02:03".into()));
        assert_eq!(
            (bytes(0), bytes(256 << 20), bytes(1_610_612_736)),
            ("0 B".into(), "256 MiB".into(), "1.5 GiB".into())
        );
        assert_eq!(
            (rate(Some(2_310.4)), rate(Some(0.42)), rate(Some(-1_200.0))),
            ("2,310/s".into(), "0.4/s".into(), "-1,200/s".into())
        );
        assert_eq!((rate(Some(f64::NAN)), ms(None), share(Some(0.972))), ("-".into(), "-".into(), "97.2 %".into()));
        assert_eq!((age(Some(340.0)), age(Some(2_890.0))), ("340 ms".into(), "2.9 s".into()));
        assert_eq!(
            (seconds(Some(45.2)), seconds(Some(720.0)), seconds(Some(f64::INFINITY))),
            ("45 s".into(), "12 min".into(), "-".into())
        );
    }

    proptest! {
        #[test]
        fn what_fits_is_a_beginning_and_no_wider_than_asked(text in "\\PC{0,30}", most in 0_usize..40) {
            let fitted = fit(&text, most, "…");
            prop_assert!(width(&fitted) <= most || width(&text) <= most);
            prop_assert!(text.starts_with(fitted.trim_end_matches('…')) || fitted == text);
        }

        #[test]
        fn wrapping_loses_no_letters(text in "[a-z선착순 ]{0,60}", most in 2_usize..20) {
            let lines = wrap(&text, most);
            prop_assert!(lines.iter().all(|line| width(line) <= most));
            let letters = |s: &str| s.chars().filter(|c| *c != ' ').collect::<String>();
            prop_assert_eq!(letters(&lines.concat()), letters(&text));
        }
    }
}
