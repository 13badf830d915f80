//! Walking over the batches of a buffer.
//!
//! Invariant: what is yielded lies one after the other from the front; after an error nothing follows.
//! Checks only what is needed to step; checksums are `validate`'s.

use super::{BatchError, BatchHeader};

/// A batch within a buffer.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// Its header.
    pub header: BatchHeader,
    /// Where it begins in the buffer, in bytes.
    pub position: usize,
    /// All its bytes.
    pub bytes: &'a [u8],
}

/// See [`batches`].
#[derive(Clone, Debug)]
pub struct Batches<'a> {
    buffer: &'a [u8],
    position: usize,
}

/// The batches of a buffer. A buffer that ends within a batch ends in `TooShort`.
pub fn batches(buffer: &[u8]) -> Batches<'_> {
    Batches { buffer, position: 0 }
}

impl<'a> Iterator for Batches<'a> {
    type Item = Result<Batch<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = &self.buffer[self.position..];
        if rest.is_empty() {
            return None;
        }
        let item = BatchHeader::decode(rest).and_then(|header| {
            let need = header.size_bytes();
            let bytes = rest.get(..need).ok_or(BatchError::TooShort { have: rest.len(), need })?;
            Ok(Batch { header, position: self.position, bytes })
        });
        self.position = match &item {
            Ok(batch) => self.position + batch.bytes.len(),
            Err(_) => self.buffer.len(),
        };
        Some(item)
    }
}
