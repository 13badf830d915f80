//! A request on its way from the socket to its handler.
//!
//! Invariant: the body is a slice of the frame that was read; nothing of it is copied. Deliberately does not know how the
//! body is to be read: that is the handler's.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ottla_api::RequestContext;
use ottla_kafka_wire::frames::{finish_frame, start_response};
use ottla_kafka_wire::{ApiKey, EncodeError, Message, Reader, Writer};
use ottla_metadata::Image;
use ottla_metadata::topic_config::ClusterDefaults;
use ottla_types::limits::MAX_CLIENT_ID_BYTES;
use ottla_types::{ListenerName, NodeId, Principal};
use tracing::Span;

use crate::answer::{Answer, Frame};
use crate::connection::{AnswerAccount, MemoryPermit};
use crate::gateway::Gateway;
use crate::router::Route;

/// Who is at the other end of a connection, and what the port says that it came in on.
#[derive(Debug)]
pub(crate) struct Peer {
    /// The listener.
    pub(crate) listener: ListenerName,
    /// The storage node that the port stands for; `None` on a bootstrap port.
    pub(crate) addressed: Option<NodeId>,
    /// Where it comes from.
    pub(crate) address: SocketAddr,
    /// Who it is.
    pub(crate) principal: Principal,
    /// The memory that its answers take.
    pub(crate) answers: Arc<AnswerAccount>,
}

/// A request with its route, before its body is read.
pub(crate) struct Request {
    /// Its row of the table.
    pub(crate) route: &'static Route,
    /// What its handler needs to know.
    pub(crate) call: Call,
    /// Stands at the body.
    pub(crate) body: Reader,
    /// The memory that the frame takes; given back when the request is answered.
    pub(crate) memory: MemoryPermit,
}

/// What a handler knows of its request besides the body.
pub(crate) struct Call {
    /// The gateway.
    pub(crate) gateway: Arc<Gateway>,
    /// The API.
    pub(crate) key: ApiKey,
    /// The version.
    pub(crate) version: i16,
    /// Comes back in the response.
    pub(crate) correlation_id: i32,
    /// The client's name for itself, cut to [`MAX_CLIENT_ID_BYTES`].
    pub(crate) client_id: Option<String>,
    /// The other end.
    pub(crate) peer: Arc<Peer>,
    /// The span of the request; none when it is not sampled.
    pub(crate) span: Span,
}

impl Call {
    /// The context of a call to another role.
    pub(crate) fn context(&self, timeout: Duration) -> RequestContext {
        RequestContext {
            principal: self.peer.principal.clone(),
            listener: self.peer.listener.clone(),
            client_id: self.client_id.clone(),
            timeout,
            span: self.span.clone(),
        }
    }

    /// What topics have that say nothing themselves, on the storage node that the client means.
    pub(crate) fn topic_defaults(&self, image: &Image) -> ClusterDefaults {
        let node = self.peer.addressed.or(self.gateway.backends.own());
        image.topic_defaults(&self.gateway.config.topic_defaults, node)
    }

    /// The encoded response.
    pub(crate) fn answer<M: Message>(&self, message: &M) -> Answer {
        self.answer_in(self.version, message)
    }

    /// The response in another version than the request's.
    pub(crate) fn answer_in<M: Message>(&self, version: i16, message: &M) -> Answer {
        self.answer_with(|writer| message.encode(writer, version))
    }

    /// The response that `encode` writes after the header.
    pub(crate) fn answer_with(
        &self,
        encode: impl FnOnce(&mut Writer) -> Result<(), EncodeError>,
    ) -> Answer {
        let mut writer = start_response(self.key, self.version, self.correlation_id);
        let encoded = encode(&mut writer);
        self.gateway.metrics.tell_errors(self.key, writer.errors());
        match encoded.and_then(|()| finish_frame(writer)) {
            Ok(chunks) => Answer::Send(Frame::new(chunks, &self.peer.answers)),
            Err(error) => Answer::Close(format!(
                "{} version {} cannot be answered: {error}; this is a fault of Ottla's, please report it",
                self.key, self.version
            )),
        }
    }
}

/// The client's name, cut where a character begins.
pub(crate) fn cut_client_id(client_id: Option<String>) -> Option<String> {
    let mut text = client_id?;
    let end = (0..=MAX_CLIENT_ID_BYTES.min(text.len())).rev().find(|&at| text.is_char_boundary(at));
    text.truncate(end.unwrap_or(0));
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_client_id_is_cut_where_a_character_begins() {
        let long = "é".repeat(200);
        let cut = cut_client_id(Some(long)).unwrap();
        assert_eq!(cut.len(), 256);
        let odd = format!("x{}", "é".repeat(200));
        assert_eq!(cut_client_id(Some(odd)).unwrap().len(), 255);
        assert_eq!(cut_client_id(Some("kcat".to_owned())).as_deref(), Some("kcat"));
        assert_eq!(cut_client_id(None), None);
    }
}
