//! The Fetch response written by hand: records are chunks, in memory or holes that the sender fills from a file.
//!
//! Invariant: with all records in memory it writes exactly the bytes of the generated `FetchResponse`; records are never
//! null on the wire, as from Kafka's brokers. Deliberately does not know where the records lie.

use ottla_types::Uuid;

use crate::codec::{Chunk, EncodeError, Message, Structure, Writer};
use crate::messages::fetch_response::{
    EpochEndOffset, FetchResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData, SnapshotId,
};

/// First version with an error code and a session of its own.
const SESSION_VERSION: i16 = 7;
/// First version with the start of the log.
const LOG_START_VERSION: i16 = 5;
/// First version that may name a nearer replica.
const PREFERRED_REPLICA_VERSION: i16 = 11;
/// First flexible version, with tagged fields for leader and diverging epoch.
const FLEXIBLE_VERSION: i16 = 12;
/// First version that names topics by id.
const TOPIC_ID_VERSION: i16 = 13;
/// First version with the addresses of new leaders.
const ENDPOINTS_VERSION: i16 = 16;

/// A Fetch response.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fetched {
    /// How long the client should wait before its next request, in milliseconds.
    pub throttle_time_ms: i32,
    /// An error of the whole request: of its session.
    pub error_code: i16,
    /// The fetch session; 0 is none.
    pub session_id: i32,
    /// The answers by topic.
    pub topics: Vec<FetchedTopic>,
    /// Where the leaders are that the partitions name as current.
    pub node_endpoints: Vec<NodeEndpoint>,
}

/// The answers of one topic.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FetchedTopic {
    /// The topic's name; not sent from version 13 on.
    pub topic: String,
    /// The topic's id; not sent before version 13.
    pub topic_id: Uuid,
    /// The answers by partition.
    pub partitions: Vec<FetchedPartition>,
}

/// The answer of one partition.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FetchedPartition {
    /// Everything besides the records; if it has records too, they are sent before the chunks.
    pub head: PartitionData,
    /// The records, in order.
    pub records: Vec<Chunk>,
}

impl Fetched {
    /// Appends the response.
    ///
    /// # Errors
    /// A value cannot be said in this version, or a length does not fit into 31 bits.
    pub fn encode(self, writer: &mut Writer, version: i16) -> Result<(), EncodeError> {
        if !FetchResponse::KNOWN_VERSIONS.contains(&version) {
            return Err(EncodeError::UnsupportedVersion { message: FetchResponse::NAME, version });
        }
        let compact = version >= FLEXIBLE_VERSION;
        writer.i32(self.throttle_time_ms);
        if version >= SESSION_VERSION {
            writer.error_code(self.error_code);
            writer.i32(self.session_id);
        } else {
            refuse_unless(self.session_id == 0, "FetchResponse.session_id", version)?;
        }
        writer.length(compact, Some(self.topics.len()))?;
        self.topics.into_iter().try_for_each(|topic| topic.write(writer, version))?;
        write_endpoints(&self.node_endpoints, writer, version)
    }
}

fn write_endpoints(
    endpoints: &[NodeEndpoint],
    writer: &mut Writer,
    version: i16,
) -> Result<(), EncodeError> {
    if version < ENDPOINTS_VERSION {
        refuse_unless(endpoints.is_empty(), "FetchResponse.node_endpoints", version)?;
    }
    if version < FLEXIBLE_VERSION {
        return Ok(());
    }
    writer.uvarint(u32::from(!endpoints.is_empty()));
    if endpoints.is_empty() {
        return Ok(());
    }
    writer.tagged_field(0, |writer| {
        writer.array(true, endpoints, |writer, endpoint| endpoint.write(writer, version))
    })
}

impl FetchedTopic {
    fn write(self, writer: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let compact = version >= FLEXIBLE_VERSION;
        if version >= TOPIC_ID_VERSION {
            writer.uuid(self.topic_id);
        } else {
            writer.string(compact, &self.topic)?;
        }
        writer.length(compact, Some(self.partitions.len()))?;
        self.partitions.into_iter().try_for_each(|partition| partition.write(writer, version))?;
        if compact {
            writer.uvarint(0);
        }
        Ok(())
    }
}

impl FetchedPartition {
    fn write(self, writer: &mut Writer, version: i16) -> Result<(), EncodeError> {
        let Self { head, records } = self;
        let compact = version >= FLEXIBLE_VERSION;
        writer.i32(head.partition_index);
        writer.error_code(head.error_code);
        writer.i64(head.high_watermark);
        writer.i64(head.last_stable_offset);
        if version >= LOG_START_VERSION {
            writer.i64(head.log_start_offset);
        }
        let aborted = head.aborted_transactions.as_deref();
        writer.nullable_array(compact, aborted, |writer, item| item.write(writer, version))?;
        if version >= PREFERRED_REPLICA_VERSION {
            writer.i32(head.preferred_read_replica);
        } else {
            refuse_unless(
                head.preferred_read_replica == -1,
                "PartitionData.preferred_read_replica",
                version,
            )?;
        }
        let first = head.records.clone().map(Chunk::Bytes);
        let len = first.iter().chain(&records).map(Chunk::len).sum();
        writer.length(compact, Some(len))?;
        first.into_iter().chain(records).for_each(|chunk| writer.chunk(chunk));
        write_partition_tags(&head, writer, version)
    }
}

fn write_partition_tags(
    head: &PartitionData,
    writer: &mut Writer,
    version: i16,
) -> Result<(), EncodeError> {
    let diverging = head.diverging_epoch != EpochEndOffset::default();
    let leader = head.current_leader != LeaderIdAndEpoch::default();
    let snapshot = head.snapshot_id != SnapshotId::default();
    if version < FLEXIBLE_VERSION {
        refuse_unless(!diverging, "PartitionData.diverging_epoch", version)?;
        refuse_unless(!leader, "PartitionData.current_leader", version)?;
        return refuse_unless(!snapshot, "PartitionData.snapshot_id", version);
    }
    writer.uvarint(u32::from(diverging) + u32::from(leader) + u32::from(snapshot));
    if diverging {
        writer.tagged_field(0, |writer| head.diverging_epoch.write(writer, version))?;
    }
    if leader {
        writer.tagged_field(1, |writer| head.current_leader.write(writer, version))?;
    }
    if snapshot {
        writer.tagged_field(2, |writer| head.snapshot_id.write(writer, version))?;
    }
    Ok(())
}

fn refuse_unless(is_default: bool, field: &'static str, version: i16) -> Result<(), EncodeError> {
    if is_default { Ok(()) } else { Err(EncodeError::FieldNotInVersion { field, version }) }
}
