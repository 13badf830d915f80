//! Produce: each batch is checked by itself here, on the caller's thread, before a shard sees it.
//!
//! Invariant: the checksum of a batch is computed once, unless it is compressed anew. A batch that is refused here reaches no shard.

use std::time::Duration;

use ottla_api::storage::{
    Acks, ProducePartition, ProducePartitionResult, ProduceRequest, ProduceResponse,
};
use ottla_api::{CallError, RequestContext};
use ottla_log_format::{BatchError, BatchHeader, validate_produced};
use ottla_types::ErrorCode;
use tokio::sync::oneshot;

use super::LocalStorage;
use crate::recompression::Held;
use crate::shard::message::{Message, ProduceJob, ProducePart};
use crate::shard::produces::refusal;

/// Longest wait for replicas, whatever a client asks for.
const MAX_PRODUCE_WAIT: Duration = Duration::from_secs(600);

impl LocalStorage {
    pub(super) async fn do_produce(
        &self,
        context: RequestContext,
        request: ProduceRequest,
    ) -> Result<ProduceResponse, CallError> {
        let wait = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
        let deadline = self.now() + wait.min(MAX_PRODUCE_WAIT);
        let is_answered = request.acks != Acks::None;
        let mut results: Vec<Option<ProducePartitionResult>> = vec![None; request.partitions.len()];
        let ids: Vec<_> = request.partitions.iter().map(|p| p.partition).collect();
        let (by_shard, absent) = self.split(ids.iter().copied());
        for index in absent {
            results[index] = Some(refusal(ids[index], self.absent(ids[index]), None));
        }
        // Until the answer, by when the shards are done with the batches.
        let mut held = Vec::new();
        let mut parts = self.check_all(request.partitions, &mut results, &mut held);
        self.parts().rules.compacted.refuse_keyless(&mut parts, &mut results);
        let (mut messages, mut asked) = (Vec::new(), Vec::new());
        for (shard, indexes) in by_shard.into_iter().enumerate() {
            let indexes: Vec<_> = indexes.into_iter().filter(|&i| parts[i].is_some()).collect();
            if indexes.is_empty() {
                continue;
            }
            let (answer, answered) = oneshot::channel();
            let job = ProduceJob {
                needs_all: request.acks == Acks::All,
                answer: is_answered.then_some(answer),
                deadline,
                parts: indexes.iter().filter_map(|&index| parts[index].take()).collect(),
                span: context.span.clone(),
            };
            messages.push((shard, Message::Produce(job), answered));
            asked.push(indexes);
        }
        // With acks=0 the answers' channels close as soon as the shards took the batches over.
        let answers = self.gather(messages).await;
        drop(held);
        for (indexes, answer) in asked.into_iter().zip(answers) {
            for (index, result) in indexes.into_iter().zip(answer.into_iter().flatten()) {
                results[index] = Some(result);
            }
        }
        let unanswered = if is_answered { ErrorCode::KafkaStorageError } else { ErrorCode::None };
        let partitions = results.into_iter().zip(ids);
        let partitions =
            partitions.map(|(result, id)| result.unwrap_or_else(|| refusal(id, unanswered, None)));
        Ok(ProduceResponse { partitions: partitions.collect() })
    }
}

impl LocalStorage {
    /// Checks what is not refused yet.
    fn check_all(
        &self,
        partitions: Vec<ProducePartition>,
        results: &mut [Option<ProducePartitionResult>],
        held: &mut Vec<Held>,
    ) -> Vec<Option<ProducePart>> {
        let mut check =
            |(part, result): (ProducePartition, &mut Option<ProducePartitionResult>)| {
                if result.is_some() {
                    return None;
                }
                let id = part.partition;
                match check_one(&part).and_then(|header| self.as_stored(part, header, held)) {
                    Ok(part) => Some(part),
                    Err((code, message)) => {
                        *result = Some(refusal(id, code, Some(message)));
                        None
                    }
                }
            };
        partitions.into_iter().zip(results).map(&mut check).collect()
    }

    /// The batch as its topic wants it (`compression.type`).
    fn as_stored(
        &self,
        part: ProducePartition,
        header: BatchHeader,
        held: &mut Vec<Held>,
    ) -> Result<ProducePart, (ErrorCode, String)> {
        let (partition, bytes) = (part.partition, part.records);
        let anew = self.parts().rules.recompression.apply(partition.topic, &header, &bytes)?;
        let Some((header, bytes, memory)) = anew else {
            return Ok(ProducePart { partition, header, bytes });
        };
        held.push(memory);
        Ok(ProducePart { partition, header, bytes })
    }
}

fn check_one(part: &ProducePartition) -> Result<BatchHeader, (ErrorCode, String)> {
    if part.records.is_empty() {
        return Err((ErrorCode::InvalidRecord, "there is no record batch".to_owned()));
    }
    validate_produced(&part.records).map_err(|error| {
        let code = match &error {
            BatchError::Magic(_) => ErrorCode::UnsupportedForMessageFormat,
            BatchError::TooShort { .. } | BatchError::Length { .. } | BatchError::Crc { .. } => {
                ErrorCode::CorruptMessage
            }
            _ => ErrorCode::InvalidRecord,
        };
        (code, error.to_string())
    })
}
