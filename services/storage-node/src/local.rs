//! The storage node as its own process sees it: splits requests over shards, merges their answers.
//!
//! Invariant: a request is put into the inboxes of all its shards at its first poll, so that requests begun in order are done in
//! order. Deliberately holds no record and opens no file.

mod describe;
mod fetch;
mod keyless;
mod places;
mod produce;
mod replicas;
mod traced;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use ottla_api::storage::{
    CoordinateRequest, CoordinateResponse, DeleteRecordsRequest, DeleteRecordsResponse,
    DescribeLogDirsRequest, DescribeLogDirsResponse, DescribeProducersRequest,
    DescribeProducersResponse, EpochEndRequest, EpochEndResponse, FetchRequest, FetchResponse,
    InitProducerIdRequest, InitProducerIdResponse, IsolationLevel, ListOffsetsRequest,
    ListOffsetsResponse, NodeConfig, ProduceRequest, ProduceResponse,
};
use ottla_api::{CallError, MetadataFollower, RequestContext, Storage};
use ottla_coordinator::OFFSETS_TOPIC;
use ottla_runtime::Seams;
use ottla_types::{
    DirectoryId, ErrorCode, NodeId, PartitionIndex, ProducerEpoch, ProducerId, TopicPartition,
};
use tokio::sync::oneshot;
use tracing::Span;

use crate::cluster::producer_ids::ProducerIds;
use crate::coordinator::Coordinators;
use crate::produce_rules::ProduceRules;
use crate::shard::ShardHandle;
use crate::shard::failures::Failures;
use crate::shard::message::{Message, OffsetsJob};
pub(crate) use keyless::CompactedTopics;
pub(crate) use places::{Place, Places, shard_of};
pub(crate) use traced::TracedStorage;

/// How long describing all directories may take.
const DESCRIBE_TIMEOUT: Duration = Duration::from_secs(30);

/// A directory, as far as requests are concerned.
#[derive(Clone, Debug)]
pub(crate) struct ServedDirectory {
    pub(crate) path: std::path::PathBuf,
    pub(crate) id: DirectoryId,
}

/// Everything that requests need.
pub(crate) struct LocalParts {
    pub(crate) node: NodeId,
    pub(crate) seams: Seams,
    pub(crate) shards: Vec<ShardHandle>,
    pub(crate) places: Arc<Places>,
    pub(crate) directories: Vec<ServedDirectory>,
    pub(crate) metadata: MetadataFollower,
    pub(crate) failures: Arc<Failures>,
    pub(crate) producer_ids: ProducerIds,
    pub(crate) coordinators: Arc<Coordinators>,
    pub(crate) rules: Arc<ProduceRules>,
    pub(crate) node_configs: Vec<NodeConfig>,
}

/// A storage node in this process. Clones are the same node.
#[derive(Clone)]
pub(crate) struct LocalStorage {
    inner: Arc<Inner>,
}

struct Inner {
    parts: LocalParts,
    is_stopping: AtomicBool,
}

impl LocalStorage {
    pub(crate) fn new(parts: LocalParts) -> Self {
        Self { inner: Arc::new(Inner { parts, is_stopping: AtomicBool::new(false) }) }
    }

    /// Refuses further requests; those that were begun are finished, but for what waits for other members of a group.
    pub(crate) fn stop(&self) {
        self.parts().coordinators.stop();
        self.inner.is_stopping.store(true, Ordering::Release);
    }

    /// The group coordinators of this node.
    pub(crate) fn coordinators(&self) -> Arc<Coordinators> {
        Arc::clone(&self.parts().coordinators)
    }

    fn check_running(&self) -> Result<(), CallError> {
        if self.inner.is_stopping.load(Ordering::Acquire) {
            Err(CallError::Stopping)
        } else {
            Ok(())
        }
    }

    fn parts(&self) -> &LocalParts {
        &self.inner.parts
    }

    fn now(&self) -> Duration {
        self.parts().seams.clock.monotonic()
    }

    /// What to say of a partition that no shard holds.
    fn absent(&self, id: TopicPartition) -> ErrorCode {
        if self.parts().places.is_quarantined(id) {
            return ErrorCode::KafkaStorageError;
        }
        let image = self.parts().metadata.image();
        match image.partition(id.topic, id.partition) {
            Some(partition) if !partition.replicas.contains(&self.parts().node) => {
                ErrorCode::NotLeaderOrFollower
            }
            _ => ErrorCode::UnknownTopicOrPartition,
        }
    }

    /// Sends each message to its shard and collects the answers; all sends are begun at once. A shard that is gone gives none.
    async fn gather<T>(
        &self,
        messages: Vec<(usize, Message, oneshot::Receiver<T>)>,
    ) -> Vec<Option<T>> {
        let asked = messages.into_iter().map(|(shard, message, answered)| async move {
            self.parts().shards[shard].send(message).await.ok()?;
            answered.await.ok()
        });
        join_all(asked).await
    }

    /// Bounds a call by the time that its caller gives it.
    async fn within<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = Result<T, CallError>> + Send,
    ) -> Result<T, CallError> {
        tokio::select! {
            biased;
            done = work => done,
            () = self.parts().seams.clock.sleep(limit) => Err(CallError::TimedOut(limit)),
        }
    }

    /// Splits indexes of a request by shard; those that no shard holds come second.
    fn split(&self, ids: impl Iterator<Item = TopicPartition>) -> (Vec<Vec<usize>>, Vec<usize>) {
        let mut by_shard = vec![Vec::new(); self.parts().shards.len()];
        let mut absent = Vec::new();
        let places = self.parts().places.read();
        for (index, id) in ids.enumerate() {
            match places.get(&id) {
                Some(place) => by_shard[place.shard].push(index),
                None => absent.push(index),
            }
        }
        (by_shard, absent)
    }
}

#[async_trait]
impl Storage for LocalStorage {
    async fn produce(
        &self,
        context: RequestContext,
        request: ProduceRequest,
    ) -> Result<ProduceResponse, CallError> {
        self.check_running()?;
        self.do_produce(context, request).await
    }

    async fn fetch(
        &self,
        context: RequestContext,
        request: FetchRequest,
    ) -> Result<FetchResponse, CallError> {
        self.check_running()?;
        self.within(context.timeout, self.do_fetch(request)).await
    }

    async fn list_offsets(
        &self,
        context: RequestContext,
        request: ListOffsetsRequest,
    ) -> Result<ListOffsetsResponse, CallError> {
        self.check_running()?;
        self.within(context.timeout, self.do_list_offsets(request)).await
    }

    async fn delete_records(
        &self,
        context: RequestContext,
        request: DeleteRecordsRequest,
    ) -> Result<DeleteRecordsResponse, CallError> {
        self.check_running()?;
        self.within(context.timeout, self.do_delete_records(request)).await
    }

    async fn epoch_ends(
        &self,
        context: RequestContext,
        request: EpochEndRequest,
    ) -> Result<EpochEndResponse, CallError> {
        self.check_running()?;
        self.within(context.timeout, self.do_epoch_ends(request)).await
    }

    async fn describe_producers(
        &self,
        context: RequestContext,
        request: DescribeProducersRequest,
    ) -> Result<DescribeProducersResponse, CallError> {
        self.check_running()?;
        self.within(context.timeout, self.do_describe_producers(request)).await
    }

    async fn describe_log_dirs(
        &self,
        context: RequestContext,
        request: DescribeLogDirsRequest,
    ) -> Result<DescribeLogDirsResponse, CallError> {
        self.check_running()?;
        let limit = context.timeout.min(DESCRIBE_TIMEOUT);
        self.within(limit, self.do_describe(request)).await
    }

    async fn init_producer_id(
        &self,
        context: RequestContext,
        request: InitProducerIdRequest,
    ) -> Result<InitProducerIdResponse, CallError> {
        self.check_running()?;
        self.within(context.timeout, self.do_init_producer_id(request)).await
    }

    async fn describe_node_configs(&self, _: RequestContext) -> Result<Vec<NodeConfig>, CallError> {
        self.check_running()?;
        Ok(self.parts().node_configs.clone())
    }

    async fn coordinate(
        &self,
        context: RequestContext,
        request: CoordinateRequest,
    ) -> Result<CoordinateResponse, CallError> {
        self.check_running()?;
        self.within(context.timeout, self.do_coordinate(context.span, request)).await
    }
}

impl LocalStorage {
    async fn do_coordinate(
        &self,
        span: Span,
        request: CoordinateRequest,
    ) -> Result<CoordinateResponse, CallError> {
        let CoordinateRequest { partition, command } = request;
        let outcome = self.parts().coordinators.ask(partition, command, span).await;
        let outcome = outcome.unwrap_or_else(|| Err(self.no_coordinator(partition)));
        Ok(CoordinateResponse { outcome })
    }

    /// What to say of a partition that nobody coordinates here: if it is this node's, somebody will in a moment.
    fn no_coordinator(&self, partition: PartitionIndex) -> ErrorCode {
        let image = self.parts().metadata.image();
        let topic = image.topic_by_name(OFFSETS_TOPIC);
        let partition = topic.and_then(|topic| image.partition(topic.id, partition));
        match partition {
            Some(partition) if partition.leader == Some(self.parts().node) => {
                ErrorCode::CoordinatorLoadInProgress
            }
            _ => ErrorCode::NotCoordinator,
        }
    }

    async fn do_list_offsets(
        &self,
        request: ListOffsetsRequest,
    ) -> Result<ListOffsetsResponse, CallError> {
        let (by_shard, absent) = self.split(request.partitions.iter().map(|p| p.partition));
        let committed_only = request.isolation == IsolationLevel::ReadCommitted;
        let mut results: Vec<_> = request.partitions.iter().map(|_| None).collect();
        let (mut messages, mut asked) = (Vec::new(), Vec::new());
        for (shard, indexes) in by_shard.into_iter().enumerate().filter(|(_, i)| !i.is_empty()) {
            let (answer, answered) = oneshot::channel();
            let parts = indexes.iter().map(|&index| request.partitions[index]).collect();
            let job = OffsetsJob { parts, committed_only, answer };
            messages.push((shard, Message::ListOffsets(job), answered));
            asked.push(indexes);
        }
        let answers = self.gather(messages).await;
        for (indexes, answer) in asked.into_iter().zip(answers) {
            for (index, result) in indexes.into_iter().zip(answer.unwrap_or_default()) {
                results[index] = Some(result);
            }
        }
        for index in absent {
            let part = &request.partitions[index];
            let error = self.absent(part.partition);
            results[index] = Some(crate::shard::offset_answer(part, Err(error)));
        }
        let gone = ErrorCode::KafkaStorageError;
        let partitions = results.into_iter().zip(&request.partitions).map(|(result, part)| {
            result.unwrap_or_else(|| crate::shard::offset_answer(part, Err(gone)))
        });
        Ok(ListOffsetsResponse { partitions: partitions.collect() })
    }

    async fn do_init_producer_id(
        &self,
        request: InitProducerIdRequest,
    ) -> Result<InitProducerIdResponse, CallError> {
        // Transactional ids need a coordinator, which is not here yet.
        let next = match request.transactional_id {
            Some(_) => Err(ErrorCode::CoordinatorNotAvailable),
            None => self.parts().producer_ids.next().await,
        };
        Ok(match next {
            Ok(producer_id) => InitProducerIdResponse {
                error: ErrorCode::None,
                producer_id,
                producer_epoch: ProducerEpoch(0),
            },
            Err(error) => InitProducerIdResponse {
                error,
                producer_id: ProducerId::NONE,
                producer_epoch: ProducerEpoch(-1),
            },
        })
    }
}
