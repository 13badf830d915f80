//! Snapshots, compaction, and members that fell behind.

use ottla_metadata::{Command, Reply};
use ottla_types::NodeId;

use super::cluster::{Cluster, STORAGE_NODE, simulate};

/// Makes some thousands of events.
async fn make_events(cluster: &Cluster, broker_epoch: ottla_types::BrokerEpoch, count: usize) {
    let command = Command::AllocateProducerIds { node: STORAGE_NODE, broker_epoch };
    for chunk in 0..count.div_ceil(500) {
        let asks = (0..500.min(count - chunk * 500)).map(|_| cluster.must(command.clone()));
        for submitted in futures::future::join_all(asks).await {
            assert!(matches!(submitted.reply, Reply::ProducerIds { .. }), "{submitted:?}");
        }
    }
}

#[test]
fn p17_a_member_that_missed_ten_thousand_events_catches_up_by_snapshot() {
    simulate(async {
        let mut cluster = Cluster::prepare(3, 1);
        cluster.snapshots.after_events = 2_000;
        cluster.start_all();
        let broker_epoch = cluster.live_storage_node().await;
        cluster.create_topic("t").await;
        cluster.agreed_hash().await;
        let leader = cluster.leader().await;
        let behind = NodeId(leader.0 % 3 + 1);
        cluster.crash(behind);
        make_events(&cluster, broker_epoch, 10_000).await;
        let hash = cluster.agreed_hash().await;
        cluster.start_member(behind).unwrap();
        assert_eq!(cluster.agreed_hash().await, hash);
        assert!(cluster.network.snapshots_sent() > 0, "it came by the log");
        assert!(cluster.has_topic(behind, "t"));
        // And it is a full member again, also after another crash.
        cluster.crash(behind);
        cluster.start_member(behind).unwrap();
        cluster.create_topic("u").await;
        cluster.agreed_hash().await;
        assert!(cluster.has_topic(behind, "u"));
    });
}

#[test]
fn p6_a_snapshot_that_was_lost_is_sent_again() {
    simulate(async {
        let mut cluster = Cluster::prepare(3, 1);
        cluster.snapshots.after_events = 100;
        cluster.start_all();
        let broker_epoch = cluster.live_storage_node().await;
        cluster.agreed_hash().await;
        let leader = cluster.leader().await;
        let behind = NodeId(leader.0 % 3 + 1);
        cluster.crash(behind);
        make_events(&cluster, broker_epoch, 1_500).await;
        cluster.network.lose_snapshots(3);
        cluster.start_member(behind).unwrap();
        cluster.agreed_hash().await;
        assert!(cluster.network.snapshots_sent() > 3);
    });
}

#[test]
fn a_damaged_newest_snapshot_costs_nothing() {
    simulate(async {
        let me = NodeId(1);
        let mut cluster = Cluster::prepare(1, 1);
        cluster.snapshots.after_events = 500;
        cluster.start_all();
        let broker_epoch = cluster.live_storage_node().await;
        make_events(&cluster, broker_epoch, 3_000).await;
        let hash = cluster.status(me).await.state_hash;
        cluster.crash(me);
        let dir = std::path::Path::new("/metadata/snapshots");
        let disk = &cluster.disks[&me];
        let newest = ottla_runtime::seams::Disk::list(disk, dir).unwrap().pop().unwrap().name;
        disk.flip_bit(&dir.join(newest), 700).unwrap();
        cluster.start_member(me).unwrap();
        cluster.leader().await;
        assert_eq!(cluster.status(me).await.state_hash, hash);
    });
}
