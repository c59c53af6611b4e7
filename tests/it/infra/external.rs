//! Servers of somebody else, with TLS, ACL users and SASL: started here by hand, used as external ones.

use std::{
    fs::{self, File},
    path::Path,
    process::{Child, Command, Stdio},
};

use contract::{endpoint::KafkaEndpoint, system::System};
use infra::clients;
use kafka::lag::{LagPlan, Rules, Sampler};
use profile::model::{ExternalSpec, KafkaLogin, ProviderChoice};
use record::event::{names::Provider, watch::KafkaSample};

use super::*;

/// Programs that end with the test.
struct Guarded(Vec<Child>);

impl Drop for Guarded {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Three servers that demand TLS and a login.
struct Theirs {
    dir: tempfile::TempDir,
    ports: [u16; 4],
    _servers: Guarded,
}

const USER: &str = "shop";
const PASSWORD: &str = "p@ss:/#1";

impl Theirs {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut taken = BTreeSet::new();
        let ports: [u16; 4] = std::array::from_fn(|_| {
            let port = ports::free(&taken).unwrap();
            taken.insert(port);
            port
        });
        certificates(dir.path());
        let env = Env::from_process();
        let servers = vec![
            mysql(dir.path(), &env, ports[0]),
            redis(dir.path(), &env, ports[1]),
            kafka(dir.path(), &env, ports[2], ports[3]),
        ];
        Self { dir, ports, _servers: Guarded(servers) }
    }

    fn ca(&self) -> String {
        self.dir.path().join("ca.pem").display().to_string()
    }

    fn spec(&self) -> ExternalSpec {
        let (ca, login) = (self.ca(), format!("{USER}:p%40ss%3A%2F%231"));
        let secret = self.dir.path().join("kafka-password");
        fs::write(&secret, format!("{PASSWORD}\n")).unwrap();
        let redis = self.dir.path().join("redis-url");
        fs::write(&redis, format!("rediss://{login}@localhost:{}/0?ca={ca}\n", self.ports[1])).unwrap();
        ExternalSpec {
            mysql_url: Some(format!("mysql://{login}@localhost:{}/ecom_db?tls=true&ca={ca}", self.ports[0])),
            redis_url_file: Some(redis.display().to_string()),
            kafka_brokers: Some(format!("localhost:{}", self.ports[2])),
            kafka: KafkaLogin {
                tls: true,
                ca: Some(ca),
                mechanism: Some("PLAIN".into()),
                username: Some(USER.into()),
                password_file: Some(secret.display().to_string()),
                ..KafkaLogin::default()
            },
            ..ExternalSpec::default()
        }
    }
}

/// An authority and a certificate for localhost that it signed.
fn certificates(dir: &Path) {
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, "test authority");
    let key = rcgen::KeyPair::generate().unwrap();
    fs::write(dir.join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
    let issuer = rcgen::Issuer::new(params, key);
    let key = rcgen::KeyPair::generate().unwrap();
    let mut server = rcgen::CertificateParams::new(vec!["localhost".into()]).unwrap();
    server.distinguished_name.push(rcgen::DnType::CommonName, "localhost");
    let certificate = server.signed_by(&key, &issuer).unwrap();
    fs::write(dir.join("cert.pem"), certificate.pem()).unwrap();
    fs::write(dir.join("key.pem"), key.serialize_pem()).unwrap();
    fs::write(dir.join("both.pem"), format!("{}{}", key.serialize_pem(), certificate.pem())).unwrap();
}

fn certificates_of_another_authority(dir: &Path) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    fs::write(dir.join("other.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
}

fn start(dir: &Path, name: &str, mut command: Command) -> Child {
    let log = File::create(dir.join(format!("{name}.log"))).unwrap();
    let errors = log.try_clone().unwrap();
    command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn().unwrap()
}

fn mysql(dir: &Path, env: &Env, port: u16) -> Child {
    let data = format!("--datadir={}", dir.join("mysql").display());
    let user = format!("--user={}", nix::unistd::User::from_uid(nix::unistd::getuid()).unwrap().unwrap().name);
    let made = Command::new(env.find(&["mariadb-install-db"]).unwrap())
        .args(["--no-defaults", "--skip-test-db", &data, &user])
        .output()
        .unwrap();
    assert!(made.status.success());
    let init = dir.join("init.sql");
    let sql = format!(
        "CREATE DATABASE ecom_db;\nCREATE USER '{USER}'@'%' IDENTIFIED BY '{PASSWORD}' REQUIRE SSL;\nGRANT ALL ON ecom_db.* TO '{USER}'@'%';\n"
    );
    fs::write(&init, sql).unwrap();
    let mut command = Command::new(env.mysqld().unwrap());
    command.args(["--no-defaults", &data, &user, "--bind-address=127.0.0.1", "--skip-name-resolve"]).args([
        format!("--port={port}"),
        format!("--socket={}", dir.join("m.sock").display()),
        format!("--init-file={}", init.display()),
        format!("--ssl-ca={}", dir.join("ca.pem").display()),
        format!("--ssl-cert={}", dir.join("cert.pem").display()),
        format!("--ssl-key={}", dir.join("key.pem").display()),
    ]);
    start(dir, "mysql", command)
}

fn redis(dir: &Path, env: &Env, port: u16) -> Child {
    use std::os::unix::process::CommandExt as _;
    let mut command = Command::new(env.redis_server().unwrap());
    let file = |name: &str| dir.join(name).display().to_string();
    command.arg0("redis-server").current_dir(dir).args(["--port", "0", "--bind", "127.0.0.1", "--save", ""]);
    command.args(["--tls-port", &port.to_string(), "--tls-auth-clients", "no"]);
    command.args(["--tls-cert-file", &file("cert.pem"), "--tls-key-file", &file("key.pem")]);
    command.args(["--tls-ca-cert-file", &file("ca.pem")]);
    let users = format!("user {USER} on >{PASSWORD} ~* &* +@all\nuser default off\n");
    fs::write(dir.join("users.acl"), users).unwrap();
    command.args(["--aclfile", &file("users.acl")]);
    start(dir, "redis", command)
}

fn kafka(dir: &Path, env: &Env, port: u16, controller: u16) -> Child {
    let conf = dir.join("kafka.properties");
    let file = |name: &str| dir.join(name).display().to_string();
    let jaas = format!("org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}=\"{PASSWORD}\";");
    let text = format!(
        "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:{controller}\n\
         listeners=OUT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\nadvertised.listeners=OUT://localhost:{port}\n\
         controller.listener.names=CONTROLLER\ninter.broker.listener.name=OUT\n\
         listener.security.protocol.map=OUT:SASL_SSL,CONTROLLER:PLAINTEXT\n\
         sasl.enabled.mechanisms=PLAIN\nsasl.mechanism.inter.broker.protocol=PLAIN\n\
         listener.name.out.plain.sasl.jaas.config={jaas}\n\
         ssl.keystore.type=PEM\nssl.keystore.location={}\nssl.truststore.type=PEM\nssl.truststore.location={}\n\
         log.dirs={}\nauto.create.topics.enable=false\noffsets.topic.num.partitions=1\n\
         offsets.topic.replication.factor=1\ngroup.initial.rebalance.delay.ms=0\nlog.cleaner.dedupe.buffer.size=4194304\n",
        file("both.pem"),
        file("ca.pem"),
        file("kafka")
    );
    fs::write(&conf, text).unwrap();
    let class_path = env.kafka().unwrap().home.join("libs/*");
    let java = || {
        let mut command = Command::new(env.java().unwrap());
        command.args(["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"]).arg(&class_path);
        command
    };
    let id = "4L6g3nShT-eMCtK--X86sw";
    let formatted = java().args(["kafka.tools.StorageTool", "format", "-t", id, "-c"]).arg(&conf).output().unwrap();
    assert!(formatted.status.success(), "{}", String::from_utf8_lossy(&formatted.stderr));
    let mut command = java();
    command.arg("kafka.Kafka").arg(&conf);
    start(dir, "kafka", command)
}

async fn wait_for_ports(theirs: &Theirs) {
    let begun = Instant::now();
    for (name, port) in ["mysql", "redis", "kafka"].iter().zip(theirs.ports) {
        while !infra::ready::accepts(port).await {
            let log = || logs::tail(&theirs.dir.path().join(format!("{name}.log")), 20).unwrap().join("\n");
            assert!(begun.elapsed() < Duration::from_secs(30), "{name} does not listen on {port}:\n{}", log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// The first look at the coupon consumers.
fn lag_of(kafka: &KafkaEndpoint) -> Result<KafkaSample, String> {
    let (send, samples) = std::sync::mpsc::channel();
    let plan = LagPlan {
        endpoint: kafka.clone(),
        group: System::default().claims().group.into(),
        topics: vec![System::default().claims().name.into()],
        search: true,
        interval: Duration::from_secs(1),
        rules: Rules::default(),
    };
    let _running = Sampler::start(plan, move |sample| drop(send.send(sample)));
    samples.recv_timeout(Duration::from_secs(20)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_with_tls_and_logins_are_used_and_never_changed_without_a_word() {
    let theirs = Theirs::start();
    wait_for_ports(&theirs).await;
    let place = Place::new();
    let mut request = place.request();
    request.stack.provider = ProviderChoice::External;
    request.stack.external = theirs.spec();

    // Topics are missing: nothing is made without --yes.
    let message = place.up(&request).await.unwrap_err().to_string();
    assert!(message.contains("coupon-issue (3), coupon-issue.DLT (1) are missing"), "{message}");
    assert!(message.ends_with("confirm with --yes"), "{message}");
    request.yes = true;
    let report = place.up(&request).await.unwrap();
    assert!(report.components.iter().all(|c| c.provider == Provider::External), "{:?}", report.components);
    assert!(report.components.iter().any(|c| c.version.contains("MariaDB")), "{:?}", report.components);
    assert!(place.processes().is_empty(), "nothing is started");
    request.yes = false;
    place.up(&request).await.unwrap();

    let status = infra::status(&place.state).await.unwrap();
    assert!(status.is_healthy(), "{status:#?}");
    assert_eq!(lag_of(&report.stack.endpoints.kafka).map(|sample| sample.partitions.len()), Ok(3));
    let saved = fs::read_to_string(place.state.path("stack.json")).unwrap();
    assert!(!format!("{:?}", report.stack).contains(PASSWORD) && saved.contains("external"));
    let message = infra::stop(&place.state, "mysql").await.unwrap_err().to_string();
    assert!(message.contains("mysql is external"), "{message}");
    let down = infra::down(&place.state, true).await.unwrap();
    assert_eq!((down.stopped.len(), down.left_alone.len()), (0, 3));
    assert!(infra::ready::accepts(theirs.ports[0]).await, "an external server was stopped");

    // Wrong logins and a wrong authority are refused, and told by component.
    let right = theirs.spec();
    let wrong_ca = right.mysql_url.clone().map(|url| url.replace("ca.pem", "other.pem"));
    certificates_of_another_authority(theirs.dir.path());
    let wrong_acl = format!("rediss://{USER}:wrong@localhost:{}/0?ca={}", theirs.ports[1], theirs.ca());
    let wrong_sasl = KafkaLogin { password: Some("wrong".into()), ..right.kafka.clone() };
    for (component, external) in [
        ("mysql", ExternalSpec { mysql_url: wrong_ca, ..right.clone() }),
        ("redis", ExternalSpec { redis_url: Some(wrong_acl), ..right.clone() }),
        ("kafka", ExternalSpec { kafka: wrong_sasl, ..right.clone() }),
    ] {
        let mut wrong = request.clone();
        wrong.stack.external = external;
        let message = place.up(&wrong).await.unwrap_err().to_string();
        assert!(message.starts_with(&format!("{component} at localhost")), "{component}: {message}");
        assert!(!message.contains(PASSWORD), "{message}");
    }

    // A missing address is told by key, flag and variable; nothing is started in its place.
    request.stack.external.redis_url_file = None;
    let message = place.up(&request).await.unwrap_err().to_string();
    let told = "redis has no address: set stack.external.redis_url, --redis-url or ECOMCTL_REDIS_URL";
    assert!(message.contains(told), "{message}");

    // Mixed: theirs for MySQL and Kafka, a private Redis beside them.
    request.stack.provider = ProviderChoice::Native;
    let mixed = place.up(&request).await.unwrap();
    assert_eq!(place.processes(), BTreeSet::from(["redis".to_owned()]));
    assert_eq!(mixed.stack.components["mysql"].provider, Provider::External);
    let redis = clients::redis(&mixed.stack.endpoints.redis, clients::LIMIT).await;
    assert!(redis.is_ok());
    infra::down(&place.state, true).await.unwrap();
}
