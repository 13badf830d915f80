//! The bytes of a snapshot's file: header with checksum, members, image, checksum of all.
//!
//! Invariant: decoding takes no more memory than the bytes received justify, and never panics.

use ottla_types::{DirectoryId, MetadataOffset, NodeId};
use protobuf::Message as _;
use raft::eraftpb::ConfState;
use serde::{Deserialize, Serialize};

use super::{MAX_IMAGE_BYTES, Snapshot, SnapshotHead};
use crate::quorum::wal::Position;

const MAGIC: &[u8; 8] = b"OttlaSNP";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 64;
/// Longest list of members, bytes.
const MAX_MEMBERS_BYTES: u32 = 64 << 10;

/// Who belongs to the quorum.
#[derive(Serialize, Deserialize)]
struct Members {
    /// In raft's encoding.
    conf_state: Vec<u8>,
    later_disks: Vec<(NodeId, DirectoryId)>,
}

/// Header and members.
pub(super) fn encode_head(snapshot: &Snapshot) -> Vec<u8> {
    let head = &snapshot.head;
    let conf_state = head.conf_state.write_to_bytes().expect("writing to memory does not fail");
    let members = Members { conf_state, later_disks: head.later_disks.clone() };
    let members = postcard::to_stdvec(&members).expect("plain values serialize");
    let mut out = Vec::with_capacity(HEADER_BYTES + members.len());
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    let members_bytes = u32::try_from(members.len()).expect("members are few");
    out.extend_from_slice(&members_bytes.to_le_bytes());
    let numbers = [head.position.index, head.position.term, head.offset.0, head.hash];
    for number in numbers.into_iter().chain([snapshot.image.len() as u64]) {
        out.extend_from_slice(&number.to_le_bytes());
    }
    let checksum = crc32c::crc32c(&out);
    out.extend_from_slice(&checksum.to_le_bytes());
    out.resize(HEADER_BYTES, 0);
    out.extend_from_slice(&members);
    out
}

/// The checksum at the end of a file.
pub(super) fn checksum(snapshot: &Snapshot) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&encode_head(snapshot)), &snapshot.image)
}

/// The snapshot of a file's bytes, or what is wrong with them.
pub(super) fn decode(bytes: &[u8]) -> Result<Snapshot, &'static str> {
    let header = bytes.get(..HEADER_BYTES).ok_or("it is too short")?;
    let u32_at = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("four bytes"));
    let u64_at =
        |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().expect("eight bytes"));
    if &header[..8] != MAGIC {
        return Err("it does not begin like a snapshot");
    }
    if u32_at(56) != crc32c::crc32c(&header[..56]) {
        return Err("the checksum of its header is wrong");
    }
    if u32_at(8) != VERSION {
        return Err("it is of another version");
    }
    let (members_bytes, image_bytes) = (u32_at(12), u64_at(48));
    if members_bytes > MAX_MEMBERS_BYTES || image_bytes > MAX_IMAGE_BYTES {
        return Err("it says to be longer than a snapshot can be");
    }
    let image_at = HEADER_BYTES + members_bytes as usize;
    let tail_at = image_at + usize::try_from(image_bytes).expect("checked above");
    let tail = bytes.get(tail_at..).and_then(|tail| <[u8; 4]>::try_from(tail).ok());
    let tail = tail.ok_or("its length is not the one that it says")?;
    if u32::from_le_bytes(tail) != crc32c::crc32c(&bytes[..tail_at]) {
        return Err("its checksum is wrong");
    }
    let not_understood = "its members are not understood";
    let members: Members =
        postcard::from_bytes(&bytes[HEADER_BYTES..image_at]).map_err(|_| not_understood)?;
    let conf_state =
        ConfState::parse_from_bytes(&members.conf_state).map_err(|_| not_understood)?;
    let head = SnapshotHead {
        position: Position { index: u64_at(16), term: u64_at(24) },
        conf_state,
        later_disks: members.later_disks,
        offset: MetadataOffset(u64_at(32)),
        hash: u64_at(40),
    };
    Ok(Snapshot { head, image: bytes[image_at..tail_at].to_vec() })
}
