//! One stream to one storage node: what is asked goes out in order, answers come back in any order.
//!
//! Invariant: a call's id is put into the outbox under the same lock that enters it, so no call is in flight on two connections;
//! when a stream breaks, every call that was made by then is answered before the next connection is tried. A call that is made
//! between two connections waits for the next: were it refused, one made right after it could arrive without it.
//! Deliberately does not know what the requests mean.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::StreamExt;
use http::uri::PathAndQuery;
use ottla_proto::storage::v1::exchange_request::Request;
use ottla_proto::storage::v1::{
    ExchangeOpening, ExchangeRequest, ExchangeResponse, TrafficClass, exchange_response,
};
use ottla_runtime::Seams;
use ottla_runtime::grpc::channel;
use ottla_runtime::seams::{Clock, HostPort, TaskHandle};
use ottla_runtime::telemetry::trace_parent_of;
use ottla_types::NodeId;
use tokio::sync::{Notify, oneshot};
use tokio::task::coop::unconstrained;
use tonic::transport::Channel;

use super::table::{Answer, Cost, Reply, Table};
use crate::backoff::Backoff;
use crate::context::wire::{context_to_wire, failure_from_wire, unreachable};
use crate::context::{CallError, RequestContext};
use crate::frames::open;
use crate::outbox::Outbox;
use crate::storage::{EXCHANGE_PATH, MAX_FRAME_BYTES, MAX_PARTITIONS_PER_REQUEST};

/// The pause after the first failed connection.
pub const RECONNECT_PAUSE_FIRST: Duration = Duration::from_millis(20);
/// The longest pause between two connections.
pub const RECONNECT_PAUSE_MOST: Duration = Duration::from_secs(1);

const TOO_MANY_PARTITIONS: &str = "more partitions than one request may name; ask in several";

/// One stream, its table and the task that keeps it connected.
pub(super) struct Link {
    shared: Arc<Shared>,
    /// In a lock only because a handle cannot be shared between threads.
    driver: Mutex<TaskHandle>,
}

struct Shared {
    peer: String,
    opening: ExchangeOpening,
    table: Mutex<Table>,
    /// The ids of the calls that are to be sent.
    outbox: Arc<Outbox<u64>>,
    /// Held by the first that waits for room; the others queue for it, in their order.
    turn: tokio::sync::Mutex<()>,
    /// A call ended while somebody may have waited for its room.
    room: Notify,
    clock: Arc<dyn Clock>,
}

impl Link {
    pub(super) fn new(
        seams: &Seams,
        node: NodeId,
        address: &HostPort,
        class: TrafficClass,
    ) -> Self {
        let shared = Arc::new(Shared {
            peer: format!("storage node {node} at {address}"),
            opening: ExchangeOpening { to_node_id: node.0, traffic_class: class.into() },
            table: Mutex::default(),
            outbox: Arc::new(Outbox::new()),
            turn: tokio::sync::Mutex::default(),
            room: Notify::new(),
            clock: Arc::clone(&seams.clock),
        });
        let backoff = Backoff::new(seams, RECONNECT_PAUSE_FIRST, RECONNECT_PAUSE_MOST);
        let driving = drive(Arc::clone(&shared), channel(&seams.net, address), backoff);
        let driver = seams.tasks.spawn("storage link", Box::pin(driving));
        Self { shared, driver: Mutex::new(driver) }
    }

    /// Asks, and waits for the answer as long as the context allows.
    pub(super) async fn call(
        &self,
        context: &RequestContext,
        request: Request,
        cost: Cost,
    ) -> Answer {
        let (reply, answer) = oneshot::channel();
        let frame = frame(context, request)?;
        let id = self.shared.try_enter(cost, frame, Reply::Answer(reply));
        let id = id.map_err(|_| CallError::Overloaded(self.shared.peer.clone()))?;
        let _waiting = Waiting { shared: &self.shared, id };
        tokio::select! {
            biased;
            answer = answer => match answer.unwrap_or(Err(CallError::Stopping))? {
                exchange_response::Response::Failure(failure) => {
                    Err(failure_from_wire(failure, &self.shared.peer, context.timeout))
                }
                response => Ok(response),
            },
            () = self.shared.clock.sleep(context.timeout) => Err(CallError::TimedOut(context.timeout)),
        }
    }

    /// Sends what nobody answers: waits for room, and until it is sent, so that its caller holds on to the memory till then. A
    /// caller that goes away once there was room takes nothing back.
    pub(super) async fn tell(
        &self,
        context: &RequestContext,
        request: Request,
        cost: Cost,
    ) -> Result<(), CallError> {
        if !cost.fits() {
            return Err(CallError::Overloaded(self.shared.peer.clone()));
        }
        let frame = frame(context, request)?;
        let mut entered = None;
        let telling = async {
            let (reply, sent) = oneshot::channel();
            entered = Some(self.shared.enter_in_turn(cost, frame, Reply::Sent(reply)).await);
            sent.await.unwrap_or(Err(CallError::Stopping))
        };
        tokio::select! {
            biased;
            told = telling => return told,
            () = self.shared.clock.sleep(context.timeout) => {}
        }
        if let Some(id) = entered {
            self.shared.end(id);
        }
        Err(CallError::TimedOut(context.timeout))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // No call is pending: each borrows its link.
        if let Ok(driver) = self.driver.get_mut() {
            driver.abort();
        }
    }
}

/// Takes the call out of the table when its caller goes away.
struct Waiting<'a> {
    shared: &'a Shared,
    id: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.shared.end(self.id);
    }
}

impl Shared {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().expect("nothing panics while it holds this lock")
    }

    /// Enters a call and queues it, or gives it back when there is no room.
    fn try_enter(
        &self,
        cost: Cost,
        frame: ExchangeRequest,
        reply: Reply,
    ) -> Result<u64, Box<(ExchangeRequest, Reply)>> {
        let mut table = self.table();
        if !table.has_room(cost) {
            return Err(Box::new((frame, reply)));
        }
        let id = table.enter(cost, frame, reply);
        self.outbox.push(id);
        Ok(id)
    }

    /// Enters a call when there is room: at the first poll if there is, else after those that waited before.
    async fn enter_in_turn(&self, cost: Cost, frame: ExchangeRequest, reply: Reply) -> u64 {
        // Unconstrained: tokio's budget must not put the first poll off until after the next call's.
        let _turn = unconstrained(self.turn.lock()).await;
        let mut waiting = (frame, reply);
        loop {
            match self.try_enter(cost, waiting.0, waiting.1) {
                Ok(id) => return id,
                Err(refused) => waiting = *refused,
            }
            self.room.notified().await;
        }
    }

    /// Ends a call; whoever waits for room may try again.
    fn end(&self, id: u64) -> Option<Reply> {
        let reply = self.table().end(id);
        self.room.notify_one();
        reply
    }

    /// The frame of a call that is about to be sent, if it still should be.
    fn send(&self, id: u64) -> Option<ExchangeRequest> {
        let frame = self.table().send(id);
        self.room.notify_one();
        frame
    }

    fn answer(&self, response: ExchangeResponse) {
        let Some(Reply::Answer(reply)) = self.end(response.correlation_id) else { return };
        let answer = response.response.ok_or_else(|| {
            CallError::Malformed(
                "the answer is of a kind that this version does not know".to_owned(),
            )
        });
        // A caller that went away in this very moment does not need it.
        _ = reply.send(answer);
    }

    /// Answers every call that was made by now with this error.
    fn answer_all(&self, error: &CallError) {
        let replies = {
            let mut table = self.table();
            drop(self.outbox.close());
            table.end_all()
        };
        self.room.notify_one();
        for reply in replies {
            reply.fail(error.clone());
        }
    }
}

/// Keeps one stream open while there is something to ask.
async fn drive(shared: Arc<Shared>, channel: Channel, mut backoff: Backoff) {
    loop {
        shared.outbox.filled().await;
        let error = exchange(&shared, channel.clone(), &mut backoff).await;
        tracing::debug!(%error, "the stream ended");
        shared.answer_all(&error);
        backoff.pause().await;
    }
}

/// One stream from its opening to its end; returns what ended it.
async fn exchange(shared: &Arc<Shared>, channel: Channel, backoff: &mut Backoff) -> CallError {
    let opening = ExchangeRequest {
        correlation_id: 0,
        context: None,
        request: Some(Request::Opening(shared.opening)),
    };
    let sending = Arc::clone(shared);
    let frames = shared.outbox.open().filter_map(move |id| std::future::ready(sending.send(id)));
    let frames = futures::stream::iter([opening]).chain(frames).boxed();
    let path = PathAndQuery::from_static(EXCHANGE_PATH);
    let mut answers = match open(channel, path, frames, MAX_FRAME_BYTES).await {
        Ok(answers) => answers,
        Err(status) => return unreachable(&shared.peer, &status),
    };
    loop {
        match answers.message().await {
            Ok(Some(response)) => {
                backoff.reset();
                shared.answer(response);
            }
            Ok(None) => return ended(&shared.peer),
            Err(status) => return unreachable(&shared.peer, &status),
        }
    }
}

fn ended(peer: &str) -> CallError {
    CallError::Unreachable { peer: peer.to_owned(), cause: "it ended the stream".to_owned() }
}

/// The frame of a request, which gets its id when it is entered.
fn frame(context: &RequestContext, request: Request) -> Result<ExchangeRequest, CallError> {
    if partitions(&request) > MAX_PARTITIONS_PER_REQUEST {
        return Err(CallError::Malformed(TOO_MANY_PARTITIONS.to_owned()));
    }
    let context = context_to_wire(context, trace_parent_of(&context.span));
    Ok(ExchangeRequest { correlation_id: 0, context: Some(context), request: Some(request) })
}

fn partitions(request: &Request) -> usize {
    match request {
        Request::Opening(_)
        | Request::InitProducerId(_)
        | Request::DescribeNodeConfigs(_)
        | Request::Coordinate(_) => 0,
        Request::Produce(produce) => produce.partitions.len(),
        Request::Fetch(fetch) => fetch.partitions.len(),
        Request::ListOffsets(list) => list.partitions.len(),
        Request::DeleteRecords(delete) => delete.partitions.len(),
        Request::OffsetForLeaderEpoch(ends) => ends.partitions.len(),
        Request::DescribeProducers(describe) => describe.partitions.len(),
        Request::DescribeLogDirs(describe) => {
            describe.partitions.as_ref().map_or(0, |wanted| wanted.partitions.len())
        }
    }
}
