//! The bytes of commands and replies between processes: a format version, then postcard.
//!
//! Invariant: what one release encodes another one decodes or refuses with a typed error; bytes of a peer never panic, and take
//! no more memory than a bounded multiple of their length, which is bounded here. Postcard has no optional fields: a new field
//! is a new format version, a new command or reply a new variant at the end.
//! Deliberately does not know events: those are Kafka's records ([`crate::records`]).

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::command::Command;
use crate::reply::Reply;

/// Format of commands.
pub const COMMAND_VERSION: u8 = 1;
/// Format of replies.
pub const REPLY_VERSION: u8 = 1;

/// Largest command, in bytes: more than a batch of the log could hold of it.
pub const MAX_COMMAND_BYTES: usize = 16 << 20;
/// Largest reply, in bytes: all offsets of a group, or all that a group's leader needs to assign.
pub const MAX_REPLY_BYTES: usize = 64 << 20;

/// Bytes that are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// No bytes at all.
    #[error("no bytes")]
    Empty,
    /// Another format version than this release knows.
    #[error("format version {found}, and this release knows {known}: written by another release?")]
    Version {
        /// The version in the bytes.
        found: u8,
        /// The version that is known.
        known: u8,
    },
    /// More bytes than may be.
    #[error("{found} bytes, and at most {most} may be")]
    TooLarge {
        /// How many there are.
        found: usize,
        /// How many there may be.
        most: usize,
    },
    /// Cut off, or not of this form.
    #[error("malformed: {0}")]
    Malformed(String),
    /// More bytes than the value has.
    #[error("{0} bytes after the end")]
    Trailing(usize),
}

/// Encodes a command.
pub fn encode_command(command: &Command) -> Vec<u8> {
    encode(COMMAND_VERSION, command)
}

/// Decodes a command. Errors: see [`DecodeError`].
pub fn decode_command(bytes: &[u8]) -> Result<Command, DecodeError> {
    decode(bytes, COMMAND_VERSION, MAX_COMMAND_BYTES)
}

/// Encodes a reply.
pub fn encode_reply(reply: &Reply) -> Vec<u8> {
    encode(REPLY_VERSION, reply)
}

/// Decodes a reply. Errors: see [`DecodeError`].
pub fn decode_reply(bytes: &[u8]) -> Result<Reply, DecodeError> {
    decode(bytes, REPLY_VERSION, MAX_REPLY_BYTES)
}

fn encode<T: Serialize>(version: u8, value: &T) -> Vec<u8> {
    postcard::to_extend(value, vec![version]).expect("plain values serialize into memory")
}

fn decode<T: DeserializeOwned>(bytes: &[u8], known: u8, most: usize) -> Result<T, DecodeError> {
    if bytes.len() > most {
        return Err(DecodeError::TooLarge { found: bytes.len(), most });
    }
    let body = match bytes.split_first() {
        None => return Err(DecodeError::Empty),
        Some((&found, _)) if found != known => return Err(DecodeError::Version { found, known }),
        Some((_, body)) => body,
    };
    let (value, rest) = postcard::take_from_bytes(body)
        .map_err(|error: postcard::Error| DecodeError::Malformed(error.to_string()))?;
    if rest.is_empty() { Ok(value) } else { Err(DecodeError::Trailing(rest.len())) }
}

#[cfg(test)]
mod tests;
