//! One record of the write-ahead log as bytes: a header with checksum, then the payload, padded to eight bytes.
//!
//! Invariant: a frame that parses is one that was written whole. `synced_up_to` says which records were durable when this one
//! was written: it tells a torn tail (may be cut) from a damaged record (may not).
//! Deliberately does not know what a payload means.

/// First bytes of a frame.
const MAGIC: u32 = u32::from_le_bytes(*b"OWR1");
/// Bytes before the payload.
pub(super) const HEADER_BYTES: usize = 32;
/// Frames begin at multiples of this.
pub(super) const ALIGNMENT_BYTES: usize = 8;
/// Empty parts of a segment are skipped in blocks of this size.
const BLOCK_BYTES: usize = 4096;
/// Longest payload. A `Ready` never holds more: the driver takes in less than a quarter of it per turn.
pub(super) const MAX_PAYLOAD_BYTES: usize = 64 << 20;

/// Where a record stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    /// Number of the record; each is one more than the one before.
    pub(super) sequence: u64,
    /// All records up to this number were durable when this one was written.
    pub(super) synced_up_to: u64,
}

/// What is at some position of a segment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parsed<'a> {
    /// A whole record; the next begins `frame_bytes` further on.
    Record { header: FrameHeader, payload: &'a [u8], frame_bytes: usize },
    /// Nothing was written here.
    Empty,
    /// Something was, but not whole.
    Broken,
}

/// Bytes that a frame with this payload takes.
pub(super) fn frame_bytes(payload_bytes: usize) -> usize {
    (HEADER_BYTES + payload_bytes).next_multiple_of(ALIGNMENT_BYTES)
}

/// The frame of a payload.
pub(super) fn encode(header: FrameHeader, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a payload is bounded by MAX_PAYLOAD_BYTES");
    let mut frame = Vec::with_capacity(frame_bytes(payload.len()));
    frame.extend_from_slice(&MAGIC.to_le_bytes());
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(&header.sequence.to_le_bytes());
    frame.extend_from_slice(&header.synced_up_to.to_le_bytes());
    let checksum = checksum(&frame, payload);
    frame.extend_from_slice(&checksum.to_le_bytes());
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame.resize(frame_bytes(payload.len()), 0);
    frame
}

/// What is at the beginning of `bytes`.
pub(super) fn parse(bytes: &[u8]) -> Parsed<'_> {
    let Some(head) = bytes.get(..HEADER_BYTES) else {
        return if bytes.iter().all(|&b| b == 0) { Parsed::Empty } else { Parsed::Broken };
    };
    if head.iter().all(|&b| b == 0) {
        return Parsed::Empty;
    }
    let length = u32_at(head, 4) as usize;
    if u32_at(head, 0) != MAGIC || length > MAX_PAYLOAD_BYTES {
        return Parsed::Broken;
    }
    let Some(payload) = bytes.get(HEADER_BYTES..HEADER_BYTES + length) else {
        return Parsed::Broken;
    };
    if u32_at(head, 24) != checksum(&head[..24], payload) {
        return Parsed::Broken;
    }
    let header = FrameHeader { sequence: u64_at(head, 8), synced_up_to: u64_at(head, 16) };
    Parsed::Record { header, payload, frame_bytes: frame_bytes(length) }
}

/// Whether anything but zeros is there.
pub(super) fn has_content(bytes: &[u8]) -> bool {
    bytes.chunks(BLOCK_BYTES).any(|block| !is_zero(block))
}

/// The highest `synced_up_to` of all whole records in `bytes`, wherever they begin.
pub(super) fn highest_synced(bytes: &[u8]) -> Option<u64> {
    let blocks = (0..bytes.len()).step_by(BLOCK_BYTES);
    let written = blocks.filter(|at| !is_zero(&bytes[*at..bytes.len().min(at + BLOCK_BYTES)]));
    let positions = written.flat_map(|at| (at..at + BLOCK_BYTES).step_by(ALIGNMENT_BYTES));
    let mut highest = None;
    for at in positions.take_while(|at| *at < bytes.len()) {
        if bytes[at..].starts_with(&MAGIC.to_le_bytes())
            && let Parsed::Record { header, .. } = parse(&bytes[at..])
        {
            highest = highest.max(Some(header.synced_up_to));
        }
    }
    highest
}

fn is_zero(block: &[u8]) -> bool {
    *block == [0; BLOCK_BYTES][..block.len()]
}

fn checksum(head: &[u8], payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(head), payload)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEADER: FrameHeader = FrameHeader { sequence: 7, synced_up_to: 5 };

    #[test]
    fn zeros_are_empty_and_a_cut_frame_is_broken() {
        assert_eq!(parse(&[0; 64]), Parsed::Empty);
        assert_eq!(parse(&[]), Parsed::Empty);
        let frame = encode(HEADER, b"some payload");
        for cut in 1..frame.len() - 4 {
            assert_eq!(parse(&frame[..cut]), Parsed::Broken, "{cut}");
        }
    }

    #[test]
    fn a_record_behind_damage_is_found() {
        let mut bytes = vec![0xee; 40];
        bytes.extend(encode(HEADER, b"x"));
        assert_eq!(highest_synced(&bytes), Some(5));
        assert_eq!(highest_synced(&[0; 400]), None);
    }

    proptest! {
        #[test]
        fn a_frame_leads_back_to_its_payload(payload in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut bytes = encode(HEADER, &payload);
            let whole = bytes.len();
            bytes.extend([0xaa; 9]);
            prop_assert_eq!(parse(&bytes), Parsed::Record { header: HEADER, payload: &payload, frame_bytes: whole });
        }

        #[test]
        fn a_changed_bit_breaks_a_frame(payload in proptest::collection::vec(any::<u8>(), 0..64), bit in 0usize..(28 * 8)) {
            let mut bytes = encode(HEADER, &payload);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(parse(&bytes), Parsed::Broken);
        }
    }
}
