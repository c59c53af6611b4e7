//! Texts in which somebody else may repeat an address: an argument in an error of the command line, a line of a file.

const MASK: &str = "***";
/// What stands for a login where it is said how to write one.
const PLACES: [&str; 2] = ["USER:PASSWORD", "[USER:PASSWORD"];

/// `text` without the logins of addresses: in each word what stands between `//` (or its beginning, where a `:` follows)
/// and the last `@`, and the values of parameters that hold a password.
pub fn mask(text: &str) -> String {
    text.split_inclusive(char::is_whitespace).map(mask_word).collect()
}

fn mask_word(word: &str) -> String {
    let end = word.trim_end().len();
    let (word, space) = word.split_at(end);
    let masked = match (word.find("://"), word.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme && !PLACES.contains(&&word[scheme + 3..at]) => {
            format!("{}{MASK}{}", &word[..scheme + 3], &word[at..])
        }
        (None, Some(at)) if word[..at].contains(':') => {
            // `--flag=user:password@host` and `"user:password@host"`: what leads in is no part of the login.
            let start = word[..at].rfind(['=', '"', '\'', '`']).map_or(0, |i| i + 1);
            format!("{}{MASK}{}", &word[..start], &word[at..])
        }
        _ => word.to_owned(),
    };
    format!("{}{space}", mask_parameters(&masked))
}

/// `?password=x&` → `?password=***&`
fn mask_parameters(word: &str) -> String {
    let mut masked = String::with_capacity(word.len());
    let mut rest = word;
    while let Some(at) =
        ["password=", "passwd=", "pwd="].iter().filter_map(|k| Some(rest.to_ascii_lowercase().find(k)? + k.len())).min()
    {
        let end = rest[at..].find(['&', '"', '\'', '`']).map_or(rest.len(), |i| at + i);
        masked.push_str(&rest[..at]);
        masked.push_str(MASK);
        rest = &rest[end..];
    }
    masked.push_str(rest);
    masked
}

/// `text` with every occurrence of the command line's argument `argument` masked, where that may be an address: as a
/// whole, spaces and all.
pub fn mask_argument(text: &str, argument: &str) -> String {
    let value = match argument.split_once('=') {
        Some((flag, value)) if flag.starts_with('-') => value,
        _ => argument,
    };
    let suspicious = value.contains("://") || value.contains('@');
    if suspicious && !value.is_empty() { text.replace(value, MASK) } else { text.to_owned() }
}
