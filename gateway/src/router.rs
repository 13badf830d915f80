//! THE table: every API that a gateway serves, with its versions, its handler and its class of priority.
//!
//! Invariant: what is not in [`TABLE`] is neither served nor advertised; the answer to ApiVersions is derived from it and from
//! nothing else. Deliberately does not know what a handler does.

use std::future::ready;
use std::ops::RangeInclusive;

use futures::FutureExt;
use futures::future::BoxFuture;
use ottla_kafka_wire::{ApiKey, DecodeError, Reader, Request as WireRequest};
use ottla_types::TraceParent;

use crate::answer::Answer;
use crate::connection::MemoryPermit;
use crate::handlers;
use crate::request::Call;

/// The classes of priority, the most important first. Each has its own allowance of requests in flight, so that none starves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// What keeps connections and the cluster alive.
    Control,
    /// Produce and ListOffsets.
    Data,
    /// Fetch: of the priority of `Data`, but apart, because it waits for records and would use up that allowance.
    Wait,
    /// Metadata, and what else clients ask before they can work.
    Metadata,
    /// What keeps members in their groups: heartbeats, commits, leaving.
    Group,
    /// Joining a group: of the priority of `Group`, but apart, because it waits for other members and would use up that
    /// allowance.
    Rebalance,
    /// Administration: rare, and it may wait for the whole cluster.
    Admin,
}

impl Class {
    /// All classes, in the order of their numbers.
    pub(crate) const ALL: [Self; 7] = [
        Self::Control,
        Self::Data,
        Self::Wait,
        Self::Metadata,
        Self::Group,
        Self::Rebalance,
        Self::Admin,
    ];

    /// Position in tables that are kept by class.
    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

/// One API: answers a request of a version that the table allows.
pub(crate) trait Handle: 'static {
    /// The request.
    type Request: Body;

    /// Answers the request.
    fn handle(call: Call, request: Self::Request) -> impl Future<Output = Answer> + Send;
}

/// What a handler reads from a frame: a generated request, or one that is read by hand.
pub(crate) trait Body: Sized + Send + 'static {
    /// The number of the API on the wire.
    const KEY: i16;
    /// The stable versions of Kafka 4.3.1.
    const VERSIONS: RangeInclusive<i16>;

    /// Reads the request.
    fn read(reader: &mut Reader, version: i16) -> Result<Self, DecodeError>;
}

impl<R: WireRequest + Send + 'static> Body for R {
    const KEY: i16 = <R as WireRequest>::KEY;
    const VERSIONS: RangeInclusive<i16> = <R as WireRequest>::VERSIONS;

    fn read(reader: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        R::decode(reader, version)
    }
}

type Handler = fn(Call, Reader, MemoryPermit) -> BoxFuture<'static, Answer>;
/// Finds the trace to continue, and those to link, in a request that stands at its body.
type Producers = fn(&Reader, i16) -> (Option<TraceParent>, Vec<TraceParent>);

/// A row of the table.
pub(crate) struct Route {
    /// The number of the API on the wire.
    key: i16,
    first_version: i16,
    last_version: i16,
    first_advertised: i16,
    /// Its class.
    pub(crate) class: Class,
    has_large_answers: bool,
    handler: Handler,
    producers: Option<Producers>,
}

/// Every API that is served.
pub(crate) static TABLE: [Route; 33] = [
    // librdkafka compresses only when Produce 0 is offered (KAFKA-18659); Kafka offers and refuses 0–2 as well.
    Route::of::<handlers::Produce>(Class::Data).advertised_from(0).traced_by(handlers::producers),
    Route::of::<handlers::Fetch>(Class::Wait),
    Route::of::<handlers::ListOffsets>(Class::Data),
    Route::of::<handlers::Metadata>(Class::Metadata),
    Route::of::<handlers::OffsetCommit>(Class::Group),
    Route::of::<handlers::OffsetFetch>(Class::Group).with_large_answers(),
    Route::of::<handlers::FindCoordinator>(Class::Metadata),
    Route::of::<handlers::JoinGroup>(Class::Rebalance),
    Route::of::<handlers::Heartbeat>(Class::Group),
    Route::of::<handlers::LeaveGroup>(Class::Group),
    Route::of::<handlers::SyncGroup>(Class::Rebalance),
    Route::of::<handlers::DescribeGroups>(Class::Admin),
    Route::of::<handlers::ListGroups>(Class::Admin),
    Route::of::<handlers::ApiVersions>(Class::Control),
    Route::of::<handlers::CreateTopics>(Class::Admin),
    Route::of::<handlers::DeleteTopics>(Class::Admin),
    Route::of::<handlers::DeleteRecords>(Class::Admin),
    Route::of::<handlers::InitProducerId>(Class::Metadata),
    Route::of::<handlers::OffsetForLeaderEpoch>(Class::Data),
    Route::of::<handlers::DescribeConfigs>(Class::Admin),
    Route::of::<handlers::AlterReplicaLogDirs>(Class::Admin),
    Route::of::<handlers::AlterConfigs>(Class::Admin),
    Route::of::<handlers::DescribeLogDirs>(Class::Admin),
    Route::of::<handlers::CreatePartitions>(Class::Admin),
    Route::of::<handlers::DeleteGroups>(Class::Admin),
    Route::of::<handlers::IncrementalAlterConfigs>(Class::Admin),
    Route::of::<handlers::OffsetDelete>(Class::Admin),
    Route::of::<handlers::DescribeQuorum>(Class::Admin),
    Route::of::<handlers::DescribeCluster>(Class::Metadata),
    Route::of::<handlers::DescribeProducers>(Class::Admin),
    Route::of::<handlers::UnregisterBroker>(Class::Admin),
    Route::of::<handlers::ListConfigResources>(Class::Admin),
    Route::of::<handlers::DescribeTopicPartitions>(Class::Admin),
];

impl Route {
    /// The row of a handler, in all versions of Kafka 4.3.1.
    const fn of<H: Handle>(class: Class) -> Self {
        let versions = H::Request::VERSIONS;
        Self {
            key: H::Request::KEY,
            first_version: *versions.start(),
            last_version: *versions.end(),
            first_advertised: *versions.start(),
            class,
            has_large_answers: matches!(class, Class::Metadata | Class::Admin),
            handler: run::<H>,
            producers: None,
        }
    }

    const fn advertised_from(mut self, version: i16) -> Self {
        self.first_advertised = version;
        self
    }

    const fn with_large_answers(mut self) -> Self {
        self.has_large_answers = true;
        self
    }

    const fn traced_by(mut self, producers: Producers) -> Self {
        self.producers = Some(producers);
        self
    }

    /// The trace that a request continues, and those that it is linked to.
    pub(crate) fn producers(
        &self,
        body: &Reader,
        version: i16,
    ) -> (Option<TraceParent>, Vec<TraceParent>) {
        self.producers.map_or_else(Default::default, |producers| producers(body, version))
    }

    /// The row of an API, if it is served.
    pub(crate) fn find(key: ApiKey) -> Option<&'static Self> {
        TABLE.iter().find(|route| route.key == key.code())
    }

    /// The API's number on the wire.
    pub(crate) const fn key(&self) -> i16 {
        self.key
    }

    /// Whether an answer may be much longer than its request, so that it needs room before it is made. Others are bounded by
    /// what is bounded in requests, or ask for memory themselves.
    pub(crate) const fn needs_room(&self) -> bool {
        self.has_large_answers
    }

    /// Versions that are served.
    pub(crate) const fn served(&self) -> RangeInclusive<i16> {
        self.first_version..=self.last_version
    }

    /// Versions that ApiVersions tells.
    pub(crate) const fn advertised(&self) -> RangeInclusive<i16> {
        self.first_advertised..=self.last_version
    }

    /// Answers a request whose version is served.
    pub(crate) fn handle(
        &self,
        call: Call,
        body: Reader,
        memory: MemoryPermit,
    ) -> BoxFuture<'static, Answer> {
        (self.handler)(call, body, memory)
    }
}

/// Reads the body at once, so that requests of a connection reach the storage nodes in their order, then answers it.
fn run<H: Handle>(
    call: Call,
    mut body: Reader,
    memory: MemoryPermit,
) -> BoxFuture<'static, Answer> {
    match H::Request::read(&mut body, call.version) {
        Ok(request) => async move {
            let answer = H::handle(call, request).await;
            drop(memory);
            answer
        }
        .boxed(),
        Err(error) => {
            let reason = format!("malformed {} version {}: {error}", call.key, call.version);
            ready(Answer::Close(reason)).boxed()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_serves_all_versions_of_kafka() {
        for route in &TABLE {
            let key = ApiKey::from_code(route.key).unwrap();
            assert_eq!(route.served(), key.versions(), "{key}");
            assert!(key.is_for_clients(), "{key}");
            assert!(route.advertised().contains(route.served().start()));
        }
    }

    #[test]
    fn what_waits_for_others_takes_no_place_of_what_keeps_members_in_their_groups() {
        let class = |key| Route::find(key).unwrap().class;
        for waits in [ApiKey::JoinGroup, ApiKey::SyncGroup, ApiKey::Fetch] {
            for lives in [ApiKey::Heartbeat, ApiKey::OffsetCommit, ApiKey::LeaveGroup] {
                assert_ne!(class(waits), class(lives));
                assert!(!Route::find(lives).unwrap().needs_room());
            }
        }
    }

    #[test]
    fn no_api_is_in_the_table_twice() {
        for (at, route) in TABLE.iter().enumerate() {
            assert!(TABLE[..at].iter().all(|other| other.key != route.key));
        }
    }
}
