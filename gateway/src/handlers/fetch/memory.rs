//! Asks a storage node for records; memory for those of another process is had before they are asked for.
//!
//! Invariant: records that came are in the account of the connection, or are dropped at once. A fetch that waits for records
//! holds no memory meanwhile; one that waits for memory does so for no longer than its client waits anyway, and is then
//! answered without records. Deliberately does not know how an answer is encoded.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ottla_api::storage::{FetchPartitionResult, FetchRequest, FetchedRecords};
use ottla_api::{CallError, Storage};
use ottla_types::ErrorCode;

use crate::connection::HeldAnswer;
use crate::handlers::{BACKEND_TIME, wait_of};
use crate::request::Call;

/// Bytes that a fetch waits for before it asks, if its client wants as many; it takes more while there is more.
const LEAST_BYTES: usize = 1 << 20;
/// Bytes that a fetch which waited for records is answered with at most, or one batch. A larger `fetch.min.bytes` is waited for
/// only so far.
const MAX_WAITED_BYTES: usize = 1 << 20;
/// How long a fetch waits for memory at least, whatever its client's `max.wait`.
const MEMORY_PATIENCE: Duration = Duration::from_secs(1);

/// What the fetch of a client holds until its answer is built.
pub(super) type Kept = Mutex<Vec<HeldAnswer>>;

/// Where a fetch gets records from.
pub(super) struct Source<'a> {
    pub(super) call: &'a Call,
    pub(super) storage: Arc<dyn Storage>,
}

impl Source<'_> {
    /// Asks as the client did.
    pub(super) async fn ask(
        &self,
        request: FetchRequest,
    ) -> Result<Vec<FetchPartitionResult>, CallError> {
        let context = self.call.context(wait_of(request.max_wait_ms) + BACKEND_TIME);
        Ok(self.storage.fetch(context, request).await?.partitions)
    }

    /// Asks for what is there; if that is too little, waits until more came.
    pub(super) async fn ask_with_memory(
        &self,
        mut request: FetchRequest,
        kept: &Kept,
    ) -> Result<Vec<FetchPartitionResult>, CallError> {
        request.min_bytes = request.min_bytes.min(in_i32(MAX_WAITED_BYTES));
        let deadline = self.now() + wait_of(request.max_wait_ms);
        let mut wanted = wanted(&request);
        let mut least = wanted.min(LEAST_BYTES);
        loop {
            let Some(mut held) = self.memory((least, wanted), deadline).await else {
                return self.without_records(&request).await;
            };
            let found = self.ask(limited(&request, held.bytes(), Duration::ZERO)).await?;
            let bytes = bytes_of(&found);
            if !held.resize(bytes) {
                // A batch is given even if it is larger than what was asked for: now it is known how large.
                (least, wanted) = (bytes, wanted.max(bytes));
                continue;
            }
            let left = deadline.saturating_sub(self.now());
            if left.is_zero() || is_enough(&found, bytes, request.min_bytes) {
                keep(kept, held);
                return Ok(found);
            }
            drop((found, held));
            let found = self.ask(limited(&request, MAX_WAITED_BYTES.min(wanted), left)).await?;
            if let Some(held) = self.call.peer.answers.try_reserve(bytes_of(&found)) {
                keep(kept, held);
                return Ok(found);
            }
        }
    }

    /// Memory of between this many bytes, if it is there in time.
    async fn memory(
        &self,
        (least, most): (usize, usize),
        deadline: Duration,
    ) -> Option<HeldAnswer> {
        let patience = deadline.saturating_sub(self.now()).max(MEMORY_PATIENCE);
        tokio::select! {
            biased;
            held = self.call.peer.answers.reserve(least, most) => Some(held),
            () = self.call.gateway.seams.clock.sleep(patience) => None,
        }
    }

    /// How the partitions stand. A batch that comes with it is dropped here.
    async fn without_records(
        &self,
        request: &FetchRequest,
    ) -> Result<Vec<FetchPartitionResult>, CallError> {
        let mut found = self.ask(limited(request, 1, Duration::ZERO)).await?;
        found.iter_mut().for_each(|result| result.records = FetchedRecords::empty());
        Ok(found)
    }

    fn now(&self) -> Duration {
        self.call.gateway.seams.clock.monotonic()
    }
}

fn keep(kept: &Kept, held: HeldAnswer) {
    kept.lock().unwrap_or_else(PoisonError::into_inner).push(held);
}

/// What the client wants at most.
fn wanted(request: &FetchRequest) -> usize {
    let limit = |bytes: i32| usize::try_from(bytes).unwrap_or(0);
    let partitions: usize = request.partitions.iter().map(|asked| limit(asked.max_bytes)).sum();
    limit(request.max_bytes).min(partitions).max(1)
}

/// The request with other limits. Without a wait it is answered at once, whatever is there.
fn limited(request: &FetchRequest, bytes: usize, wait: Duration) -> FetchRequest {
    FetchRequest {
        max_bytes: in_i32(bytes),
        max_wait_ms: i32::try_from(wait.as_millis()).unwrap_or(i32::MAX),
        min_bytes: if wait.is_zero() { 0 } else { request.min_bytes },
        ..request.clone()
    }
}

fn bytes_of(results: &[FetchPartitionResult]) -> usize {
    results.iter().map(|result| result.records.len()).sum()
}

/// Whether the client is not to wait for more.
fn is_enough(results: &[FetchPartitionResult], bytes: usize, min_bytes: i32) -> bool {
    let is_urgent = |result: &FetchPartitionResult| {
        result.error != ErrorCode::None
            || result.diverging_epoch.is_some()
            || result.preferred_read_replica.is_some()
    };
    bytes >= usize::try_from(min_bytes).unwrap_or(0) || results.iter().any(is_urgent)
}

fn in_i32(bytes: usize) -> i32 {
    i32::try_from(bytes).unwrap_or(i32::MAX)
}
