//! The bytes of events, images, commands and replies: a format version, then postcard.
//!
//! Invariant: what was encoded once is decoded for ever; bytes from a disk or a peer give a value or a typed error, never a
//! panic, and never take more memory than a small multiple of their length. Postcard has no optional fields: a new field
//! in an old event is a new format version here, a new event a new variant at the end.
//! Deliberately holds no checksum: write-ahead log, snapshots and transport have theirs.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::command::{Command, Reply};
use crate::event::Event;
use crate::image::{BrokenImage, Image, StoredImage, StoredImageV1};

/// Format of event batches.
pub const EVENTS_VERSION: u8 = 1;
/// Format of image snapshots that are written; those of version 1 are read as well.
pub const IMAGE_VERSION: u8 = 2;
/// Format of commands.
pub const COMMAND_VERSION: u8 = 1;
/// Format of replies.
pub const REPLY_VERSION: u8 = 1;

/// Largest batch of events, in bytes: one entry of the quorum's log.
pub const MAX_BATCH_BYTES: usize = 16 << 20;
/// Most events of a batch.
pub const MAX_EVENTS_PER_BATCH: usize = 32_768;
/// Largest single event, in bytes: a topic of as many partitions as a request may make.
pub const MAX_EVENT_BYTES: usize = MAX_BATCH_BYTES / 2;
/// Largest image, in bytes.
pub const MAX_IMAGE_BYTES: usize = 1 << 30;
/// Largest command or reply, in bytes.
pub const MAX_COMMAND_BYTES: usize = 16 << 20;

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
    /// More bytes or events than may be.
    #[error("{found} {unit}, and at most {most} may be")]
    TooLarge {
        /// How many there are.
        found: usize,
        /// How many there may be.
        most: usize,
        /// Bytes or events.
        unit: &'static str,
    },
    /// Cut off, or not of this form.
    #[error("malformed: {0}")]
    Malformed(String),
    /// A snapshot of an image that cannot be.
    #[error(transparent)]
    Broken(#[from] BrokenImage),
    /// More bytes than the value has.
    #[error("{0} bytes after the end")]
    Trailing(usize),
}

/// Encodes a batch of events.
pub fn encode_events(events: &[Event]) -> Vec<u8> {
    encode(EVENTS_VERSION, &events)
}

/// Decodes a batch of events. Errors: see [`DecodeError`].
pub fn decode_events(bytes: &[u8]) -> Result<Vec<Event>, DecodeError> {
    let body = body(bytes, EVENTS_VERSION, MAX_BATCH_BYTES)?;
    let (count, mut rest) = take::<usize>(body)?;
    if count > MAX_EVENTS_PER_BATCH {
        let (found, most) = (count, MAX_EVENTS_PER_BATCH);
        return Err(DecodeError::TooLarge { found, most, unit: "events" });
    }
    let mut events = Vec::with_capacity(count.min(rest.len()));
    for _ in 0..count {
        let (event, after) = take::<Event>(rest)?;
        events.push(event);
        rest = after;
    }
    no_rest(rest)?;
    Ok(events)
}

/// Length of an event within a batch, in bytes.
pub fn event_len(event: &Event) -> usize {
    postcard::experimental::serialized_size(event).unwrap_or(usize::MAX)
}

/// Encodes an image as a snapshot holds it.
pub fn encode_image(image: &Image) -> Vec<u8> {
    encode(IMAGE_VERSION, image)
}

/// Decodes a snapshot. Errors: see [`DecodeError`].
pub fn decode_image(bytes: &[u8]) -> Result<Image, DecodeError> {
    let stored: StoredImage = match bytes.first() {
        Some(1) => decode::<StoredImageV1>(bytes, 1, MAX_IMAGE_BYTES)?.into(),
        _ => decode(bytes, IMAGE_VERSION, MAX_IMAGE_BYTES)?,
    };
    Ok(Image::try_from(stored)?)
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
    decode(bytes, REPLY_VERSION, MAX_COMMAND_BYTES)
}

fn encode<T: Serialize>(version: u8, value: &T) -> Vec<u8> {
    postcard::to_extend(value, vec![version]).expect("plain values serialize into memory")
}

fn decode<T: DeserializeOwned>(bytes: &[u8], version: u8, most: usize) -> Result<T, DecodeError> {
    let (value, rest) = take(body(bytes, version, most)?)?;
    no_rest(rest)?;
    Ok(value)
}

/// The bytes after the version.
fn body(bytes: &[u8], known: u8, most: usize) -> Result<&[u8], DecodeError> {
    let found = bytes.len();
    if found > most {
        return Err(DecodeError::TooLarge { found, most, unit: "bytes" });
    }
    match bytes.split_first() {
        None => Err(DecodeError::Empty),
        Some((&found, _)) if found != known => Err(DecodeError::Version { found, known }),
        Some((_, body)) => Ok(body),
    }
}

fn take<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, &[u8]), DecodeError> {
    postcard::take_from_bytes(bytes).map_err(|error| DecodeError::Malformed(error.to_string()))
}

fn no_rest(rest: &[u8]) -> Result<(), DecodeError> {
    if rest.is_empty() { Ok(()) } else { Err(DecodeError::Trailing(rest.len())) }
}
