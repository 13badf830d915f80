//! Free ports of the loopback interface.
//!
//! Invariant: they lie below the range that the kernel gives to outgoing connections, and no two calls of one process
//! get the same. Another process may still take one before it is used; what needed it then fails loudly.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

/// Where the search begins and ends; Linux gives outgoing connections ports from 32768 on.
const RANGE: std::ops::Range<u16> = 11_000..32_000;
/// Looks at most this often.
const TRIES: u32 = 20_000;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A port that nobody listens on now.
pub fn free_port() -> u16 {
    free_ports(1)
}

/// The first of `count` neighbouring ports that nobody listens on now.
pub fn free_ports(count: u16) -> u16 {
    let width = u32::from(RANGE.end - RANGE.start - count);
    // Processes begin at places of their own, so that two rarely look at the same ports.
    let begin = std::process::id().wrapping_mul(7_919);
    for _ in 0..TRIES {
        let turn = NEXT.fetch_add(u32::from(count), Ordering::Relaxed);
        let first = RANGE.start + (begin.wrapping_add(turn) % width) as u16;
        if (first..first + count).all(is_free) {
            return first;
        }
    }
    panic!("no {count} neighbouring ports are free");
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}
