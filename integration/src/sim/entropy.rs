//! Where the machine's own randomness would come in, the seed answers: the C library's `getrandom` of this program.
//!
//! Our crates draw nothing outside the `Rng` seam. Others do: the order in which tonic's and hyper's `select!`s look at their
//! branches is drawn by tokio from the standard library's hash keys, and those from `getrandom`.
//! Invariant: from `answer_from` on, all randomness of the process follows from the seed, as long as it has one thread.

use std::sync::atomic::{AtomicU64, Ordering};

static STATE: AtomicU64 = AtomicU64::new(0);

/// Sets the seed. Called before anything else runs, since a thread keeps the hash keys that it drew first.
pub fn answer_from(seed: u64) {
    STATE.store(seed, Ordering::Relaxed);
}

fn next() -> u64 {
    let state = STATE.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 27)
}

/// What the standard library calls instead of the C library's function of the same name.
///
/// # Safety
/// As with the original, `buffer` must be valid for `length` bytes of writing.
#[allow(unsafe_code, reason = "a function of the C library is replaced by its name")]
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(buffer: *mut u8, length: usize, _flags: u32) -> isize {
    // SAFETY: the caller promises as much.
    let buffer = unsafe { std::slice::from_raw_parts_mut(buffer, length) };
    for chunk in buffer.chunks_mut(8) {
        chunk.copy_from_slice(&next().to_le_bytes()[..chunk.len()]);
    }
    length as isize
}
