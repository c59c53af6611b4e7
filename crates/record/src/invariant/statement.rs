//! Which SQL an invariant may send: one SELECT that only reads.
//!
//! The text is cut into words as MySQL cuts it. What servers cut differently (comments, backslashes, numbers grown
//! together with words) is refused and not guessed, so that no setting of a server can make another statement of it.
//! This is the first wall; the engine's read-only transaction is the second.

use std::collections::{BTreeMap, BTreeSet};

use base::yaml::suggest::did_you_mean;

use super::functions;

/// Longest statement, in bytes.
const MOST_BYTES: usize = 16 * 1024;
/// Longest name of a table or column, in characters, as in MySQL.
const MOST_NAME: usize = 64;
/// Signs that may stand outside quotes.
const SIGNS: &str = "+-*/%=<>!&|^~(),.";
/// Words that no reading statement needs: with one of them it writes, locks, or sends its rows elsewhere.
const DENIED: &[&str] = &[
    "INTO",
    "OUTFILE",
    "DUMPFILE",
    "FOR",
    "LOCK",
    "PROCEDURE",
    "INSERT",
    "UPDATE",
    "DELETE",
    "SET",
    "CREATE",
    "ALTER",
    "DROP",
    "CALL",
    "HANDLER",
    "DO",
];
/// Statements that are functions, too: allowed before a bracket only.
const DENIED_ALONE: &[&str] = &["REPLACE", "TRUNCATE"];

/// A piece of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece<'a> {
    Word(&'a str),
    Number,
    Quoted,
    /// `${table.points}`
    Name(&'a str),
    Sign(char),
}

/// The statement with its names filled in, where it is one SELECT that only reads.
///
/// # Errors
/// What is not allowed in it, and what to write instead.
pub fn checked(text: &str, parameters: &BTreeMap<String, String>) -> Result<String, String> {
    if text.len() > MOST_BYTES {
        return Err(format!("the statement has {} bytes; allowed: up to {MOST_BYTES}", text.len()));
    }
    let pieces = pieces(text)?;
    match pieces.first() {
        Some((_, Piece::Word(word))) if is(word, "SELECT") || is(word, "WITH") => {}
        _ => return Err("a statement begins with SELECT, or with WITH … SELECT".into()),
    }
    for (at, (_, piece)) in pieces.iter().enumerate() {
        let called = matches!(pieces.get(at + 1), Some((_, Piece::Sign('('))));
        let before = at.checked_sub(1).map(|before| pieces[before].1);
        if let Some(why) = refused(*piece, called, before) {
            return Err(why);
        }
    }
    filled_in(text, &pieces, parameters)
}

/// The names that `text` leaves open: `table.points`. Empty where it cannot be read.
pub fn names(text: &str) -> BTreeSet<&str> {
    let pieces = pieces(text).unwrap_or_default();
    pieces.into_iter().filter_map(|(_, piece)| if let Piece::Name(name) = piece { Some(name) } else { None }).collect()
}

fn is(word: &str, keyword: &str) -> bool {
    word.eq_ignore_ascii_case(keyword)
}

/// Why `piece` may not stand where it stands, if so.
fn refused(piece: Piece<'_>, called: bool, before: Option<Piece<'_>>) -> Option<String> {
    match piece {
        Piece::Word(word) if DENIED.iter().any(|denied| is(word, denied)) => Some(not_reading(word)),
        Piece::Word(word) if !called && DENIED_ALONE.iter().any(|denied| is(word, denied)) => Some(not_reading(word)),
        Piece::Word(word) if called && before == Some(Piece::Sign('.')) => Some(format!(
            "`{word}(` behind a dot calls a stored function, which may do anything; only functions of MySQL"
        )),
        Piece::Word(word) if called && !functions::may_be_called(word) => Some(format!(
            "`{word}(` is no function that may be called{}; columns of WITH are named by AS",
            did_you_mean(word, functions::all())
        )),
        Piece::Quoted | Piece::Name(_) if called => {
            Some("a bracket right behind a quoted name calls it; write functions without quotes".into())
        }
        _ => None,
    }
}

fn not_reading(word: &str) -> String {
    format!("`{word}` is not allowed: only one SELECT that reads; a column of this name is put into backticks")
}

fn filled_in(text: &str, pieces: &[(usize, Piece<'_>)], given: &BTreeMap<String, String>) -> Result<String, String> {
    let (mut out, mut from) = (String::with_capacity(text.len()), 0);
    for (at, piece) in pieces {
        let Piece::Name(name) = piece else { continue };
        out.push_str(&text[from..*at]);
        // Without a parameter the name stands for itself.
        let own = name.split_once('.').map_or(*name, |(_, own)| own);
        out.push_str(&identifier(given.get(*name).map_or(own, String::as_str))?);
        from = at + name.len() + "${}".len();
    }
    out.push_str(&text[from..]);
    Ok(out)
}

/// A name as MySQL takes it for nothing but a name: `` `shop`.`points` ``.
///
/// # Errors
/// When it is none: letters, digits, `_`, `$` and `-`, with dots between the parts.
pub fn identifier(name: &str) -> Result<String, String> {
    let parts: Vec<&str> = name.split('.').collect();
    let fits = |part: &&str| {
        (1..=MOST_NAME).contains(&part.chars().count())
            && part.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '$' | '-'))
    };
    if parts.len() > 3 || !parts.iter().all(fits) {
        let name: String = name.chars().take(80).collect();
        return Err(format!(
            "`{name}` is no name of a table or column; allowed: letters, digits, _ $ - and dots between parts"
        ));
    }
    Ok(parts.iter().map(|part| format!("`{part}`")).collect::<Vec<_>>().join("."))
}

/// Whether `name` may be left open in a statement: `table.points`, `column.balance`.
pub fn is_parameter(name: &str) -> bool {
    let own = name.strip_prefix("table.").or_else(|| name.strip_prefix("column."));
    own.is_some_and(|own| !own.is_empty() && own.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
}

/// Cuts `text` into pieces, each with the byte at which it begins.
fn pieces(text: &str) -> Result<Vec<(usize, Piece<'_>)>, String> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if matches!(c, ' ' | '\t' | '\n' | '\r') {
            at += 1;
            continue;
        }
        let rest = &text[at..];
        let (len, piece) = match c {
            '\'' | '"' | '`' => (quoted(rest, c)?, Piece::Quoted),
            '$' if rest.starts_with("${") => {
                let name = parameter(rest)?;
                (name.len() + "${}".len(), Piece::Name(name))
            }
            '0'..='9' => (number(rest)?, Piece::Number),
            // A dot before a digit begins a number where no name stands before it; there it would begin a name.
            '.' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => (number(rest)?, Piece::Number),
            _ if is_word(c) => {
                let len = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                (len, Piece::Word(&rest[..len]))
            }
            _ => (sign(rest, c)?, Piece::Sign(c)),
        };
        pieces.push((at, piece));
        at += len;
    }
    Ok(pieces)
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '$'
}

/// Bytes of the quoted text at the beginning of `rest`.
fn quoted(rest: &str, quote: char) -> Result<usize, String> {
    let mut inside = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = inside.next() {
        match c {
            // Whether it escapes is a setting of the server.
            '\\' => return Err("a backslash is not allowed; write CHAR(92), or [0-9] for \\d".into()),
            '$' if rest[at..].starts_with("${") => {
                return Err("`${…}` within quotes stays as it is; names are filled in outside of them only".into());
            }
            '\0' => return Err("a character 0 is not allowed".into()),
            // Doubled it stands for itself.
            _ if c == quote && inside.peek().is_some_and(|(_, next)| *next == quote) => drop(inside.next()),
            _ if c == quote => return Ok(at + 1),
            _ => {}
        }
    }
    Err(format!("the quote {quote} is not closed"))
}

fn parameter(rest: &str) -> Result<&str, String> {
    let name = rest[2..].split_once('}').map(|(name, _)| name).filter(|name| is_parameter(name));
    name.ok_or_else(|| "after `${` comes `table.` or `column.`, a name, and `}`, as in ${table.points}".into())
}

/// Bytes of the number at the beginning of `rest`. MySQL takes `1e1into` for two words, people for one: it is refused.
fn number(rest: &str) -> Result<usize, String> {
    let digits = |from: usize| rest[from..].find(|c: char| !c.is_ascii_digit()).map_or(rest.len(), |len| from + len);
    let mut end = match rest.get(..2) {
        Some("0x" | "0X") => rest[2..].find(|c: char| !c.is_ascii_hexdigit()).map_or(rest.len(), |len| 2 + len),
        _ => digits(0),
    };
    if rest[end..].starts_with('.') {
        end = digits(end + 1);
    }
    if rest[end..].starts_with(['e', 'E']) {
        let sign = usize::from(rest[end + 1..].starts_with(['+', '-']));
        end = digits(end + 1 + sign);
    }
    if rest[end..].starts_with(|c| is_word(c) || c == '.') {
        return Err(
            "a number ends with a blank or a sign; a name that begins with a digit is put into backticks".into()
        );
    }
    Ok(end)
}

fn sign(rest: &str, c: char) -> Result<usize, String> {
    let why = match c {
        ';' => "`;` is not allowed: one statement, and nothing behind it",
        '@' | ':' => "`@` and `:` are not allowed: a statement sets and reads no variables",
        '?' | '{' | '}' => {
            "`?`, `{` and `}` are not allowed: nothing is filled in but ${table.NAME} and ${column.NAME}"
        }
        '\\' => "a backslash is not allowed outside quotes",
        '#' => "a comment is not allowed in a statement; write it as one of YAML",
        '-' if rest.starts_with("--") => "`--` is not allowed in a statement; a comment is written as one of YAML",
        '/' if rest.starts_with("/*") => "a comment is not allowed in a statement; write it as one of YAML",
        _ if SIGNS.contains(c) => return Ok(1),
        _ if c.is_alphanumeric() => "a name with other letters than a to z is put into backticks",
        _ => return Err(format!("the character {c:?} is not allowed outside quotes")),
    };
    Err(why.into())
}

#[cfg(test)]
mod tests;
