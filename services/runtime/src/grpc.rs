//! gRPC over the network seam: what every server and channel of Ottla has in common.
//!
//! Invariant: a connection whose other end is gone is closed within [`KEEPALIVE_INTERVAL`] + [`KEEPALIVE_TIMEOUT`], in
//! production and in a simulation; windows and frames are the ones that carry record batches cheaply.
//! Deliberately knows no service.

mod channel;
mod incoming;
#[cfg(test)]
mod tests;

use std::time::Duration;

use tonic::transport::Server;

pub use channel::channel;
pub use incoming::{
    GrpcIo, HANDSHAKE_LIMIT, MAX_ADMIN_CONNECTIONS, MAX_GRPC_CONNECTIONS, PeerInfo, admin_incoming,
    incoming,
};

/// Bytes in flight to one stream.
pub const STREAM_WINDOW_BYTES: u32 = 16 << 20;
/// Bytes in flight to one connection.
pub const CONNECTION_WINDOW_BYTES: u32 = 64 << 20;
/// The longest HTTP/2 frame.
pub const MAX_FRAME_BYTES: u32 = 1 << 20;
/// Streams that may be open on one connection.
pub const MAX_STREAMS_PER_CONNECTION: u32 = 1024;
/// The longest list of headers of one request, bytes.
pub const MAX_HEADER_LIST_BYTES: u32 = 64 << 10;
/// How often a silent connection is asked whether it lives.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);
/// How long the answer may take.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a connection may take to be made.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes in flight to one stream of the admin service.
const ADMIN_STREAM_WINDOW_BYTES: u32 = 256 << 10;
/// Bytes in flight to one connection of the admin service.
const ADMIN_CONNECTION_WINDOW_BYTES: u32 = 1 << 20;
/// Streams that may be open on one connection of the admin service.
const ADMIN_STREAMS_PER_CONNECTION: u32 = 64;

/// A tonic server for the other roles. Serve it with `serve_with_incoming_shutdown(incoming(…), …)`.
pub fn server() -> Server {
    Server::builder()
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_adaptive_window(Some(false))
        .max_frame_size(MAX_FRAME_BYTES)
        .max_concurrent_streams(MAX_STREAMS_PER_CONNECTION)
        .http2_max_header_list_size(MAX_HEADER_LIST_BYTES)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
}

/// A tonic server for people and their tools: what one connection can make it hold is some megabytes.
pub fn admin_server() -> Server {
    server()
        .initial_stream_window_size(ADMIN_STREAM_WINDOW_BYTES)
        .initial_connection_window_size(ADMIN_CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(ADMIN_STREAMS_PER_CONNECTION)
}
