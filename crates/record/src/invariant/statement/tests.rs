//! What is refused, however it is written.

use proptest::prelude::*;

use super::*;

fn check(text: &str) -> Result<String, String> {
    checked(text, &BTreeMap::new())
}

/// Statements that write, lock, wait, read files, send rows elsewhere, or hide any of that.
const EVASIONS: &[&str] = &[
    "",
    " ",
    "(SELECT 1)",
    "DELETE FROM t",
    "UPDATE t SET a = 1",
    "INSERT INTO t VALUES (1)",
    "REPLACE t VALUES (1)",
    "TRUNCATE t",
    "DROP TABLE t",
    "SET GLOBAL read_only = 0",
    "CALL p()",
    "DO SLEEP(1)",
    "HANDLER t OPEN",
    "LOAD DATA INFILE 'x' INTO TABLE t",
    "EXPLAIN ANALYZE SELECT 1",
    "TABLE t",
    "VALUES ROW(1)",
    "BEGIN NOT ATOMIC DELETE FROM t; END",
    "KILL 1",
    "SHUTDOWN",
    "SELECT 1; DELETE FROM t",
    "SELECT 1;",
    "SELECT 1 INTO OUTFILE '/tmp/x'",
    "SELECT 1 INTO DUMPFILE '/tmp/x'",
    "SELECT 1 INTO @v",
    "SELECT a FROM t INTO v",
    "SELECT @v := 1",
    "SELECT @@global.read_only",
    "SELECT * FROM t FOR UPDATE",
    "SELECT * FROM t FOR SHARE SKIP LOCKED",
    "SELECT * FROM t LOCK IN SHARE MODE",
    "SELECT NEXT VALUE FOR s",
    "SELECT NEXTVAL(s)",
    "SELECT SETVAL(s, 1)",
    "SELECT * FROM t PROCEDURE ANALYSE()",
    "SELECT SLEEP(10)",
    "SELECT SLEEP (10)",
    "SELECT `sleep`(10)",
    "SELECT \"sleep\"(10)",
    "SELECT BENCHMARK(1000000000, MD5('a'))",
    "SELECT GET_LOCK('a', 1)",
    "SELECT RELEASE_ALL_LOCKS()",
    "SELECT LOAD_FILE('/etc/passwd')",
    "SELECT LAST_INSERT_ID(9)",
    "SELECT MASTER_POS_WAIT('a', 1)",
    "SELECT sys_exec('rm')",
    "SELECT shop.count(1)",
    "SELECT shop . count(1)",
    "SELECT `shop`.`count`(1)",
    "SELECT ${table.sleep}(1)",
    "SELECT /*!50000 SLEEP(1) */",
    "SELECT 1 /*!INTO OUTFILE 'x' */",
    "SELECT 1 /*M! INTO OUTFILE 'x' */",
    "SELECT /*+ SET_VAR(max_execution_time = 0) */ 1",
    "SELECT 1 /* /* */ INTO OUTFILE 'x' */",
    "SELECT 1 -- \nINTO OUTFILE 'x'",
    "SELECT 1 --\tx",
    "SELECT 1--1",
    "SELECT 1 # x",
    "SELECT 1e1into OUTFILE 'x'",
    "SELECT 1.e1into OUTFILE 'x'",
    "SELECT 1.into OUTFILE 'x'",
    "SELECT .1into OUTFILE 'x'",
    "SELECT 1e+1into OUTFILE 'x'",
    "SELECT 0x1into OUTFILE 'x'",
    "SELECT 1.5e1sleep(5)",
    "SELECT 'a'INTO OUTFILE 'x'",
    "SELECT '\\'' INTO OUTFILE 'x' -- '",
    "SELECT '\\' INTO OUTFILE \\''",
    "SELECT \"\\\" INTO OUTFILE \\\"\"",
    "SELECT 'a",
    "SELECT `a",
    "SELECT \\N",
    "SELECT ?",
    "SELECT {fn SLEEP(1)}",
    "SELECT 1\u{a0}INTO OUTFILE 'x'",
    "SELECT 1\u{b}FROM t",
    "SELECT \0 1",
    "SELECT é FROM t",
    "\u{feff}SELECT 1",
    "WITH x AS (SELECT 1) DELETE FROM t",
    "WITH x AS (SELECT 1) UPDATE t SET a = 1",
    "WITH x (SELECT 1) SELECT 1",
    "SELECT '${table.a}'",
    "SELECT 1 FROM ${a}",
    "SELECT 1 FROM ${table.a b}",
    "SELECT 1 FROM ${table.}",
    "SELECT 1 FROM ${table.a",
    "SELECT 1 FROM ${user.id}",
];

#[test]
fn what_does_more_than_read_is_refused() {
    for text in EVASIONS {
        assert!(check(text).is_err(), "{text:?} was taken");
    }
    assert!(check(&format!("SELECT {}", "1,".repeat(10_000))).is_err());
}

#[test]
fn what_only_reads_is_taken_as_it_is() {
    for text in [
        "SELECT COUNT(*) FROM order_items",
        "select a.id, sum(b.n) from a left join b on b.a_id=a.id where a.name<>'it''s; -- no /* comment */' group by a.id",
        "WITH t AS (SELECT 1 AS n UNION ALL SELECT 2) SELECT * FROM t WHERE n IN (1, 2.5, .5, 1e3, 0xff, 1.)",
        "SELECT `update`, \"INTO\", t.`for` FROM t WHERE note LIKE '%#@?;%'",
        "SELECT LAG(balance) OVER (PARTITION BY user_id ORDER BY id) FROM t",
        "SELECT data->'$.a', data->>'$.b' FROM t WHERE REPLACE(a, 'x', 'y') = CAST(b AS DECIMAL(10, 2))",
        "SELECT CASE WHEN (a > 1) THEN (2) ELSE (3) END, NOT (a), - -5 FROM t\n\tWHERE created_at < NOW() - INTERVAL 5 MINUTE",
        "SELECT '선착순', `쿠폰` FROM t",
    ] {
        assert_eq!(check(text).as_deref(), Ok(text));
    }
}

#[test]
fn names_are_filled_in_as_names() {
    let given = |name: &str| BTreeMap::from([("table.points".to_owned(), name.to_owned())]);
    let text = "SELECT ${column.balance} FROM ${table.points} p, ${table.points}";
    assert_eq!(names(text), BTreeSet::from(["column.balance", "table.points"]));
    assert_eq!(check(text).unwrap(), "SELECT `balance` FROM `points` p, `points`");
    assert_eq!(checked(text, &given("shop.p-1")).unwrap(), "SELECT `balance` FROM `shop`.`p-1` p, `shop`.`p-1`");
    for name in ["", "a b", "a`b", "a;b", "a..b", ".a", "a.b.c.d", "a'b", "a\\b", &"a".repeat(65)] {
        assert!(checked(text, &given(name)).is_err(), "{name}");
    }
}

#[test]
fn messages_say_what_to_write() {
    for (text, wanted) in [
        ("SELECT 1;", "one statement"),
        ("SELECT SLEP(1)", "`SLEP(` is no function that may be called"),
        ("SELECT COUTN(*) FROM t", "did you mean `COUNT`?"),
        ("SELECT update FROM t", "put into backticks"),
        ("DELETE FROM t", "begins with SELECT"),
        ("SELECT ${tabel.a}", "as in ${table.points}"),
    ] {
        let error = check(text).unwrap_err();
        assert!(error.contains(wanted), "{text}: {error}");
    }
}

/// The same statement as somebody else would write it: other capitals, other blanks, comments between its words.
fn disguised(text: &str, capitals: &[bool], blanks: &[u8]) -> String {
    let mut out = String::new();
    let mut quote = None;
    for (i, c) in text.chars().enumerate() {
        match quote {
            Some(open) if c == open => quote = None,
            None if matches!(c, '\'' | '"' | '`') => quote = Some(c),
            _ => {}
        }
        if c == ' ' && quote.is_none() {
            out.push_str(
                ["  ", "\n", "\t", " /**/ ", " /*!*/ ", " -- x\n", " #x\n", "\r\n"]
                    [blanks[i % blanks.len()] as usize % 8],
            );
        } else if capitals[i % capitals.len()] && quote.is_none() {
            out.extend(c.to_uppercase());
        } else {
            out.push(c);
        }
    }
    out
}

proptest! {
    #[test]
    fn what_is_refused_stays_refused(
        which in 0..EVASIONS.len(),
        capitals in prop::collection::vec(any::<bool>(), 1..20),
        blanks in prop::collection::vec(any::<u8>(), 1..20),
    ) {
        let text = disguised(EVASIONS[which], &capitals, &blanks);
        prop_assert!(check(&text).is_err(), "{:?} was taken", text);
        let lower = disguised(&EVASIONS[which].to_lowercase(), &[false], &blanks);
        prop_assert!(check(&lower).is_err(), "{:?} was taken", lower);
    }

    /// Nothing that is taken holds a word in the open that writes, however it was put together.
    #[test]
    fn no_denied_word_gets_through(words in prop::collection::vec(0_usize..18, 1..12)) {
        const WORDS: [&str; 18] = [
            "SELECT", "1", "1e1", "into", "'", "\"", "`", "--", "/*", "*/", " ", "outfile", "x", "(", ")", ".", "${table.a}", ";",
        ];
        let text: String = std::iter::once("SELECT ").chain(words.into_iter().map(|i| WORDS[i])).collect();
        if check(&text).is_ok() {
            // Quotes are closed and hold no escapes: what stands outside of them is every other part.
            let mut open = String::new();
            let mut quote = None;
            for c in text.chars() {
                match quote {
                    Some(q) if c == q => quote = None,
                    Some(_) => {}
                    // It ends the word before it: 1``x is no number with a word behind it.
                    None if matches!(c, '\'' | '"' | '`') => {
                        quote = Some(c);
                        open.push(c);
                    }
                    None => open.push(c),
                }
            }
            for denied in [";", "--", "/*"] {
                prop_assert!(!open.contains(denied), "{:?}", text);
            }
            for word in open.split(|c: char| !c.is_ascii_alphanumeric()) {
                prop_assert!(!["into", "outfile"].contains(&word), "{:?}", text);
                // MySQL would see a number and a word behind it.
                let number = word.starts_with(|c: char| c.is_ascii_digit());
                prop_assert!(!number || word.parse::<f64>().is_ok(), "{:?}", text);
            }
        }
    }

    #[test]
    fn no_text_panics(text in "(?s).{0,80}") {
        let _ = (check(&text), names(&text).len(), identifier(&text));
    }

    #[test]
    fn no_text_like_a_statement_panics(text in "SELECT [0-9eE+.x'\"`$\\{\\}a-c(); /*\\-#\\\\]{0,60}") {
        let _ = check(&text);
    }

    /// Whatever a name is: quoted it is one identifier, or it is none.
    #[test]
    fn a_name_is_an_identifier_or_refused(name in "(?s).{0,12}") {
        if let Ok(quoted) = identifier(&name) {
            let inside = quoted.replace("`.`", "");
            prop_assert!(inside.len() >= 2 && !inside[1..inside.len() - 1].contains('`'), "{}", quoted);
        }
    }
}
