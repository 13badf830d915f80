//! One stream of one gateway: reads frames, begins their requests in order, sends answers as they are ready.
//!
//! Invariant: what runs and what is ready but unsent is bounded; where a bound is reached no frame is read, and HTTP/2 holds the
//! gateway back. Ends when the gateway goes away, or, while draining, once all that was begun is answered.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use futures::stream::FuturesUnordered;
use futures::{FutureExt, Stream, StreamExt};
use ottla_proto::storage::v1::exchange_request::Request;
use ottla_proto::storage::v1::{ExchangeRequest, ExchangeResponse};
use ottla_runtime::Seams;
use ottla_types::NodeId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::coop::unconstrained;
use tonic::Status;

use super::dispatch::{Answered, answer};
use crate::frames::FrameReader;
use crate::outbox::{Outbox, Outgoing};
use crate::storage::Storage;

/// Most requests of one stream that run at once; more than a gateway of ours has outstanding.
pub const MAX_RUNNING_REQUESTS: usize = 32_768;
/// Most bytes of records in the running requests of one stream, above which no frame is read.
pub const MAX_RUNNING_BYTES: usize = 128 << 20;
/// Most bytes of fetched records of one stream that are in memory and not sent.
pub const MAX_READY_BYTES: usize = 64 << 20;

/// Room that an answer takes while it is in memory.
pub(super) type Room = OwnedSemaphorePermit;

/// The room for answers of one stream.
#[derive(Clone)]
pub(super) struct ReadyBytes(Arc<Semaphore>);

impl ReadyBytes {
    fn new() -> Self {
        Self(Arc::new(Semaphore::new(MAX_READY_BYTES)))
    }

    /// Waits for room for so many bytes; a larger answer takes all there is.
    pub(super) async fn take(&self, bytes: usize) -> Option<Room> {
        let bytes = u32::try_from(bytes.min(MAX_READY_BYTES)).ok()?;
        Arc::clone(&self.0).acquire_many_owned(bytes).await.ok()
    }
}

/// An answer on its way out.
struct Ready {
    frame: Result<ExchangeResponse, Status>,
    /// Given back when the answer is taken.
    _room: Option<Room>,
}

/// A request that runs: its id, its bytes, its answer.
type Running = Pin<Box<dyn Future<Output = (u64, usize, Answered)> + Send>>;

pub(super) struct Connection {
    node: NodeId,
    storage: Arc<dyn Storage>,
    draining: watch::Receiver<bool>,
    outbox: Arc<Outbox<Ready>>,
    ready_bytes: ReadyBytes,
    running: FuturesUnordered<Running>,
    running_bytes: usize,
    /// Held by the stream of answers: closed when the gateway is gone.
    taker: Option<watch::Sender<()>>,
    gone: watch::Receiver<()>,
}

impl Connection {
    pub(super) fn new(
        node: NodeId,
        storage: Arc<dyn Storage>,
        draining: watch::Receiver<bool>,
    ) -> Self {
        let (taker, gone) = watch::channel(());
        Self {
            node,
            storage,
            draining,
            outbox: Arc::new(Outbox::new()),
            ready_bytes: ReadyBytes::new(),
            running: FuturesUnordered::new(),
            running_bytes: 0,
            taker: Some(taker),
            gone,
        }
    }

    /// What the gateway reads; the connection ends when this is dropped.
    pub(super) fn answers(
        &mut self,
    ) -> impl Stream<Item = Result<ExchangeResponse, Status>> + Send + use<> {
        let taker = self.taker.take();
        let outgoing: Outgoing<Ready> = self.outbox.open();
        outgoing.map(move |ready| {
            let _alive = &taker;
            ready.frame
        })
    }

    /// Serves the stream to its end.
    pub(super) async fn serve(mut self, mut frames: FrameReader<ExchangeRequest>, seams: Seams) {
        if let Err(status) = check_opening(self.node, &mut frames).await {
            self.outbox.push(Ready { frame: Err(status), _room: None });
        } else {
            self.exchange(&mut frames, &seams).await;
        }
        self.outbox.finish();
    }

    async fn exchange(&mut self, frames: &mut FrameReader<ExchangeRequest>, seams: &Seams) {
        let mut draining = self.draining.clone();
        let mut gone = self.gone.clone();
        let mut reading = true;
        while reading || !self.running.is_empty() {
            let room = self.has_room();
            tokio::select! {
                biased;
                _ = gone.changed() => return,
                _ = draining.wait_for(|draining| *draining), if reading => reading = false,
                Some(answered) = self.running.next() => self.answered(answered),
                frame = frames.message(), if reading && room => match frame {
                    Ok(Some(frame)) => self.begin(frame, seams),
                    Ok(None) | Err(_) => reading = false,
                },
            }
        }
    }

    fn has_room(&self) -> bool {
        self.running.len() + self.outbox.len() < MAX_RUNNING_REQUESTS
            && self.running_bytes < MAX_RUNNING_BYTES
    }

    /// Begins a request: polls it once, before the next frame is read.
    fn begin(&mut self, frame: ExchangeRequest, seams: &Seams) {
        let (id, bytes) = (frame.correlation_id, carried_bytes(&frame));
        self.running_bytes += bytes;
        let storage = Arc::clone(&self.storage);
        let answering = answer(frame, storage, seams.clone(), self.ready_bytes.clone());
        let mut running: Running = Box::pin(answering.map(move |answered| (id, bytes, answered)));
        // Unconstrained: tokio's budget must not put the first poll off until after the next frame's.
        match unconstrained(&mut running).now_or_never() {
            Some(answered) => self.answered(answered),
            None => self.running.push(running),
        }
    }

    fn answered(&mut self, (correlation_id, bytes, answered): (u64, usize, Answered)) {
        self.running_bytes -= bytes;
        if let Some((response, room)) = answered {
            let frame = ExchangeResponse { correlation_id, response: Some(response) };
            self.outbox.push(Ready { frame: Ok(frame), _room: room });
        }
    }
}

/// The first frame says whom the gateway means.
async fn check_opening(
    node: NodeId,
    frames: &mut FrameReader<ExchangeRequest>,
) -> Result<(), Status> {
    let opening = match frames.message().await?.and_then(|frame| frame.request) {
        Some(Request::Opening(opening)) => opening,
        _ => return Err(Status::invalid_argument("the first frame does not open the stream")),
    };
    if opening.to_node_id == node.0 {
        return Ok(());
    }
    Err(Status::failed_precondition(format!(
        "this is storage node {}, not {}; check ottla.storage.listener and its .advertised twin",
        node, opening.to_node_id
    )))
}

fn carried_bytes(frame: &ExchangeRequest) -> usize {
    match &frame.request {
        Some(Request::Produce(produce)) => {
            produce.partitions.iter().map(|partition| partition.records.len()).sum()
        }
        Some(Request::Coordinate(coordinate)) => coordinate.command.len(),
        _ => 0,
    }
}
