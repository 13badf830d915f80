//! Checkpoint texts, against the ones that Kafka writes.

use proptest::prelude::*;

use super::*;

#[test]
fn an_offset_checkpoint_of_kafka_is_read_and_written_alike() {
    let text = "0\n2\n__consumer_offsets 49 0\norders 0 17\n";
    let entries = read_offsets(text.as_bytes()).unwrap();
    assert_eq!(entries[&("orders".to_owned(), PartitionIndex(0))], Offset(17));
    assert_eq!(write_offsets(&entries), text);
}

#[test]
fn a_leader_epoch_checkpoint_of_kafka_is_read_and_written_alike() {
    let text = "0\n2\n0 0\n5 1200\n";
    let entries = read_epochs(text.as_bytes()).unwrap();
    assert_eq!(entries[1], EpochEntry { epoch: LeaderEpoch(5), start_offset: Offset(1200) });
    assert_eq!(write_epochs(&entries), text);
}

#[test]
fn a_partition_metadata_of_kafka_is_read_and_written_alike() {
    let text = "version: 0\ntopic_id: ASNFZ4mrze_-3LqYdlQyEA";
    let topic = read_partition_metadata(text.as_bytes()).unwrap();
    assert_eq!(write_partition_metadata(topic), text);
}

#[test]
fn another_version_shape_or_count_is_an_error() {
    assert_eq!(read_offsets(b"1\n0\n"), Err(CheckpointError::Version("1".into())));
    assert_eq!(read_offsets(b""), Err(CheckpointError::Version(String::new())));
    assert_eq!(
        read_offsets(b"0\n2\na 0 1\n"),
        Err(CheckpointError::Count { expected: 2, found: 1 })
    );
    assert!(matches!(
        read_offsets(b"0\n1\na 0\n"),
        Err(CheckpointError::Malformed { line: 3, .. })
    ));
    assert!(matches!(
        read_offsets(b"0\n1\na 0 1 2\n"),
        Err(CheckpointError::Malformed { line: 3, .. })
    ));
    assert_eq!(read_offsets(&[0xff]), Err(CheckpointError::NotText));
    assert!(matches!(
        read_epochs(b"0\n2\n5 0\n4 9\n"),
        Err(CheckpointError::Malformed { line: 4, .. })
    ));
    assert!(matches!(
        read_partition_metadata(b"version: 0\n"),
        Err(CheckpointError::Malformed { line: 2, .. })
    ));
}

proptest! {
    #[test]
    fn offsets_lead_back(entries in proptest::collection::btree_map(("[a-z._-]{1,20}", any::<i32>()), any::<i64>(), 0..20)) {
        let entries: OffsetCheckpoint =
            entries.into_iter().map(|((topic, p), offset)| ((topic, PartitionIndex(p)), Offset(offset))).collect();
        prop_assert_eq!(read_offsets(write_offsets(&entries).as_bytes()), Ok(entries));
    }

    #[test]
    fn hostile_bytes_never_panic(bytes: Vec<u8>) {
        let _ = read_offsets(&bytes);
        let _ = read_epochs(&bytes);
        let _ = read_partition_metadata(&bytes);
    }
}
