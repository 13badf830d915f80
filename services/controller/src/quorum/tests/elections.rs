//! Three members: who leads, and what becomes of answers when that changes.

use std::time::Duration;

use ottla_api::CallError;
use ottla_types::NodeId;

use super::cluster::{Cluster, create, simulate};

#[test]
fn three_members_elect_one_and_agree() {
    simulate(async {
        let cluster = Cluster::start(3, 1);
        cluster.live_storage_node().await;
        cluster.create_topic("t").await;
        cluster.agreed_hash().await;
        let leader = cluster.leader().await;
        for node in [1, 2, 3].map(NodeId) {
            let status = cluster.status(node).await;
            assert_eq!(status.leader, Some(leader));
            assert_eq!(status.members.len(), 3);
        }
    });
}

#[test]
fn a_member_that_does_not_lead_says_who_does() {
    simulate(async {
        let cluster = Cluster::start(3, 1);
        let leader = cluster.leader().await;
        cluster.live_storage_node().await;
        cluster.agreed_hash().await;
        let other = NodeId(leader.0 % 3 + 1);
        let refused = cluster.ask(other, create("t")).await;
        assert_eq!(refused, Err(CallError::NotActive { active: Some(leader) }));
    });
}

#[test]
fn p9_a_leader_that_is_cut_off_answers_unknown_and_forgets_what_it_decided() {
    simulate(async {
        let cluster = Cluster::start(3, 1);
        cluster.live_storage_node().await;
        cluster.agreed_hash().await;
        let old = cluster.leader().await;
        cluster.network.cut_off(old);
        let lost = cluster.ask(old, create("lost")).await;
        assert!(matches!(lost, Err(CallError::Unreachable { .. })), "{lost:?}");
        let find = |cluster: &Cluster| {
            let leads =
                |node: &NodeId| cluster.members[node].published.leader.borrow().is_ready_here;
            [1, 2, 3].map(NodeId).into_iter().find(|node| *node != old && leads(node))
        };
        let new = cluster.wait_for("a new leader", find).await;
        assert!(cluster.ask(new, create("kept")).await.is_ok());
        cluster.network.heal();
        cluster.agreed_hash().await;
        assert!(cluster.has_topic(old, "kept"));
        assert!(!cluster.has_topic(old, "lost"));
    });
}

#[test]
fn a_leader_that_stops_hands_over() {
    simulate(async {
        let cluster = Cluster::start(3, 1);
        cluster.live_storage_node().await;
        cluster.agreed_hash().await;
        let old = cluster.leader().await;
        let before = cluster.now();
        cluster.members[&old].stop().await;
        cluster.members[&old].ended().await.unwrap();
        cluster.network.detach(old);
        let find = |cluster: &Cluster| {
            let leads =
                |node: &NodeId| cluster.members[node].published.leader.borrow().is_ready_here;
            [1, 2, 3].map(NodeId).into_iter().find(|node| *node != old && leads(node))
        };
        cluster.wait_for("an heir", find).await;
        let took = cluster.now() - before;
        assert!(took < Duration::from_millis(200), "{took:?}");
    });
}

#[test]
fn the_same_seed_gives_the_same_election() {
    let run = |seed| {
        simulate(async move {
            let cluster = Cluster::start(3, seed);
            let leader = cluster.leader().await;
            (leader, cluster.now(), cluster.status(leader).await.term)
        })
    };
    let outcomes: Vec<_> = (1..8).map(run).collect();
    assert_eq!(outcomes, (1..8).map(run).collect::<Vec<_>>());
    assert!(outcomes.iter().any(|outcome| outcome.0 != outcomes[0].0), "one member always wins");
}
