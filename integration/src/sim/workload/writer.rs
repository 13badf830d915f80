//! Writers: idempotent ones that send several batches at once and send them again until they are answered, and plain ones that
//! send a batch once and live with not knowing.
//!
//! Invariant: an idempotent batch keeps its sequence over all tries, and a partition's batches are sent in order.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use ottla_kafka_wire::messages::init_producer_id_request::InitProducerIdRequest;
use ottla_kafka_wire::messages::produce_request::{
    PartitionProduceData, ProduceRequest, TopicProduceData,
};
use ottla_kafka_wire::messages::produce_response::{PartitionProduceResponse, ProduceResponse};
use ottla_log_format::BatchBuilder;
use ottla_types::{ErrorCode, Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs};

use super::{BASE_TOPICS, Shared, Stage, pause};
use crate::sim::client::{CallError, Client};
use crate::sim::history::Spot;
use crate::sim::value::ValueId;

/// The Produce version in use: the newest with names of topics.
const PRODUCE_VERSION: i16 = 12;
/// The InitProducerId version in use.
const INIT_VERSION: i16 = 4;
/// Batches of one partition that a writer has on the way.
const MOST_IN_FLIGHT: u64 = 5;
/// How long a produce may wait for its acknowledgement.
const PRODUCE_TIMEOUT_MS: i32 = 4_000;
/// Records of a batch, at most.
const MOST_RECORDS: u64 = 4;

/// How a writer writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// With a producer id and sequences, acks=all; again until answered.
    Idempotent,
    /// Once, without; with these acks.
    Plain(i16),
}

struct Batch {
    values: Vec<ValueId>,
    sequence: i32,
}

struct Lane {
    spot: Spot,
    next_sequence: i32,
    pending: VecDeque<Batch>,
}

/// A writer.
pub struct Writer {
    number: u64,
    name: String,
    style: Style,
    producer: Option<(i64, i16)>,
    client: Client,
    shared: Rc<Shared>,
    written: u64,
    lanes: Vec<Lane>,
}

impl Writer {
    /// A writer with a number that no other writer has.
    pub fn new(shared: &Rc<Shared>, number: u64, style: Style) -> Self {
        let all = BASE_TOPICS.iter().flat_map(|(topic, count)| {
            (0..*count).map(|partition| Spot { topic: (*topic).into(), partition })
        });
        let lane = |spot| Lane { spot, next_sequence: 0, pending: VecDeque::new() };
        Self {
            number,
            name: format!("writer-{number}"),
            style,
            producer: None,
            client: Client::new(shared.bootstrap.clone(), shared.seed ^ (number << 32)),
            shared: shared.clone(),
            written: 0,
            lanes: all.map(lane).collect(),
        }
    }

    /// Writes until the cluster is healed and nothing is on its way.
    pub async fn run(mut self) {
        self.shared.until(Stage::Chaos).await;
        while self.style == Style::Idempotent && self.producer.is_none() {
            self.init().await;
            if self.shared.is_overdue() {
                let what = format_args!("liveness: {} gets no producer id", self.name);
                self.shared.trace.problem(what);
                return self.shared.done(&self.name);
            }
        }
        loop {
            let writes = self.shared.stage.get() == Stage::Chaos;
            let pending = |lane: &Lane| !lane.pending.is_empty();
            let lanes = self.lanes.len() as u64;
            let lane = match writes {
                true => Some(self.client.rng.below(lanes) as usize),
                false => self.lanes.iter().position(pending),
            };
            let Some(lane) = lane else { break };
            if self.shared.is_overdue() {
                let spot = &self.lanes[lane].spot;
                let what = format_args!("liveness: {} cannot write to {spot}", self.name);
                self.shared.trace.problem(what);
                break;
            }
            if writes {
                self.fill(lane);
            }
            self.push(lane).await;
            let wait = Duration::from_millis(5 + self.client.rng.below(60));
            tokio::time::sleep(wait).await;
        }
        self.shared.done(&self.name);
    }

    async fn init(&mut self) {
        let request = InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: 60_000,
            ..Default::default()
        };
        let address = self.client.any_bootstrap();
        match self.client.call(&address, INIT_VERSION, &request).await {
            Ok(answer) if answer.error_code == 0 => {
                let (id, epoch) = (answer.producer_id, answer.producer_epoch);
                self.shared.trace.note(&self.name, format_args!("producer id {id}/{epoch}"));
                self.producer = Some((id, epoch));
            }
            Ok(answer) => self.note_refusal("InitProducerId", answer.error_code),
            Err(error) => self.shared.trace.note(&self.name, format_args!("no id: {error}")),
        }
        pause().await;
    }

    fn note_refusal(&self, what: &str, code: i16) {
        let name = ErrorCode::from_code(code).name();
        self.shared.trace.note(&self.name, format_args!("{what}: {name}"));
    }

    /// Makes new batches for a lane.
    fn fill(&mut self, lane: usize) {
        let depth = match self.style {
            Style::Idempotent => 1 + self.client.rng.below(MOST_IN_FLIGHT) as usize,
            Style::Plain(_) => 1,
        };
        while self.lanes[lane].pending.len() < depth {
            let count = 1 + self.client.rng.below(MOST_RECORDS);
            let numbers = self.written..self.written + count;
            self.written += count;
            let values: Vec<_> = numbers.map(|n| ValueId::new(self.number, n)).collect();
            let lane = &mut self.lanes[lane];
            self.shared.history.borrow_mut().send(&lane.spot, &values);
            let sequence = lane.next_sequence;
            lane.next_sequence += i32::try_from(count).expect("a few records");
            lane.pending.push_back(Batch { values, sequence });
        }
    }

    /// Sends what is pending in a lane.
    async fn push(&mut self, lane: usize) {
        let spot = self.lanes[lane].spot.clone();
        if let Err(error) = self.try_push(lane, &spot).await {
            if let CallError::Nonsense(what) = &error {
                self.shared.trace.problem(format_args!("{}: {what}", self.name));
            }
            self.shared.trace.note(&self.name, format_args!("{spot}: {error}"));
            self.client.forget(&spot);
            pause().await;
        }
        if self.style != Style::Idempotent {
            self.lanes[lane].pending.clear();
        }
    }

    async fn try_push(&mut self, lane: usize, spot: &Spot) -> Result<(), CallError> {
        if self.client.leader(spot).is_none() {
            self.client.refresh().await?;
        }
        let Some(leader) = self.client.leader(spot) else {
            let missing = std::io::Error::other("no leader is named");
            return Err(missing.into());
        };
        let mut connection = self.client.take(&leader).await?;
        let acks = match self.style {
            Style::Idempotent => -1,
            Style::Plain(acks) => acks,
        };
        for batch in &self.lanes[lane].pending {
            let bytes = self.encode(batch);
            connection.send(PRODUCE_VERSION, &request(spot, acks, bytes)).await?;
        }
        let sent = self.lanes[lane].pending.len();
        for _ in 0..sent {
            let answer = connection.receive::<ProduceRequest>(PRODUCE_VERSION).await?;
            if !self.answered(lane, answer) {
                // The rest of the answers is of no use: all that is left is sent again, on a new connection.
                self.client.forget(spot);
                pause().await;
                return Ok(());
            }
        }
        self.client.give_back(leader, connection);
        Ok(())
    }

    fn encode(&self, batch: &Batch) -> bytes::Bytes {
        let stamp = TimestampMs(1_735_689_600_000 + self.shared.trace.now().as_millis() as i64);
        let mut builder = BatchBuilder::new(Offset(0));
        if let Some((id, epoch)) = self.producer {
            let sequence = Sequence(batch.sequence);
            builder = builder.producer(ProducerId(id), ProducerEpoch(epoch), sequence);
        }
        for value in &batch.values {
            builder.push(stamp, None, Some(&value.bytes()), &[]);
        }
        builder.build()
    }

    /// Takes the answer to the first pending batch; whether the batch is in the log.
    fn answered(&mut self, lane: usize, answer: ProduceResponse) -> bool {
        let spot = self.lanes[lane].spot.clone();
        let Some(answer) = partition_of(answer) else {
            self.shared.trace.problem(format_args!("{}: an empty answer of Produce", self.name));
            return false;
        };
        let code = ErrorCode::from_code(answer.error_code);
        let base_offset = match code {
            ErrorCode::None => Some(answer.base_offset).filter(|offset| *offset >= 0),
            ErrorCode::DuplicateSequenceNumber => None,
            _ => {
                self.refused(&spot, code, &answer);
                return false;
            }
        };
        let batch = self.lanes[lane].pending.pop_front().expect("an answer has a question");
        let (first, count) = (batch.values[0], batch.values.len());
        let what = format_args!("{spot}@{base_offset:?} took {first} and {} more", count - 1);
        self.shared.trace.note(&self.name, what);
        self.shared.history.borrow_mut().acknowledge(&spot, base_offset, &batch.values);
        true
    }

    fn refused(&self, spot: &Spot, code: ErrorCode, answer: &PartitionProduceResponse) {
        let message = answer.error_message.as_deref().unwrap_or_default();
        let what = format!("{}: {spot} refused a batch: {} {message}", self.name, code.name());
        // The batch is the first of those without an answer, so nothing before it can be missing: the log forgot something.
        if code.is_retriable() && code != ErrorCode::CorruptMessage {
            self.shared.trace.note(&self.name, format_args!("{what}"));
        } else {
            self.shared.trace.problem(format_args!("{what}"));
        }
    }
}

fn partition_of(answer: ProduceResponse) -> Option<PartitionProduceResponse> {
    answer.responses.into_iter().next()?.partition_responses.into_iter().next()
}

/// A Produce request of one batch.
fn request(spot: &Spot, acks: i16, records: bytes::Bytes) -> ProduceRequest {
    ProduceRequest {
        acks,
        timeout_ms: PRODUCE_TIMEOUT_MS,
        topic_data: vec![TopicProduceData {
            name: spot.topic.to_string(),
            partition_data: vec![PartitionProduceData {
                index: spot.partition,
                records: Some(records),
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}
