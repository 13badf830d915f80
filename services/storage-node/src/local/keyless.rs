//! Records without a key, which a compacted topic does not take.
//!
//! Invariant: what compaction would take away without a word is refused with one, as Kafka does. A batch is decompressed only if its topic
//! is compacted, and only up to a bound.

use std::sync::Arc;

use ottla_api::storage::ProducePartitionResult;
use ottla_log_format::compaction::{MAX_INFLATED_BATCH_BYTES, records_without_key};
use ottla_types::ErrorCode;

use crate::by_topic::ByTopic;
use crate::shard::message::ProducePart;
use crate::shard::produces::refusal;

/// So many of a batch's records are named in the answer, as Kafka's message does.
const MAX_NAMED: usize = 3;

/// The compacted topics of this node, by id, with their names.
pub(crate) type CompactedTopics = ByTopic<Arc<str>>;

impl CompactedTopics {
    /// Refuses batches with records that a compacted topic does not take.
    pub(super) fn refuse_keyless(
        &self,
        parts: &mut [Option<ProducePart>],
        results: &mut [Option<ProducePartitionResult>],
    ) {
        let topics = self.load();
        if topics.is_empty() {
            return;
        }
        for (place, result) in parts.iter_mut().zip(results) {
            let Some(part) = place else { continue };
            let Some(topic) = topics.get(&part.partition.topic) else { continue };
            if let Some(refused) = refused(part, topic) {
                *result = Some(refused);
                *place = None;
            }
        }
    }
}

fn refused(part: &ProducePart, topic: &str) -> Option<ProducePartitionResult> {
    let id = part.partition;
    let refuse = |message| Some(refusal(id, ErrorCode::InvalidRecord, Some(message)));
    let without = match records_without_key(&part.header, &part.bytes) {
        Ok(Some(without)) => without,
        Ok(None) => {
            return refuse(format!(
                "a batch for a compacted topic may hold {MAX_INFLATED_BATCH_BYTES} bytes of records; send smaller ones"
            ));
        }
        Err(cause) => return refuse(format!("its records cannot be read: {cause}")),
    };
    if without.is_empty() {
        return None;
    }
    let index = id.partition;
    let why = format!(
        "Compacted topic cannot accept message without key in topic partition {topic}-{index}."
    );
    let named = without.iter().take(MAX_NAMED);
    let named: Vec<_> =
        named.map(|at| format!("RecordError(batchIndex={at}, message='{why}')")).collect();
    let message = format!(
        "One or more records have been rejected due to {} record errors in total, and only showing the first three errors at most: [{}]",
        without.len(),
        named.join(", ")
    );
    let record_errors = without.into_iter().map(|at| (at, why.clone())).take(MAX_NAMED).collect();
    Some(ProducePartitionResult {
        record_errors,
        ..refusal(id, ErrorCode::InvalidRecord, Some(message))
    })
}
