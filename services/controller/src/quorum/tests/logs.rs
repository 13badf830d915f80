//! Members that start on a log that a test wrote.

use std::path::Path;
use std::sync::Arc;

use ottla_metadata::{Event, codec};
use ottla_types::{ClusterId, NodeId};
use protobuf::Message as _;
use raft::eraftpb::{
    ConfChangeSingle, ConfChangeType, ConfChangeV2, ConfState, Entry, EntryType, HardState,
};

use super::cluster::{Cluster, simulate};
use crate::quorum::wal::{Batch, Durability, Wal};

const ME: NodeId = NodeId(1);

/// Writes a log of committed entries for the voters 1 to `count`.
fn write_log(cluster: &Cluster, count: u64, entries: Vec<Entry>) {
    let disk = Arc::new(cluster.disks[&ME].clone());
    let mut wal = Wal::open(disk, Path::new("/metadata/log")).unwrap();
    let commit = entries.len() as u64;
    let voters: Vec<u64> = (1..=count).map(|node| node + 1).collect();
    let batch = Batch {
        conf_state: Some(ConfState::from((voters, vec![]))),
        entries: (1..)
            .zip(entries)
            .map(|(index, entry)| Entry { index, term: 1, ..entry })
            .collect(),
        hard_state: Some(HardState { term: 1, vote: 2, commit, ..HardState::default() }),
        ..Batch::default()
    };
    wal.append(batch, Durability::Synced).unwrap();
}

fn events(events: &[Event]) -> Entry {
    Entry { data: codec::encode_events(events).into(), ..Entry::default() }
}

#[test]
fn p3_a_member_whose_state_differs_from_the_leaders_stops() {
    simulate(async {
        let mut cluster = Cluster::prepare(1, 1);
        let format = Event::ClusterFormatted { cluster_id: ClusterId::new("c") };
        let wrong = Event::StateHash { hash: 1 };
        write_log(&cluster, 1, vec![Entry::default(), events(&[format, wrong])]);
        cluster.start_member(ME).unwrap();
        let cause = cluster.members[&ME].ended().await.unwrap_err();
        assert!(cause.contains("state hash") && cause.contains("cannot be trusted"), "{cause}");
    });
}

#[test]
fn p14_an_entry_of_a_later_version_stops_the_member() {
    simulate(async {
        let mut cluster = Cluster::prepare(1, 1);
        let unknown = Entry { data: vec![0xff, 1, 2].into(), ..Entry::default() };
        write_log(&cluster, 1, vec![Entry::default(), unknown]);
        cluster.start_member(ME).unwrap();
        let cause = cluster.members[&ME].ended().await.unwrap_err();
        assert!(cause.contains("entry 2"), "{cause}");
    });
}

#[test]
fn p13_a_removed_member_stops_and_never_starts_again() {
    simulate(async {
        let mut cluster = Cluster::prepare(3, 1);
        let mut remove = ConfChangeSingle { node_id: 2, ..ConfChangeSingle::default() };
        remove.set_change_type(ConfChangeType::RemoveNode);
        let mut change = ConfChangeV2::default();
        change.set_changes(vec![remove].into());
        let mut entry = Entry { data: change.write_to_bytes().unwrap().into(), ..Entry::default() };
        entry.set_entry_type(EntryType::EntryConfChangeV2);
        write_log(&cluster, 3, vec![Entry::default(), entry]);
        cluster.start_member(ME).unwrap();
        let cause = cluster.members[&ME].ended().await.unwrap_err();
        assert!(cause.contains("goes on without this metadata directory"), "{cause}");
        assert_eq!(cluster.start_member(ME).unwrap_err(), cause);
    });
}
