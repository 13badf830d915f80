//! One connection: reads requests, lets them overlap, answers them in their order.
//!
//! Invariant: answers leave in the order of their requests; a client that sends without reading is not read any further;
//! whatever a client sends, it ends at most its own connection, with one line in the log.
//! Deliberately does not know any API.

mod accept;
mod answers;
mod end;
mod frame_reader;
mod in_flight;
mod intake;
mod memory;
mod place;
mod region;
mod slots;
mod timed;
mod timer;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ottla_runtime::seams::NetStream;
use tower::Service;

pub(crate) use accept::{Port, accept};
pub(crate) use answers::{AnswerAccount, AnswerMemory, HeldAnswer};
use end::End;
use frame_reader::{FrameReader, Incoming};
use in_flight::{Done, InFlight};
use intake::{Taken, read_request};
pub(crate) use memory::{MemoryBudget, MemoryPermit};
use place::place;
pub(crate) use slots::Slots;
use timed::Timed;
use timer::Timer;
use writer::Writer;

use crate::answer::{Answer, Frame};
use crate::gateway::{Gateway, Phases};
use crate::layers::Stacks;
use crate::metrics::{Ended, Steps};
use crate::request::{Peer, Request};
use crate::router::Route;

/// Answers in one write.
const MAX_ANSWERS_PER_WRITE: usize = 64;
/// A frame that began must be complete after this time.
const FRAME_DEADLINE: Duration = Duration::from_secs(30);
/// A connection.
pub(crate) struct Connection {
    gateway: Arc<Gateway>,
    peer: Arc<Peer>,
    stream: Box<dyn NetStream>,
    frames: FrameReader,
    stacks: Stacks,
    writer: Writer,
    in_flight: InFlight,
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
            stream,
            frames: FrameReader::new(limits.max_request_bytes, gateway.memory.clone()),
            stacks: gateway.stacks(),
            writer: Writer {
                clock: gateway.seams.clock.clone(),
                tasks: gateway.seams.tasks.clone(),
                patience: limits.max_idle,
                answers: peer.answers.clone(),
            },
            in_flight: InFlight::default(),
            waiting: None,
            timer: Timer::new(gateway.seams.clock.clone(), limits.max_idle, FRAME_DEADLINE),
            phases: gateway.phases.clone(),
            peer,
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
        if end.log(&self.peer) {
            self.gateway.metrics.connections_failed.inc();
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
            () = place(&mut self.stacks, self.waiting.as_ref(), is_empty), if self.waiting.is_some() => {
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
        let has_room = self.in_flight.has_room() && !self.peer.answers.is_full();
        self.waiting.is_none() && has_room && !self.timer.is_muted()
    }

    /// Takes a frame that was read.
    fn take_in(&mut self, frame: Bytes, memory: MemoryPermit) -> Result<(), End> {
        self.timer.touch();
        self.gateway.metrics.bytes_in.inc_by(frame.len() as u64);
        match read_request(&self.gateway, &self.peer, (frame, memory))? {
            Taken::Request(request) => {
                self.waiting = Some((request, self.timer.last_activity()));
            }
            Taken::Answered(answer) => self.in_flight.push_answered(answer),
        }
        Ok(())
    }

    /// The place of its class is there: the request starts. Its body is read in `call`, so requests reach the storage
    /// nodes in the order of their frames.
    fn start_waiting(&mut self) {
        let Some((request, received)) = self.waiting.take() else { return };
        let (route, bytes, version) =
            (request.route, request.body.remaining(), request.call.version);
        let clock = self.gateway.seams.clock.clone();
        let started = clock.monotonic();
        let steps =
            Steps { version, bytes, received, started, local: Duration::ZERO, answered: started };
        let work = Timed::new(self.stacks.of(route.class).call(request), clock, steps);
        self.in_flight.push(route, bytes, work);
    }

    /// Sends an answer, and those behind it that are ready as well.
    async fn answer(&mut self, first: Done) -> Result<(), End> {
        let mut batch = Batch::default();
        let mut next = Some(first);
        while let Some(done) = next {
            self.collect(done, &mut batch);
            let is_full = batch.refused.is_some() || batch.frames.len() >= MAX_ANSWERS_PER_WRITE;
            next = match is_full {
                true => None,
                false => self.in_flight.next_ready(),
            };
        }
        let bytes: usize = batch.frames.iter().map(|frame| frame.chunks.len()).sum();
        if bytes > 0 {
            self.writer.send(&mut *self.stream, batch.frames).await?;
            self.timer.touch();
            self.gateway.metrics.bytes_out.inc_by(bytes as u64);
        }
        let sent = self.timer.last_activity();
        for (route, ended) in batch.ended {
            self.gateway.metrics.of(route).count(&ended, sent);
        }
        batch.refused.map_or(Ok(()), |reason| Err(End::Refused(reason)))
    }

    /// Keeps a frame to be sent, or why the connection must end.
    fn collect(&mut self, done: Done, batch: &mut Batch) {
        let (mut trace, mut bytes, mut throttle) = (None, 0, Duration::ZERO);
        match done.answer {
            Answer::Send(frame) => {
                (trace, bytes) = (frame.trace, frame.chunks.len());
                if let Some(pause) = frame.mute {
                    throttle = pause;
                    self.timer.mute(pause);
                }
                batch.frames.push(frame);
            }
            Answer::Silent => {}
            Answer::Close(reason) => batch.refused = Some(reason),
        }
        let ended =
            done.measured.map(|(route, steps)| (route, Ended { steps, bytes, throttle, trace }));
        batch.ended.extend(ended);
    }
}

/// Answers that leave together.
#[derive(Default)]
struct Batch {
    frames: Vec<Frame>,
    /// What is counted when they have left.
    ended: Vec<(&'static Route, Ended)>,
    /// Why the connection ends after them.
    refused: Option<String>,
}
