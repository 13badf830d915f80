//! The attacks themselves, on every port of a cluster of three processes, and what is said of them afterwards.
//!
//! Invariant: every port gets its share of the frames; the same seed sends the same bytes to each.

use std::io;
use std::time::Duration;

use crate::admin::Admin;
use crate::cluster::{Cluster, listener};
use crate::hostile::aimed::{Arsenal, damage_batch};
use crate::hostile::grpc::{Caller, Method, admin_methods, controller_methods, storage_methods};
use crate::hostile::hoard::Hoard;
use crate::hostile::session::{Session, Tally};
use crate::hostile::{CLAIMS, Dice, Sample, mutate, samples};
use crate::node::Node;
use crate::process::wait_until;
use crate::records;
use crate::wire;

/// The most memory that a process may ever hold under attack, in MB; the README states it. The attack asks for four times as
/// much in answers alone, so it is the bounds of the gateway that keep it.
pub const RESIDENT_LIMIT_MB: f64 = 512.0;
/// Connections of one client to a Kafka port at a time; they hide each other's waiting.
const KAFKA_SESSIONS: usize = 6;
/// How long a cluster may take until it serves honest clients again.
const RECOVERY_PATIENCE: Duration = Duration::from_secs(60);
/// Begins an HTTP/2 connection: the preface, and settings that leave all as it is.
const HTTP2_BEGIN: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// Requests of the HTTP port.
const HTTP_SEEDS: [&[u8]; 4] = [
    b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\nConnection: close\r\n\r\n",
    b"POST /health/live HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2147483647\r\n\r\nx",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n7fffffff\r\nx",
];

/// How thoroughly the claims are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Of each api and version the default body.
    Quick,
    /// Also the longest: there, every field has something in it.
    Thorough,
}

/// Where a cluster of one controller, one storage node and one gateway listens.
pub struct Ports {
    listener: String,
    node: String,
    controller: String,
    storage: String,
    admin: String,
    http: Vec<String>,
    cluster_id: String,
}

impl Ports {
    /// Those of a cluster that runs.
    pub fn of(cluster: &Cluster, cluster_id: &str) -> Self {
        let [controller, storage, gateway] = &cluster.nodes[..] else {
            panic!("an attack wants one process a role");
        };
        let first = gateway.property("ottla.gateway.node.port.first").parse::<u16>();
        let node = first.expect("a port is a number") + u16::try_from(storage.id).expect("small");
        Self {
            listener: listener(gateway, "PLAINTEXT"),
            node: format!("127.0.0.1:{node}"),
            controller: listener(controller, "CONTROLLER"),
            storage: storage.property("ottla.storage.listener").to_owned(),
            admin: controller.admin().to_owned(),
            http: cluster.nodes.iter().map(|node| node.http().to_owned()).collect(),
            cluster_id: cluster_id.to_owned(),
        }
    }
}

/// What came of an attack, by port.
pub type Report = Vec<(&'static str, Tally)>;

/// Counts of 2³¹−1 at every place of a body of every api and version, to the listener.
pub fn claims(ports: &Ports, depth: Depth) -> io::Result<Report> {
    let all = samples();
    let mut chosen: Vec<&Sample> = Vec::new();
    for one in all.chunk_by(|a, b| (a.key, a.version) == (b.key, b.version)) {
        chosen.extend(one.first());
        chosen.extend(one[1..].last().filter(|_| depth == Depth::Thorough));
    }
    // 2³¹−1 as a fixed-length count and as a compact one.
    const COUNTS: [&[u8]; 2] = [CLAIMS[0], CLAIMS[3]];
    let share = |turn: usize| -> io::Result<Tally> {
        let mut session = Session::new(&ports.listener);
        for sample in chosen.iter().skip(turn).step_by(KAFKA_SESSIONS) {
            sample.claims(&COUNTS).try_for_each(|frame| session.send_frame(&frame))?;
        }
        Ok(session.tally)
    };
    Ok(vec![("Kafka listener", in_threads(share)?)])
}

/// About `frames` mutated frames, shared out to all ports.
pub fn mutated(ports: &Ports, frames: u64, seed: u64) -> io::Result<Report> {
    let topic = "aimed-at";
    wire::create_topic(&ports.listener, topic, (1, 1), &[("retention.bytes", "10000000")])?;
    let arsenal = Arsenal::new(&ports.listener, topic)?;
    let kafka = |address: &str, percent, seed| {
        let share = frames * percent / 100 / KAFKA_SESSIONS as u64;
        in_threads(|turn| mutated_kafka(address, &arsenal, share, Dice(seed ^ (turn as u64) << 32)))
    };
    // Half of it as messages of well-formed calls, half as bytes of connections.
    let grpc = |address: &str, methods, seed| {
        let share = frames * 4 / 100;
        let calls = mutated_calls(address, methods, share, Dice(seed))?;
        Ok([calls, mutated_bytes(address, &http2_seeds(), share, Dice(seed))?].into_iter().sum())
    };
    let http = |seed| {
        let seeds: Vec<_> = HTTP_SEEDS.iter().map(|seed| seed.to_vec()).collect();
        let share = frames * 11 / 100 / ports.http.len() as u64;
        ports.http.iter().map(|http| mutated_bytes(http, &seeds, share, Dice(seed))).sum()
    };
    std::thread::scope(|scope| {
        let threads = [
            ("Kafka listener", scope.spawn(|| kafka(&ports.listener, 35, seed))),
            ("node port", scope.spawn(|| kafka(&ports.node, 30, seed + 1))),
            ("admin gRPC", scope.spawn(|| grpc(&ports.admin, admin_methods(), seed + 2))),
            (
                "controller gRPC",
                scope.spawn(|| {
                    grpc(&ports.controller, controller_methods(&ports.cluster_id), seed + 3)
                }),
            ),
            ("storage gRPC", scope.spawn(|| grpc(&ports.storage, storage_methods(1), seed + 4))),
            ("HTTP", scope.spawn(|| http(seed + 5))),
        ];
        let join = |(port, thread): (_, std::thread::ScopedJoinHandle<'_, io::Result<Tally>>)| {
            Ok((port, thread.join().expect("an attacker does not panic")?))
        };
        threads.into_iter().map(join).collect()
    })
}

/// More answers than memory, asked for by clients that take nothing; they stay until the result is dropped.
pub fn hoard(ports: &Ports) -> io::Result<Hoard> {
    Hoard::gather(&ports.listener)
}

fn in_threads(work: impl Fn(usize) -> io::Result<Tally> + Sync) -> io::Result<Tally> {
    std::thread::scope(|scope| {
        let work = &work;
        let start = |turn| scope.spawn(move || work(turn));
        let threads: Vec<_> = (0..KAFKA_SESSIONS).map(start).collect();
        threads.into_iter().map(|thread| thread.join().expect("an attacker does not panic")).sum()
    })
}

fn mutated_kafka(
    address: &str,
    arsenal: &Arsenal,
    frames: u64,
    mut dice: Dice,
) -> io::Result<Tally> {
    let mut session = Session::new(address);
    for _ in 0..frames {
        let sample = arsenal.pick(&mut dice);
        let mut frame = sample.frame.clone();
        match &sample.batch {
            Some(batch) if dice.below(2) == 0 => damage_batch(&mut frame[batch.clone()], &mut dice),
            _ => {
                // Mostly the header stays, so that the message is looked at.
                let from = if dice.below(4) > 0 { sample.body } else { 0 };
                let mut tail = frame.split_off(from);
                mutate(&mut tail, &mut dice);
                frame.append(&mut tail);
            }
        }
        if dice.below(16) > 0 {
            session.send_frame(&frame)?;
            continue;
        }
        // The length itself is hostile.
        let mut bytes =
            u32::try_from(frame.len()).map_err(io::Error::other)?.to_be_bytes().to_vec();
        mutate(&mut bytes, &mut dice);
        bytes.append(&mut frame);
        session.send(&bytes, true)?;
    }
    Ok(session.tally)
}

fn mutated_bytes(
    address: &str,
    seeds: &[Vec<u8>],
    count: u64,
    mut dice: Dice,
) -> io::Result<Tally> {
    let mut session = Session::new(address);
    for _ in 0..count {
        let mut bytes = seeds[dice.below(seeds.len())].clone();
        mutate(&mut bytes, &mut dice);
        session.send(&bytes, dice.below(2) == 0)?;
    }
    Ok(session.tally)
}

fn mutated_calls(
    address: &str,
    methods: Vec<Method>,
    count: u64,
    mut dice: Dice,
) -> io::Result<Tally> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let caller = Caller::new(address, methods);
        let mut tally = Tally::default();
        for _ in 0..count {
            tally.count(caller.call(&mut dice).await);
        }
        Ok(tally)
    })
}

/// The beginning of a connection; a call with headers and a message; frames of other kinds.
fn http2_seeds() -> Vec<Vec<u8>> {
    let path = b"/ottla.storage.v1.StorageService/Exchange";
    let mut headers = vec![0x83, 0x86, 0x44, path.len() as u8];
    headers.extend_from_slice(path);
    headers.extend_from_slice(b"\x41\x09localhost\x5f\x10application/grpc\x40\x02te\x08trailers");
    let mut call = HTTP2_BEGIN.to_vec();
    call.extend(frame(1, 4, &headers));
    call.extend(frame(0, 0, &[0, 0, 0, 0, 4, 8, 1, 16, 2]));
    let mut others = HTTP2_BEGIN.to_vec();
    others.extend(frame(8, 0, &[0x7f, 0xff, 0xff, 0xff]));
    others.extend(frame(6, 0, &[7; 8]));
    others.extend(frame(3, 0, &[0, 0, 0, 8]));
    others.extend(frame(9, 4, &headers));
    vec![HTTP2_BEGIN.to_vec(), call, others]
}

/// A frame of HTTP/2 on stream 1.
fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend_from_slice(&[kind, flags, 0, 0, 0, 1]);
    frame.extend_from_slice(payload);
    frame
}

/// Faults of the cluster after an attack: processes that ended, panics, memory above `limit_mb`, no service.
pub fn faults(cluster: &mut Cluster, limit_mb: f64) -> Vec<String> {
    let mut faults: Vec<_> =
        cluster.nodes.iter_mut().flat_map(|node| node_faults(node, limit_mb)).collect();
    if faults.is_empty() {
        faults.extend(honest_service(cluster).err().map(|error| format!("no service: {error}")));
    }
    faults
}

fn node_faults(node: &mut Node, limit_mb: f64) -> Vec<String> {
    let mut faults = Vec::new();
    if !node.runs() {
        faults.push(format!("{} ended:\n{}", node.name, node.log_tail()));
    }
    let output = node.output();
    if let Some(panic) = output.lines().find(|line| line.contains("panicked at")) {
        faults.push(format!("{}: {panic}", node.name));
    }
    let peak = node.process().peak_resident_mb();
    if peak > limit_mb {
        faults.push(format!("{}: {peak:.0} MB resident, at most {limit_mb:.0}", node.name));
    }
    faults
}

/// A topic of its own takes and gives a record.
fn honest_service(cluster: &mut Cluster) -> io::Result<()> {
    cluster.wait_ready();
    let (bootstrap, topic) = (cluster.bootstrap(), "after-the-attack");
    wire::retry(RECOVERY_PATIENCE, || {
        let _ = wire::create_topic(&bootstrap, topic, (1, 1), &[]);
        let mut leader = records::leader(&bootstrap, topic, 0)?;
        let offset = records::produce(&mut leader, topic, 0, records::batch(&["honest"], &[]))?;
        let found = records::read_all(&mut leader, topic, 0, offset)?;
        match found.first() {
            Some((_, value)) if &value[..] == b"honest" => Ok(()),
            _ => Err(io::Error::other("another record came back")),
        }
    })
}

/// The cluster's id, once a controller tells it.
pub fn cluster_id(cluster: &Cluster) -> String {
    let admin = Admin::new(&cluster.admin());
    let mut id = String::new();
    wait_until("the controller tells the cluster's id", RECOVERY_PATIENCE, || {
        id = admin.cluster_id().unwrap_or_default();
        !id.is_empty()
    });
    id
}
