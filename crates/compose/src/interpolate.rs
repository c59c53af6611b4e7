//! `${VAR}` and its relatives in a value of a compose file.
//!
//! As compose does it, but for one thing: a variable that has neither a value nor a default is an error and not an
//! empty text, because an empty password or port is found out much later.

use std::collections::BTreeMap;

/// Most defaults within defaults.
const MAX_DEPTH: usize = 16;

/// Replaces the variables of `text`.
pub(super) fn fill(text: &str, vars: &BTreeMap<String, String>) -> Result<String, String> {
    expand(text, vars, 0)
}

fn expand(text: &str, vars: &BTreeMap<String, String>, depth: usize) -> Result<String, String> {
    if depth > MAX_DEPTH {
        return Err(format!("variables stand within each other more than {MAX_DEPTH} deep"));
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(next) = after.strip_prefix('$') {
            out.push('$');
            rest = next;
        } else if let Some(inner) = after.strip_prefix('{') {
            let end = closing(inner).ok_or_else(|| {
                format!("`{}` has no closing brace; write $$ for a plain dollar sign", short(&rest[at..]))
            })?;
            out.push_str(&braced(&inner[..end], vars, depth)?);
            rest = &inner[end + 1..];
        } else {
            let length = name_length(after);
            if length == 0 {
                let why = "a dollar sign begins a variable; write $$ for a plain one";
                return Err(format!("`{}`: {why}", short(&rest[at..])));
            }
            out.push_str(value(&after[..length], vars).ok_or_else(|| unset(&after[..length]))?);
            rest = &after[length..];
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// What stands between the braces.
fn braced(inner: &str, vars: &BTreeMap<String, String>, depth: usize) -> Result<String, String> {
    let length = name_length(inner);
    let (name, operator) = inner.split_at(length);
    if length == 0 {
        return Err(format!("`${{{}}}` holds no name of a variable", short(inner)));
    }
    let found = value(name, vars);
    let filled = found.filter(|v| !v.is_empty());
    let or = |found: Option<&str>, other: &str| match found {
        Some(text) => Ok(text.to_owned()),
        None => expand(other, vars, depth + 1),
    };
    let and = |found: Option<&str>, other: &str| match found {
        Some(_) => expand(other, vars, depth + 1),
        None => Ok(String::new()),
    };
    let required = |found: Option<&str>, words: &str| {
        if let Some(text) = found {
            return Ok(text.to_owned());
        }
        let words = expand(words, vars, depth + 1)?;
        let words = if words.is_empty() { "it must have a value".to_owned() } else { words };
        Err(format!("the variable `{name}` is not set: {words}"))
    };
    if operator.is_empty() {
        return found.map(str::to_owned).ok_or_else(|| unset(name));
    }
    for (sign, found) in [(":", filled), ("", found)] {
        let Some(operator) = operator.strip_prefix(sign) else { continue };
        if let Some(other) = operator.strip_prefix('-') {
            return or(found, other);
        }
        if let Some(words) = operator.strip_prefix('?') {
            return required(found, words);
        }
        if let Some(other) = operator.strip_prefix('+') {
            return and(found, other);
        }
    }
    Err(format!("`${{{}}}` is not understood; allowed after the name: :- - :? ? :+ +", short(inner)))
}

fn value<'a>(name: &str, vars: &'a BTreeMap<String, String>) -> Option<&'a str> {
    vars.get(name).map(String::as_str)
}

fn unset(name: &str) -> String {
    format!("the variable `{name}` is not set; give it a value, or a default by ${{{name}:-…}}")
}

/// The place of the brace that closes the one before `inner`.
fn closing(inner: &str) -> Option<usize> {
    let mut open = 0_usize;
    let mut previous = ' ';
    for (at, c) in inner.char_indices() {
        match c {
            '{' if previous == '$' => open += 1,
            '}' if open == 0 => return Some(at),
            '}' => open -= 1,
            _ => {}
        }
        // `$$` is a dollar sign, and begins nothing.
        previous = if c == '$' && previous == '$' { ' ' } else { c };
    }
    None
}

/// How many bytes of `text` are a name.
fn name_length(text: &str) -> usize {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len())
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn vars(items: &[(&str, &str)]) -> BTreeMap<String, String> {
        items.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn every_form_of_the_specification() {
        let vars = vars(&[("A", "1"), ("E", ""), ("B_2", "x")]);
        for (text, wanted) in [
            ("$A", "1"),
            ("${A}${B_2}", "1x"),
            ("$A.$B_2-", "1.x-"),
            ("a$$A$${A}", "a$A${A}"),
            ("${N:-d}", "d"),
            ("${E:-d}", "d"),
            ("${E-d}", ""),
            ("${N-d}", "d"),
            ("${N:-}", ""),
            ("${N:-${M:-${A}}}!", "1!"),
            ("${N:-a$${b}c", "a${bc"),
            ("${N-{}}", "{}"),
            ("${A:+y}${E:+y}${E+z}${N+z}", "yz"),
            ("${A:?no}", "1"),
            ("${E?no}", ""),
            ("${N:-a:-b}", "a:-b"),
        ] {
            assert_eq!(fill(text, &vars).as_deref(), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_filled_in_is_said() {
        let vars = vars(&[("E", "")]);
        for (text, wanted) in [
            ("a $N", "the variable `N` is not set; give it a value, or a default by ${N:-…}"),
            ("${N}", "the variable `N` is not set; give it a value, or a default by ${N:-…}"),
            ("${E:?say it}", "the variable `E` is not set: say it"),
            ("${N?}", "the variable `N` is not set: it must have a value"),
            ("${N:-x", "`${N:-x` has no closing brace; write $$ for a plain dollar sign"),
            ("cost $5", "`$5`: a dollar sign begins a variable; write $$ for a plain one"),
            ("${}", "`${}` holds no name of a variable"),
            ("${E/a/b}", "`${E/a/b}` is not understood; allowed after the name: :- - :? ? :+ +"),
        ] {
            assert_eq!(fill(text, &vars), Err(wanted.to_owned()), "{text}");
        }
        assert!(fill(&"${N:-".repeat(60), &vars).is_err());
        let deep = format!("{}x{}", "${N:-".repeat(60), "}".repeat(60));
        assert!(fill(&deep, &vars).unwrap_err().contains("within each other"));
    }

    proptest! {
        #[test]
        fn a_text_whose_dollars_are_doubled_comes_back(text in ".{0,60}") {
            prop_assert_eq!(fill(&text.replace('$', "$$"), &BTreeMap::new()), Ok(text));
        }
        #[test]
        fn a_value_is_taken_as_it_is(value in ".{0,40}", around in "[^$]{0,10}") {
            let vars = vars(&[("V", value.as_str())]);
            let filled = fill(&format!("{around}${{V-x}}{around}"), &vars);
            prop_assert_eq!(filled, Ok(format!("{around}{value}{around}")), "values are not expanded again");
        }
        #[test]
        fn no_text_panics(text in "[a${}:?+\\-_ é]{0,60}") {
            let _ = fill(&text, &vars(&[("a", "1")]));
        }
    }
}
