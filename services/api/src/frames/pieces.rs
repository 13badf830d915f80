//! The encoding side: messages become pieces of bytes, large payloads pieces of their own.
//!
//! Invariant: the pieces one after the other are the bytes that `prost` would have written into one buffer.
#![allow(unsafe_code, reason = "BufMut is an unsafe trait; every method here hands on to BytesMut")]

use std::collections::VecDeque;

use bytes::buf::UninitSlice;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;

use super::{HEADER_BYTES, UNCOPIED_BYTES};

/// What is encoded and not sent.
#[derive(Default)]
pub(super) struct Pieces {
    /// Finished pieces.
    done: VecDeque<Bytes>,
    /// The piece that small things are copied into.
    open: BytesMut,
}

impl Pieces {
    /// Adds a message with its gRPC header.
    pub(super) fn add<M: Message>(&mut self, message: &M, len: u32) {
        self.open.reserve(HEADER_BYTES);
        self.open.put_u8(0);
        self.open.put_u32(len);
        message.encode(self).expect("room is unlimited");
    }

    /// The next finished piece.
    pub(super) fn take(&mut self) -> Option<Bytes> {
        self.done.pop_front()
    }

    /// Whether enough is there to be sent without looking for more.
    pub(super) fn is_full(&self, bytes: usize) -> bool {
        !self.done.is_empty() || self.open.len() >= bytes
    }

    /// Whether nothing is there.
    pub(super) fn is_empty(&self) -> bool {
        self.done.is_empty() && self.open.is_empty()
    }

    /// Finishes the open piece.
    pub(super) fn finish(&mut self) {
        if !self.open.is_empty() {
            self.done.push_back(self.open.split().freeze());
        }
    }
}

// SAFETY: `remaining_mut`, `advance_mut` and `chunk_mut` are those of one `BytesMut`, which keeps their contract.
unsafe impl BufMut for Pieces {
    fn remaining_mut(&self) -> usize {
        self.open.remaining_mut()
    }

    unsafe fn advance_mut(&mut self, count: usize) {
        // SAFETY: the caller initialised `count` bytes of `chunk_mut`, which is that of `open`.
        unsafe { self.open.advance_mut(count) };
    }

    fn chunk_mut(&mut self) -> &mut UninitSlice {
        self.open.chunk_mut()
    }

    /// `prost` puts a field of bytes as one `Bytes`, of which `copy_to_bytes` gives a handle and no copy.
    fn put<T: Buf>(&mut self, mut source: T) {
        if source.remaining() < UNCOPIED_BYTES {
            self.open.put(source);
            return;
        }
        self.finish();
        self.done.push_back(source.copy_to_bytes(source.remaining()));
    }

    fn put_slice(&mut self, source: &[u8]) {
        self.open.put_slice(source);
    }
}
