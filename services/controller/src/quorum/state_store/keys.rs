//! Keys of the one tree: a type byte, then what it is about, big-endian, so that the tree's order is ours.
//!
//! Invariant: keys of different types never mix; a topic's name is followed by a zero byte, which no name has.

use ottla_types::{MetadataOffset, NodeId};

pub(super) const MARK: &[u8] = b"M";
const TOPIC: u8 = b't';
const TOPIC_NAME: u8 = b'i';
const BROKER: u8 = b'b';
const GATEWAY: u8 = b'g';
const HISTORY: u8 = b'h';
const BY_NODE: u8 = b'n';
const BY_PARTITION: u8 = b'p';
const BY_TOPIC: u8 = b'q';

/// Types that a rebuild from an image replaces.
pub(super) const STATE_TYPES: [u8; 4] = [TOPIC, TOPIC_NAME, BROKER, GATEWAY];

/// A history entry's place: metadata offset, then its number among the entries of that offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct HistoryKey {
    pub(super) offset: MetadataOffset,
    pub(super) number: u32,
}

impl HistoryKey {
    /// Below all places of this offset.
    pub(super) fn first_of(offset: MetadataOffset) -> Self {
        Self { offset, number: 0 }
    }

    fn bytes(self) -> [u8; 12] {
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&self.offset.0.to_be_bytes());
        bytes[8..].copy_from_slice(&self.number.to_be_bytes());
        bytes
    }

    /// The place at the end of a key.
    pub(super) fn at_end_of(key: &[u8]) -> Option<Self> {
        let place = key.last_chunk::<12>()?;
        let (offset, number) = place.split_first_chunk::<8>()?;
        let number = u32::from_be_bytes(number.try_into().ok()?);
        Some(Self { offset: MetadataOffset(u64::from_be_bytes(*offset)), number })
    }
}

pub(super) fn topics(prefix: &str) -> Vec<u8> {
    [&[TOPIC], prefix.as_bytes()].concat()
}

pub(super) fn topic(name: &str) -> Vec<u8> {
    [&[TOPIC], name.as_bytes(), &[0]].concat()
}

pub(super) fn topic_name(id: ottla_types::TopicId) -> Vec<u8> {
    [&[TOPIC_NAME], id.0.as_bytes().as_slice()].concat()
}

pub(super) fn brokers() -> [u8; 1] {
    [BROKER]
}

pub(super) fn broker(node: NodeId) -> Vec<u8> {
    of_node(BROKER, node)
}

pub(super) fn gateways() -> [u8; 1] {
    [GATEWAY]
}

pub(super) fn gateway(node: NodeId) -> Vec<u8> {
    of_node(GATEWAY, node)
}

pub(super) fn history() -> [u8; 1] {
    [HISTORY]
}

pub(super) fn history_at(place: HistoryKey) -> Vec<u8> {
    [&[HISTORY], place.bytes().as_slice()].concat()
}

pub(super) fn history_of_node(node: NodeId) -> Vec<u8> {
    of_node(BY_NODE, node)
}

pub(super) fn history_of_partition(topic: &str, partition: i32) -> Vec<u8> {
    [&[BY_PARTITION], topic.as_bytes(), &[0], partition.to_be_bytes().as_slice()].concat()
}

/// All partitions of a topic, and the topic itself.
pub(super) fn history_of_topic(topic: &str) -> Vec<u8> {
    [&[BY_TOPIC], topic.as_bytes(), &[0]].concat()
}

/// A key below an index.
pub(super) fn place_below(index: &[u8], place: HistoryKey) -> Vec<u8> {
    [index, place.bytes().as_slice()].concat()
}

fn of_node(kind: u8, node: NodeId) -> Vec<u8> {
    // Node ids are never negative, so big-endian order is theirs.
    [&[kind], node.0.to_be_bytes().as_slice()].concat()
}
