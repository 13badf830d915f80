//! Reads regions of files into memory, for gateways that cannot be handed a descriptor.
//!
//! Invariant: no worker waits for the disk. What is in the page cache is copied where the request runs, which costs no change of
//! threads; anything else is read by a thread that may wait. A region that cannot be read costs its partition an error, not the
//! others.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use ottla_proto::storage::v1 as wire;
use ottla_runtime::seams::Tasks;
use ottla_types::ErrorCode;
use tokio::sync::oneshot;

use crate::storage::convert::fetched_to_wire;
use crate::storage::{FetchPartitionResult, FetchResponse, FetchedRecords};

/// Most bytes that a worker copies for one answer: some hundred microseconds.
const MAX_COPIED_BYTES: usize = 4 << 20;
/// Bytes of one piece of a region: it travels in one frame, and leaves the gateway as it came.
const PIECE_BYTES: usize = 256 << 10;

/// The answer with all records in memory.
pub(super) async fn materialise(
    tasks: &Arc<dyn Tasks>,
    mut response: FetchResponse,
) -> wire::FetchResponse {
    let mut room = MAX_COPIED_BYTES;
    let are_there =
        response.partitions.iter_mut().all(|partition| copy_cached(partition, &mut room));
    if are_there {
        return into_memory(response);
    }
    let (done, read) = oneshot::channel();
    // The receiver is gone only if the stream is.
    tasks.run_blocking(Box::new(move || _ = done.send(into_memory(response)))).await;
    read.await.unwrap_or_default()
}

/// Takes a partition's records from the page cache; false where some are not there, or are too many.
fn copy_cached(partition: &mut FetchPartitionResult, room: &mut usize) -> bool {
    let FetchedRecords::Region { file, position, len } = &partition.records else { return true };
    let Some(left) = room.checked_sub(*len) else { return false };
    *room = left;
    let cached = |piece: &mut [u8], at| match file.read_cached_at(piece, at)? {
        read if read == piece.len() => Ok(()),
        _ => Err(io::ErrorKind::WouldBlock.into()),
    };
    match read_region(*position, *len, cached) {
        Ok(pieces) => partition.records = FetchedRecords::Bytes(pieces),
        // Whatever it is, whoever may wait meets it again.
        Err(_) => return false,
    }
    true
}

fn into_memory(response: FetchResponse) -> wire::FetchResponse {
    wire::FetchResponse { partitions: response.partitions.into_iter().map(one).collect() }
}

fn one(mut partition: FetchPartitionResult) -> wire::FetchPartitionResult {
    let records = match std::mem::replace(&mut partition.records, FetchedRecords::empty()) {
        FetchedRecords::Bytes(pieces) => pieces,
        FetchedRecords::Region { file, position, len } => {
            let waiting = |piece: &mut [u8], at| file.read_exact_at(piece, at);
            read_region(position, len, waiting).unwrap_or_else(|error| {
                tracing::error!(partition = %partition.partition, %error, "cannot read records");
                partition.error = ErrorCode::KafkaStorageError;
                Vec::new()
            })
        }
    };
    fetched_to_wire(partition, records)
}

fn read_region(
    position: u64,
    len: usize,
    read: impl Fn(&mut [u8], u64) -> io::Result<()>,
) -> io::Result<Vec<Bytes>> {
    let mut pieces = Vec::with_capacity(len.div_ceil(PIECE_BYTES));
    for start in (0..len).step_by(PIECE_BYTES) {
        let mut piece = BytesMut::zeroed(PIECE_BYTES.min(len - start));
        read(&mut piece, position + start as u64)?;
        pieces.push(piece.freeze());
    }
    Ok(pieces)
}
