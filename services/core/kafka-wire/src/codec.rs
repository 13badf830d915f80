//! The traits that every message keeps, and the reader and writer that they work on.
//!
//! Invariant: what `encode` writes, `decode` reads back to an equal value, for every known version. Deliberately knows no
//! message.

mod chunks;
mod error;
mod reader;
mod tally;
mod text;
mod writer;

use std::ops::RangeInclusive;

pub use chunks::{Chunk, ChunkList};
pub use error::{DecodeError, EncodeError};
pub use reader::{
    MAX_DECODED_HEAP_BYTES, MAX_EXPANSION, MAX_STRING_BYTES, MAX_TAGGED_FIELDS, Reader,
};
pub use tally::ErrorTally;
pub use text::Text;
pub use writer::{COPY_LIMIT_BYTES, Writer};

/// A message of Kafka's protocol: a request, a response, a header, or a structure that others embed as bytes.
pub trait Message: Sized + Default {
    /// The api key of a request or response.
    const API_KEY: Option<i16>;
    /// Kafka's name, such as `FetchRequest`.
    const NAME: &'static str;
    /// Versions that can be read and written, a newest one that Kafka calls unstable included. Empty for a reserved key.
    const KNOWN_VERSIONS: RangeInclusive<i16>;

    /// Reads one message. Bytes that follow it stay in the reader: Kafka ignores them in a request, and so may the
    /// caller; who must not calls [`Reader::expect_end`].
    ///
    /// # Errors
    /// The bytes are not a message of this version; the reader is then at an undefined place.
    fn decode(reader: &mut Reader, version: i16) -> Result<Self, DecodeError>;

    /// Appends the message.
    ///
    /// # Errors
    /// The value cannot be said in this version; the writer then holds an undefined part of it.
    fn encode(&self, writer: &mut Writer, version: i16) -> Result<(), EncodeError>;
}

/// A message that a client sends.
pub trait Request: Message {
    /// What answers it.
    type Response: Message;
    /// The api key.
    const KEY: i16;
    /// The stable versions of Kafka 4.3.1. Empty for a reserved key.
    const VERSIONS: RangeInclusive<i16>;

    /// Whether the version has compact types and tagged fields.
    fn flexible(version: i16) -> bool;
}

/// A part of a message. The version was checked by the message.
pub(crate) trait Structure: Sized + Default {
    /// Fewest bytes that the structure takes on the wire in any version.
    const MIN_SIZE: usize;

    fn read(reader: &mut Reader, version: i16) -> Result<Self, DecodeError>;
    fn write(&self, writer: &mut Writer, version: i16) -> Result<(), EncodeError>;
}

#[cfg(test)]
mod tests;
