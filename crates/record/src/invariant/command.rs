//! Which commands an invariant may send to Redis: a few that read, each with what its answer means.

use base::yaml::suggest::did_you_mean;

use super::Argument;

/// How an answer becomes rows of key and value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One value of the key that was asked for, or of the field behind it; none where there is none.
    One,
    /// Pairs: field and value.
    Pairs,
    /// Members alone.
    Members,
    /// Members; with `WITHSCORES` pairs of member and score.
    Scored,
    /// Keys, over as many calls as it takes.
    Keys,
}

/// A command that only reads.
#[derive(Debug, PartialEq, Eq)]
pub struct Command {
    /// Its name.
    pub name: &'static str,
    /// Fewest and most arguments behind the name.
    arguments: (usize, usize),
    /// What its answer means.
    pub shape: Shape,
    /// Tells how much the answer holds, where that may be everything under a key.
    pub size: Option<&'static str>,
}

const fn command(name: &'static str, least: usize, most: usize, shape: Shape, size: Option<&'static str>) -> Command {
    Command { name, arguments: (least, most), shape, size }
}

/// All of them.
const COMMANDS: &[Command] = &[
    command("GET", 1, 1, Shape::One, None),
    command("HGET", 2, 2, Shape::One, None),
    command("HGETALL", 1, 1, Shape::Pairs, Some("HLEN")),
    command("HLEN", 1, 1, Shape::One, None),
    command("LLEN", 1, 1, Shape::One, None),
    command("LRANGE", 3, 3, Shape::Members, None),
    command("PTTL", 1, 1, Shape::One, None),
    command("SCAN", 2, 2, Shape::Keys, None),
    command("SCARD", 1, 1, Shape::One, None),
    command("SMEMBERS", 1, 1, Shape::Members, Some("SCARD")),
    command("ZCARD", 1, 1, Shape::One, None),
    command("ZCOUNT", 3, 3, Shape::One, None),
    command("ZRANGE", 3, 8, Shape::Scored, None),
    command("ZRANGEBYSCORE", 3, 7, Shape::Scored, None),
    command("ZSCORE", 2, 2, Shape::One, None),
];

/// The command of `words`, where it is one that only reads.
///
/// # Errors
/// What is not allowed, and what is.
pub fn checked(words: &[Argument]) -> Result<&'static Command, String> {
    let all = || COMMANDS.iter().map(|known| known.name);
    let allowed = || all().collect::<Vec<_>>().join(", ");
    let Some(first) = words.first().map(Argument::text) else {
        return Err(format!("a command is a list, as in [HGETALL, stock]; allowed: {}", allowed()));
    };
    let Some(known) = COMMANDS.iter().find(|known| known.name.eq_ignore_ascii_case(&first)) else {
        let hint = did_you_mean(&first, all());
        let first: String = first.chars().take(40).collect();
        return Err(format!("`{first}` is no command that may be sent{hint}; allowed: {}", allowed()));
    };
    let (least, most) = known.arguments;
    let given = words.len() - 1;
    if !(least..=most).contains(&given) {
        let wanted = if least == most { least.to_string() } else { format!("{least} to {most}") };
        return Err(format!("{} takes {wanted} arguments, not {given}", known.name));
    }
    if known.shape == Shape::Keys && !words[1].text().eq_ignore_ascii_case("MATCH") {
        return Err("SCAN is written [SCAN, MATCH, \"stock:*\"]; the cursor is ours".into());
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<Argument> {
        text.split_whitespace().map(|word| Argument::Text(word.into())).collect()
    }

    #[test]
    fn only_reading_commands_with_their_arguments_are_taken() {
        for text in ["GET a", "hgetall a", "ZRANGE a 0 -1 WITHSCORES", "ZRANGEBYSCORE a -inf (0", "SCAN match a:*"] {
            assert!(checked(&words(text)).is_ok(), "{text}");
        }
        for (text, why) in [
            ("", "a command is a list"),
            ("SET a 1", "`SET` is no command that may be sent (did you mean `GET`?); allowed: GET, HGET"),
            ("EVAL return 0", "`EVAL` is no command"),
            ("GETDEL a", "`GETDEL` is no command"),
            ("ZRANGESTORE a b 0 1", "`ZRANGESTORE` is no command"),
            ("KEYS *", "`KEYS` is no command"),
            ("GET", "GET takes 1 arguments, not 0"),
            ("GET a b", "GET takes 1 arguments, not 2"),
            ("SCAN 0 MATCH", "SCAN is written"),
        ] {
            let error = checked(&words(text)).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
