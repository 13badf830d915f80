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
fn a_wiped_disk_is_not_the_old_member() {
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
