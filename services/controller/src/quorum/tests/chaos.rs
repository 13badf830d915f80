//! Members crash, are cut off and come back as a seed says, under a stream of commands.
//!
//! Invariants that are checked: what was answered is there in the end, on all members, with the same hash.

use std::time::Duration;

use ottla_api::RequestContext;
use ottla_metadata::Reply;
use ottla_runtime::seams::SimRng;
use ottla_types::NodeId;

use super::cluster::{Cluster, create, simulate};

const SEEDS: u64 = 25;
const STEPS: u64 = 60;

/// Returns how many creations were answered.
async fn run(seed: u64) -> usize {
    let dice = SimRng::new(seed);
    let mut cluster = Cluster::prepare(3, seed);
    cluster.snapshots.after_events = 10;
    cluster.start_all();
    cluster.live_storage_node().await;
    let mut answered = Vec::new();
    for step in 0..STEPS {
        let node = NodeId(i32::try_from(dice.below(3)).unwrap() + 1);
        match dice.below(10) {
            0 if cluster.members.contains_key(&node) => cluster.crash(node),
            1 => cluster.network.cut_off(node),
            2 | 3 => cluster.network.heal(),
            4 | 5 if !cluster.members.contains_key(&node) => cluster.start_member(node).unwrap(),
            _ => {
                let name = format!("t{step}");
                if try_to_create(&cluster, &name).await {
                    answered.push(name);
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(dice.below(400))).await;
    }
    cluster.network.heal();
    for node in [1, 2, 3].map(NodeId) {
        if !cluster.members.contains_key(&node) {
            cluster.start_member(node).unwrap();
        }
    }
    cluster.create_topic("last").await;
    cluster.agreed_hash().await;
    for node in [1, 2, 3].map(NodeId) {
        let lost: Vec<_> = answered.iter().filter(|name| !cluster.has_topic(node, name)).collect();
        assert!(lost.is_empty(), "seed {seed}: node {node} lost {lost:?}");
    }
    answered.len()
}

/// Asks every member that lives, with little patience.
async fn try_to_create(cluster: &Cluster, name: &str) -> bool {
    for member in cluster.members.values() {
        let context = RequestContext::internal(Duration::from_millis(300));
        let Ok(submitted) = member.submit(context, create(name)).await else { continue };
        let Reply::Topics(outcomes) = submitted.reply else { panic!("{submitted:?}") };
        return outcomes[0].is_ok();
    }
    false
}

#[test]
fn no_answer_is_lost_whatever_the_seed_does_to_the_members() {
    let answered: usize = (1..=SEEDS).map(|seed| simulate(run(seed))).sum();
    assert!(answered > 300, "only {answered} creations were answered in all");
}
