//! `env_file`: variables of a service in files of lines `NAME=value`, read as docker compose reads them.

use std::collections::BTreeMap;

use super::{
    files, interpolate,
    node::{Node, Value},
    reader::{Key, Placed, Reader},
};

/// One file that a service names.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct EnvFile {
    pub path: String,
    /// It may be missing.
    optional: bool,
    /// Values are taken as they stand, without quotes and variables.
    raw: bool,
}

const KEYS: &[Key<EnvFile>] = &[
    ("format", |r, f, n| f.raw = r.parsed(n, "raw", |text| (text == "raw").then_some(())).is_some()),
    ("path", |r, f, n| f.path = r.word(n).unwrap_or_default()),
    ("required", |r, f, n| f.optional = r.boolean(n) == Some(false)),
];

/// Reads `env_file`: a path, or a list of paths and of maps.
pub(super) fn list(reader: &mut Reader<'_>, node: &Node) -> Vec<Placed<EnvFile>> {
    let one = |reader: &mut Reader<'_>, item: &Node| {
        let mut file = EnvFile::default();
        if let Value::Map(_) = item.value {
            let before = reader.problems.len();
            reader.fields(item, KEYS, &[], &mut file);
            if file.path.is_empty() && reader.problems.len() == before {
                reader.problem(item.at, "`path` is missing: which file is it?");
            }
        } else {
            file.path = reader.word(item)?;
        }
        (!file.path.is_empty()).then_some(Placed { at: item.at, value: file })
    };
    if let Value::List(_) = node.value { reader.items(node, one) } else { one(reader, node).into_iter().collect() }
}

/// The variables of `files`, later ones over earlier ones. A name alone takes its value from `vars`.
pub(super) fn read(
    reader: &mut Reader<'_>,
    service: &str,
    files: &[Placed<EnvFile>],
    folder: &std::path::Path,
) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for Placed { at, value: file } in files {
        let path = folder.join(&file.path);
        let text = match files::read(&path) {
            Ok(Some(bytes)) => String::from_utf8(bytes).map_err(|_| format!("{} is not UTF-8", path.display())),
            Ok(None) if file.optional => continue,
            Ok(None) => Err(format!("there is no file {}", path.display())),
            Err(why) => Err(why),
        };
        let parsed = text.and_then(|text| {
            parse(&text, file.raw, reader.vars, &mut all)
                .map_err(|(line, why)| format!("{} line {line}: {why}", path.display()))
        });
        if let Err(why) = parsed {
            reader.problem_of(*at, format!("services.{service}.env_file"), why);
        }
    }
    all
}

/// Adds the lines of `text` to `all`. An error names its line.
fn parse(
    text: &str,
    raw: bool,
    vars: &BTreeMap<String, String>,
    all: &mut BTreeMap<String, String>,
) -> Result<(), (usize, String)> {
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    while !rest.is_empty() {
        let number = text[..text.len() - rest.len()].matches('\n').count() + 1;
        let fail = |why: String| (number, why);
        let line = rest.split('\n').next().unwrap_or_default();
        let after = &rest[(line.len() + 1).min(rest.len())..];
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            rest = after;
            continue;
        }
        let start = trimmed.strip_prefix("export ").unwrap_or(trimmed);
        let Some(at) = start.find(if raw { &['='][..] } else { &['=', ':'][..] }) else {
            let name = name(start).map_err(fail)?;
            all.extend(vars.get(name).map(|value| (name.to_owned(), value.clone())));
            rest = after;
            continue;
        };
        let name = name(&start[..at]).map_err(fail)?.to_owned();
        // From here on in the text itself: a quoted value may go over several lines.
        let offset = line.len() - line.trim_start().len() + (trimmed.len() - start.len()) + at + 1;
        let value = &rest[offset..];
        let (value, left) = if raw {
            (line[offset..].trim_end_matches('\r').to_owned(), after)
        } else {
            let known = |all: &BTreeMap<String, String>| {
                // The shell's variables go before those of the files.
                let mut known = all.clone();
                known.extend(vars.clone());
                known
            };
            self::value(value, || known(all)).map_err(fail)?
        };
        all.insert(name, value);
        rest = left;
    }
    Ok(())
}

fn name(text: &str) -> Result<&str, String> {
    let text = text.trim();
    let good = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_.-[]".contains(c));
    if good { Ok(text) } else { Err(format!("`{text}` is no name of a variable")) }
}

/// The value at the beginning of `text`, and what comes after its line.
fn value(text: &str, known: impl Fn() -> BTreeMap<String, String>) -> Result<(String, &str), String> {
    let start = text.trim_start_matches([' ', '\t']);
    let fill = |text: &str| if text.contains('$') { interpolate::fill(text, &known()) } else { Ok(text.to_owned()) };
    let after = |rest: &'_ str| rest.find('\n').map_or(rest.len(), |end| end + 1);
    let Some(quote) = start.chars().next().filter(|c| matches!(c, '\'' | '"')) else {
        let line = start.split('\n').next().unwrap_or_default();
        // ` #` begins a comment; `a#b` does not.
        let comment = line.match_indices('#').find(|(at, _)| *at == 0 || line[..*at].ends_with([' ', '\t']));
        let plain = comment.map_or(line, |(at, _)| &line[..at]).trim();
        return Ok((fill(plain)?, &start[after(start)..]));
    };
    let inner = &start[1..];
    let mut escaped = false;
    let end = inner.find(|c: char| {
        let ends = c == quote && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    let Some(end) = end else { return Err(format!("the quote {quote} is not closed")) };
    let rest = &inner[end + 1..];
    let quoted = &inner[..end];
    let value = if quote == '\'' { quoted.to_owned() } else { fill(&unescaped(quoted))? };
    Ok((value, &rest[after(rest)..]))
}

/// Escapes of a text in double quotes.
fn unescaped(text: &str) -> String {
    let mut all = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some('n') => all.push('\n'),
                Some('r') => all.push('\r'),
                Some('t') => all.push('\t'),
                Some('$') => all.push_str("$$"),
                Some(c @ ('"' | '\\')) => all.push(c),
                Some(other) => all.extend(['\\', other]),
                None => all.push('\\'),
            },
            (c, false) => all.push(c),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str, raw: bool) -> Result<BTreeMap<String, String>, (usize, String)> {
        let vars = BTreeMap::from([("H".to_owned(), "from shell".to_owned())]);
        let mut all = BTreeMap::new();
        parse(text, raw, &vars, &mut all).map(|()| all)
    }

    /// As `docker compose config` prints the same file (2.40).
    #[test]
    fn lines_mean_what_docker_compose_takes_them_for() {
        let text = "# c\nA=1\nexport C=3\nD=\"x ${A} y\\n z\"\nE='lit ${A}'\nF=un # comment\nG=a#b\nH\nI=\nJ: yaml\n K = sp  \n\
                    L=\"multi\nline\" # c\nNOT_SET\nM=${H}\r\n";
        let found = parsed(text, false).unwrap();
        let wanted = [
            ("A", "1"),
            ("C", "3"),
            ("D", "x 1 y\n z"),
            ("E", "lit ${A}"),
            ("F", "un"),
            ("G", "a#b"),
            ("H", "from shell"),
            ("I", ""),
            ("J", "yaml"),
            ("K", "sp"),
            ("L", "multi\nline"),
            ("M", "from shell"),
        ];
        assert_eq!(found, wanted.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
        assert_eq!(parsed("A=\"x\" $B\n", true).unwrap()["A"], "\"x\" $B");
    }

    #[test]
    fn what_is_no_line_is_told_with_its_number() {
        assert_eq!(parsed("A=1\n\na b=1\n", false).unwrap_err().0, 3);
        assert!(parsed("A='x\ny", false).unwrap_err().1.contains("not closed"));
        assert!(parsed("A=${NOPE}", false).unwrap_err().1.contains("NOPE"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in ".{0,60}", more in "[A-Z='\"\\\\#$\n: {}]{0,40}") {
            let _ = (parsed(&text, false), parsed(&more, false), parsed(&more, true));
        }
    }
}
