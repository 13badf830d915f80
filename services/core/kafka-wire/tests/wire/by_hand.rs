//! Produce and Fetch by hand against their generated forms: the same values, the same bytes, the same refusals.

use bytes::Bytes;
use ottla_kafka_wire::codec::{COPY_LIMIT_BYTES, MAX_EXPANSION};
use ottla_kafka_wire::fetch::{Fetched, FetchedPartition, FetchedTopic};
use ottla_kafka_wire::messages::fetch_response::{FetchResponse, PartitionData};
use ottla_kafka_wire::messages::produce_request::ProduceRequest;
use ottla_kafka_wire::produce::Produce;
use ottla_kafka_wire::{Chunk, DecodeError, EncodeError, Message, Reader, Writer};

use crate::counting_allocator::peak_of;
use crate::golden_file::{Sample, samples};

fn goldens(name: &'static str) -> impl Iterator<Item = Sample> {
    samples().filter(move |sample| sample.name == name)
}

/// The generated form of a request read by hand.
fn generated(produce: Produce) -> ProduceRequest {
    use ottla_kafka_wire::messages::produce_request::{PartitionProduceData, TopicProduceData};
    let topics = produce.topics.into_iter().map(|topic| TopicProduceData {
        name: topic.name.to_string(),
        topic_id: topic.topic_id,
        partition_data: topic
            .partitions
            .into_iter()
            .map(|p| PartitionProduceData { index: p.index, records: p.records })
            .collect(),
    });
    ProduceRequest {
        transactional_id: produce.transactional_id.map(|id| id.to_string()),
        acks: produce.acks,
        timeout_ms: produce.timeout_ms,
        topic_data: topics.collect(),
    }
}

/// Both ways of reading: they must agree on the value or the cause, and on where they stop.
fn read_both_ways(version: i16, bytes: &Bytes) -> Result<ProduceRequest, DecodeError> {
    let (mut by_hand, mut by_table) = (Reader::new(bytes.clone()), Reader::new(bytes.clone()));
    let (peak, ours) = peak_of(|| Produce::decode(&mut by_hand, version));
    assert!(peak <= MAX_EXPANSION * bytes.len());
    let ours = ours.map(generated);
    let theirs = ProduceRequest::decode(&mut by_table, version);
    assert_eq!(ours, theirs, "version {version}: {bytes:?}");
    if theirs.is_ok() {
        assert_eq!(by_hand.remaining(), by_table.remaining());
    }
    theirs
}

#[test]
fn produce_by_hand_reads_what_the_generated_form_reads() {
    for sample in goldens("ProduceRequest") {
        read_both_ways(sample.version, &sample.bytes).unwrap();
    }
    assert!(read_both_ways(2, &Bytes::new()).is_err());
}

#[test]
fn produce_by_hand_refuses_damage_for_the_same_cause() {
    let patches: [&[u8]; 5] =
        [&[0x7f, 0xff, 0xff, 0xff], &[0xff; 5], &[0xff, 0xff, 0xff, 0xff, 0x07], &[0x80, 0], &[0]];
    for sample in goldens("ProduceRequest").filter(|sample| sample.bytes.len() < 400) {
        for at in 0..sample.bytes.len() {
            let _ = read_both_ways(sample.version, &sample.bytes.slice(..at));
            for patch in patches {
                let mut damaged = sample.bytes.to_vec();
                let end = damaged.len().min(at + patch.len());
                damaged.splice(at..end, patch.iter().copied());
                let _ = read_both_ways(sample.version, &damaged.into());
            }
        }
    }
}

#[test]
fn produced_batches_are_slices_of_the_frame() {
    let sample = goldens("ProduceRequest").find(|sample| sample.bytes.len() > 1_000).unwrap();
    let frame = sample.bytes.as_ptr_range();
    let produce = Produce::decode(&mut Reader::new(sample.bytes.clone()), sample.version).unwrap();
    let batches = produce.topics.iter().flat_map(|topic| &topic.partitions);
    let records: Vec<&Bytes> = batches.filter_map(|batch| batch.records.as_ref()).collect();
    assert!(records.iter().any(|records| records.len() > 1_000));
    for records in records.iter().filter(|records| !records.is_empty()) {
        assert!(frame.contains(&records.as_ptr()));
    }
}

/// The form by hand of a generated response: each partition's records cut into pieces of at most `piece` bytes.
fn by_hand(response: FetchResponse, piece: usize) -> Fetched {
    let partition = |mut head: PartitionData| {
        let records = head.records.take().unwrap_or_default();
        let pieces = records.chunks(piece).map(|bytes| Chunk::Bytes(records.slice_ref(bytes)));
        FetchedPartition { records: pieces.collect(), head }
    };
    let topics = response.responses.into_iter().map(|topic| FetchedTopic {
        topic: topic.topic,
        topic_id: topic.topic_id,
        partitions: topic.partitions.into_iter().map(partition).collect(),
    });
    Fetched {
        throttle_time_ms: response.throttle_time_ms,
        error_code: response.error_code,
        session_id: response.session_id,
        topics: topics.collect(),
        node_endpoints: response.node_endpoints,
    }
}

/// Records are never null: what Kafka's brokers send, and what the form by hand sends.
fn without_null_records(mut response: FetchResponse) -> FetchResponse {
    let partitions = response.responses.iter_mut().flat_map(|topic| &mut topic.partitions);
    partitions.for_each(|partition| {
        partition.records.get_or_insert_default();
    });
    response
}

fn encoded(
    encode: impl FnOnce(&mut Writer) -> Result<(), EncodeError>,
) -> Result<Bytes, EncodeError> {
    let mut writer = Writer::new();
    encode(&mut writer)?;
    Ok(writer.finish().into_contiguous().unwrap())
}

#[test]
fn fetch_by_hand_writes_the_bytes_of_the_generated_form_or_refuses_for_the_same_cause() {
    for sample in goldens("FetchResponse") {
        let response =
            FetchResponse::decode(&mut Reader::new(sample.bytes), sample.version).unwrap();
        let response = without_null_records(response);
        for version in 3..=19 {
            let by_table = encoded(|writer| response.encode(writer, version));
            for piece in [7, COPY_LIMIT_BYTES, usize::MAX] {
                let ours =
                    encoded(|writer| by_hand(response.clone(), piece).encode(writer, version));
                assert_eq!(
                    ours, by_table,
                    "a response of version {} in version {version}",
                    sample.version
                );
            }
        }
    }
}

fn one_partition(records: Vec<Chunk>) -> Fetched {
    let partition = FetchedPartition { records, ..Default::default() };
    let topic = FetchedTopic {
        topic: "orders".to_owned(),
        partitions: vec![partition],
        ..Default::default()
    };
    Fetched { topics: vec![topic], ..Default::default() }
}

#[test]
fn a_hole_takes_the_place_of_the_bytes_that_the_sender_fetches() {
    for version in 4..=18 {
        let large = Bytes::from(vec![7; 5_000]);
        let mut with_hole = Writer::new();
        let hole = Chunk::External { len: large.len(), tag: 42 };
        let tail = Chunk::Bytes(Bytes::from_static(b"tail"));
        one_partition(vec![hole.clone(), tail.clone()]).encode(&mut with_hole, version).unwrap();
        let list = with_hole.finish();
        assert!(list.chunks().contains(&hole));
        let len = list.len();
        let filled: Vec<u8> = list
            .into_chunks()
            .into_iter()
            .flat_map(|chunk| match chunk {
                Chunk::Bytes(bytes) => bytes,
                Chunk::External { .. } => large.clone(),
            })
            .collect();
        let whole = encoded(|writer| {
            one_partition(vec![Chunk::Bytes(large.clone()), tail]).encode(writer, version)
        });
        assert_eq!(filled, whole.unwrap());
        assert_eq!(filled.len(), len);
    }
}

#[test]
fn large_records_are_not_copied() {
    let large = Bytes::from(vec![7; COPY_LIMIT_BYTES]);
    let mut writer = Writer::new();
    one_partition(vec![Chunk::Bytes(large.clone())]).encode(&mut writer, 12).unwrap();
    let chunks = writer.finish().into_bytes().unwrap();
    assert!(
        chunks.iter().any(|chunk| chunk.as_ptr() == large.as_ptr() && chunk.len() == large.len())
    );
}

#[test]
fn a_partition_without_records_sends_none_not_null() {
    let bytes = encoded(|writer| one_partition(Vec::new()).encode(writer, 11)).unwrap();
    let response = FetchResponse::decode(&mut Reader::new(bytes), 11).unwrap();
    assert_eq!(response.responses[0].partitions[0].records, Some(Bytes::new()));
}
