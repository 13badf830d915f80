//! What a gRPC server accepts: a stream of connections that never ends by itself.
//!
//! Invariant: an error of `accept` costs a short pause, never the server; at most [`MAX_GRPC_CONNECTIONS`] are open at once, and
//! the next one waits.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;
use futures::stream::unfold;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::transport::server::Connected;
use tracing::warn;

use crate::seams::{Clock, Listener, NetStream};

/// Connections of one gRPC listener.
pub const MAX_GRPC_CONNECTIONS: usize = 4096;
/// The pause after `accept` failed (out of descriptors, mostly).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Who is at the other end; found in the extensions of each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerInfo {
    /// The other end's address.
    pub remote: SocketAddr,
}

/// The connections of a listener, for `serve_with_incoming_shutdown`.
pub fn incoming(
    listener: Box<dyn Listener>,
    clock: Arc<dyn Clock>,
) -> impl Stream<Item = io::Result<GrpcIo>> + Send {
    let slots = Arc::new(Semaphore::new(MAX_GRPC_CONNECTIONS));
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
        let io = GrpcIo { stream, peer: PeerInfo { remote }, _slot: slot };
        Some((Ok(io), (listener, clock, slots)))
    })
}

/// One accepted connection.
pub struct GrpcIo {
    stream: Box<dyn NetStream>,
    peer: PeerInfo,
    _slot: OwnedSemaphorePermit,
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
        Pin::new(&mut self.stream).poll_read(cx, buf)
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
