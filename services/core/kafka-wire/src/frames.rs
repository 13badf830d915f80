//! Frames: a length, a header, a message. Both sides: requests in and responses out, and the client's mirror image.
//!
//! Invariant: the header's version follows from api key and version as in Kafka, so that a request of an unknown version
//! still has a readable header. Deliberately does not know who is connected nor what is served.

use bytes::Bytes;

use crate::api_keys::ApiKey;
use crate::codec::{ChunkList, DecodeError, EncodeError, Message, Reader, Request, Writer};

/// Bytes of the length in front of each frame.
pub const LENGTH_BYTES: usize = 4;

/// What stands in front of every request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// The api key's number; known.
    pub api_key: i16,
    /// The version of the request, known or not.
    pub api_version: i16,
    /// Comes back in the response.
    pub correlation_id: i32,
    /// The client's name for itself, unchecked and of up to 32,767 bytes.
    pub client_id: Option<String>,
}

/// A frame that has no readable header. Kafka's answer is to close the connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The length is negative or above the limit.
    #[error("a frame of {length} bytes (limit {limit})")]
    Length {
        /// The length on the wire.
        length: i32,
        /// The most that is accepted.
        limit: usize,
    },
    /// No such api.
    #[error("unknown api key {api_key} version {api_version}")]
    UnknownApiKey {
        /// The number on the wire.
        api_key: i16,
        /// The version on the wire.
        api_version: i16,
    },
    /// The header's bytes are wrong.
    #[error("malformed request header: {0}")]
    Header(#[from] DecodeError),
}

/// The length of the frame that follows these four bytes.
///
/// # Errors
/// It is negative or above the limit.
pub fn frame_length(prefix: [u8; LENGTH_BYTES], limit: usize) -> Result<usize, FrameError> {
    let length = i32::from_be_bytes(prefix);
    match usize::try_from(length) {
        Ok(bytes) if bytes <= limit => Ok(bytes),
        _ => Err(FrameError::Length { length, limit }),
    }
}

/// The version of the header in front of a request of this key and version, known or not.
pub fn request_header_version(key: ApiKey, version: i16) -> i16 {
    match key {
        // The one request that ever had the oldest header, without a client id.
        ApiKey::ControlledShutdown if version == 0 => 0,
        _ if key.is_flexible(version) => 2,
        _ => 1,
    }
}

/// The version of the header in front of a response to a request of this key and version.
pub fn response_header_version(key: ApiKey, version: i16) -> i16 {
    match key {
        // A client that asks with a version that the server does not know must be able to read the answer.
        ApiKey::ApiVersions => 0,
        _ if key.is_flexible(version) => 1,
        _ => 0,
    }
}

/// Reads the header of a request; the reader then stands at the message.
///
/// # Errors
/// The api key is unknown, or the bytes are no header.
pub fn decode_request_header(reader: &mut Reader) -> Result<RequestHeader, FrameError> {
    let api_key = reader.i16()?;
    let api_version = reader.i16()?;
    let correlation_id = reader.i32()?;
    let known = ApiKey::from_code(api_key);
    let key = known.ok_or(FrameError::UnknownApiKey { api_key, api_version })?;
    let header_version = request_header_version(key, api_version);
    // The client id keeps its old encoding in the flexible header too.
    let client_id = if header_version >= 1 { reader.nullable_string(false)? } else { None };
    if header_version >= 2 {
        reader.tagged_fields(|_, _| Ok(false))?;
    }
    Ok(RequestHeader { api_key, api_version, correlation_id, client_id })
}

/// Starts a response: header written, the message comes next, then [`finish_frame`].
pub fn start_response(key: ApiKey, version: i16, correlation_id: i32) -> Writer {
    let mut writer = Writer::for_frame();
    writer.i32(correlation_id);
    if response_header_version(key, version) >= 1 {
        writer.uvarint(0);
    }
    writer
}

/// Puts the length in front of what [`start_response`] began.
///
/// # Errors
/// The frame is longer than 2³¹−1 bytes.
pub fn finish_frame(writer: Writer) -> Result<ChunkList, EncodeError> {
    writer.finish_frame()
}

/// A whole response frame, its length included.
///
/// # Errors
/// The message cannot be said in this version, or is no response.
pub fn encode_response<M: Message>(
    version: i16,
    correlation_id: i32,
    message: &M,
) -> Result<ChunkList, EncodeError> {
    let key = M::API_KEY.and_then(ApiKey::from_code);
    let key = key.ok_or(EncodeError::UnsupportedVersion { message: M::NAME, version })?;
    let mut writer = start_response(key, version, correlation_id);
    message.encode(&mut writer, version)?;
    writer.finish_frame()
}

/// A whole request frame, its length included.
///
/// # Errors
/// The message cannot be said in this version.
pub fn encode_request<R: Request>(
    version: i16,
    correlation_id: i32,
    client_id: Option<&str>,
    message: &R,
) -> Result<ChunkList, EncodeError> {
    let key = ApiKey::from_code(R::KEY);
    let key = key.ok_or(EncodeError::UnsupportedVersion { message: R::NAME, version })?;
    let header_version = request_header_version(key, version);
    let mut writer = Writer::for_frame();
    writer.i16(R::KEY);
    writer.i16(version);
    writer.i32(correlation_id);
    if header_version >= 1 {
        writer.nullable_string(false, client_id)?;
    }
    if header_version >= 2 {
        writer.uvarint(0);
    }
    message.encode(&mut writer, version)?;
    writer.finish_frame()
}

/// Reads a response's header and returns its correlation id; the reader then stands at the message.
///
/// # Errors
/// The bytes are no header.
pub fn decode_response_header(
    reader: &mut Reader,
    key: ApiKey,
    version: i16,
) -> Result<i32, DecodeError> {
    let correlation_id = reader.i32()?;
    if response_header_version(key, version) >= 1 {
        reader.tagged_fields(|_, _| Ok(false))?;
    }
    Ok(correlation_id)
}

/// Reads a whole response (without the frame's length) to a request of type `R`: its correlation id and the message.
///
/// # Errors
/// The bytes are no such response, or more follow.
pub fn decode_response<R: Request>(
    frame: Bytes,
    version: i16,
) -> Result<(i32, R::Response), DecodeError> {
    let unsupported = DecodeError::UnsupportedVersion { message: R::NAME, version };
    let key = ApiKey::from_code(R::KEY).ok_or(unsupported)?;
    let mut reader = Reader::new(frame);
    let correlation_id = decode_response_header(&mut reader, key, version)?;
    let message = R::Response::decode(&mut reader, version)?;
    reader.expect_end()?;
    Ok((correlation_id, message))
}

#[cfg(test)]
mod tests;
