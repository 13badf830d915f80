//! Members crash, lose what was not synced, and come back.

use ottla_types::NodeId;

use super::cluster::{Cluster, simulate};

const ALL: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];

#[test]
fn no_answered_creation_is_lost_when_the_leader_crashes() {
    for seed in 1..6 {
        simulate(async move {
            let mut cluster = Cluster::start(3, seed);
            cluster.live_storage_node().await;
            for round in 0..4 {
                for number in 0..5 {
                    cluster.create_topic(&format!("t{round}-{number}")).await;
                }
                let leader = cluster.leader().await;
                cluster.crash(leader);
                cluster.create_topic(&format!("after-{round}")).await;
                cluster.start_member(leader).unwrap();
            }
            cluster.agreed_hash().await;
            for node in ALL {
                assert!((0..4).all(|round| cluster.has_topic(node, &format!("after-{round}"))));
                let all =
                    (0..20).all(|n| cluster.has_topic(node, &format!("t{}-{}", n / 5, n % 5)));
                assert!(all, "seed {seed}");
            }
        });
    }
}

#[test]
fn everything_is_there_after_all_members_crashed_at_once() {
    for seed in 1..6 {
        simulate(async move {
            let mut cluster = Cluster::start(3, seed);
            cluster.live_storage_node().await;
            cluster.create_topic("kept").await;
            ALL.into_iter().for_each(|node| cluster.crash(node));
            cluster.start_all();
            cluster.create_topic("new").await;
            cluster.agreed_hash().await;
            assert!(ALL.iter().all(|node| cluster.has_topic(*node, "kept")));
        });
    }
}

#[test]
fn p8_a_wiped_disk_is_not_the_old_member() {
    simulate(async {
        let mut cluster = Cluster::start(3, 1);
        cluster.live_storage_node().await;
        cluster.create_topic("kept").await;
        cluster.agreed_hash().await;
        let leader = cluster.leader().await;
        let others: Vec<_> = ALL.into_iter().filter(|node| *node != leader).collect();
        let (wiped, remaining) = (others[0], others[1]);
        cluster.wipe(wiped);
        cluster.start_member(wiped).unwrap();
        // A majority of which the wiped one would be half must not come to be.
        cluster.crash(leader);
        tokio::time::sleep(std::time::Duration::from_secs(20)).await;
        let leads = |node: NodeId| cluster.members[&node].published.leader.borrow().is_ready_here;
        assert!(!leads(remaining) && !leads(wiped));
        assert!(!cluster.has_topic(wiped, "kept"));
        cluster.start_member(leader).unwrap();
        cluster.create_topic("new").await;
        assert!(cluster.has_topic(leader, "kept"));
    });
}

/// Starts a wiped member: it learns that its disk is new and ends; started again, it joins.
async fn start_wiped(cluster: &mut Cluster, node: NodeId) {
    cluster.wipe(node);
    cluster.start_member(node).unwrap();
    let cause = cluster.members[&node].ended().await.unwrap_err();
    assert!(cause.contains("Start the controller again"), "{cause}");
    cluster.start_member(node).unwrap();
}

/// Returns how many snapshots were sent.
async fn replaced_disk_joins(snapshot_after_events: u64) -> u64 {
    let mut cluster = Cluster::prepare(3, 1);
    cluster.snapshots.after_events = snapshot_after_events;
    cluster.start_all();
    cluster.live_storage_node().await;
    for number in 0..20 {
        cluster.create_topic(&format!("t{number}")).await;
    }
    cluster.agreed_hash().await;
    let leader = cluster.leader().await;
    let replaced = NodeId(leader.0 % 3 + 1);
    let old_disk = cluster.disks[&replaced].clone();
    let old_directory = cluster.directory(replaced);
    start_wiped(&mut cluster, replaced).await;
    cluster.create_topic("while-it-waits").await;
    let is_voter = |cluster: &Cluster| cluster.has_topic(replaced, "while-it-waits").then_some(());
    cluster.wait_for("the new disk to catch up", is_voter).await;
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    // It votes now: the old leader is not needed any more.
    cluster.crash(leader);
    cluster.create_topic("after").await;
    assert!(cluster.has_topic(replaced, "after") && cluster.has_topic(replaced, "t19"));
    // It is still a member after a crash of its own.
    cluster.start_member(leader).unwrap();
    cluster.agreed_hash().await;
    cluster.crash(replaced);
    cluster.start_member(replaced).unwrap();
    cluster.agreed_hash().await;
    // The old disk comes back and is nobody: alone with one member it makes no majority.
    cluster.crash(replaced);
    cluster.put_disk(replaced, old_disk, old_directory);
    cluster.start_member(replaced).unwrap();
    let other = NodeId(6 - leader.0 - replaced.0);
    cluster.crash(other);
    tokio::time::sleep(std::time::Duration::from_secs(20)).await;
    let leads = |node: NodeId| cluster.members[&node].published.leader.borrow().is_ready_here;
    assert!(!leads(replaced) && !leads(leader));
    cluster.start_member(other).unwrap();
    cluster.create_topic("at-last").await;
    assert!(!cluster.has_topic(replaced, "at-last"));
    cluster.network.snapshots_sent()
}

#[test]
fn p7_a_replaced_disk_joins_by_the_log_and_the_old_one_is_nobody_any_more() {
    assert_eq!(simulate(replaced_disk_joins(10_000)), 0);
}

#[test]
fn p5_a_replaced_disk_joins_by_snapshot() {
    assert!(simulate(replaced_disk_joins(5)) > 0);
}

#[test]
fn a_second_process_with_a_members_node_id_does_not_push_it_out() {
    simulate(async {
        let mut cluster = Cluster::start(3, 1);
        cluster.live_storage_node().await;
        cluster.agreed_hash().await;
        let leader = cluster.leader().await;
        let twin = NodeId(leader.0 % 3 + 1);
        let (old_disk, old_directory) = (cluster.disks[&twin].clone(), cluster.directory(twin));
        start_wiped(&mut cluster, twin).await;
        tokio::time::sleep(std::time::Duration::from_secs(10)).await;
        cluster.crash(twin);
        cluster.put_disk(twin, old_disk, old_directory);
        cluster.start_member(twin).unwrap();
        cluster.create_topic("t").await;
        cluster.agreed_hash().await;
        assert!(cluster.has_topic(twin, "t"));
    });
}

#[test]
fn other_voters_than_those_of_the_log_are_refused_by_name() {
    simulate(async {
        let mut cluster = Cluster::start(3, 1);
        cluster.leader().await;
        cluster.crash(NodeId(1));
        cluster.disks.remove(&NodeId(3));
        let error = cluster.start_member(NodeId(1)).unwrap_err();
        assert!(error.contains("nodes 1, 2") && error.contains("1, 2, 3"), "{error}");
    });
}
