//! Encodes the answer to a Fetch.
//!
//! Invariant: records are neither copied nor looked at; "no records" is an empty field, never null, which some clients do not
//! expect. Deliberately does not know where the results came from.

use ottla_api::storage::{FetchPartitionResult, FetchedRecords};
use ottla_kafka_wire::Chunk;
use ottla_kafka_wire::fetch::{Fetched, FetchedPartition, FetchedTopic};
use ottla_kafka_wire::messages::fetch_request::{FetchRequest, FetchTopic};
use ottla_kafka_wire::messages::fetch_response::{
    AbortedTransaction, EpochEndOffset, LeaderIdAndEpoch, NodeEndpoint, PartitionData,
};
use ottla_metadata::Image;
use ottla_metadata::addresses::NodeAddress;
use ottla_types::{ErrorCode, NodeId, Offset, ProducerId};

use crate::answer::{Answer, Frame, Region};
use crate::fetch_sessions::Told;
use crate::handlers::nodes::new_leaders;
use crate::request::Call;

/// First version with a code for the answer as a whole.
const FIRST_WITH_ERROR: i16 = 7;
/// First version that names another replica to read from.
const FIRST_WITH_READ_REPLICA: i16 = 11;
/// First version in which an error names the new leader, and a truncation the diverging epoch.
const FIRST_WITH_LEADER: i16 = 12;
/// First version that says where the new leader is.
const FIRST_WITH_ENDPOINTS: i16 = 16;

/// The answer to a request that is refused as a whole.
pub(super) fn refusal(call: &Call, request: &FetchRequest, error: ErrorCode) -> Answer {
    let refused = |topic: &FetchTopic| FetchedTopic {
        topic: topic.topic.clone(),
        topic_id: topic.topic_id,
        partitions: topic.partitions.iter().map(|asked| refused(asked.partition, error)).collect(),
    };
    let one_by_one = call.version < FIRST_WITH_ERROR;
    let topics = request.topics.iter().filter(|_| one_by_one).map(refused).collect();
    let response = Fetched { error_code: error.code(), topics, ..Default::default() };
    call.answer_with(|writer| response.encode(writer, call.version))
}

fn refused(partition_index: i32, error: ErrorCode) -> FetchedPartition {
    let error_code = error.code();
    let head =
        PartitionData { partition_index, error_code, high_watermark: -1, ..Default::default() };
    FetchedPartition { head, records: Vec::new() }
}

/// The answer with those of the results, which are in the order of the request, that the session tells.
pub(super) fn answer(
    call: &Call,
    image: &Image,
    request: FetchRequest,
    (results, told): (Vec<FetchPartitionResult>, Told),
) -> Answer {
    let node_endpoints = endpoints(call, image, &results);
    let mut results = results.into_iter().enumerate();
    let mut regions = Vec::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions = match told.chosen {
            None => Vec::with_capacity(topic.partitions.len()),
            // Most of them have nothing new.
            Some(_) => Vec::new(),
        };
        for (asked, (place, mut result)) in topic.partitions.iter().zip(&mut results) {
            if !told.tells(place) {
                continue;
            }
            let records = std::mem::replace(&mut result.records, FetchedRecords::empty());
            let head = head(call, asked.partition, result);
            partitions.push(FetchedPartition { head, records: chunks(records, &mut regions) });
        }
        if told.chosen.is_none() || !partitions.is_empty() {
            topics.push(FetchedTopic { topic: topic.topic, topic_id: topic.topic_id, partitions });
        }
    }
    let session_id = told.session_id;
    let response = Fetched { session_id, topics, node_endpoints, ..Default::default() };
    match call.answer_with(|writer| response.encode(writer, call.version)) {
        Answer::Send(frame) => Answer::Send(Frame { regions, ..frame }),
        other => other,
    }
}

/// Records as chunks: bytes where they are in memory, a hole where they are in a file.
fn chunks(records: FetchedRecords, regions: &mut Vec<Region>) -> Vec<Chunk> {
    match records {
        FetchedRecords::Bytes(pieces) => pieces.into_iter().map(Chunk::Bytes).collect(),
        FetchedRecords::Region { file, position, len } => {
            let tag = regions.len() as u64;
            regions.push(Region { file, position, len });
            vec![Chunk::External { len, tag }]
        }
    }
}

fn head(call: &Call, partition_index: i32, result: FetchPartitionResult) -> PartitionData {
    let has_leader = call.version >= FIRST_WITH_LEADER;
    let aborted = |(producer, first): (ProducerId, Offset)| AbortedTransaction {
        producer_id: producer.0,
        first_offset: first.0,
    };
    PartitionData {
        partition_index,
        error_code: result.error.code(),
        high_watermark: result.high_watermark.0,
        last_stable_offset: result.last_stable_offset.0,
        log_start_offset: result.log_start_offset.0,
        diverging_epoch: match result.diverging_epoch.filter(|_| has_leader) {
            Some((epoch, end)) => EpochEndOffset { epoch: epoch.0, end_offset: end.0 },
            None => EpochEndOffset::default(),
        },
        current_leader: match result.current_leader.filter(|_| has_leader) {
            Some((leader, epoch)) => {
                LeaderIdAndEpoch { leader_id: leader.0, leader_epoch: epoch.0 }
            }
            None => LeaderIdAndEpoch::default(),
        },
        aborted_transactions: result.aborted.map(|list| list.into_iter().map(aborted).collect()),
        preferred_read_replica: result
            .preferred_read_replica
            .filter(|_| call.version >= FIRST_WITH_READ_REPLICA)
            .unwrap_or(NodeId::NONE)
            .0,
        ..Default::default()
    }
}

/// Where the new leaders are that the results name.
fn endpoints(call: &Call, image: &Image, results: &[FetchPartitionResult]) -> Vec<NodeEndpoint> {
    let named = results.iter().filter_map(|result| result.current_leader);
    let named = named.filter(|_| call.version >= FIRST_WITH_ENDPOINTS).map(|(leader, _)| leader);
    let endpoint = |node: NodeAddress| NodeEndpoint {
        node_id: node.node.0,
        host: node.endpoint.host,
        port: i32::from(node.endpoint.port),
        rack: node.rack,
    };
    new_leaders(call, image, named).into_iter().map(endpoint).collect()
}
