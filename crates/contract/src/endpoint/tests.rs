use proptest::prelude::*;

use super::{parse::host_and_port, *};
use crate::human::Secret;

fn mysql(text: &str) -> MysqlEndpoint {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn redis(text: &str) -> RedisEndpoint {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// A mistyped address holds its password anywhere: no error may show any of it.
#[test]
fn no_error_repeats_what_was_given() {
    for text in [
        "hunter2",
        "root:hunter2@host/db",
        "mysql:/root:hunter2@host/db",
        "mysql://root:hunter2@host",
        "mysql://root:hunter2",
        "mysql://root:hunter2@",
        "mysql://hunter2@host:x/db",
        "hunter2://u@h/db",
        "mysql://u:p@h/db?tsl=hunter2",
        "mysql://u:p@h/db?hunter2",
        "mysql://u:p@h/db?ssl-mode=hunter2",
        "mysql://u:p@h/db?tls=hunter2",
        "mysql://u:p@[hunter2]/db",
        "mysql://u:p@h:hunter2/db",
        "mysql -u root -phunter2",
        "http://u:hunter2@h:99999",
        "redis://u:hunter2@host/x",
        "https://u:hunter2@h",
        "http://h/hunter2",
        "a:1,u:hunter2@b",
        "SASL_SSL://u:hunter2@b:9092",
        "host:9092,hunter2",
        "http://h?token=hunter2",
        "//hunter2@h",
        "mysql://h:1/d?ca=%FFhunter2",
    ] {
        let errors = [
            text.parse::<MysqlEndpoint>().err(),
            text.parse::<RedisEndpoint>().err(),
            text.parse::<KafkaEndpoint>().err(),
            text.parse::<ApiEndpoint>().err(),
        ];
        for error in errors.into_iter().flatten() {
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{text}: {error}");
        }
        assert!(text.parse::<MysqlEndpoint>().is_err(), "{text} was taken");
    }
}

#[test]
fn a_known_scheme_is_told_and_so_is_what_is_missing() {
    let error = |text: &str| text.parse::<MysqlEndpoint>().unwrap_err().to_string();
    assert!(
        error("postgres://u:p@h/d")
            .starts_with("this is no address of MySQL: its scheme is `postgres`; write it as mysql://")
    );
    assert!(error("mysql://u:p@h").contains("it names no database"));
    assert!(error("mysql://u:p@::1:3306/d").contains("an IPv6 address stands in brackets: [::1]"));
    assert!(error("mysql://u:p@h/d?tsl=true").contains("its parameter `tsl` is not known; allowed: tls=true"));
}

/// What `redis-cli -u` and the libraries take: anything before the last `@`, raw or percent-encoded.
#[test]
fn a_login_may_hold_any_character() {
    for (text, user, password) in [
        ("mysql://root:a#b?c/d:e@h/db", "root", "a#b?c/d:e"),
        ("mysql://root:p@ss@h/db", "root", "p@ss"),
        ("mysql://root:100%@h/db", "root", "100%"),
        ("mysql://root:%zz%4@h/db", "root", "%zz%4"),
        ("mysql://root:a+b c@h/db", "root", "a+b c"),
        ("mysql://u%3Ax:%40%2F%3F%23%25@h/db", "u:x", "@/?#%"),
        ("mysql://u%20x:비밀@h/db", "u x", "비밀"),
        ("mysql://h/db", "root", ""),
        ("mysql://:x@h/db", "root", "x"),
        ("jdbc:mysql://h:3306/db?user=u&password=a%26b", "u", "a&b"),
        ("mysql+pymysql://u:p@h/db?charset=utf8mb4", "u", "p"),
    ] {
        let found = mysql(text);
        assert_eq!(
            (found.user.as_str(), found.password.expose(), found.host.as_str()),
            (user, password, "h"),
            "{text}"
        );
        assert_eq!(found.database, "db", "{text}");
    }
    for (text, user, password) in [
        ("redis://:a#b?c/d@h:1/2", None, Some("a#b?c/d")),
        ("redis://secret@h:1/2", None, Some("secret")),
        ("redis://u:p@x:y@h:1/2", Some("u"), Some("p@x:y")),
        ("redis://default:p@h:1/2", Some("default"), Some("p")),
        ("redis://u:@h:1/2", Some("u"), Some("")),
        ("redis://:@h:1/2", None, None),
        ("redis://h:1/2", None, None),
        ("redis://h:1?db=2&username=u&password=p", Some("u"), Some("p")),
    ] {
        let found = redis(text);
        let login = (found.user.as_deref(), found.password.as_ref().map(Secret::expose));
        assert_eq!((login, found.port, found.db), ((user, password), 1, 2), "{text}");
    }
}

#[test]
fn a_database_may_have_any_name() {
    for (text, database) in [
        ("mysql://u:p@h/my%20db", "my db"),
        ("mysql://u:p@h/a/b#c", "a/b#c"),
        ("mysql://u:p@h:1/x@y", "x@y"),
        ("mysql://u:p@h/%3F%25", "?%"),
        ("mysql://u:p@h/쇼핑", "쇼핑"),
    ] {
        assert_eq!(mysql(text).database, database, "{text}");
    }
}

#[test]
fn an_at_in_a_file_name_is_no_login() {
    let found = mysql("mysql://u:p@h/db?ca=/etc/a@b.pem");
    assert_eq!((found.host.as_str(), found.password.expose()), ("h", "p"));
    assert_eq!(redis("rediss://h/0?ca=/etc/a@b.pem").host, "h");
}

#[test]
fn tls_is_never_less_than_what_was_asked_for() {
    let ca = |verify| Some(Tls { ca: Some("/ca".into()), verify });
    let public = |verify| Some(Tls { ca: None, verify });
    for (query, tls) in [
        ("", None),
        ("tls=true", public(Verify::Full)),
        ("TLS=1", public(Verify::Full)),
        ("ssl=true", public(Verify::Full)),
        ("tls=false", None),
        ("ssl-mode=DISABLED", None),
        ("sslMode=disabled", None),
        ("useSSL=false", None),
        ("ssl-mode=REQUIRED", public(Verify::Nothing)),
        ("ssl_mode=required", public(Verify::Nothing)),
        ("sslmode=require", public(Verify::Nothing)),
        ("useSSL=true", public(Verify::Nothing)),
        ("require_ssl=true", public(Verify::Nothing)),
        ("tls=skip-verify", public(Verify::Nothing)),
        ("ssl-mode=VERIFY_CA&ssl-ca=/ca", ca(Verify::Authority)),
        ("sslMode=VERIFY_IDENTITY&ssl-ca=/ca", ca(Verify::Full)),
        ("sslmode=verify-full&sslrootcert=/ca", ca(Verify::Full)),
        ("ca=/ca", ca(Verify::Full)),
        ("useSSL=true&verifyServerCertificate=false", public(Verify::Nothing)),
        ("ssl_ca=%2Fca", ca(Verify::Full)),
        ("ssl_verify_cert=true", public(Verify::Authority)),
        ("ssl_disabled=false", public(Verify::Full)),
    ] {
        assert_eq!(mysql(&format!("mysql://u:p@h/db?{query}")).tls, tls, "{query}");
    }
    for (text, tls) in [
        ("rediss://h", public(Verify::Full)),
        ("redis://h?ssl=true", public(Verify::Full)),
        ("rediss://h?ssl_cert_reqs=none", public(Verify::Nothing)),
        ("redis://h/0?protocol=2", None),
        ("rediss://h?ssl_ca_certs=/ca&ssl_cert_reqs=required", ca(Verify::Full)),
        ("valkeys://h", public(Verify::Full)),
    ] {
        assert_eq!(redis(text).tls, tls, "{text}");
    }
    for query in [
        "ssl-mode=REQIRED",
        "sslmode=prefer",
        "ssl-mode=PREFERRED",
        "tls",
        "tls=maybe",
        "tls=true&tls=false",
        "tls=",
        "tsl=true",
        "ssl-mode=DISABLED&ssl-ca=/ca",
        "ssl-mode=REQUIRED&tls=false",
        "ssl-key=/k",
        "ssl-mode=REQUIRED&ssl-mode=VERIFY_CA",
        "socket=/x",
        "charset=latin1",
        "db=other",
    ] {
        let error = format!("mysql://u:p@h/db?{query}").parse::<MysqlEndpoint>().unwrap_err().to_string();
        let name = query.split(['=', '&']).next().unwrap();
        assert!(error.contains(&format!("`{name}`")) || query.contains('&') || name == "db", "{query}: {error}");
    }
    for text in [
        "rediss://h?ssl=false",
        "redis://h?protocol=3",
        "redis://h?timeout=5",
        "rediss://h/0#insecure",
        "redis://h/1?db=2",
    ] {
        assert!(text.parse::<RedisEndpoint>().is_err(), "{text} was taken");
    }
}

#[test]
fn ipv6_addresses_stand_in_brackets_everywhere() {
    assert_eq!(mysql("mysql://u:p@[::1]:3307/db").host, "::1");
    assert_eq!(mysql("mysql://u:p@[::1]/db").to_string(), "[::1]:3306/db");
    assert_eq!(redis("redis://:p@[fe80::1%25eth0]:1").host, "fe80::1%eth0");
    assert_eq!(redis("redis://[::1]").url(), "redis://[::1]:6379/0");
    assert_eq!("[::1]:9092, b:9093".parse::<KafkaEndpoint>().unwrap().brokers, "[::1]:9092,b:9093");
    assert_eq!("HTTP://[::1]/".parse::<ApiEndpoint>().unwrap().to_string(), "http://[::1]:80");
    for text in ["[::1", "[x]:1", "[::1]1", "::1:3306", "", ":1", "a b:1", "h:", "h:0", "h:65536", "h:+1x"] {
        assert!(host_and_port(text).is_err(), "{text} was taken");
    }
}

#[test]
fn an_api_ends_at_its_port_and_speaks_http() {
    for (text, why) in [
        ("http://h:1/api", "it has a path"),
        ("http://h:1?x=1", "query"),
        ("http://u:p@h:1", "a login"),
        ("h:1", "no scheme"),
        ("https://h:1", "`https` is not spoken"),
        ("http://", "no host"),
        ("http://h:1//", "a path"),
        ("http://h:1/#x", "fragment"),
    ] {
        let error = text.parse::<ApiEndpoint>().unwrap_err().to_string();
        assert!(error.contains(why) && error.contains("write it as http://HOST:PORT"), "{text}: {error}");
    }
}

#[test]
fn brokers_need_a_port_each() {
    assert!("a:9092,b:9093".parse::<KafkaEndpoint>().is_ok());
    for text in ["", "a", "a:9092,b", "a:x", ":9092", "kafka://a:9092", "a:99999", "a:1,", "u:p@a:1", "a:1/x"] {
        assert!(text.parse::<KafkaEndpoint>().is_err(), "{text} was taken");
    }
}

/// Texts of others (the command line's own errors) may repeat an argument.
#[test]
fn a_login_in_somebody_elses_words_is_masked() {
    for text in [
        "unexpected argument 'mysql://root:hunter2@h/db' found",
        "no profile `root:hunter2@h`",
        "--x=u:hunter2@h",
        "mysql://h/db?user=u&password=hunter2&x=1",
        "a redis://:hunter2@h:1/0, and more",
    ] {
        let masked = mask(text);
        assert!(!masked.contains("hunter2") && masked.contains("***"), "{masked}");
    }
    let how = "write it as redis[s]://[USER:PASSWORD@]HOST:6379[/DB] or mysql://USER:PASSWORD@HOST:3306/DATABASE";
    assert_eq!(mask(how), how, "how to write a login is no login");
    assert_eq!(mask("redis at 127.0.0.1:1/0: no\n  answer"), "redis at 127.0.0.1:1/0: no\n  answer");
    assert_eq!(mask_argument("found 'mysql://a b@h' here", "--mysql=mysql://a b@h"), "found '***' here");
}

/// Two isolation levels in one session, in an order that the driver chooses, gave the consumers the wrong one.
#[test]
fn a_session_has_one_isolation_level() {
    for (extra, level) in
        [(&[][..], "REPEATABLE READ"), (&["SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"], "READ COMMITTED")]
    {
        let opts = mysql("mysql://u:p@h/db").opts_with(0, 1, extra);
        let levels: Vec<&str> = opts.setup().iter().filter_map(|sql| sql.split("ISOLATION LEVEL ").nth(1)).collect();
        assert_eq!(levels, [level]);
        assert!(opts.init().is_empty(), "those run before, and lose");
    }
}

fn any_tls() -> impl Strategy<Value = Option<Tls>> {
    prop::option::of(
        ("[^\0]{1,12}", prop::bool::ANY).prop_map(|(ca, full)| Tls {
            ca: Some(ca.into()),
            verify: if full { Verify::Full } else { Verify::Nothing },
        }),
    )
}

proptest! {
    #[test]
    fn urls_read_back_whatever_the_login(
        user in "[^\0]{1,12}", password in "[^\0]{0,20}", database in "[^\0]{1,12}", port in 1_u16.., tls in any_tls(),
    ) {
        let host = "127.0.0.1".to_owned();
        let mysql = MysqlEndpoint {
            host: host.clone(), port, user: user.clone(), password: Secret::new(password.clone()), database, tls: tls.clone(),
        };
        prop_assert_eq!(mysql.url().parse::<MysqlEndpoint>(), Ok(mysql));
        let redis = RedisEndpoint { host, port, user: Some(user), password: Some(Secret::new(password)), db: 3, tls };
        prop_assert_eq!(redis.url().parse::<RedisEndpoint>(), Ok(redis));
    }

    /// Raw, as people type it: the last `@` ends the login.
    #[test]
    fn a_raw_password_is_taken_as_it_is(password in "[^\0%\\s][^\0%]{0,20}") {
        let mysql = format!("mysql://root:{password}@db.example:3306/shop").parse::<MysqlEndpoint>();
        prop_assert_eq!(mysql.map(|m| m.password), Ok(Secret::new(password.clone())));
        let redis = format!("redis://default:{password}@[::1]:6379/0").parse::<RedisEndpoint>();
        prop_assert_eq!(redis.map(|r| r.password), Ok(Some(Secret::new(password))));
    }

    #[test]
    fn no_text_panics(text in ".{0,60}") {
        let _ = (text.parse::<MysqlEndpoint>(), format!("redis://{text}").parse::<RedisEndpoint>());
        let _ = (text.parse::<KafkaEndpoint>(), format!("http://{text}").parse::<ApiEndpoint>(), mask(&text));
    }
}
