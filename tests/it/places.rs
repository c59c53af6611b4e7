//! Addresses, folders and the environment: whatever a person gives works, or is refused before anything is started.

use std::{
    process::{Command, Output, Stdio},
    time::Duration,
};

use backend::{consumer::SESSION, db::Db};
use contract::{
    endpoint::{KafkaEndpoint, MysqlEndpoint, RedisEndpoint},
    human::Secret,
    settings::DbPool,
    system::System,
};
use ecomctl::{run::seeding, seed::SeedPlan};
use infra::{StateDir, clients, env::Env, ready};
use mysql_async::prelude::Queryable as _;
use profile::model::SeedSpec;

use crate::support::{self, Stack, both, shared};

const LIMIT: Duration = Duration::from_secs(10);
const UP_WITHIN: Duration = Duration::from_secs(120);
/// Whatever URL grammar, a shell or a settings file gives a meaning.
const NASTY: &str = "p@ss:w/o#r?d%&=+ 'x\"`$\\비밀";

fn has(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

/// Wherever an address is given, and however it is wrong: exit 2, nothing is made, and no word of it is repeated.
#[test]
fn an_address_that_cannot_be_is_refused_before_anything_and_never_repeated() {
    let stack = Stack::empty();
    let file = stack.scratch().join("url");
    support::write(&file, "root:hunter2@db/shop\n");
    let file = file.display().to_string();
    let refused = |args: &[&str], variable: Option<(&str, &str)>| -> Output {
        let mut command = stack.command(args);
        command.envs(variable);
        let output = command.output().unwrap();
        let said = both(&output);
        assert!(!said.contains("hunter2"), "{args:?} {said}");
        assert_eq!(output.status.code(), Some(2), "{args:?} {variable:?} {said}");
        assert!(!stack.state_dir().join("stack.json").exists(), "{args:?}");
        output
    };
    for (flag, variable, bad) in [
        ("--mysql-url", "ECOMCTL_MYSQL_URL", "mysql://root:hunter2@db/shop?ssl-mod=REQUIRED"),
        ("--mysql-url", "ECOMCTL_MYSQL_URL", "root:hunter2@db/shop"),
        ("--redis-url", "ECOMCTL_REDIS_URL", "redis://:hunter2@cache/x"),
        ("--kafka-brokers", "ECOMCTL_KAFKA_BROKERS", "SASL_SSL://u:hunter2@broker:9092"),
        ("--api-url", "ECOMCTL_API_URL", "http://u:hunter2@api:8080"),
        ("--api-url", "ECOMCTL_API_URL", "http://api:8080/hunter2"),
        ("--api-url", "ECOMCTL_API_URL", "http://api:8080/?token=hunter2"),
        ("--api-url", "ECOMCTL_API_URL", "https://hunter2"),
        ("--api-url", "ECOMCTL_API_URL", "hunter2:8080"),
    ] {
        for command in ["up", "run"] {
            let output = refused(&[command, "coupon-quick", flag, bad], None);
            assert!(both(&output).contains(flag) && both(&output).contains(variable), "{}", both(&output));
        }
        refused(&["up"], Some((variable, bad)));
        refused(&["up", "--set", &format!("stack.external.{}={bad}", &flag[2..].replace('-', "_"))], None);
    }
    refused(&["up", "--mysql-url-file", &file], None);
    refused(&["up"], Some(("ECOMCTL_REDIS_URL_FILE", &file)));
    refused(&["up", "--mysql-url-file", "mysql://root:hunter2@db/shop"], None);
    // In the wrong place altogether: clap repeats what it does not know.
    for args in [
        &["mysql://root:hunter2@db/shop"][..],
        &["up", "mysql://root:hunter2@db/shop"],
        &["up", "a", "mysql://root:hunter 2hunter2@db/shop"],
        &["up", "--mysql-ulr=mysql://root:hunter2@db/shop"],
        &["up", "--format", "root:hunter2@db"],
        &["up", "--set", "mysql://root:hunter2@db/shop"],
        &["profiles", "check", "mysql://root:hunter2@db/shop"],
        &["up", "--kafka-brokers", "b:1", "--kafka-mechanism", "u:hunter2@b"],
    ] {
        refused(args, None);
    }
    // Keys that need one another need one another as flags too.
    refused(&["up", "--kafka-brokers", "b:1", "--kafka-ca", "/x"], None);
    refused(&["up", "--kafka-brokers", "b:1", "--kafka-username", "u"], None);
    let valid =
        ["profiles", "check", "coupon-quick", "--mysql-url", "mysql://root:hunter2@db/shop", "--format", "json"];
    let shown = both(&stack.command(&valid).output().unwrap());
    assert!(shown.contains("\"valid\": true") && !shown.contains("hunter2"), "{shown}");
}

/// The same login as with the servers' own clients, raw where those take it raw, and `env` prints what those take.
#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::await_holding_lock, reason = "the stack is this test's alone until it ends")]
async fn a_login_of_any_characters_gets_in_as_it_does_with_the_servers_own_clients() {
    let stack = shared();
    let servers = stack.endpoints();
    let mut admin = clients::mysql(&servers.mysql, LIMIT).await.unwrap();
    let quoted = NASTY.replace('\\', "\\\\").replace('\'', "\\'");
    let database = "shop #1/ü?`";
    for sql in [
        format!("CREATE DATABASE `{}`", database.replace('`', "``")),
        format!("CREATE USER 'na:sty'@'127.0.0.1' IDENTIFIED BY '{quoted}'"),
        "GRANT ALL ON *.* TO 'na:sty'@'127.0.0.1'".to_owned(),
    ] {
        admin.query_drop(sql).await.unwrap();
    }
    let mut redis = clients::redis(&servers.redis, LIMIT).await.unwrap();
    let set = redis::cmd("ACL").arg(&["SETUSER", "na:sty", "on", &format!(">{NASTY}"), "~*", "&*", "+@all"]).to_owned();
    set.query_async::<()>(&mut redis).await.unwrap();

    let mysql = MysqlEndpoint {
        user: "na:sty".into(),
        password: Secret::new(NASTY),
        database: database.into(),
        ..servers.mysql.clone()
    };
    let mysql_port = servers.mysql.port;
    // The `%` alone has to be encoded where two digits follow it; here none do.
    let raw = format!("mysql://na%3Asty:{NASTY}@127.0.0.1:{mysql_port}/shop #1/ü%3F`");
    for url in [mysql.url(), raw] {
        ready::mysql(&url.parse().unwrap(), LIMIT).await.unwrap();
    }
    let acl =
        RedisEndpoint { user: Some("na:sty".into()), password: Some(Secret::new(NASTY)), ..servers.redis.clone() };
    let redis_port = servers.redis.port;
    for url in [acl.url(), format!("redis://na%3Asty:{NASTY}@127.0.0.1:{redis_port}/0")] {
        ready::redis(&url.parse().unwrap(), LIMIT).await.unwrap();
    }
    if has("mariadb") {
        let port = mysql_port.to_string();
        let mut client = Command::new("mariadb");
        client.args(["--no-defaults", "-h127.0.0.1", "-P", &port, "-una:sty", "-e", "SELECT 1", database]);
        let output = client.env("MYSQL_PWD", NASTY).output().unwrap();
        assert!(output.status.success(), "{}", both(&output));
    }
    let (_, env) = stack.json(&["env"]);
    let own = env["REDIS_URL"].as_str().unwrap();
    assert!(own.starts_with("redis://default:"), "{own}");
    if has("redis-cli") {
        for url in [own, &acl.url()] {
            let output = Command::new("redis-cli").args(["--no-auth-warning", "-u", url, "PING"]).output().unwrap();
            assert!(String::from_utf8_lossy(&output.stdout).contains("PONG"), "{}", both(&output));
        }
    }
    assert!(env.get("ECOM_API_URL").is_none(), "no API runs: {env}");
    for sql in ["DROP DATABASE `shop #1/ü?```", "DROP USER 'na:sty'@'127.0.0.1'"] {
        admin.query_drop(sql).await.unwrap();
    }
    redis::cmd("ACL").arg(&["DELUSER", "na:sty"]).query_async::<()>(&mut redis).await.unwrap();
}

/// Everything that shells, cron and CI are known to do to a program, at once, in a folder of the worst name: a blank, a
/// comma (Kafka wrote outside), quotes, Korean letters under `LC_ALL=C`.
#[test]
fn a_stack_comes_up_in_any_folder_and_any_environment_and_leaves_nothing() {
    let stack = Stack::empty();
    let env = Env::from_process();
    let (kafka, java) = (env.kafka().unwrap().home, env.java().unwrap().canonicalize().unwrap());
    std::os::unix::fs::symlink(kafka, stack.scratch().join("kafka")).unwrap();
    std::os::unix::fs::symlink(java.parent().unwrap().parent().unwrap(), stack.scratch().join("java")).unwrap();
    let folder = "-a b,상태/it's \"#1\" 100% $HOME \\n;`x`=&";
    std::fs::create_dir_all(stack.scratch().join("-a b,상태")).unwrap();
    let ecomctl = |args: &[&str]| {
        let mut command = Command::new("sh");
        command.args(["-c", "umask 777; exec \"$@\"", "sh", support::ECOMCTL]).args(args).current_dir(stack.scratch());
        command.env_clear().env("ECOMCTL_STATE_DIR", folder).env("ECOMCTL_PROVIDER", "native").envs([
            ("PATH", "/usr/bin:/bin:."),
            ("LC_ALL", "C"),
            ("TMPDIR", "/nowhere"),
            ("TZ", "Nowhere/Land"),
            ("JAVA_TOOL_OPTIONS", "-Xmx1m"),
            ("JDK_JAVA_OPTIONS", "--no-such-option"),
            ("_JAVA_OPTIONS", "-Xmx1m"),
            ("KAFKA_OPTS", "-Dx=y"),
            ("CLASSPATH", "/nowhere"),
            ("JAVA_HOME", "java"),
            ("KAFKA_HOME", "kafka"),
            ("MYSQL_HOME", "/nowhere"),
            ("MYSQL_UNIX_PORT", "/nowhere"),
            ("MALLOC_PERTURB_", "7"),
            ("XDG_RUNTIME_DIR", "/nowhere"),
        ]);
        support::wait(
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap(),
            UP_WITHIN,
        )
    };
    let doctor = ecomctl(&["doctor", "--preflight"]);
    assert!(doctor.status.success(), "{}", both(&doctor));
    let up = ecomctl(&["up"]);
    let state = stack.scratch().join(folder);
    let outside = || -> Vec<String> {
        let entries = |path: &std::path::Path| {
            std::fs::read_dir(path).unwrap().map(|e| e.unwrap().file_name()).collect::<Vec<_>>()
        };
        let mut all = entries(stack.scratch());
        all.extend(entries(state.parent().unwrap()));
        let mut all: Vec<_> = all.into_iter().map(|name| name.to_string_lossy().into_owned()).collect();
        all.sort();
        all
    };
    let (status, seed, there) =
        (ecomctl(&["status"]), ecomctl(&["seed", "--users", "10", "--products", "10"]), outside());
    let data = state.join("data/ecommerce");
    let kept = ["mysql/ecom_db", "kafka-1/coupon-issue-0", "redis"].map(|name| data.join(name).exists());
    let down = ecomctl(&["down", "-v", "--yes"]);
    assert!(
        up.status.success() && status.status.success() && seed.status.success(),
        "{}\n{}\n{}",
        both(&up),
        both(&status),
        both(&seed)
    );
    let own = state.file_name().unwrap().to_string_lossy().into_owned();
    let mut expected = vec!["-a b,상태".to_owned(), "java".into(), "kafka".into(), own];
    expected.sort();
    assert_eq!(there, expected, "something was written outside the state folder");
    assert_eq!(kept, [true; 3]);
    assert!(down.status.success() && !data.exists(), "{}", both(&down));
}

/// Hands on what comes to `[::1]` at a free port to 127.0.0.1:`port`, where the real server is.
async fn on_ipv6(port: u16) -> u16 {
    let listener = tokio::net::TcpListener::bind("[::1]:0").await.unwrap();
    let own = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut from, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut to = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
            });
        }
    });
    own
}

/// `[::1]` was looked up as a name.
#[tokio::test(flavor = "multi_thread")]
async fn servers_are_reached_at_an_ipv6_address() {
    let servers = support::servers();
    let login = (servers.mysql.url(), servers.redis.url());
    let place = |port: u16| format!("127.0.0.1:{port}");
    let (mysql, redis) = (on_ipv6(servers.mysql.port).await, on_ipv6(servers.redis.port).await);
    let mysql = login.0.replace(&place(servers.mysql.port), &format!("[::1]:{mysql}"));
    ready::mysql(&mysql.parse().unwrap(), LIMIT).await.unwrap();
    let redis = login.1.replace(&place(servers.redis.port), &format!("[::1]:{redis}"));
    ready::redis(&redis.parse().unwrap(), LIMIT).await.unwrap();
    let broker = servers.kafka.brokers.rsplit(':').next().unwrap().parse().unwrap();
    let kafka: KafkaEndpoint = format!("[::1]:{}", on_ipv6(broker).await).parse().unwrap();
    clients::kafka_cluster(&kafka, LIMIT).await.unwrap();
}

/// Servers of other people have other defaults: none of them may change what our statements mean.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_depends_on_none_of_the_servers_defaults() {
    let servers = support::servers();
    let mut admin = clients::mysql(&servers.mysql, LIMIT).await.unwrap();
    let odd = "SET GLOBAL autocommit = 0, GLOBAL sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT', \
        GLOBAL time_zone = '+09:00', GLOBAL sql_safe_updates = 1, GLOBAL sql_select_limit = 7, GLOBAL completion_type = 1";
    let usual = "SET GLOBAL autocommit = 1, GLOBAL sql_mode = DEFAULT, GLOBAL time_zone = 'SYSTEM', \
        GLOBAL sql_safe_updates = 0, GLOBAL sql_select_limit = DEFAULT, GLOBAL completion_type = 0";
    admin.query_drop(odd).await.unwrap();
    let isolation = "SET GLOBAL TRANSACTION ISOLATION LEVEL ";
    admin.query_drop(format!("{isolation}SERIALIZABLE, READ ONLY")).await.unwrap();
    let conn = clients::mysql(&servers.mysql, LIMIT).await;
    admin.query_drop(usual).await.unwrap();
    admin.query_drop(format!("{isolation}REPEATABLE READ, READ WRITE")).await.unwrap();
    let mut conn = conn.unwrap();
    let row: Option<(u8, u8, String, String, u8, String)> = conn
        .query_first("SELECT @@autocommit, @@sql_safe_updates, @@sql_mode, @@time_zone, @@tx_read_only, @@tx_isolation")
        .await
        .unwrap();
    let (autocommit, safe, mode, zone, read_only, isolation) = row.unwrap();
    assert_eq!((autocommit, safe, read_only), (1, 0, 0));
    assert!(mode.starts_with("STRICT_TRANS_TABLES") && !mode.contains("ANSI"), "{mode}");
    assert_eq!((zone.as_str(), isolation.as_str()), ("+00:00", "REPEATABLE-READ"));
    let limit: Option<u64> = conn.query_first("SELECT @@sql_select_limit").await.unwrap();
    assert_eq!(limit, Some(u64::MAX));
    // What the consumers ask for takes the place of that.
    let consumers = Db::new(&servers.mysql, &DbPool::default(), &SESSION);
    let mut conn = consumers.pool().get_conn().await.unwrap();
    let isolation: Option<String> = conn.query_first("SELECT @@tx_isolation").await.unwrap();
    assert_eq!(isolation.as_deref(), Some("READ-COMMITTED"));
    drop(conn);
    consumers.pool().clone().disconnect().await.unwrap();
}

/// A right that is missing was told after a minute of load; now before a row is written.
#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::await_holding_lock, reason = "the stack is this test's alone until it ends")]
async fn a_missing_right_is_told_before_anything_is_changed() {
    let place = shared();
    let state = StateDir::open(place.state_dir()).unwrap().unwrap();
    let stack = state.require_stack().unwrap();
    let servers = place.endpoints();
    let mut admin = clients::mysql(&servers.mysql, LIMIT).await.unwrap();
    for sql in [
        "CREATE DATABASE rights_db",
        "CREATE USER 'reader'@'127.0.0.1' IDENTIFIED BY 'r'",
        "GRANT SELECT, INSERT ON `rights\\_db`.* TO 'reader'@'127.0.0.1'",
    ] {
        admin.query_drop(sql).await.unwrap();
    }
    let mut redis = clients::redis(&servers.redis, LIMIT).await.unwrap();
    for (user, rules) in [("noeval", "-eval"), ("nowrite", "-zadd"), ("nokeys", "resetkeys")] {
        let set = redis::cmd("ACL").arg(&["SETUSER", user, "on", ">p", "~*", "&*", "+@all", rules]).to_owned();
        set.query_async::<()>(&mut redis).await.unwrap();
    }
    let plan = SeedPlan::new(System::default(), &SeedSpec { users: 1, products: 1, ..SeedSpec::default() }).unwrap();
    let tried = async |change: &dyn Fn(&mut infra::stack::Stack)| {
        let mut stack = stack.clone();
        stack.endpoints.mysql.database = "rights_db".into();
        change(&mut stack);
        seeding::run(&plan, &stack, &|_| {}).await.unwrap_err().to_string()
    };
    let reader = tried(&|stack| {
        (stack.endpoints.mysql.user, stack.endpoints.mysql.password) = ("reader".into(), Secret::new("r"));
    });
    let message = reader.await;
    assert!(message.contains("the user `reader` may not UPDATE, DELETE, CREATE; nothing was changed"), "{message}");
    for (user, missing) in [("noeval", "EVAL"), ("nowrite", "may not ZADD on keys"), ("nokeys", "EVAL")] {
        let message = tried(&|stack| {
            let redis = &mut stack.endpoints.redis;
            (redis.user, redis.password) = (Some(user.into()), Some(Secret::new("p")));
        })
        .await;
        assert!(message.contains(&format!("the user `{user}`")) && message.contains(missing), "{message}");
        redis::cmd("ACL").arg(&["DELUSER", user]).query_async::<()>(&mut redis).await.unwrap();
    }
    let tables: Vec<String> = admin.query("SHOW TABLES IN rights_db").await.unwrap();
    assert!(tables.is_empty(), "{tables:?}");
    for sql in ["DROP DATABASE rights_db", "DROP USER 'reader'@'127.0.0.1'"] {
        admin.query_drop(sql).await.unwrap();
    }
}
