//! Values of the tree: postcard of plain records.
//!
//! Invariant: a value that cannot be read is an error that leads to a rebuild, never a panic.

use ottla_api::controller::HistoryEntry;
use ottla_types::{ClusterId, MetadataOffset, NodeId, TimestampMs};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{StoreError, StoreMark};

/// Grows with every change of keys or values; another number leads to a rebuild.
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct StoredMark {
    format: u32,
    cluster_id: Option<ClusterId>,
    offset: MetadataOffset,
    hash: u64,
}

#[derive(Serialize, Deserialize)]
struct StoredHistory {
    at: TimestampMs,
    kind: String,
    node: Option<NodeId>,
    partition: Option<(String, i32)>,
    detail: String,
}

pub(super) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_stdvec(value).expect("plain values serialize")
}

pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    postcard::from_bytes(bytes).map_err(|_| StoreError::Damaged)
}

pub(super) fn encode_mark(mark: StoreMark) -> Vec<u8> {
    let StoreMark { cluster_id, offset, hash } = mark;
    encode(&StoredMark { format: FORMAT, cluster_id, offset, hash })
}

/// `None`: written by another version.
pub(super) fn decode_mark(bytes: &[u8]) -> Result<Option<StoreMark>, StoreError> {
    let stored: StoredMark = decode(bytes)?;
    let StoredMark { format, cluster_id, offset, hash } = stored;
    Ok((format == FORMAT).then_some(StoreMark { cluster_id, offset, hash }))
}

pub(super) fn encode_history(entry: &HistoryEntry) -> Vec<u8> {
    let HistoryEntry { at, kind, node, partition, detail, .. } = entry.clone();
    encode(&StoredHistory { at, kind, node, partition, detail })
}

pub(super) fn decode_history(
    offset: MetadataOffset,
    bytes: &[u8],
) -> Result<HistoryEntry, StoreError> {
    let StoredHistory { at, kind, node, partition, detail } = decode(bytes)?;
    Ok(HistoryEntry { offset, at, kind, node, partition, detail })
}
