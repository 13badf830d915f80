//! The bytes of one simulated file: pages that are there only once written, shared between copies until one changes.
//!
//! Invariant: what was never written reads as zeros, also after the file was cut and extended again.

use std::collections::BTreeMap;
use std::sync::Arc;

const PAGE_BYTES: usize = 4096;
type Page = [u8; PAGE_BYTES];

/// Bytes by offset, and a length.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    pages: BTreeMap<u64, Arc<Page>>,
    len: u64,
}

impl Content {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Fills as much of `buf` as the file has at `offset`, and says how much.
    pub(super) fn read(&self, buf: &mut [u8], offset: u64) -> usize {
        let available = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = buf.len().min(available);
        for (page, within, range) in spans(offset, wanted) {
            match self.pages.get(&page) {
                Some(bytes) => {
                    buf[range.clone()].copy_from_slice(&bytes[within..within + range.len()])
                }
                None => buf[range].fill(0),
            }
        }
        wanted
    }

    /// Writes `bytes` at `offset`, extending the file where needed.
    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) {
        for (page, within, range) in spans(offset, bytes.len()) {
            let target = self.pages.entry(page).or_insert_with(|| Arc::new([0; PAGE_BYTES]));
            Arc::make_mut(target)[within..within + range.len()].copy_from_slice(&bytes[range]);
        }
        self.extend(offset + bytes.len() as u64);
    }

    /// Makes the file at least this long.
    pub(super) fn extend(&mut self, len: u64) {
        self.len = self.len.max(len);
    }

    /// Cuts or extends.
    pub(super) fn set_len(&mut self, len: u64) {
        if len < self.len {
            let page_bytes = PAGE_BYTES as u64;
            self.pages.split_off(&len.div_ceil(page_bytes));
            if let Some(last) = self.pages.get_mut(&(len / page_bytes)) {
                Arc::make_mut(last)[(len % page_bytes) as usize..].fill(0);
            }
        }
        self.len = len;
    }

    /// Turns one bit; `bit` counts from the beginning of the file.
    pub(super) fn flip_bit(&mut self, bit: u64) {
        let mut byte = [0];
        if self.read(&mut byte, bit / 8) == 1 {
            self.write(&[byte[0] ^ (1 << (bit % 8))], bit / 8);
        }
    }
}

/// The pages of a range: page number, offset in the page, range in the buffer.
fn spans(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let within = (at % PAGE_BYTES as u64) as usize;
        let end = len.min(done + PAGE_BYTES - within);
        let range = done..end;
        done = end;
        (!range.is_empty()).then_some((at / PAGE_BYTES as u64, within, range))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Write(u16, Vec<u8>),
        SetLen(u16),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..20_000_u16, prop::collection::vec(any::<u8>(), 0..9000))
                .prop_map(|(at, b)| Step::Write(at, b)),
            (0..20_000_u16).prop_map(Step::SetLen),
        ]
    }

    proptest! {
        #[test]
        fn it_reads_like_one_long_vector(steps in prop::collection::vec(step(), 0..12)) {
            let (mut content, mut model) = (Content::default(), Vec::new());
            for step in steps {
                match step {
                    Step::Write(at, bytes) => {
                        let end = usize::from(at) + bytes.len();
                        model.resize(model.len().max(end), 0);
                        model[usize::from(at)..end].copy_from_slice(&bytes);
                        content.write(&bytes, u64::from(at));
                    }
                    Step::SetLen(len) => {
                        model.resize(usize::from(len), 0);
                        content.set_len(u64::from(len));
                    }
                }
            }
            let mut got = vec![1; model.len() + 10];
            prop_assert_eq!(content.read(&mut got, 0), model.len());
            prop_assert!(got[..model.len()] == model[..]);
        }
    }
}
