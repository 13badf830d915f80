//! Named bounds that more than one room needs. A bound of one room stands in that room.

/// Longest topic name, in bytes (Kafka's `Topic.MAX_NAME_LENGTH`).
pub const MAX_TOPIC_NAME_BYTES: usize = 249;
/// Longest client id that is kept; the rest is cut off.
pub const MAX_CLIENT_ID_BYTES: usize = 256;
/// Most partitions that one CreateTopics or CreatePartitions request may make in all (Kafka: 10,000 records in a batch).
pub const MAX_NEW_PARTITIONS_PER_REQUEST: usize = 10_000;
/// Most storage nodes of a cluster.
pub const MAX_STORAGE_NODES: usize = 1_000;
/// Most gateways of a cluster.
pub const MAX_GATEWAYS: usize = 1_000;
/// Default for `message.max.bytes` / `max.message.bytes`.
pub const DEFAULT_MAX_MESSAGE_BYTES: usize = 1_048_588;
