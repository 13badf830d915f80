//! One connection: reads requests, lets them overlap, answers them in their order.
//!
//! Invariant: answers leave in the order of their requests; a client that sends without reading is not read any further;
//! whatever a client sends, it ends at most its own connection, with one line in the log.
//! Deliberately does not know any API.

mod accept;
mod frame_reader;
mod memory;
mod region;
mod slots;
mod timer;
mod writer;

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::FuturesOrdered;
use futures::{FutureExt, StreamExt};
use ottla_kafka_wire::codec::MAX_EXPANSION;
use ottla_kafka_wire::frames::{FrameError, decode_request_header};
use ottla_kafka_wire::{ApiKey, Reader};
use ottla_runtime::seams::NetStream;
use ottla_types::TraceParent;
use tower::{Service, ServiceExt};
use tracing::{Span, debug, info, warn};

pub(crate) use accept::{Port, accept};
use frame_reader::{FrameReader, Incoming, OTHER_WEIGHT, PRODUCE_WEIGHT, ReadError};
pub(crate) use memory::{AnswerMemory, HeldAnswer, MemoryBudget, MemoryPermit};
pub(crate) use slots::Slots;
use timer::Timer;
use writer::{WriteError, Writer};

use crate::answer::{Answer, Frame};
use crate::gateway::{Gateway, Phases};
use crate::handlers::unsupported_api_versions;
use crate::layers::Stacks;
use crate::metrics::Steps;
use crate::request::{Call, Peer, Request, cut_client_id};
use crate::router::{Class, Route};

/// Requests of one connection that are worked on at a time; then it is not read.
const MAX_IN_FLIGHT_REQUESTS: usize = 128;
/// Bytes of the requests of one connection that are worked on at a time; then it is not read.
const MAX_IN_FLIGHT_BYTES: usize = 32 << 20;
/// Fetches of one connection that are worked on at a time: each may hold an answer of the largest size.
const MAX_IN_FLIGHT_FETCHES: usize = 4;
/// Answers in one write.
const MAX_ANSWERS_PER_WRITE: usize = 64;
/// A frame that began must be complete after this time.
const FRAME_DEADLINE: Duration = Duration::from_secs(30);
/// Memory that the decoded form of a request may take beyond what its frame is charged for.
const DECODED_ALLOWANCE_BYTES: usize = 64 << 10;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("the client closed")]
    ByClient,
    #[error("nothing came for {} s (connections.max.idle.ms)", .0.as_secs())]
    Idle(Duration),
    #[error("a request was not complete after {} s", FRAME_DEADLINE.as_secs())]
    SlowRequest,
    #[error("the gateway stops")]
    Stopping,
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// A request that has its answer.
struct Done {
    /// Bytes that it took.
    bytes: usize,
    answer: Answer,
    /// `None` for what is no row of the table.
    measured: Option<(&'static Route, Steps)>,
}

/// A connection.
pub(crate) struct Connection {
    gateway: Arc<Gateway>,
    peer: Arc<Peer>,
    stream: Box<dyn NetStream>,
    frames: FrameReader,
    stacks: Stacks,
    writer: Writer,
    in_flight: FuturesOrdered<BoxFuture<'static, Done>>,
    bytes_in_flight: usize,
    fetches_in_flight: usize,
    /// Read, and waiting for a place of its class.
    waiting: Option<(Request, Duration)>,
    timer: Timer,
    phases: Phases,
}

impl Connection {
    /// A connection that was just accepted.
    pub(crate) fn new(gateway: Arc<Gateway>, peer: Arc<Peer>, stream: Box<dyn NetStream>) -> Self {
        let limits = &gateway.config.limits;
        Self {
            peer,
            stream,
            frames: FrameReader::new(limits.max_request_bytes, gateway.memory.clone()),
            stacks: gateway.stacks(),
            writer: Writer {
                clock: gateway.seams.clock.clone(),
                tasks: gateway.seams.tasks.clone(),
                patience: limits.max_idle,
            },
            in_flight: FuturesOrdered::new(),
            bytes_in_flight: 0,
            fetches_in_flight: 0,
            waiting: None,
            timer: Timer::new(gateway.seams.clock.clone(), limits.max_idle, FRAME_DEADLINE),
            phases: gateway.phases.clone(),
            gateway,
        }
    }

    /// Serves the connection to its end.
    pub(crate) async fn run(mut self) {
        let end = loop {
            if let Err(end) = self.step().await {
                break end;
            }
        };
        let (listener, address) = (&self.peer.listener, self.peer.address);
        match end {
            End::ByClient | End::Idle(_) | End::Stopping => {
                debug!(%listener, %address, reason = %end, "connection ended");
            }
            End::Read(ReadError::Io(_)) | End::Write(WriteError::Io(_)) => {
                debug!(%listener, %address, reason = %end, "connection broke");
            }
            End::Write(WriteError::Region(_)) => {
                warn!(%listener, %address, reason = %end, "connection closed");
            }
            _ => {
                self.gateway.metrics.connections_failed.inc();
                info!(%listener, %address, reason = %end, "connection closed");
            }
        }
    }

    /// Waits for the next thing that happens, and deals with it.
    async fn step(&mut self) -> Result<(), End> {
        let may_read = self.may_read();
        let is_empty = self.in_flight.is_empty();
        let frame_began = may_read && self.frames.is_in_frame();
        self.timer.arm(frame_began, !is_empty || self.waiting.is_some());
        let is_closing = self.phases.is_closing();
        if self.phases.is_closed() || (is_closing && is_empty && self.waiting.is_none()) {
            return Err(End::Stopping);
        }
        tokio::select! {
            biased;
            Some(done) = self.in_flight.next(), if !is_empty => self.answer(done).await,
            () = place(&mut self.stacks, self.waiting.as_ref().map(|(request, _)| request)), if self.waiting.is_some() => {
                self.start_waiting();
                Ok(())
            }
            frame = self.frames.next(&mut *self.stream), if may_read && !is_closing => {
                match frame? {
                    Incoming::Frame(frame, memory) => self.take_in(frame, memory),
                    Incoming::Part => Ok(()),
                    Incoming::End => Err(End::ByClient),
                }
            }
            () = self.phases.next() => Ok(()),
            () = self.timer.due() => self.timer.check(frame_began),
        }
    }

    fn may_read(&self) -> bool {
        self.waiting.is_none()
            && self.in_flight.len() < MAX_IN_FLIGHT_REQUESTS
            && self.bytes_in_flight < MAX_IN_FLIGHT_BYTES
            && self.fetches_in_flight < MAX_IN_FLIGHT_FETCHES
            && !self.timer.is_muted()
    }

    /// Reads the header and finds the route.
    fn take_in(&mut self, frame: Bytes, memory: MemoryPermit) -> Result<(), End> {
        self.timer.touch();
        self.gateway.metrics.bytes_in.inc_by(frame.len() as u64);
        let mut body = Reader::with_heap_budget(frame.clone(), decoded_limit(&frame));
        let header = decode_request_header(&mut body).map_err(ReadError::Frame)?;
        let key = ApiKey::from_code(header.api_key).ok_or(ReadError::Frame(
            FrameError::UnknownApiKey { api_key: header.api_key, api_version: header.api_version },
        ))?;
        let call = Call {
            gateway: self.gateway.clone(),
            key,
            version: header.api_version,
            correlation_id: header.correlation_id,
            client_id: cut_client_id(header.client_id),
            peer: self.peer.clone(),
            span: Span::none(),
        };
        let route = Route::find(key);
        match route.filter(|route| route.served().contains(&call.version)) {
            Some(route) => {
                let request = Request { route, call, body, memory };
                self.waiting = Some((request, self.timer.last_activity()));
                Ok(())
            }
            None if key == ApiKey::ApiVersions => {
                let answer = unsupported_api_versions(&call);
                self.in_flight.push_back(ready(Done { bytes: 0, answer, measured: None }).boxed());
                Ok(())
            }
            None => Err(End::Refused(refusal(&call, route))),
        }
    }

    /// The place of its class is there: the request starts. Its body is read in `call`, so requests reach the storage
    /// nodes in the order of their frames.
    fn start_waiting(&mut self) {
        let Some((request, received)) = self.waiting.take() else { return };
        let bytes = request.body.remaining();
        self.bytes_in_flight += bytes;
        let route = request.route;
        self.fetches_in_flight += usize::from(route.class == Class::Wait);
        let clock = self.gateway.seams.clock.clone();
        let started = clock.monotonic();
        let done = self.stacks.of(route.class).call(request).map(move |result| {
            let answer = match result {
                Ok(answer) => answer,
                Err(never) => match never {},
            };
            let steps = Steps { received, started, answered: clock.monotonic() };
            Done { bytes, answer, measured: Some((route, steps)) }
        });
        self.in_flight.push_back(done.boxed());
    }

    /// Sends an answer, and those behind it that are ready as well.
    async fn answer(&mut self, first: Done) -> Result<(), End> {
        let mut batch = Batch::default();
        let mut next = Some(first);
        while let Some(done) = next {
            self.bytes_in_flight -= done.bytes;
            let is_fetch =
                done.measured.as_ref().is_some_and(|(route, _)| route.class == Class::Wait);
            self.fetches_in_flight -= usize::from(is_fetch);
            self.collect(done, &mut batch);
            let is_full = batch.refused.is_some() || batch.frames.len() >= MAX_ANSWERS_PER_WRITE;
            next = match is_full {
                true => None,
                false => self.in_flight.next().now_or_never().flatten(),
            };
        }
        let bytes: usize = batch.frames.iter().map(|frame| frame.chunks.len()).sum();
        if bytes > 0 {
            self.writer.send(&mut *self.stream, batch.frames).await?;
            self.timer.touch();
            self.gateway.metrics.bytes_out.inc_by(bytes as u64);
        }
        let sent = self.timer.last_activity();
        for ((route, steps), trace) in batch.measured {
            self.gateway.metrics.of(route).count(&steps, sent, trace);
        }
        batch.refused.map_or(Ok(()), |reason| Err(End::Refused(reason)))
    }

    /// Keeps a frame to be sent, or why the connection must end.
    fn collect(&mut self, done: Done, batch: &mut Batch) {
        let mut trace = None;
        match done.answer {
            Answer::Send(frame) => {
                trace = frame.trace;
                if let Some(pause) = frame.mute {
                    self.timer.mute(pause);
                }
                batch.frames.push(frame);
            }
            Answer::Silent => {}
            Answer::Close(reason) => batch.refused = Some(reason),
        }
        batch.measured.extend(done.measured.map(|measured| (measured, trace)));
    }
}

/// Answers that leave together.
#[derive(Default)]
struct Batch {
    frames: Vec<Frame>,
    /// What is counted when they have left.
    measured: Vec<((&'static Route, Steps), Option<TraceParent>)>,
    /// Why the connection ends after them.
    refused: Option<String>,
}

/// Completes when there is a place for the request.
async fn place(stacks: &mut Stacks, request: Option<&Request>) {
    let Some(request) = request else { return };
    match stacks.of(request.route.class).ready().await {
        Ok(_) => {}
        Err(never) => match never {},
    }
}

/// Memory that the decoded form of this request may take: what its frame was charged for beyond its bytes, and a little more,
/// because the smallest requests grow most.
fn decoded_limit(frame: &Bytes) -> usize {
    let is_produce = frame.starts_with(&ApiKey::Produce.code().to_be_bytes());
    let weight = if is_produce { PRODUCE_WEIGHT } else { OTHER_WEIGHT };
    let charged = frame.len().saturating_mul(weight - 1).saturating_add(DECODED_ALLOWANCE_BYTES);
    charged.min(frame.len().saturating_mul(MAX_EXPANSION))
}

fn refusal(call: &Call, route: Option<&Route>) -> String {
    let (key, version) = (call.key, call.version);
    match route {
        None => format!("{key} (api key {}) is not served", key.code()),
        Some(route) => format!(
            "{key} version {version} is not served, only {} to {}; update the client (Kafka 4 refuses it as well)",
            route.served().start(),
            route.served().end()
        ),
    }
}
