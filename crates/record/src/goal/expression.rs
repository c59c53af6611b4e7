//! `p(95)<100`: an aggregation, a comparison and a number.
//!
//! ```text
//! threshold = agg , ws , op , ws , number ;
//! agg = "avg"|"min"|"max"|"med"|"count"|"rate"|"value"|"p(" , number , ")" ;
//! op  = "<="|"<"|">="|">"|"==="|"=="|"!=" ;
//! ```

use std::fmt;

use super::GoalError;

/// What is taken of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Aggregation {
    /// Mean.
    Avg,
    /// Smallest.
    Min,
    /// Largest.
    Max,
    /// Median.
    Med,
    /// Number of events.
    Count,
    /// Events per second, or the share of a rate that is true.
    Rate,
    /// Last value of a gauge.
    Value,
    /// Percentile, 0 to 100.
    Percentile(f64),
}

impl fmt::Display for Aggregation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Percentile(p) = self {
            return write!(f, "p({p})");
        }
        f.write_str(NAMES.iter().find(|(_, a)| a == self).map_or("", |(name, _)| name))
    }
}

const NAMES: [(&str, Aggregation); 7] = [
    ("avg", Aggregation::Avg),
    ("min", Aggregation::Min),
    ("max", Aggregation::Max),
    ("med", Aggregation::Med),
    ("count", Aggregation::Count),
    ("rate", Aggregation::Rate),
    ("value", Aggregation::Value),
];

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `<=`
    AtMost,
    /// `<`
    Below,
    /// `>=`
    AtLeast,
    /// `>`
    Above,
    /// `==` or `===`
    Equal,
    /// `!=`
    NotEqual,
}

/// Longer signs stand before those that they begin with.
const OPERATORS: [(&str, Operator); 7] = [
    ("<=", Operator::AtMost),
    ("<", Operator::Below),
    (">=", Operator::AtLeast),
    (">", Operator::Above),
    ("===", Operator::Equal),
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
];

/// A threshold's expression.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expression {
    /// What is taken of the metric.
    pub aggregation: Aggregation,
    /// How it is compared.
    pub operator: Operator,
    /// With what; times are in milliseconds.
    pub value: f64,
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// With the column and what may stand there.
    pub fn parse(text: &str) -> Result<Self, GoalError> {
        let mut cursor = Cursor { text, at: 0 };
        cursor.spaces();
        let aggregation = cursor.aggregation()?;
        cursor.spaces();
        let operator = cursor.operator()?;
        cursor.spaces();
        let value = cursor.number("a number")?;
        cursor.spaces();
        if cursor.rest().is_empty() {
            Ok(Self { aggregation, operator, value })
        } else {
            Err(cursor.expected("the end of the expression"))
        }
    }

    /// Whether `actual` meets the goal. `==` compares exactly, as k6 does.
    #[expect(clippy::float_cmp, reason = "the grammar's == is exact")]
    pub fn holds(&self, actual: f64) -> bool {
        match self.operator {
            Operator::AtMost => actual <= self.value,
            Operator::Below => actual < self.value,
            Operator::AtLeast => actual >= self.value,
            Operator::Above => actual > self.value,
            Operator::Equal => actual == self.value,
            Operator::NotEqual => actual != self.value,
        }
    }
}

/// A place in a text; `at` is always at a character's first byte.
pub(super) struct Cursor<'a> {
    pub text: &'a str,
    pub at: usize,
}

impl<'a> Cursor<'a> {
    pub fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    pub fn spaces(&mut self) {
        self.take_while(char::is_whitespace);
    }

    pub fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    pub fn take(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    pub fn expected(&self, what: &str) -> GoalError {
        let found = self.rest().chars().next();
        GoalError::Syntax {
            text: self.text.to_owned(),
            column: self.text.get(..self.at).unwrap_or("").chars().count() + 1,
            expected: what.to_owned(),
            found: found.map_or_else(|| "the end".to_owned(), |c| format!("`{c}`")),
        }
    }

    fn aggregation(&mut self) -> Result<Aggregation, GoalError> {
        const ALLOWED: &str = "avg, min, max, med, count, rate, value or p(N)";
        let start = self.at;
        if self.take("p(") {
            let before = self.at;
            let percent = self.number("a percentile, 0 to 100")?;
            if !(0.0..=100.0).contains(&percent) {
                self.at = before;
                return Err(self.expected("a percentile, 0 to 100"));
            }
            return if self.take(")") { Ok(Aggregation::Percentile(percent)) } else { Err(self.expected("`)`")) };
        }
        let word = self.take_while(|c| c.is_ascii_alphabetic());
        if let Some((_, aggregation)) = NAMES.iter().find(|(name, _)| *name == word) {
            return Ok(*aggregation);
        }
        self.at = start;
        Err(self.expected(ALLOWED))
    }

    fn operator(&mut self) -> Result<Operator, GoalError> {
        for (sign, operator) in OPERATORS {
            if self.take(sign) {
                return Ok(operator);
            }
        }
        Err(self.expected("<, <=, >, >=, ==, === or !="))
    }

    /// Digits, with a sign, a fraction and an exponent where there are any.
    fn number(&mut self, what: &str) -> Result<f64, GoalError> {
        let start = self.at;
        self.take("-");
        self.take_while(|c| c.is_ascii_digit());
        if self.take(".") {
            self.take_while(|c| c.is_ascii_digit());
        }
        if self.rest().starts_with(['e', 'E']) {
            let before = self.at;
            self.at += 1;
            let _ = self.take("-") || self.take("+");
            if self.take_while(|c| c.is_ascii_digit()).is_empty() {
                self.at = before;
            }
        }
        match self.text.get(start..self.at).and_then(|digits| digits.parse::<f64>().ok()) {
            Some(number) if number.is_finite() => Ok(number),
            _ => {
                self.at = start;
                Err(self.expected(what))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_grammar() {
        let read = |text| Expression::parse(text).map(|e| (e.aggregation, e.operator, e.value));
        assert_eq!(read("p(95)<100"), Ok((Aggregation::Percentile(95.0), Operator::Below, 100.0)));
        assert_eq!(read("p(99.9) <= 1e3"), Ok((Aggregation::Percentile(99.9), Operator::AtMost, 1000.0)));
        assert_eq!(read("rate>=0.5"), Ok((Aggregation::Rate, Operator::AtLeast, 0.5)));
        assert_eq!(read("  count === 0 "), Ok((Aggregation::Count, Operator::Equal, 0.0)));
        assert_eq!(read("value!=-1"), Ok((Aggregation::Value, Operator::NotEqual, -1.0)));
    }

    #[test]
    fn an_error_names_the_column_and_what_is_allowed() {
        for (text, message) in [
            ("", "``, column 1: expected avg, min, max, med, count, rate, value or p(N), found the end"),
            ("p95<100", "`p95<100`, column 1: expected avg, min, max, med, count, rate, value or p(N), found `p`"),
            ("p(101)<1", "`p(101)<1`, column 3: expected a percentile, 0 to 100, found `1`"),
            ("avg=1", "`avg=1`, column 4: expected <, <=, >, >=, ==, === or !=, found `=`"),
            ("avg<", "`avg<`, column 5: expected a number, found the end"),
            ("avg<100ms", "`avg<100ms`, column 8: expected the end of the expression, found `m`"),
            ("avg<1e999", "`avg<1e999`, column 5: expected a number, found `1`"),
        ] {
            assert_eq!(Expression::parse(text).unwrap_err().to_string(), message);
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = Expression::parse(&text);
        }
        #[test]
        fn nearly_right_texts_do_not_panic(text in "(p\\()?[a-z0-9().eE<>=! é-]{0,20}") {
            let _ = Expression::parse(&text);
        }
        #[test]
        fn what_is_written_reads_back(p in 0.0..=100.0_f64, value in -1e9..1e9_f64, sign in 0..OPERATORS.len()) {
            let (text, operator) = OPERATORS[sign];
            let read = Expression::parse(&format!("p({p}) {text}{value}"));
            prop_assert_eq!(read, Ok(Expression { aggregation: Aggregation::Percentile(p), operator, value }));
        }
    }
}
