//! Walking over the batches of a segment file.
//!
//! Invariant: memory is one fixed buffer, whatever lengths the file claims. `Headers` trusts the file (it was written or
//! recovered by this program) and reads headers only; `verify` trusts nothing and reads every byte.

use std::io;

use ottla_log_format::{BATCH_HEADER_BYTES, BatchError, BatchHeader, CRC_START};
use ottla_runtime::seams::DiskFile;
use ottla_types::Offset;

/// Bytes that are read at once when only headers matter: small batches cost no read each, large ones little.
const HEADER_BUFFER_BYTES: usize = 4096;
/// Bytes that are read at once when every byte matters.
const VERIFY_BUFFER_BYTES: usize = 256 * 1024;

/// A part of a file, read through one buffer.
struct Window<'f> {
    file: &'f dyn DiskFile,
    buffer: Vec<u8>,
    start: u64,
    filled: usize,
    end: u64,
}

impl<'f> Window<'f> {
    fn new(file: &'f dyn DiskFile, end: u64, capacity: usize) -> Self {
        Self { file, buffer: vec![0; capacity], start: 0, filled: 0, end }
    }

    /// Some of the bytes at `position`, at most `len`; none at the end only.
    fn some(&mut self, position: u64, len: usize) -> io::Result<&[u8]> {
        let buffered = self.start + self.filled as u64;
        let is_there = position >= self.start && position < buffered;
        let len = if is_there { len.min((buffered - position) as usize) } else { len };
        self.bytes(position, len)
    }

    /// The bytes at `position`: `len` of them or as many as lie before the end and fit the buffer.
    fn bytes(&mut self, position: u64, len: usize) -> io::Result<&[u8]> {
        let left = usize::try_from(self.end.saturating_sub(position)).unwrap_or(usize::MAX);
        let len = len.min(left).min(self.buffer.len());
        let is_there =
            position >= self.start && position + len as u64 <= self.start + self.filled as u64;
        if !is_there {
            let wanted = left.min(self.buffer.len());
            self.filled = 0;
            self.start = position;
            while self.filled < len {
                let at = position + self.filled as u64;
                match self.file.read_at(&mut self.buffer[self.filled..wanted], at)? {
                    0 => break,
                    read => self.filled += read,
                }
            }
        }
        let from = (position - self.start) as usize;
        Ok(&self.buffer[from.min(self.filled)..(from + len).min(self.filled)])
    }
}

/// A batch's header and where its batch begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Located {
    pub(super) header: BatchHeader,
    pub(super) position: u64,
}

impl Located {
    pub(super) fn end(&self) -> u64 {
        self.position + self.header.size_bytes() as u64
    }
}

/// Why a walk over trusted batches stopped before the end.
#[derive(Debug, thiserror::Error)]
pub(super) enum ScanError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("position {position}: {error}")]
    Batch { position: u64, error: BatchError },
}

/// The headers of a file from a batch's beginning on.
pub(super) struct Headers<'f> {
    window: Window<'f>,
    position: u64,
}

impl<'f> Headers<'f> {
    /// The batches in `from..end`, both of which are where a batch begins or ends.
    pub(super) fn new(file: &'f dyn DiskFile, from: u64, end: u64) -> Self {
        Self { window: Window::new(file, end, HEADER_BUFFER_BYTES), position: from }
    }

    pub(super) fn next(&mut self) -> Result<Option<Located>, ScanError> {
        let position = self.position;
        if position >= self.window.end {
            return Ok(None);
        }
        let bytes = self.window.bytes(position, BATCH_HEADER_BYTES)?;
        let located = BatchHeader::decode(bytes)
            .map(|header| Located { header, position })
            .map_err(|error| ScanError::Batch { position, error })?;
        if located.end() > self.window.end {
            let need = located.header.size_bytes();
            let error = BatchError::TooShort { have: (self.window.end - position) as usize, need };
            return Err(ScanError::Batch { position, error });
        }
        self.position = located.end();
        Ok(Some(located))
    }
}

/// Why a file's bytes do not go on as batches.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The bytes are no batch.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// A batch does not begin where the one before ended.
    #[error("a batch begins at offset {found}, expected {expected}")]
    Contiguity {
        /// Where the batch before ended.
        expected: i64,
        /// Where this one begins.
        found: i64,
    },
}

/// Where the sound part of a file ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SoundEnd {
    pub(super) position: u64,
    pub(super) next_offset: Offset,
    /// What is wrong with the bytes behind it; `None` at the end of the file.
    pub(super) damage: Option<Damage>,
}

/// From where `verify` goes, and what it demands.
#[derive(Clone, Copy, Debug)]
pub(super) struct VerifyFrom {
    pub(super) position: u64,
    pub(super) end: u64,
    pub(super) next_offset: Offset,
    /// Compaction leaves gaps between batches.
    pub(super) allows_gaps: bool,
}

/// Reads batches until one is not sound, and gives each sound one to `each`.
pub(super) fn verify(
    file: &dyn DiskFile,
    from: VerifyFrom,
    each: &mut dyn FnMut(&Located),
) -> io::Result<SoundEnd> {
    let mut window = Window::new(file, from.end, VERIFY_BUFFER_BYTES);
    let mut sound =
        SoundEnd { position: from.position, next_offset: from.next_offset, damage: None };
    while sound.position < from.end {
        match verify_one(&mut window, sound.position)? {
            Err(error) => {
                sound.damage = Some(error.into());
                break;
            }
            Ok(located) => {
                let (found, expected) = (located.header.base_offset, sound.next_offset);
                if found < expected || (found > expected && !from.allows_gaps) {
                    sound.damage =
                        Some(Damage::Contiguity { expected: expected.0, found: found.0 });
                    break;
                }
                each(&located);
                sound.position = located.end();
                sound.next_offset = located.header.next_offset();
            }
        }
    }
    Ok(sound)
}

/// The batch at `position`, if it is whole and its checksum holds.
fn verify_one(window: &mut Window<'_>, position: u64) -> io::Result<Result<Located, BatchError>> {
    let bytes = window.bytes(position, BATCH_HEADER_BYTES)?;
    let header = match BatchHeader::decode(bytes) {
        Ok(header) => header,
        Err(error) => return Ok(Err(error)),
    };
    let located = Located { header, position };
    let (have, need) = (window.end - position, header.size_bytes());
    if need as u64 > have {
        return Ok(Err(BatchError::TooShort { have: have as usize, need }));
    }
    if let Some(error) = field_error(&header) {
        return Ok(Err(error));
    }
    let (mut at, mut computed) = (position + CRC_START as u64, 0);
    while at < located.end() {
        let wanted = (located.end() - at).min(VERIFY_BUFFER_BYTES as u64) as usize;
        let bytes = window.some(at, wanted)?;
        if bytes.is_empty() {
            return Ok(Err(BatchError::TooShort { have: (at - position) as usize, need }));
        }
        computed = crc32c::crc32c_append(computed, bytes);
        at += bytes.len() as u64;
    }
    let stored = header.crc;
    Ok(if computed == stored { Ok(located) } else { Err(BatchError::Crc { stored, computed }) })
}

fn field_error(header: &BatchHeader) -> Option<BatchError> {
    let (record_count, last_offset_delta) = (header.record_count, header.last_offset_delta);
    if record_count < 0 || i64::from(record_count) > i64::from(last_offset_delta) + 1 {
        return Some(BatchError::RecordCount { record_count, last_offset_delta });
    }
    let base = header.base_offset.0;
    let overflows = base.checked_add(i64::from(last_offset_delta) + 1).is_none();
    (base < 0 || overflows).then_some(BatchError::BaseOffset { base_offset: base })
}

/// The position of the first sound batch in `from..end` whose base offset is in `offsets`, wherever it begins: what stands
/// behind damage. Reads all of it, byte by byte.
pub(super) fn find_sound_batch(
    file: &dyn DiskFile,
    range: std::ops::Range<u64>,
    offsets: std::ops::Range<i64>,
) -> io::Result<Option<u64>> {
    let mut window = Window::new(file, range.end, VERIFY_BUFFER_BYTES);
    let mut probe = Window::new(file, range.end, VERIFY_BUFFER_BYTES);
    let mut position = range.start;
    loop {
        let bytes = window.bytes(position, VERIFY_BUFFER_BYTES)?;
        if bytes.len() < BATCH_HEADER_BYTES {
            return Ok(None);
        }
        let candidates = bytes.windows(BATCH_HEADER_BYTES).enumerate();
        let likely = candidates.filter(|(_, bytes)| is_likely(bytes, &offsets)).map(|(at, _)| at);
        for at in likely {
            let at = position + at as u64;
            if verify_one(&mut probe, at)?.is_ok() {
                return Ok(Some(at));
            }
        }
        position += (bytes.len() - BATCH_HEADER_BYTES + 1) as u64;
    }
}

fn is_likely(bytes: &[u8], offsets: &std::ops::Range<i64>) -> bool {
    // The magic first: it stands at byte 16 and throws out nearly all.
    bytes[16] == 2
        && BatchHeader::decode(bytes).is_ok_and(|header| offsets.contains(&header.base_offset.0))
}
