//! Kafka's wire protocol: the only place in Ottla that knows Kafka's encodings of requests and responses.
//!
//! Where to look:
//! - `schema/*.txt` — one small table per message, written down from Kafka 4.3.1. `build.rs` turns them into
//!   [`messages`]: plain structs with Kafka's names and defaults, and [`Message::decode`] and [`Message::encode`] for
//!   every version.
//! - [`codec`] — the bounded [`Reader`] and the chunk-collecting [`Writer`] that the generated code works on.
//! - [`api_keys`] — the table of apis, their stable versions and which of them are flexible.
//! - [`frames`] — length, header, message; for the server's side and the client's.
//! - [`produce`] and [`fetch`] — the two messages that carry records, by hand: no string is copied on the way in, and on the
//!   way out records may be holes that the sender fills straight from a file.
//!
//! ```
//! use ottla_kafka_wire::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
//! use ottla_kafka_wire::{Message, Reader, Writer};
//!
//! let topic = MetadataRequestTopic { name: Some("orders".to_owned()), ..Default::default() };
//! let request = MetadataRequest { topics: Some(vec![topic]), ..Default::default() };
//! let mut writer = Writer::new();
//! request.encode(&mut writer, 12).unwrap();
//! let bytes = writer.finish().into_contiguous().unwrap();
//! assert_eq!(MetadataRequest::decode(&mut Reader::new(bytes), 12).unwrap(), request);
//! ```
//!
//! Invariant: bytes from a stranger never make it panic, nor allocate more than [`codec::MAX_EXPANSION`] times their
//! length; record batches are never copied. Deliberately knows no meaning: which version, error or default is right
//! is decided by the gateway; what is in a record batch by `log-format`.

pub mod api_keys;
pub mod codec;
pub mod fetch;
pub mod frames;
pub mod messages;
pub mod produce;

pub use api_keys::ApiKey;
pub use codec::{
    Chunk, ChunkList, DecodeError, EncodeError, ErrorTally, Message, Reader, Request, Writer,
};
pub use frames::{request_header_version, response_header_version};
