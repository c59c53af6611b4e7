//! Plain scalars that mean different things to different readers of YAML, or that no number here holds exactly.
//!
//! `01012345678` is a telephone number to people, 1012345678 to one reader and an octal number to another;
//! 12345678901234567890 would become the nearest number that fits. Neither is guessed: they stay [`Unclear`] until
//! whoever wrote them says what they are.

/// Words that YAML 1.1 takes for true and false, and YAML 1.2 for texts.
const WORDS: [(&str, bool); 4] = [("yes", true), ("on", true), ("no", false), ("off", false)];

/// A plain scalar that is not taken for any of the things that it may mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Unclear {
    /// As it was written.
    pub text: String,
    /// For messages: what is wrong, and what may be written instead.
    why: String,
    word: bool,
}

impl Unclear {
    /// The plain scalar `text`, where its meaning is not clear.
    pub fn of(text: &str) -> Option<Self> {
        let of = |why: String, word: bool| Some(Self { text: text.to_owned(), why, word });
        if let Some((_, value)) = WORDS.iter().find(|(word, _)| text.eq_ignore_ascii_case(word)) {
            let why = format!("`{text}` is {value} to some readers of YAML and a text to others: write {value}");
            return of(why, true);
        }
        if !looks_like_a_number(text) || is_exact(text) {
            return None;
        }
        match meant(text).filter(|number| is_exact(number)) {
            Some(number) => of(format!("`{text}` would not be sent as it is written: write {number}"), false),
            None => of(format!("`{text}` is a number with more digits, or larger, than are kept"), false),
        }
    }

    /// Whether it is plainly a text where a text is wanted: `about: no`.
    pub fn is_word(&self) -> bool {
        self.word
    }

    /// What is wrong, and what to write.
    pub fn message(&self) -> String {
        format!("{}; put it into quotes if it is a text", self.why)
    }
}

/// Whether some reader of YAML takes `text` for a number: JSON's, with a sign, leading zeros, `_`, or a base.
fn looks_like_a_number(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    if let Some((radix, digits)) = based(text) {
        return digits.chars().any(|c| c.is_digit(radix)) && digits.chars().all(|c| c.is_digit(radix) || c == '_');
    }
    let (mantissa, exponent) = text.split_once(['e', 'E']).map_or((text, None), |(m, e)| (m, Some(e)));
    let exponent = exponent.is_none_or(|e| {
        let digits = e.strip_prefix(['+', '-']).unwrap_or(e);
        !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
    });
    let begins = mantissa.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let signs = mantissa.bytes().all(|b| b.is_ascii_digit() || b == b'_' || b == b'.');
    let dots = mantissa.bytes().filter(|b| *b == b'.').count();
    exponent && begins && signs && dots <= 1 && mantissa.bytes().any(|b| b.is_ascii_digit())
}

/// `0x1F`: base and digits.
fn based(text: &str) -> Option<(u32, &str)> {
    let rest = text.strip_prefix('0')?;
    let radix = match rest.chars().next()? {
        'x' | 'X' => 16,
        'o' | 'O' => 8,
        'b' | 'B' => 2,
        _ => return None,
    };
    Some((radix, &rest[1..]))
}

/// The number in JSON's spelling that was probably meant.
fn meant(text: &str) -> Option<String> {
    let sign = if text.starts_with('-') { "-" } else { "" };
    let plain = text.trim_start_matches(['+', '-']).replace('_', "");
    if let Some((radix, digits)) = based(&plain) {
        return Some(format!("{sign}{}", u64::from_str_radix(digits, radix).ok()?));
    }
    let trimmed = plain.trim_start_matches('0');
    let zero = if trimmed.starts_with(|c: char| c.is_ascii_digit()) { "" } else { "0" };
    Some(format!("{sign}{zero}{}", trimmed.trim_end_matches('.')))
}

/// Whether `text` is a number in JSON's spelling that is kept as it is written.
fn is_exact(text: &str) -> bool {
    let Ok(serde_json::Value::Number(_)) = serde_json::from_str(text) else { return false };
    if text.bytes().all(|b| b.is_ascii_digit() || b == b'-') {
        return text.parse::<i64>().is_ok();
    }
    let Ok(kept) = text.parse::<f64>() else { return false };
    // By the printer that bodies are written with: of two shortest spellings another one may choose the other.
    let sent = serde_json::Value::from(kept).to_string();
    kept.is_finite() && normal(text).is_some_and(|written| normal(&sent) == Some(written))
}

/// Digits without zeros at either end, and the power of ten of the last one. Two spellings of one number have the same.
fn normal(text: &str) -> Option<(bool, String, i64)> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i64 = exponent.parse().ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{}{fraction}", whole.trim_start_matches('-'));
    let kept = digits.trim_end_matches('0');
    let power = exponent.checked_sub(fraction.len() as i64)?.checked_add((digits.len() - kept.len()) as i64)?;
    let kept = kept.trim_start_matches('0');
    Some(if kept.is_empty() { (false, String::new(), 0) } else { (mantissa.starts_with('-'), kept.to_owned(), power) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What would change on its way, or is read in different ways, is never taken for one of them.
    #[test]
    fn what_is_not_sent_as_written_is_not_guessed() {
        for (text, hint) in [
            ("563000000000000.3", "more digits"),
            ("01012345678", "write 1012345678;"),
            ("01234", "write 1234;"),
            ("-007", "write -7;"),
            ("00", "write 0;"),
            ("+5", "write 5;"),
            (".5", "write 0.5;"),
            ("-.5", "write -0.5;"),
            ("5.", "write 5;"),
            ("1_000", "write 1000;"),
            ("0x10", "write 16;"),
            ("-0x1F", "write -31;"),
            ("0o17", "write 15;"),
            ("0b11", "write 3;"),
            ("012.50", "write 12.50;"),
            ("12345678901234567890", "more digits, or larger"),
            ("0xffffffffffffffffff", "more digits, or larger"),
            ("3.141592653589793238", "more digits, or larger"),
            ("1e400", "more digits, or larger"),
            ("1e-400", "more digits, or larger"),
            ("yes", "write true;"),
            ("Off", "write false;"),
        ] {
            let unclear = Unclear::of(text).unwrap_or_else(|| panic!("{text} was taken"));
            let message = unclear.message();
            assert!(message.contains(hint) && message.ends_with("put it into quotes if it is a text"), "{message}");
        }
        for text in [
            "0",
            "-1",
            "42",
            "9223372036854775807",
            "-9223372036854775808",
            "0.1",
            "1.10",
            "-0.0",
            "1e3",
            "2.5E-3",
            "100000.00",
            "2024-01-01",
            "12:30:45",
            "10.0.0.1",
            "010-1234-5678",
            "1.2.3",
            "10s",
            "0x",
            "0xyz",
            "e5",
            "1e",
            "-",
            ".",
            "...",
            "true",
            "null",
            "y",
            "None",
            "",
            "선착순",
            "1 000",
            "_1",
        ] {
            assert_eq!(Unclear::of(text), None, "{text}");
        }
    }

    proptest! {
        /// A number that is taken is the number that a JSON reader gets.
        #[test]
        fn what_is_taken_is_sent_as_written(text in "-?[0-9]{1,22}(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?") {
            if Unclear::of(&text).is_none() {
                prop_assert!(is_exact(&text));
                let sent = match text.parse::<i64>() {
                    Ok(whole) => whole.to_string(),
                    Err(_) => serde_json::Value::from(text.parse::<f64>().unwrap()).to_string(),
                };
                prop_assert_eq!(normal(&sent), normal(&text), "{} was sent as {}", text, sent);
            }
        }

        #[test]
        fn whole_numbers_that_fit_are_taken(number: i64) {
            prop_assert_eq!(Unclear::of(&number.to_string()), None);
        }

        #[test]
        fn fractions_as_they_are_printed_are_taken(number in prop::num::f64::NORMAL) {
            prop_assert_eq!(Unclear::of(&serde_json::Value::from(number).to_string()), None);
        }

        #[test]
        fn no_text_panics(text in "[-+0-9a-fxobEe._ 선]{0,24}") {
            let _ = Unclear::of(&text).map(|unclear| unclear.message());
        }
    }
}
