//! A quorum of one.

use std::time::Duration;

use ottla_api::controller::QuorumRole;
use ottla_types::NodeId;

use super::cluster::{Cluster, simulate};

const ME: NodeId = NodeId(1);

#[test]
fn the_only_voter_leads_at_once_and_formats_the_cluster() {
    simulate(async {
        let cluster = Cluster::start(1, 1);
        assert_eq!(cluster.leader().await, ME);
        assert!(cluster.now() < Duration::from_millis(50), "{:?}", cluster.now());
        let status = cluster.status(ME).await;
        assert_eq!(status.role, QuorumRole::Leader);
        assert_eq!(status.cluster_id.unwrap().as_str().len(), 22);
    });
}

#[test]
fn what_was_answered_is_there_after_a_crash() {
    simulate(async {
        let mut cluster = Cluster::start(1, 1);
        cluster.live_storage_node().await;
        for name in ["a", "b", "c"] {
            cluster.create_topic(name).await;
        }
        let hash = cluster.status(ME).await.state_hash;
        cluster.crash(ME);
        cluster.start_member(ME).unwrap();
        cluster.leader().await;
        assert!(["a", "b", "c"].iter().all(|name| cluster.has_topic(ME, name)));
        assert_eq!(cluster.status(ME).await.state_hash, hash);
    });
}

#[test]
fn p16_commands_that_wait_together_share_an_entry() {
    simulate(async {
        let cluster = Cluster::start(1, 1);
        cluster.live_storage_node().await;
        let before = cluster.status(ME).await.last_index;
        let names: Vec<_> = (0..50).map(|n| format!("t{n}")).collect();
        let all = names.iter().map(|name| cluster.create_topic(name));
        futures::future::join_all(all).await;
        let after = cluster.status(ME).await.last_index;
        assert!(after - before < 5, "{} entries for 50 commands", after - before);
    });
}

#[test]
fn a_member_that_is_asked_to_stop_ends_without_a_fault() {
    simulate(async {
        let cluster = Cluster::start(1, 1);
        cluster.leader().await;
        cluster.members[&ME].stop().await;
        cluster.members[&ME].ended().await.unwrap();
    });
}

#[test]
fn p1_members_that_cannot_sync_acknowledge_nothing() {
    simulate(async {
        let cluster = Cluster::start(3, 1);
        cluster.live_storage_node().await;
        cluster.agreed_hash().await;
        let leader = cluster.leader().await;
        for (node, disk) in &cluster.disks {
            if *node != leader {
                disk.fail_sync(|_| true);
            }
        }
        let answer = cluster.ask(leader, super::cluster::create("t")).await;
        assert!(answer.is_err(), "{answer:?}");
    });
}

#[test]
fn a_disk_that_fails_to_sync_ends_the_member() {
    simulate(async {
        let cluster = Cluster::start(1, 1);
        cluster.leader().await;
        cluster.disks[&ME].fail_sync(|_| true);
        let answer = cluster.ask(ME, super::cluster::register(NodeId(5), 1)).await;
        assert!(answer.is_err());
        let cause = cluster.members[&ME].ended().await.unwrap_err();
        assert!(cause.contains("metadata log"), "{cause}");
    });
}

#[test]
fn p2_the_store_holds_nothing_that_a_crash_could_take_back() {
    simulate(async {
        let cluster = Cluster::start(1, 1);
        cluster.live_storage_node().await;
        cluster.create_topic("t").await;
        let member = &cluster.members[&ME];
        let committed = member.published.committed.borrow().image.offset;
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let mark = || member.store().mark().unwrap().map_or(0, |mark| mark.offset.0);
        assert!(mark() < committed.0, "the commit index was not durable yet");
        member.store_reached(committed, Duration::from_secs(1)).await;
        assert_eq!(mark(), committed.0);
    });
}
