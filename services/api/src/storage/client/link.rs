//! One stream to one storage node: what is asked goes out in order, answers come back in any order.
//!
//! Invariant: a frame is put into the outbox under the same lock that enters its call, so no call is in flight on two
//! connections; when a stream breaks, every call that was made on it is answered before the next connection is tried.
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
use tokio::sync::oneshot;
use tonic::transport::Channel;

use super::table::{Answer, Cost, Table};
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
    outbox: Arc<Outbox<ExchangeRequest>>,
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
        let id = self.shared.ask(context, request, cost, Some(reply))?;
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

    /// Sends what nobody answers.
    pub(super) fn tell(
        &self,
        context: &RequestContext,
        request: Request,
        cost: Cost,
    ) -> Result<(), CallError> {
        self.shared.ask(context, request, cost, None).map(drop)
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
        drop(self.shared.table().end(self.id));
    }
}

impl Shared {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().expect("nothing panics while it holds this lock")
    }

    fn ask(
        &self,
        context: &RequestContext,
        request: Request,
        cost: Cost,
        reply: Option<oneshot::Sender<Answer>>,
    ) -> Result<u64, CallError> {
        if partitions(&request) > MAX_PARTITIONS_PER_REQUEST {
            return Err(CallError::Malformed(TOO_MANY_PARTITIONS.to_owned()));
        }
        let context = context_to_wire(context, trace_parent_of(&context.span));
        let mut table = self.table();
        if let Some(down) = &table.down {
            return Err(down.clone());
        }
        let Some(correlation_id) = table.enter(cost, reply) else {
            return Err(CallError::Overloaded(self.peer.clone()));
        };
        self.outbox.push(ExchangeRequest {
            correlation_id,
            context: Some(context),
            request: Some(request),
        });
        Ok(correlation_id)
    }

    fn answer(&self, response: ExchangeResponse) {
        let Some(reply) = self.table().end(response.correlation_id) else { return };
        let answer = response.response.ok_or_else(|| {
            CallError::Malformed(
                "the answer is of a kind that this version does not know".to_owned(),
            )
        });
        // A caller that went away in this very moment does not need it.
        _ = reply.send(answer);
    }

    /// Answers every call with this error; new ones get it at once, until a connection is tried again.
    fn answer_all(&self, error: &CallError) {
        let replies = {
            let mut table = self.table();
            drop(self.outbox.close());
            table.down = Some(error.clone());
            table.end_all()
        };
        for reply in replies {
            _ = reply.send(Err(error.clone()));
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
        shared.table().down = None;
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
    let frames = shared
        .outbox
        .open()
        .filter(move |frame| std::future::ready(sending.table().send(frame.correlation_id)));
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

fn partitions(request: &Request) -> usize {
    match request {
        Request::Opening(_) | Request::InitProducerId(_) | Request::DescribeNodeConfigs(_) => 0,
        Request::Produce(produce) => produce.partitions.len(),
        Request::Fetch(fetch) => fetch.partitions.len(),
        Request::ListOffsets(list) => list.partitions.len(),
        Request::DescribeLogDirs(describe) => {
            describe.partitions.as_ref().map_or(0, |wanted| wanted.partitions.len())
        }
    }
}
