//! An allocator that counts what each thread holds, so that a test can say how much memory a decode took at its peak.
//!
//! Invariant: a thread's count is its own: tests that run beside each other do not disturb it.
#![allow(unsafe_code, reason = "an allocator cannot be written without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count(change: isize) {
    let live = LIVE.get() + change;
    LIVE.set(live);
    PEAK.set(PEAK.get().max(live));
}

// SAFETY: every call is handed to the system's allocator unchanged; counting neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(at, layout) }
    }
}

/// Most bytes that this thread held at once during the call, beyond what it held before.
pub(crate) fn peak_of<T>(call: impl FnOnce() -> T) -> (usize, T) {
    let before = LIVE.get();
    PEAK.set(before);
    let result = call();
    (usize::try_from(PEAK.get() - before).expect("the peak is never below the start"), result)
}

#[test]
fn the_peak_is_counted_and_what_is_freed_again_too() {
    let (peak, _) = peak_of(|| {
        drop(Vec::<u8>::with_capacity(1000));
        Vec::<u8>::with_capacity(700)
    });
    assert_eq!(peak, 1000);
}
