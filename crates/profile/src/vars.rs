//! `${USERS}` and `${USERS:-500}` in the text of a profile.
//!
//! They are replaced before the YAML is read, so that they work in flow maps too, where `{` would end a plain value.
//! `${user.id}` has a dot, and is left for the load generator as `${uuid}` is. The positions of the file survive: [`Expanded::column`].

use std::collections::{BTreeMap, BTreeSet};

use base::yaml::tree::{self, Kind, Node};

use super::problem::{Place, Problem, ProfileError};

/// Marks a variable that has no value; a comment may hold one, a value may not. Private use, so nobody types it.
const UNSET_OPEN: char = '\u{e000}';
const UNSET_CLOSE: char = '\u{e001}';

/// A profile, for messages of the YAML reader.
pub(crate) const PROFILE: Kind =
    Kind { name: "profile", needs: "`system` and `scenarios`", refuse: |text| unset_in(text).map(unset), strict: true };

/// The text with its variables replaced.
pub(crate) struct Expanded {
    /// The text.
    pub text: String,
    /// Variables that were given but do not occur in the text.
    pub unused: Vec<String>,
    /// Line → replacements, in order.
    edits: BTreeMap<usize, Vec<Edit>>,
}

/// One replacement, in characters of its line.
struct Edit {
    old_column: usize,
    old_len: usize,
    new_column: usize,
    new_len: usize,
}

impl Expanded {
    /// The column of the file that became `column` of the expanded text. Lines count from 1, columns from 0.
    pub fn column(&self, line: usize, column: usize) -> usize {
        let mut shift = 0_isize;
        for edit in self.edits.get(&line).into_iter().flatten() {
            if column < edit.new_column {
                break;
            }
            if column < edit.new_column + edit.new_len {
                return edit.old_column;
            }
            shift += edit.old_len as isize - edit.new_len as isize;
        }
        column.saturating_add_signed(shift)
    }
}

/// Name of the variable without a value that `text` holds, if any.
pub(crate) fn unset_in(text: &str) -> Option<&str> {
    let start = text.find(UNSET_OPEN)? + UNSET_OPEN.len_utf8();
    let end = text[start..].find(UNSET_CLOSE)?;
    Some(&text[start..start + end])
}

fn unset(name: &str) -> String {
    format!("the variable `{name}` has no value: give one by -e {name}=…, or a default by ${{{name}:-…}}")
}

/// Reads the YAML of a file whose variables are replaced.
pub(crate) fn parse_tree(expanded: &Expanded) -> Result<Node, Vec<Problem>> {
    let place = |line, column| Place::File { line, column: expanded.column(line, column) + 1 };
    tree::parse(&expanded.text, &PROFILE, &place)
}

/// Reads `NAME=value` items.
pub(crate) fn parse(items: &[String]) -> Result<BTreeMap<String, String>, ProfileError> {
    let mut vars = BTreeMap::new();
    for item in items {
        // The value may be a password.
        let shown = item.split('=').next().unwrap_or_default();
        let fail = |why: &str| ProfileError::Override { flag: format!("-e {shown}=…"), why: why.into() };
        let (name, value) = item.split_once('=').ok_or_else(|| fail("write NAME=value, as in -e USERS=500"))?;
        if !is_name(name) {
            return Err(fail("a name is made of letters, digits and `_`, and begins with no digit"));
        }
        if value.chars().any(char::is_control) {
            return Err(fail("the value holds a line break or another control character"));
        }
        vars.insert(name.to_owned(), value.to_owned());
    }
    Ok(vars)
}

/// Replaces the variables of `text`. Windows line ends become plain ones on the way.
pub(crate) fn expand(text: &str, vars: &BTreeMap<String, String>) -> Expanded {
    let mut out = String::with_capacity(text.len());
    let mut edits: BTreeMap<usize, Vec<Edit>> = BTreeMap::new();
    let mut used = BTreeSet::new();
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            out.push('\n');
        }
        let line = line.strip_suffix('\r').unwrap_or(line);
        let (mut rest, mut old_column, mut new_column) = (line, 0, 0);
        while let Some(found) = next(rest) {
            let before = &rest[..found.start];
            let value = match (vars.get(found.name), found.default) {
                (Some(value), _) => value.clone(),
                (None, Some(default)) => default.to_owned(),
                (None, None) => format!("{UNSET_OPEN}{}{UNSET_CLOSE}", found.name),
            };
            used.insert(found.name.to_owned());
            out.push_str(before);
            out.push_str(&value);
            let skipped = before.chars().count();
            let (old_len, new_len) = (rest[found.start..found.end].chars().count(), value.chars().count());
            let edit = Edit { old_column: old_column + skipped, old_len, new_column: new_column + skipped, new_len };
            (old_column, new_column) = (edit.old_column + old_len, edit.new_column + new_len);
            edits.entry(index + 1).or_default().push(edit);
            rest = &rest[found.end..];
        }
        out.push_str(rest);
    }
    let unused = vars.keys().filter(|name| !used.contains(*name)).cloned().collect();
    Expanded { text: out, unused, edits }
}

struct Found<'a> {
    start: usize,
    end: usize,
    name: &'a str,
    default: Option<&'a str>,
}

/// The first variable of `line`, in bytes.
fn next(line: &str) -> Option<Found<'_>> {
    let mut from = 0;
    while let Some(at) = line[from..].find("${") {
        let start = from + at;
        let inner = &line[start + 2..];
        let close = inner.find('}')?;
        let (name, default) = match inner[..close].split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (&inner[..close], None),
        };
        if is_name(name) && inner[..close] != *"uuid" {
            return Some(Found { start, end: start + 2 + close + 1, name, default });
        }
        from = start + 2;
    }
    None
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn vars(items: &[&str]) -> BTreeMap<String, String> {
        parse(&items.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn variables_defaults_and_the_generators_own() {
        let given = vars(&["ID=42", "OTHER=x"]);
        let expanded = expand("a: ${ID}\r\nb: {c: ${N:-7}, d: \"${user.id}${uuid}\"} # ${NO}", &given);
        let plain = expanded.text.replace([UNSET_OPEN, UNSET_CLOSE], "?");
        assert_eq!(plain, "a: 42\nb: {c: 7, d: \"${user.id}${uuid}\"} # ?NO?");
        assert_eq!(expanded.unused, ["OTHER"]);
        assert_eq!(unset_in(&expanded.text), Some("NO"));
    }

    #[test]
    fn a_variable_without_a_value_is_named_where_it_counts() {
        let problems = parse_tree(&expand("a: {b: ${N}} # ${COMMENT}\n", &BTreeMap::new())).unwrap_err();
        assert_eq!(problems[0].place, Place::File { line: 1, column: 8 });
        let words = "the variable `N` has no value: give one by -e N=…, or a default by ${N:-…}";
        assert_eq!(problems.iter().map(|p| p.message.as_str()).collect::<Vec<_>>(), [words]);
    }

    #[test]
    fn columns_are_those_of_the_file() {
        let expanded = expand("{a: ${ID}, b: ${LONG_NAME:-1}, c: x}", &vars(&["ID=123456789"]));
        assert_eq!(expanded.text, "{a: 123456789, b: 1, c: x}");
        for (new, old) in [(1, 1), (4, 4), (8, 4), (13, 9), (15, 11), (18, 14), (21, 31)] {
            assert_eq!(expanded.column(1, new), old, "column {new}");
        }
        assert_eq!(expanded.column(2, 5), 5);
    }

    #[test]
    fn bad_items_are_refused() {
        for item in ["", "=1", "A", "1A=2", "a.b=1", "A=1\n2"] {
            assert!(parse(&[item.to_owned()]).is_err(), "{item:?} was taken");
        }
    }

    proptest! {
        #[test]
        fn text_without_variables_stays(text in "[^$\r]{0,80}") {
            prop_assert_eq!(expand(&text, &BTreeMap::new()).text, text);
        }
        #[test]
        fn no_text_panics(text in "[a${}:_\\-\n é]{0,60}", column in 0_usize..80) {
            let expanded = expand(&text, &BTreeMap::new());
            let _ = expanded.column(1, column);
        }
    }
}
