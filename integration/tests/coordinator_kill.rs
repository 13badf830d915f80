//! The coordinator's process is killed while a group changes, and while commits are on their way, ten times each.
//!
//! Whenever that is, no acknowledged commit is lost or gone back, and the members come together again.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use ottla_integration::cluster::{Cluster, Shape};
use ottla_integration::group::client::{GroupClient, committed, describe, taken};
use ottla_integration::group::member::{Group, JOIN_VERSION, Next, SYNC_VERSION};
use ottla_integration::group::{offsets, protocol};
use ottla_integration::process::wait_until;
use ottla_integration::wire;
use ottla_kafka_wire::messages::join_group_request::JoinGroupRequest;
use ottla_kafka_wire::messages::offset_commit_request::OffsetCommitRequest;
use ottla_types::ErrorCode;

/// Longest wait for something that takes a moment on an idle machine.
const PATIENCE: Duration = Duration::from_secs(90);
/// Between two looks.
const POLL: Duration = Duration::from_millis(5);
/// How often the coordinator is killed in each way.
const KILLS: usize = 10;
const MEMBERS: usize = 3;
const PARTITIONS: i32 = 8;
/// Commits of one member that are on their way at a time.
const IN_FLIGHT: usize = 8;
/// The node that coordinates, in both clusters.
const COORDINATOR: i32 = 1;

/// A few processes at a time are enough for a small machine.
static ONE_CLUSTER: Mutex<()> = Mutex::new(());

/// What was committed, by partition.
struct Ledger {
    group: Group,
    sent: Vec<AtomicI64>,
    acknowledged: Vec<AtomicI64>,
    commits: AtomicU64,
}

impl Ledger {
    fn new(group: Group) -> Self {
        let nothing = || (0..PARTITIONS).map(|_| AtomicI64::new(-1)).collect();
        Self { group, sent: nothing(), acknowledged: nothing(), commits: AtomicU64::new(0) }
    }

    /// An offset for each of these partitions, larger than any before.
    fn next(&self, partitions: &[i32]) -> Vec<(i32, i64)> {
        let larger = |at: &i32| (*at, self.sent[*at as usize].fetch_add(1, Ordering::SeqCst) + 1);
        partitions.iter().map(larger).collect()
    }

    fn acknowledge(&self, offsets: &[(i32, i64)]) {
        for (partition, offset) in offsets {
            self.acknowledged[*partition as usize].fetch_max(*offset, Ordering::SeqCst);
        }
        self.commits.fetch_add(1, Ordering::SeqCst);
    }

    /// What was acknowledged by now is there, and nothing that was never sent.
    fn check(&self, bootstrap: &str) {
        let read = |all: &[AtomicI64]| -> Vec<i64> {
            all.iter().map(|offset| offset.load(Ordering::SeqCst)).collect()
        };
        let acknowledged = read(&self.acknowledged);
        let fetched = wire::retry(PATIENCE, || committed(bootstrap, &self.group)).unwrap();
        let sent = read(&self.sent);
        for (partition, offset) in fetched {
            let at = partition as usize;
            let (least, most) = (acknowledged[at], sent[at]);
            assert!(least <= offset, "partition {at}: {offset} is there, {least} was acknowledged");
            assert!(
                offset <= most,
                "partition {at}: {offset} is there, {most} is all that was sent"
            );
        }
    }
}

fn group() -> Group {
    Group {
        id: "readers".to_owned(),
        topic: "orders".to_owned(),
        partitions: PARTITIONS,
        session_timeout_ms: 45_000,
        rebalance_timeout_ms: 60_000,
    }
}

/// All roles in one process, or in three; then the coordinator's is the storage node's.
fn start(dir: &Path, is_one_process: bool) -> Cluster {
    let mut cluster = match is_one_process {
        true => Cluster::one_process(dir),
        false => Cluster::apart(dir, Shape { controllers: 1, storage: 1, gateways: 1 }),
    };
    cluster.set("offsets.topic.replication.factor", "1");
    cluster.set("offsets.topic.num.partitions", "5");
    cluster.set("group.initial.rebalance.delay.ms", "0");
    cluster.start();
    wire::create_topic(&cluster.bootstrap(), "orders", (PARTITIONS, 1), &[]).unwrap();
    cluster
}

fn kill_and_restart(cluster: &mut Cluster) {
    cluster.node(COORDINATOR).kill();
    cluster.node(COORDINATOR).start();
    cluster.wait_ready();
}

/// Brings all members into one generation.
fn settle(members: &mut [GroupClient]) {
    let reached: Vec<_> = members.iter().map(|_| AtomicI32::new(-1)).collect();
    let deadline = Instant::now() + PATIENCE;
    let is_settled = || {
        let mut all = reached.iter().map(|generation| generation.load(Ordering::SeqCst));
        let first = all.next().unwrap();
        first >= 0 && all.all(|other| other == first)
    };
    std::thread::scope(|scope| {
        for (member, reached) in members.iter_mut().zip(&reached) {
            scope.spawn(move || {
                while !is_settled() {
                    assert!(Instant::now() < deadline, "the members do not come together");
                    member.settle(PATIENCE).unwrap();
                    // Who works learns by a heartbeat whether its generation is the last one.
                    let heard = member.step().inspect_err(|_| member.hang_up());
                    let works = heard.is_ok() && member.member.next == Next::Work;
                    let generation = if works { member.member.generation } else { -1 };
                    reached.store(generation, Ordering::SeqCst);
                    std::thread::sleep(POLL);
                }
            });
        }
    });
}

fn wait_for_state(bootstrap: &str, state: &str) {
    let is_there =
        || describe(bootstrap, &group().id).is_ok_and(|group| group.group_state == state);
    wait_until(&format!("the group is {state}"), PATIENCE, is_there);
}

/// The coordinator says that the group is stable and every partition is given to exactly one member.
fn assert_stable(bootstrap: &str) {
    let described = wire::retry(PATIENCE, || describe(bootstrap, &group().id)).unwrap();
    assert_eq!((&described.group_state[..], described.members.len()), ("Stable", MEMBERS));
    let given = described.members.iter().map(|member| &member.member_assignment);
    let mut given: Vec<_> = given.flat_map(|given| protocol::partitions(given).unwrap()).collect();
    given.sort_unstable();
    assert_eq!(given, (0..PARTITIONS).collect::<Vec<_>>());
}

/// Each commits once, as far as it may; how many could.
fn commit_all(members: &mut [GroupClient], ledger: &Ledger) -> usize {
    let mut done = 0;
    for member in members {
        let offsets = ledger.next(&member.member.assigned);
        if member.commit(&offsets).unwrap() {
            ledger.acknowledge(&offsets);
            done += 1;
        }
    }
    done
}

/// A newcomer's join is received and not answered, because the others were not told; the number of the request.
fn open_join(bootstrap: &str, newcomer: &mut GroupClient) -> i32 {
    // The first answer gives it its id only.
    newcomer.step().unwrap();
    let request = newcomer.member.join_request();
    let sent = newcomer.wire().unwrap().send(JOIN_VERSION, &request).unwrap();
    wait_for_state(bootstrap, "PreparingRebalance");
    sent
}

/// All have joined, and all but the leader wait for what it will give them.
fn open_sync(bootstrap: &str, members: &mut [GroupClient], newcomer: &mut GroupClient) {
    let of_newcomer = open_join(bootstrap, newcomer);
    let mut sent = Vec::new();
    for member in members.iter_mut() {
        let request = member.member.join_request();
        sent.push(member.wire().unwrap().send(JOIN_VERSION, &request).unwrap());
    }
    sent.push(of_newcomer);
    let mut all: Vec<_> = members.iter_mut().chain([newcomer]).collect();
    for (member, sent) in all.iter_mut().zip(sent) {
        let answer =
            member.wire().unwrap().receive::<JoinGroupRequest>(JOIN_VERSION, sent).unwrap();
        taken(member.member.joined(answer)).unwrap();
        assert_eq!(member.member.next, Next::Sync);
    }
    for member in all.iter_mut().filter(|member| member.member.led.is_empty()) {
        let request = member.member.sync_request();
        member.wire().unwrap().send(SYNC_VERSION, &request).unwrap();
    }
    wait_for_state(bootstrap, "CompletingRebalance");
}

fn kill_in_rebalances(is_one_process: bool) {
    let dir = tempfile::tempdir().unwrap();
    let mut cluster = start(dir.path(), is_one_process);
    let bootstrap = cluster.bootstrap();
    let new = || GroupClient::new(&bootstrap, group());
    let ledger = Ledger::new(group());
    let mut members: Vec<_> = (0..MEMBERS).map(|_| new()).collect();
    settle(&mut members);
    for kill in 0..KILLS {
        assert_stable(&bootstrap);
        assert_eq!(commit_all(&mut members, &ledger), MEMBERS);
        let mut newcomer = new();
        if kill % 2 == 0 {
            open_join(&bootstrap, &mut newcomer);
            // Until the next generation begins, members of this one commit.
            assert_eq!(commit_all(&mut members, &ledger), MEMBERS);
        } else {
            open_sync(&bootstrap, &mut members, &mut newcomer);
            // The connections of all but the leader wait for their parts.
            let leader = members.iter_mut().filter(|member| !member.member.led.is_empty());
            for leader in leader {
                let done = commit_all(std::slice::from_mut(leader), &ledger);
                assert_eq!(done, 0, "nobody works yet in a generation that begins");
            }
        }
        kill_and_restart(&mut cluster);
        ledger.check(&bootstrap);
        // The oldest makes room; it may have to find its coordinator again.
        let mut oldest = members.remove(0);
        wire::retry(PATIENCE, || oldest.leave().inspect_err(|_| oldest.hang_up())).unwrap();
        newcomer.hang_up();
        members.push(newcomer);
        settle(&mut members);
        ledger.check(&bootstrap);
    }
    assert_stable(&bootstrap);
}

/// Commits ever larger offsets, several at a time, and joins again whenever it must.
fn commit_on_and_on(member: &mut GroupClient, ledger: &Ledger, is_over: &AtomicBool) {
    while !is_over.load(Ordering::SeqCst) {
        member.settle(PATIENCE).unwrap();
        if commit_some(member, ledger, is_over).is_err() {
            member.hang_up();
            std::thread::sleep(POLL);
        }
    }
}

fn commit_some(member: &mut GroupClient, ledger: &Ledger, is_over: &AtomicBool) -> io::Result<()> {
    let mut on_their_way = VecDeque::new();
    let mut outcome = Ok(());
    loop {
        let goes_on = outcome.is_ok() && member.member.next == Next::Work;
        if goes_on && on_their_way.len() < IN_FLIGHT && !is_over.load(Ordering::SeqCst) {
            let offsets = ledger.next(&member.member.assigned);
            let request = member.member.commit_request(&offsets);
            let sent = member.wire()?.send(offsets::COMMIT_VERSION, &request)?;
            on_their_way.push_back((sent, offsets));
            continue;
        }
        let Some((sent, offsets)) = on_their_way.pop_front() else { return outcome };
        let version = offsets::COMMIT_VERSION;
        let answer = member.wire()?.receive::<OffsetCommitRequest>(version, sent)?;
        outcome = outcome.and(taken(member.member.committed(&answer)));
        if offsets::committed(&answer) == ErrorCode::None {
            ledger.acknowledge(&offsets);
        }
    }
}

/// Says that it is over when this is dropped, by a failure as well: members that go on would never be waited out.
struct OverAtLast<'a>(&'a AtomicBool);

impl Drop for OverAtLast<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn kill_in_commits(is_one_process: bool) {
    let dir = tempfile::tempdir().unwrap();
    let mut cluster = start(dir.path(), is_one_process);
    let bootstrap = cluster.bootstrap();
    let (ledger, is_over) = (Ledger::new(group()), AtomicBool::new(false));
    let mut members: Vec<_> = (0..MEMBERS).map(|_| GroupClient::new(&bootstrap, group())).collect();
    settle(&mut members);
    std::thread::scope(|scope| {
        for member in &mut members {
            scope.spawn(|| commit_on_and_on(member, &ledger, &is_over));
        }
        let _over = OverAtLast(&is_over);
        for kill in 0..KILLS as u64 {
            let enough = ledger.commits.load(Ordering::SeqCst) + 60 + kill * 37 % 200;
            let is_enough = || ledger.commits.load(Ordering::SeqCst) >= enough;
            wait_until("commits are acknowledged", PATIENCE, is_enough);
            kill_and_restart(&mut cluster);
            ledger.check(&bootstrap);
        }
    });
    settle(&mut members);
    assert_stable(&bootstrap);
    ledger.check(&bootstrap);
    println!("{} commits were acknowledged", ledger.commits.load(Ordering::SeqCst));
}

#[test]
fn a_coordinator_killed_in_a_rebalance_loses_no_commit_and_the_group_is_stable_again() {
    let _turn = ONE_CLUSTER.lock().unwrap_or_else(PoisonError::into_inner);
    kill_in_rebalances(true);
    kill_in_rebalances(false);
}

#[test]
fn a_coordinator_killed_while_commits_are_on_their_way_loses_none_that_it_acknowledged() {
    let _turn = ONE_CLUSTER.lock().unwrap_or_else(PoisonError::into_inner);
    kill_in_commits(true);
    kill_in_commits(false);
}
