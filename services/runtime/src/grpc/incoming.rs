//! What a gRPC server accepts: a stream of connections that never ends by itself.
//!
//! Invariant: an error of `accept` costs a short pause, never the server; connections are bounded, and the next one waits; one
//! that does not begin to speak HTTP/2 within [`HANDSHAKE_LIMIT`] ends (afterwards keepalive watches it).

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::unfold;
use futures::{FutureExt, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::transport::server::Connected;
use tracing::warn;

use crate::seams::{Clock, Listener, NetStream};

/// Connections of one listener for other roles.
pub const MAX_GRPC_CONNECTIONS: usize = 4096;
/// Connections of one listener for people and their tools.
pub const MAX_ADMIN_CONNECTIONS: usize = 256;
/// How long a connection may take to send the first bytes of HTTP/2.
pub const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// Length of HTTP/2's first words, bytes.
const PREFACE_BYTES: usize = 24;
/// The pause after `accept` failed (out of descriptors, mostly).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Who is at the other end; found in the extensions of each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerInfo {
    /// The other end's address.
    pub remote: SocketAddr,
}

/// The connections of a listener for other roles, for `serve_with_incoming_shutdown`.
pub fn incoming(
    listener: Box<dyn Listener>,
    clock: Arc<dyn Clock>,
) -> impl Stream<Item = io::Result<GrpcIo>> + Send {
    up_to(MAX_GRPC_CONNECTIONS, listener, clock)
}

/// The connections of a listener for people and their tools.
pub fn admin_incoming(
    listener: Box<dyn Listener>,
    clock: Arc<dyn Clock>,
) -> impl Stream<Item = io::Result<GrpcIo>> + Send {
    up_to(MAX_ADMIN_CONNECTIONS, listener, clock)
}

fn up_to(
    connections: usize,
    listener: Box<dyn Listener>,
    clock: Arc<dyn Clock>,
) -> impl Stream<Item = io::Result<GrpcIo>> + Send {
    let slots = Arc::new(Semaphore::new(connections));
    unfold((listener, clock, slots), |(mut listener, clock, slots)| async move {
        let slot = Arc::clone(&slots).acquire_owned().await.ok()?;
        let (stream, remote) = loop {
            match listener.accept().await {
                Ok(accepted) => break accepted,
                Err(error) => {
                    warn!(%error, "cannot accept a gRPC connection; trying again");
                    clock.sleep(ACCEPT_PAUSE).await;
                }
            }
        };
        let handshake = Handshake { limit: clock.sleep(HANDSHAKE_LIMIT), missing: PREFACE_BYTES };
        let peer = PeerInfo { remote };
        let io = GrpcIo { stream, peer, handshake: Some(handshake), _slot: slot };
        Some((Ok(io), (listener, clock, slots)))
    })
}

/// One accepted connection.
pub struct GrpcIo {
    stream: Box<dyn NetStream>,
    peer: PeerInfo,
    handshake: Option<Handshake>,
    _slot: OwnedSemaphorePermit,
}

/// A connection that has not begun to speak yet.
struct Handshake {
    limit: BoxFuture<'static, ()>,
    missing: usize,
}

impl Connected for GrpcIo {
    type ConnectInfo = PeerInfo;

    fn connect_info(&self) -> PeerInfo {
        self.peer
    }
}

impl AsyncRead for GrpcIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        let Some(handshake) = &mut self.handshake else { return read };
        handshake.missing = handshake.missing.saturating_sub(buf.filled().len() - before);
        if handshake.missing == 0 {
            self.handshake = None;
        } else if read.is_pending() && handshake.limit.poll_unpin(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl AsyncWrite for GrpcIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
