//! Takes what peers send, and hands it to the member as values.
//!
//! Invariant: a snapshot's stream gives exactly the announced bytes or ends with an error.
//! Deliberately checks only what the encoding needs.

use std::sync::Arc;

use futures::{StreamExt, stream};
use ottla_proto::controller::v1 as wire;
use ottla_proto::controller::v1::install_snapshot_request::Part;
use ottla_proto::controller::v1::raft_service_server::{RaftService, RaftServiceServer};
use tokio::sync::watch;
use tonic::service::RoutesBuilder;
use tonic::{Request, Response, Status, Streaming};

use super::{
    IncomingSnapshot, MAX_RAFT_MESSAGE_BYTES, MAX_SNAPSHOT_BYTES, RaftEnvelope, RaftReceiver,
};
use crate::context::wire::required;
use crate::context::{CallError, Malformed};

/// The gRPC face of a member towards its peers.
#[derive(Clone)]
pub struct RaftServer {
    receiver: Arc<dyn RaftReceiver>,
    draining: Arc<watch::Sender<bool>>,
}

impl RaftServer {
    /// Hands everything to this receiver.
    pub fn new(receiver: Arc<dyn RaftReceiver>) -> Self {
        Self { receiver, draining: Arc::new(watch::Sender::new(false)) }
    }

    /// Adds the service to those of a port.
    pub fn add_to(&self, routes: &mut RoutesBuilder) {
        let service =
            RaftServiceServer::new(self.clone()).max_decoding_message_size(MAX_RAFT_MESSAGE_BYTES);
        routes.add_service(service);
    }

    /// Ends all streams. A graceful shutdown of the port waits for that.
    pub fn drain(&self) {
        self.draining.send_replace(true);
    }
}

fn invalid(malformed: Malformed) -> Status {
    Status::invalid_argument(malformed.to_string())
}

#[tonic::async_trait]
impl RaftService for RaftServer {
    async fn send(
        &self,
        request: Request<Streaming<wire::SendRequest>>,
    ) -> Result<Response<wire::SendResponse>, Status> {
        let mut sends = request.into_inner();
        let mut draining = self.draining.subscribe();
        loop {
            let send = tokio::select! {
                biased;
                _ = draining.wait_for(|draining| *draining) => break,
                send = sends.message() => send?,
            };
            let Some(send) = send else { break };
            let envelopes = send.envelopes.into_iter().map(RaftEnvelope::try_from);
            self.receiver.receive(envelopes.collect::<Result<_, _>>().map_err(invalid)?);
        }
        Ok(Response::new(wire::SendResponse {}))
    }

    async fn install_snapshot(
        &self,
        request: Request<Streaming<wire::InstallSnapshotRequest>>,
    ) -> Result<Response<wire::InstallSnapshotResponse>, Status> {
        let mut parts = request.into_inner();
        let Some(Part::Header(header)) = parts.message().await?.and_then(|first| first.part) else {
            return Err(Status::invalid_argument("the first part is not the header"));
        };
        let envelope = required(header.envelope, "the envelope is missing").map_err(invalid)?;
        if header.total_bytes > MAX_SNAPSHOT_BYTES {
            return Err(Status::invalid_argument("the snapshot is too large"));
        }
        let snapshot = IncomingSnapshot {
            envelope: envelope.try_into().map_err(invalid)?,
            bytes: header.total_bytes,
            data: data(parts, header.total_bytes).boxed(),
        };
        let installed = self.receiver.install_snapshot(snapshot).await;
        let accepted = installed.is_ok();
        let message = installed.err().unwrap_or_default();
        Ok(Response::new(wire::InstallSnapshotResponse { accepted, message }))
    }
}

/// Exactly so many bytes, or an error.
fn data(
    parts: Streaming<wire::InstallSnapshotRequest>,
    bytes: u64,
) -> impl futures::Stream<Item = Result<bytes::Bytes, CallError>> + Send {
    stream::unfold(Some((parts, bytes)), |state| async {
        let (mut parts, left) = state?;
        if left == 0 {
            return None;
        }
        let missing = || CallError::Malformed(format!("{left} bytes of a snapshot are missing"));
        let data = match parts.message().await {
            Ok(Some(wire::InstallSnapshotRequest { part: Some(Part::Data(data)) })) => data,
            Ok(_) | Err(_) => return Some((Err(missing()), None)),
        };
        match left.checked_sub(data.len() as u64) {
            Some(left) => Some((Ok(data), Some((parts, left)))),
            None => {
                let error =
                    CallError::Malformed("a snapshot has more bytes than it said".to_owned());
                Some((Err(error), None))
            }
        }
    })
}
