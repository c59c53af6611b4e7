//! Why something failed, in one line that says each cause once.

use std::error::Error;

/// `error` and its causes, from the outermost to the innermost, set apart by colons.
///
/// Many errors say their cause in their own words and give it as their source as well, and some say it twice by
/// themselves (`Input/output error: Input/output error: …`): a cause that was said already is left out.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = once(&error.to_string());
    let mut source = error.source();
    while let Some(cause) = source {
        let words = once(&cause.to_string());
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        source = cause.source();
    }
    text
}

/// `text` without parts that repeat the one before them.
pub fn once(text: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in text.split(": ") {
        if parts.last().is_none_or(|before| *before != part) {
            parts.push(part);
        }
    }
    parts.join(": ")
}

#[cfg(test)]
mod tests {
    use std::{fmt, io};

    use super::*;

    #[derive(Debug)]
    struct Says(&'static str, Option<Box<dyn Error>>);

    impl fmt::Display for Says {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Says {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref()
        }
    }

    fn cause(says: &'static str, of: Says) -> Says {
        Says(says, Some(Box::new(of)))
    }

    #[test]
    fn each_cause_is_said_once() {
        let missing = || Box::new(io::Error::from_raw_os_error(2));
        let cases = [
            (Says("cannot read x", Some(missing())), "cannot read x: No such file or directory (os error 2)"),
            (
                Says("cannot read x: No such file or directory (os error 2)", Some(missing())),
                "cannot read x: No such file or directory (os error 2)",
            ),
            (
                Says("MySQL: Input/output error: Input/output error: Connection refused (os error 111)", None),
                "MySQL: Input/output error: Connection refused (os error 111)",
            ),
            (cause("x", cause("y: y", cause("z", Says("y", None)))), "x: y: z"),
            (Says("", None), ""),
        ];
        for (error, said) in cases {
            assert_eq!(chain(&error), said);
        }
    }
}
