//! Whole configurations: samples that must start, mistakes that must be told.

use super::*;
use crate::config::key::Meaning;
use crate::config::settings::ConfigFile;
use crate::seams::HostPort;

/// Apache Kafka 4's `config/server.properties`, without its comments.
const KAFKA_STOCK: &str = "\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=localhost:9093
listeners=PLAINTEXT://:9092,CONTROLLER://:9093
inter.broker.listener.name=PLAINTEXT
advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL
num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
socket.receive.buffer.bytes=102400
socket.request.max.bytes=104857600
log.dirs=/tmp/kraft-combined-logs
num.partitions=1
num.recovery.threads.per.data.dir=2
offsets.topic.replication.factor=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
#log.flush.interval.messages=10000
#log.flush.interval.ms=1000
log.retention.hours=168
#log.retention.bytes=1073741824
log.segment.bytes=1073741824
log.retention.check.interval.ms=300000
";

/// A combined node of a quorum of three that names no `controller.listener.names`.
const QUORUM_SAMPLE: &str = "\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@localhost:9093,2@host2:9093,3@host3:9093
metadata.log.dir=/metadata
log.dirs=/data1/kafka,/data2/kafka
listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093
";

/// A broker of a shop with high throughput, as such shops write it.
const THROUGHPUT_SAMPLE: &str = "\
broker.id=7
broker.rack=us-east-1a
log.dirs=/data1/kafka,/data2/kafka,/data3/kafka
num.network.threads=16
num.io.threads=12
socket.send.buffer.bytes=1048576
socket.receive.buffer.bytes=1048576
replica.fetch.max.bytes=10485760
num.replica.fetchers=4
";

fn sources(text: &str) -> ConfigSources {
    let file = ConfigFile { name: "server.properties".into(), text: text.into() };
    ConfigSources { file: Some(file), ..ConfigSources::default() }
}

fn load(text: &str) -> Result<ServerConfig, ConfigErrors> {
    ServerConfig::load(&sources(text), "here")
}

fn host(text: &str) -> HostPort {
    text.parse().unwrap()
}

#[test]
fn kafkas_stock_file_starts_unedited() {
    let config = load(KAFKA_STOCK).unwrap();
    assert_eq!(config.roles.to_string(), "controller,storage,gateway");
    assert_eq!(
        config.quorum.voters,
        [QuorumVoter { node_id: NodeId(1), address: host("localhost:9093") }]
    );
    let [client] = &config.client_listeners[..] else { panic!("{:?}", config.client_listeners) };
    assert_eq!((&client.bind, &client.advertised), (&host(":9092"), &host("localhost:9092")));
    assert_eq!(client.first_node_port, 9192);
    assert_eq!(config.controller_listener.as_ref().unwrap().bind, host(":9093"));
    assert_eq!(config.internal.storage_advertised, host("here:9094"));
    assert_eq!(config.topics.number::<i64>("retention.ms"), Some(604_800_000));
    assert_eq!(config.topics.get("flush.messages"), Some("1"));
    assert_eq!(config.timing.replica_lag_max.as_secs(), 10);
    assert_eq!(config.metadata_log_dir, PathBuf::from("/tmp/kraft-combined-logs"));
    let notices = config.notices();
    assert!(notices.iter().any(|notice| {
        notice.contains("inter.broker.listener.name (server.properties:5) has no effect")
    }));
}

#[test]
fn a_quorum_of_voters_starts_without_controller_listener_names() {
    let config = load(QUORUM_SAMPLE).unwrap();
    assert_eq!(config.quorum.voters.len(), 3);
    assert_eq!(config.quorum.bootstrap_servers[2], host("host3:9093"));
    assert_eq!(config.controller_listener.unwrap().name.as_str(), "CONTROLLER");
    assert_eq!((config.log_dirs.len(), config.metadata_log_dir), (2, PathBuf::from("/metadata")));
}

#[test]
fn a_broker_that_knows_no_roles_is_a_cluster_of_its_own() {
    let config = load(THROUGHPUT_SAMPLE).unwrap();
    assert_eq!((config.node_id, config.rack.as_deref()), (NodeId(7), Some("us-east-1a")));
    assert_eq!((config.network.network_threads, config.storage.io_threads), (16, 12));
    assert_eq!(config.network.socket_send_buffer_bytes, Some(1 << 20));
    assert_eq!(
        (config.storage.replica_fetch_max_bytes, config.storage.replica_fetchers),
        (10 << 20, 4)
    );
    assert_eq!((config.log_dirs.len(), config.quorum.voters.len()), (3, 1));
    let is_told = |start: &str| config.notices().iter().any(|notice| notice.starts_with(start));
    assert!(is_told("process.roles is not set"));
    assert!(is_told("num.replica.fetchers (server.properties:9) has no effect yet"));
}

#[test]
fn each_role_alone_needs_only_what_is_its_own() {
    let quorum = "controller.quorum.bootstrap.servers=c1:9093,c2:9093\n";
    let gateway = load(&format!("process.roles=gateway\nnode.id=100\n{quorum}")).unwrap();
    assert_eq!(gateway.roles.service_name(), "ottla-gateway");
    assert!(gateway.log_dirs.is_empty() && gateway.controller_listener.is_none());
    assert_eq!(gateway.client_listeners[0].advertised, host("here:9092"));
    let storage = load(&format!("process.roles=storage\nnode.id=10\n{quorum}")).unwrap();
    assert!(storage.client_listeners.is_empty() && !storage.log_dirs.is_empty());
    let controller = "process.roles=controller\nnode.id=1\ncontroller.quorum.voters=1@c1:9093\n";
    let controller = load(&format!("{controller}listeners=CONTROLLER://c1:9093")).unwrap();
    assert_eq!(controller.controller_listener.unwrap().advertised, host("c1:9093"));
    assert_eq!(
        load("process.roles=broker\nnode.id=1\ncontroller.quorum.bootstrap.servers=c:1")
            .unwrap()
            .roles
            .to_string(),
        "storage,gateway"
    );
}

#[test]
fn later_layers_win_and_every_value_knows_its_source() {
    let mut sources = sources("node.id=1\nnum.partitions=2\nnum.io.threads=2\nlog.dirs=/a");
    sources.preset =
        vec![("num.partitions".into(), "1".into()), ("log.retention.hours".into(), "1".into())];
    sources.environment = [
        ("OTTLA_NUM_PARTITIONS", "3"),
        ("OTTLA_HTTP_LISTENER", ":1"),
        ("OTTLA_LOG", "debug"),
        ("OTTLA_SERVICE_HOST", "10.0.0.1"),
        ("OTTLA_NUM_PARTITONS", "9"),
        ("OTTLA_HTTP_LISTENERS", "9"),
        ("OTTLA_BOOTSTRP", "9"),
        ("PATH", "/bin"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into();
    sources.overrides = vec!["num.io.threads = 4".into()];
    let config = ServerConfig::load(&sources, "here").unwrap();
    let rows = config.explain();
    let row = |key: &str| rows.iter().find(|row| row.key == key).unwrap();
    let told = |key: &str| (row(key).value.clone().unwrap_or_default(), row(key).source.clone());
    assert_eq!(told("num.partitions"), ("3".into(), "OTTLA_NUM_PARTITIONS".into()));
    assert_eq!(told("num.io.threads"), ("4".into(), "--override".into()));
    assert_eq!(told("log.dirs"), ("/a".into(), "server.properties:4".into()));
    assert_eq!(told("ottla.http.listener"), (":1".into(), "OTTLA_HTTP_LISTENER".into()));
    assert_eq!(told("log.retention.hours"), ("1".into(), "command".into()));
    assert_eq!(told("log.flush.interval.messages"), ("1".into(), "default".into()));
    assert!(
        row("log.flush.interval.messages")
            .why_different
            .as_ref()
            .unwrap()
            .contains("Kafka: 9223372036854775807")
    );
    assert_eq!(row("num.partitions").why_different, None);
    let kind = |key: &str| (row(key).kind, row(key).is_sensitive, row(key).is_set);
    assert_eq!(kind("num.partitions"), ("INT", false, true));
    assert_eq!(kind("log.flush.interval.messages"), ("LONG", false, false));
    assert_eq!(kind("log.dirs"), ("LIST", false, true));
    assert_eq!(kind("ssl.key.password"), ("PASSWORD", true, false));
    assert_eq!(config.topics.get("retention.ms"), Some("3600000"));
    let unknown = config.explain_unknown_variables();
    for (variable, why) in [
        ("OTTLA_SERVICE_HOST", "unknown key; `ottla config explain` lists all keys"),
        ("OTTLA_NUM_PARTITONS", "unknown key; did you mean OTTLA_NUM_PARTITIONS?"),
        ("OTTLA_HTTP_LISTENERS", "unknown key; did you mean OTTLA_HTTP_LISTENER?"),
        ("OTTLA_BOOTSTRP", "unknown key; did you mean OTTLA_BOOTSTRAP?"),
    ] {
        let notice = format!("{variable} has no effect: {why}");
        assert!(config.notices().contains(&notice), "{:?}", config.notices());
        let row = unknown.iter().find(|row| row.key == variable).unwrap();
        assert_eq!(row.effect, format!("no effect: {why}"));
        assert_eq!(row.value.as_deref(), Some("(hidden)"));
    }
    assert!(rows.len() > 390);
}

#[test]
fn a_value_without_effect_is_told_at_the_start_and_by_explain() {
    let told = |line: &str| {
        let config = load(&format!("{KAFKA_STOCK}{line}\n")).unwrap();
        let key = line.split('=').next().unwrap();
        let effect = config.explain().into_iter().find(|row| row.key == key).unwrap().effect;
        let notices = config.notices().iter().filter(|notice| notice.starts_with(key));
        (effect, notices.cloned().collect::<Vec<_>>())
    };
    for line in ["default.replication.factor=1", "log.cleanup.policy=compact,delete"] {
        assert_eq!(told(line), ("obeyed".to_owned(), Vec::new()));
    }
    let (line, cause) = ("default.replication.factor=3", "replication is not there yet");
    let (effect, notices) = told(line);
    assert!(effect.starts_with(&format!("not obeyed: {cause}")), "{effect}");
    let expected = format!("{line} (server.properties:28): {cause}");
    assert!(notices.len() == 1 && notices[0].starts_with(&expected), "{notices:?}");
    for line in ["log.dir.failure.timeout.ms=1", "replica.fetch.max.bytes=5000000"] {
        assert_eq!(told(line).0, "no effect yet", "{line}");
    }
}

#[test]
fn passwords_are_never_shown() {
    let config =
        load("node.id=1\nssl.key.password=hunter1\nlistener.name.x.ssl.key.password=hunter2")
            .unwrap();
    let mut told = config.notices().to_vec();
    told.extend(config.explain().iter().map(|row| format!("{row:?}")));
    let shown: Vec<_> = told.iter().filter(|line| line.contains("hunter")).collect();
    assert!(shown.is_empty(), "{shown:?}");
    let named: Vec<_> = told.iter().filter(|line| line.contains("ssl.key.password")).collect();
    assert_eq!(named.len(), 4, "{named:?}");
}

/// A line after Kafka's stock file, and what is told about it.
const MISTAKES: &[(&str, &str)] = &[
    (
        "num.partition=3",
        "num.partition (server.properties:28): unknown key; did you mean num.partitions?",
    ),
    (
        "num.io.threads=0",
        "num.io.threads=0 (server.properties:28): out of range; set a whole number of 32 bits from 1",
    ),
    (
        "log.retention.ms=soon",
        "log.retention.ms=soon (server.properties:28): not a whole number of 64 bits; set a whole",
    ),
    (
        "process.roles=brokers",
        "process.roles=brokers (server.properties:28): there is no role brokers; set",
    ),
    ("broker.id=2", "node.id=1 (server.properties:2): broker.id=2 says otherwise; set"),
    (
        "listeners=SSL://:9092,CONTROLLER://:9093",
        "the listener SSL wants SSL, which is not served yet; use PLAINTEXT",
    ),
    (
        "listeners=INSIDE://:9092,CONTROLLER://:9093",
        "nobody says which protocol the listener INSIDE speaks; add INSIDE:PLAINTEXT",
    ),
    ("listeners=PLAINTEXT://:9092", "no listener for the controller; add CONTROLLER://:9093"),
    ("listeners=PLAINTEXT://:9092,CONTROLLER://:9092", "CONTROLLER share port 9092; give each"),
    ("ottla.http.listener=:9092", "PLAINTEXT and ottla.http.listener share port 9092; give each"),
    ("listeners=PLAINTEXT:9092", "PLAINTEXT:9092 is not NAME://HOST:PORT; write"),
    (
        "advertised.listeners=PLAINTEXT://0.0.0.0:9092",
        "nobody can connect to PLAINTEXT://0.0.0.0:9092; set",
    ),
    (
        "controller.quorum.bootstrap.servers=a:9093,b:9093",
        "a controller must know all members of the quorum, and their ids; set controller.quorum.voters",
    ),
    (
        "controller.quorum.voters=2@a:9093",
        "this controller, node.id=1, is not among them; add 1@HOST:PORT",
    ),
    ("controller.quorum.voters=1@a:9093,1@b:9093", "two voters have the id 1; give"),
    ("log.dirs=/a,/a", "/a stands there twice; name each directory once"),
    (
        "security.inter.broker.protocol=SASL_SSL",
        "this security protocol is not served yet; set PLAINTEXT",
    ),
    ("authorizer.class.name=a.B", "authorization is not served yet"),
    ("ottla.gateway.node.port.first=x", "x is not a port; set"),
];

/// A whole file, and what is told about it.
const WRONG_FILES: &[(&str, &str)] = &[
    (
        "process.roles=gateway\nnode.id=1",
        "controller.quorum.bootstrap.servers: this process is no controller and knows none; set",
    ),
    (
        "process.roles=broker,controller",
        "node.id: each process needs a number that is its own; set node.id",
    ),
    (
        "node.id=1\ncontroller.quorum.voters=1@a:1",
        "process.roles: a quorum is named, but not what this process is in it; set",
    ),
    (
        "process.roles=broker\nnode.id=1\ncontroller.quorum.voters=1@a:1",
        "node.id=1 is a controller's, and this process is none; give",
    ),
];

#[test]
fn a_mistake_is_told_with_place_cause_and_cure() {
    let after_stock =
        |(line, told): &(&str, &'static str)| (format!("{KAFKA_STOCK}{line}\n"), *told);
    let alone = |(file, told): &(&str, &'static str)| ((*file).to_owned(), *told);
    let files = MISTAKES.iter().map(after_stock).chain(WRONG_FILES.iter().map(alone));
    for (file, expected) in files {
        let told = load(&file).unwrap_err().to_string();
        assert!(
            told.contains(expected) && !told.contains('\n'),
            "expected {expected:?}, got {told:?}"
        );
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let told = load("num.io.threads=x\nfoo.bar.baz=1\nnum.partitions=0").unwrap_err();
    assert_eq!(told.0.len(), 3);
    assert_eq!(told.to_string().lines().count(), 3);
}

#[test]
fn several_listeners_have_node_ports_of_their_own() {
    let text = "process.roles=gateway\nnode.id=1\ncontroller.quorum.bootstrap.servers=c:1\n\
        listeners=INSIDE://:9092,OUTSIDE://:29092\nadvertised.listeners=OUTSIDE://example.org:39092\n\
        listener.security.protocol.map=INSIDE:PLAINTEXT,OUTSIDE:PLAINTEXT\nottla.gateway.node.port.first=outside:30000";
    let listeners = load(text).unwrap().client_listeners;
    assert_eq!((listeners[0].first_node_port, listeners[1].first_node_port), (9192, 30000));
    assert_eq!(listeners[1].advertised, host("example.org:39092"));
    let told = load(&text.replace("outside:", "")).unwrap_err().to_string();
    assert!(
        told.contains("INSIDE and OUTSIDE share the port 30000 for node 0; set LISTENER:PORT"),
        "{told}"
    );
}

#[test]
fn every_key_that_is_called_obeyed_is_read() {
    let readers = [
        include_str!("../server.rs"),
        include_str!("cleaner.rs"),
        include_str!("groups.rs"),
        include_str!("listeners.rs"),
        include_str!("quorum.rs"),
        include_str!("roles.rs"),
        include_str!("sections.rs"),
        include_str!("topics.rs"),
    ]
    .concat();
    for key in server_keys().keys().filter(|key| key.meaning == Meaning::Obeyed) {
        let base = key.name.strip_suffix(".advertised").unwrap_or(key.name);
        assert!(readers.contains(&format!("\"{base}\"")), "{} is read nowhere", key.name);
    }
}
