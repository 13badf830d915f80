//! Reads regions of files into memory, for gateways that cannot be handed a descriptor.
//!
//! Invariant: no worker blocks on the disk. A region that cannot be read costs its partition an error, not the others.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use ottla_proto::storage::v1 as wire;
use ottla_runtime::seams::{DiskFile, Tasks};
use ottla_types::ErrorCode;
use tokio::sync::oneshot;

use crate::storage::convert::fetched_to_wire;
use crate::storage::{FetchPartitionResult, FetchResponse, FetchedRecords};

/// The answer with all records in memory.
pub(super) async fn materialise(
    tasks: &Arc<dyn Tasks>,
    response: FetchResponse,
) -> wire::FetchResponse {
    let in_files = response
        .partitions
        .iter()
        .any(|partition| matches!(partition.records, FetchedRecords::Region { .. }));
    if !in_files {
        return into_memory(response);
    }
    let (done, read) = oneshot::channel();
    // The receiver is gone only if the stream is.
    tasks.run_blocking(Box::new(move || _ = done.send(into_memory(response)))).await;
    read.await.unwrap_or_default()
}

fn into_memory(response: FetchResponse) -> wire::FetchResponse {
    wire::FetchResponse { partitions: response.partitions.into_iter().map(one).collect() }
}

fn one(mut partition: FetchPartitionResult) -> wire::FetchPartitionResult {
    let records = match std::mem::replace(&mut partition.records, FetchedRecords::empty()) {
        FetchedRecords::Bytes(pieces) => pieces,
        FetchedRecords::Region { file, position, len } => read_region(&*file, position, len)
            .unwrap_or_else(|error| {
                tracing::error!(partition = %partition.partition, %error, "cannot read records");
                partition.error = ErrorCode::KafkaStorageError;
                Vec::new()
            }),
    };
    fetched_to_wire(partition, records)
}

fn read_region(file: &dyn DiskFile, position: u64, len: usize) -> io::Result<Vec<Bytes>> {
    let mut records = BytesMut::zeroed(len);
    file.read_exact_at(&mut records, position)?;
    Ok(vec![records.freeze()])
}
