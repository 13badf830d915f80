//! The quorum under loss: of its active controller, of all controllers, of a database, of the end of a log, of time.
//!
//! Whatever is lost, no answered creation is, and all members come to the same state.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use ottla_integration::admin::{self, Admin, wait_for_quorum};
use ottla_integration::cluster::{Cluster, Shape};
use ottla_integration::node::Node;
use ottla_integration::process::{ottla, wait_until};
use ottla_integration::wire;

/// Longest wait for something that takes a moment on an idle machine.
const PATIENCE: Duration = Duration::from_secs(90);
/// Three controllers, and what it takes to place a topic and to ask for one.
const SHAPE: Shape = Shape { controllers: 3, storage: 1, gateways: 1 };
/// Events that a member misses.
const MISSED_EVENTS: u64 = 10_000;

/// Five processes at a time are enough for a small machine.
static ONE_CLUSTER: Mutex<()> = Mutex::new(());

fn start(dir: &Path) -> Cluster {
    let mut cluster = Cluster::apart(dir, SHAPE);
    cluster.start();
    cluster
}

fn admins(cluster: &mut Cluster) -> Vec<String> {
    cluster.controllers().map(|node| node.admin().to_owned()).collect()
}

/// Waits until all members say the same state at the same offset; then the names of the topics, the same from each.
fn agreed_topics(cluster: &mut Cluster) -> Vec<String> {
    let admins = admins(cluster);
    let same = wait_for_quorum("all members have the same state", &admins, PATIENCE, |all| {
        let state = |at: usize| (all[at].metadata_offset, &all[at].state_hash);
        all[0].metadata_offset > 0 && (1..all.len()).all(|at| state(at) == state(0))
    });
    println!("all at offset {} with state {}", same[0].metadata_offset, same[0].state_hash);
    let mut lists = admins.iter().map(|address| {
        let member = Admin::new(address);
        wire::retry(PATIENCE, || member.topics().map_err(std::io::Error::other)).unwrap()
    });
    let first = lists.next().unwrap();
    for list in lists {
        assert_eq!(list, first, "every member lists the same topics");
    }
    first
}

fn assert_all_there(cluster: &mut Cluster, answered: &[String]) {
    let topics = agreed_topics(cluster);
    let lost: Vec<_> = answered.iter().filter(|name| !topics.contains(name)).collect();
    assert!(lost.is_empty(), "answered and lost: {lost:?}");
    // Clients see them too.
    let bootstrap = cluster.bootstrap();
    for name in [answered.first(), answered.last()].into_iter().flatten() {
        wire::retry(PATIENCE, || wire::leaders(&bootstrap, name)).unwrap();
    }
}

fn active(cluster: &mut Cluster) -> i32 {
    admin::active(&admins(cluster), PATIENCE).unwrap()
}

fn create_some(cluster: &Cluster, names: impl Iterator<Item = String>) -> Vec<String> {
    let bootstrap = cluster.bootstrap();
    names.inspect(|name| wire::create_topic(&bootstrap, name, (1, 1), &[]).unwrap()).collect()
}

#[test]
fn killing_the_active_controller_loses_no_answered_topic_and_the_next_is_made_soon() {
    let _turn = ONE_CLUSTER.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let mut cluster = start(dir.path());
    let bootstrap = cluster.bootstrap();
    let (mut answered, mut number) = (Vec::new(), 0);
    for round in 0..3 {
        let leader = active(&mut cluster);
        // Whether a creation that failed was made is open: its name is not used again.
        let create = |answered: &mut Vec<String>, number: &mut u32| {
            *number += 1;
            let name = format!("t{number}");
            let made = wire::create_topic(&bootstrap, &name, (1, 1), &[]);
            made.map(|()| answered.push(name))
        };
        for _ in 0..20 {
            create(&mut answered, &mut number).unwrap();
        }
        // The kill comes while a creation is on its way.
        let killed = std::thread::scope(|scope| {
            let killer = scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(30));
                cluster.node(leader).kill();
                Instant::now()
            });
            while !killer.is_finished() {
                let _ = create(&mut answered, &mut number);
            }
            killer.join().unwrap()
        });
        let deadline = killed + PATIENCE;
        while let Err(error) = create(&mut answered, &mut number) {
            assert!(Instant::now() < deadline, "no topic after the kill: {error}");
        }
        println!(
            "round {round}: killed {leader}; the next topic was made after {:?}",
            killed.elapsed()
        );
        cluster.node(leader).start();
        cluster.node(leader).wait_ready();
        assert_ne!(active(&mut cluster), 0);
        assert_all_there(&mut cluster, &answered);
    }
    println!("{} of {number} creations were answered", answered.len());
}

#[test]
fn members_that_lost_everything_but_their_log_come_to_the_same_state() {
    let _turn = ONE_CLUSTER.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let mut cluster = start(dir.path());
    let mut answered = create_some(&cluster, (0..10).map(|at| format!("a{at}")));
    assert_all_there(&mut cluster, &answered);

    // All three at once.
    cluster.controllers().for_each(Node::kill);
    cluster.controllers().for_each(Node::start);
    cluster.wait_ready();
    assert_all_there(&mut cluster, &answered);
    answered.extend(create_some(&cluster, (0..3).map(|at| format!("b{at}"))));

    // Without its database.
    let leader = active(&mut cluster);
    let victim = if leader == 101 { 102 } else { 101 };
    cluster.node(victim).kill();
    let database = database(&cluster.node(victim).data);
    std::fs::remove_dir_all(&database).unwrap();
    answered.extend(create_some(&cluster, (0..3).map(|at| format!("c{at}"))));
    cluster.node(victim).start();
    cluster.wait_ready();
    assert!(database.exists(), "the database is made again");
    assert_all_there(&mut cluster, &answered);

    // All databases at once.
    cluster.controllers().for_each(Node::kill);
    for node in cluster.controllers() {
        std::fs::remove_dir_all(self::database(&node.data)).unwrap();
        node.start();
    }
    cluster.wait_ready();
    assert_all_there(&mut cluster, &answered);

    // With a tail that the power cut short.
    let victim = active(&mut cluster);
    cluster.node(victim).kill();
    tear(&newest_segment(&cluster.node(victim).data));
    answered.extend(create_some_soon(&cluster, "d"));
    cluster.node(victim).start();
    cluster.wait_ready();
    assert_all_there(&mut cluster, &answered);
}

/// Creations right after the active controller went may have to be asked for again.
fn create_some_soon(cluster: &Cluster, prefix: &str) -> Vec<String> {
    let bootstrap = cluster.bootstrap();
    let mut number = 0;
    let create = || {
        number += 1;
        let name = format!("{prefix}{number}");
        wire::create_topic(&bootstrap, &name, (1, 1), &[]).map(|()| name)
    };
    vec![wire::retry(PATIENCE, create).unwrap()]
}

#[test]
fn a_member_that_missed_ten_thousand_events_catches_up() {
    let _turn = ONE_CLUSTER.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let mut cluster = start(dir.path());
    let mut answered = create_some(&cluster, (0..3).map(|at| format!("a{at}")));
    assert_all_there(&mut cluster, &answered);
    let leader = active(&mut cluster);
    let late = if leader == 103 { 102 } else { 103 };
    cluster.node(late).kill();

    let present = Admin::new(cluster.node(leader).admin());
    let began = present.quorum().unwrap().metadata_offset;
    present.churn("a0", MISSED_EVENTS).unwrap();
    answered.extend(create_some(&cluster, (0..3).map(|at| format!("b{at}"))));
    let offset = present.quorum().unwrap().metadata_offset;
    assert!(offset >= began + MISSED_EVENTS, "from {began} to {offset} are too few events");
    assert_told_as_silent(cluster.node(leader).admin(), late);
    cluster.node(late).start();
    cluster.wait_ready();
    assert_all_there(&mut cluster, &answered);
}

/// The active controller says which member it does not hear, and how far behind it is.
fn assert_told_as_silent(active: &str, late: i32) {
    let mut said = String::new();
    wait_until("the silent member is told", PATIENCE, || {
        let mut status = Command::new(ottla());
        let output = status.args(["status", "--admin", active]).output().unwrap();
        said = String::from_utf8(output.stdout).unwrap();
        said.lines().any(|line| line.contains(&late.to_string()) && line.contains("silent"))
    });
    let line = said.lines().find(|line| line.contains("silent")).unwrap();
    assert!(line.contains(" entries behind, heard ") && !line.contains(" 0 entries"), "{line}");
    assert_eq!(said.matches("silent").count(), 1, "only one is silent:\n{said}");
    let mut doctor = Command::new(ottla());
    let output = doctor.args(["doctor", "--admin", active, "--bootstrap", "127.0.0.1:1"]).output();
    let said = String::from_utf8(output.unwrap().stdout).unwrap();
    let check = said.lines().find(|line| line.starts_with("controllers")).unwrap();
    assert!(check.contains("FAILED") && check.contains(&late.to_string()), "{check}");
}

/// The folder of sled's files below a controller's data.
fn database(data: &Path) -> PathBuf {
    let is_sled = |path: &PathBuf| path.join("conf").is_file() && path.join("db").is_file();
    let found = folders(data).into_iter().find(is_sled);
    found.unwrap_or_else(|| panic!("no database below {}", data.display()))
}

/// The newest segment of a controller's write-ahead log.
fn newest_segment(data: &Path) -> PathBuf {
    let files = folders(data).into_iter().flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let mut segments: Vec<_> = files
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "wal"))
        .collect();
    segments.sort();
    segments.pop().unwrap_or_else(|| panic!("no segment below {}", data.display()))
}

/// The folder and all below it.
fn folders(dir: &Path) -> Vec<PathBuf> {
    let mut found = vec![dir.to_owned()];
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(folders(&path));
        }
    }
    found
}

/// Writes the first half of a frame behind the last one: a write that the power cut short.
fn tear(segment: &Path) {
    const MAGIC: &[u8] = b"OWR1";
    const HEADER_BYTES: usize = 32;
    let bytes = std::fs::read(segment).unwrap();
    let last = bytes.windows(MAGIC.len()).rposition(|window| window == MAGIC).unwrap();
    let length = u32::from_le_bytes(bytes[last + 4..last + 8].try_into().unwrap()) as usize;
    let end = last + (HEADER_BYTES + length).next_multiple_of(8);
    let mut torn = bytes[last..last + HEADER_BYTES + length / 2].to_vec();
    // It would have been the next record.
    let sequence = u64::from_le_bytes(torn[8..16].try_into().unwrap()) + 1;
    torn[8..16].copy_from_slice(&sequence.to_le_bytes());
    let mut file = std::fs::File::options().write(true).open(segment).unwrap();
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(end as u64)).unwrap();
    file.write_all(&torn).unwrap();
    file.sync_all().unwrap();
}
