//! What clients ask besides: each kind of request on a connection of its own, at a fixed rate, counted from when it was due.

use std::io;
use std::time::{Duration, Instant};

use ottla_kafka_wire::messages::api_versions_request::ApiVersionsRequest;
use ottla_kafka_wire::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use ottla_kafka_wire::messages::find_coordinator_request::FindCoordinatorRequest;
use ottla_kafka_wire::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use ottla_kafka_wire::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};

use super::{Course, Seen};
use crate::bench::latency::Latencies;
use crate::bench::link::Link;
use crate::group::client::FIND_VERSION;
use crate::wire;

/// The Metadata version in use.
const METADATA_VERSION: i16 = 12;
/// The ListOffsets version in use.
const LIST_OFFSETS_VERSION: i16 = 7;
/// The CreateTopics version in use.
const CREATE_VERSION: i16 = 5;
/// How long one answer may take until it counts as none.
const PATIENCE: Duration = Duration::from_secs(30);
/// Kafka's timestamp for "the end".
const LATEST: i64 = -1;

/// Asks everything until it is over.
pub(super) fn run(bootstrap: &str, topic: &str, course: &Course) -> io::Result<Vec<Seen>> {
    let leader = wire::leaders(bootstrap, topic)?.swap_remove(0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (a, b, c) = (bootstrap, topic, course);
        let all = tokio::join!(
            often(c, "control: a topic is made", 500, create(a)),
            often(c, "control: a new client connects", 200, connect(a)),
            often(c, "data: list offsets", 50, list_offsets(&leader, b)),
            often(c, "metadata: a topic's metadata", 50, metadata(a, b)),
            often(c, "metadata: find a coordinator", 50, find(a)),
        );
        Ok(vec![all.0, all.1, all.2, all.3, all.4])
    })
}

/// Asks at even distances; who is late asks at once.
async fn often(
    course: &Course,
    name: &str,
    every_ms: u64,
    mut question: impl AsyncFnMut(u64) -> io::Result<()>,
) -> Seen {
    let (started, mut nth) = (Instant::now(), 0_u64);
    let mut seen = Seen { name: name.to_owned(), latencies: Latencies::default(), failed: 0 };
    while !course.is_over() {
        let due = started + Duration::from_millis(every_ms * nth);
        tokio::time::sleep(due.saturating_duration_since(Instant::now())).await;
        let answer = tokio::time::timeout(PATIENCE, question(nth)).await;
        seen.latencies.record(due.elapsed());
        seen.failed += u64::from(!matches!(answer, Ok(Ok(()))));
        nth += 1;
    }
    seen
}

/// A connection that is made when it is first needed, and anew after an error.
#[derive(Default)]
struct Kept(Option<Link>);

impl Kept {
    async fn call<R: ottla_kafka_wire::Request>(
        &mut self,
        (address, version): (&str, i16),
        request: &R,
    ) -> io::Result<R::Response> {
        let mut link = match self.0.take() {
            Some(link) => link,
            None => Link::connect(address).await?,
        };
        let answer = link.call(version, request).await?;
        self.0 = Some(link);
        Ok(answer)
    }
}

fn success(code: i16) -> io::Result<()> {
    if code == 0 { Ok(()) } else { Err(io::Error::other(format!("error {code}"))) }
}

/// What the quorum must agree to.
fn create(bootstrap: &str) -> impl AsyncFnMut(u64) -> io::Result<()> {
    let mut kept = Kept::default();
    async move |nth| {
        let topic = CreatableTopic {
            name: format!("made-under-load-{nth}"),
            num_partitions: 1,
            replication_factor: 1,
            ..Default::default()
        };
        let request =
            CreateTopicsRequest { topics: vec![topic], timeout_ms: 30_000, ..Default::default() };
        let answer = kept.call((bootstrap, CREATE_VERSION), &request).await?;
        success(answer.topics.first().map_or(-1, |topic| topic.error_code))
    }
}

fn connect(bootstrap: &str) -> impl AsyncFnMut(u64) -> io::Result<()> {
    async move |_| {
        let mut link = Link::connect(bootstrap).await?;
        success(link.call(0, &ApiVersionsRequest::default()).await?.error_code)
    }
}

fn list_offsets(leader: &str, topic: &str) -> impl AsyncFnMut(u64) -> io::Result<()> {
    let mut kept = Kept::default();
    async move |_| {
        let partition = ListOffsetsPartition { timestamp: LATEST, ..Default::default() };
        let topics = vec![ListOffsetsTopic { name: topic.to_owned(), partitions: vec![partition] }];
        let request = ListOffsetsRequest { replica_id: -1, topics, ..Default::default() };
        let answer = kept.call((leader, LIST_OFFSETS_VERSION), &request).await?;
        let partition = answer.topics.first().and_then(|topic| topic.partitions.first());
        success(partition.map_or(-1, |partition| partition.error_code))
    }
}

fn metadata(bootstrap: &str, topic: &str) -> impl AsyncFnMut(u64) -> io::Result<()> {
    let mut kept = Kept::default();
    async move |_| {
        let named = MetadataRequestTopic { name: Some(topic.to_owned()), ..Default::default() };
        let request = MetadataRequest { topics: Some(vec![named]), ..Default::default() };
        let answer = kept.call((bootstrap, METADATA_VERSION), &request).await?;
        success(answer.topics.first().map_or(-1, |topic| topic.error_code))
    }
}

fn find(bootstrap: &str) -> impl AsyncFnMut(u64) -> io::Result<()> {
    let mut kept = Kept::default();
    async move |_| {
        let coordinator_keys = vec!["crowd-0".to_owned()];
        let request = FindCoordinatorRequest { coordinator_keys, ..Default::default() };
        let answer = kept.call((bootstrap, FIND_VERSION), &request).await?;
        success(answer.coordinators.first().map_or(-1, |found| found.error_code))
    }
}
