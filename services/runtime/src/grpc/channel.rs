//! Channels to other roles: made at once, connected at the first call, connected again after a failure.
//!
//! Invariant: connections go through the network seam. Control and bulk traffic use a channel each: one connection per channel.

use std::sync::Arc;

use hyper_util::rt::TokioIo;
use tonic::transport::{Channel, Endpoint, Uri};
use tower::service_fn;

use crate::grpc::{
    CONNECT_TIMEOUT, CONNECTION_WINDOW_BYTES, KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT,
    MAX_FRAME_BYTES, MAX_HEADER_LIST_BYTES, STREAM_WINDOW_BYTES,
};
use crate::seams::{HostPort, Net};

/// A channel to this address. Calls fail with `Unavailable` while nobody answers there; the next call tries again.
pub fn channel(net: &Arc<dyn Net>, address: &HostPort) -> Channel {
    let connector = {
        let (net, address) = (Arc::clone(net), address.clone());
        // The address is dialled as it was given; the URI only names it in `:authority`.
        service_fn(move |_: Uri| {
            let connecting = net.connect(&address);
            async move { connecting.await.map(TokioIo::new) }
        })
    };
    Endpoint::from(uri(address))
        .connect_timeout(CONNECT_TIMEOUT)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_adaptive_window(false)
        .max_frame_size(MAX_FRAME_BYTES)
        .http2_max_header_list_size(MAX_HEADER_LIST_BYTES)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .connect_with_connector_lazy(connector)
}

/// A host that no URI can hold still gets a channel: connecting will say what is wrong with it.
fn uri(address: &HostPort) -> Uri {
    let named = format!("http://{address}").parse();
    named.unwrap_or_else(|_| Uri::from_static("http://unnamed.invalid"))
}
