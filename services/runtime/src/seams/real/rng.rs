//! Random bits from a keyed hash of a counter; the key comes from the operating system, through the standard library.
//!
//! Invariant: two values, and two processes, never share a sequence. Not for secrets.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::seams::Rng;

/// Randomness seeded by the operating system.
#[derive(Debug, Default)]
pub struct RealRng {
    key: RandomState,
    second_key: RandomState,
    count: AtomicU64,
}

impl RealRng {
    /// A new sequence.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Rng for RealRng {
    fn next_u64(&self) -> u64 {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        // The exclusive or of two permuted counters can repeat a value, as random bits do.
        self.key.hash_one(count) ^ self.second_key.hash_one(!count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_of_several_sources_never_meet() {
        let (a, b) = (RealRng::new(), RealRng::new());
        let ids: HashSet<u128> = (0..10_000).flat_map(|_| [a.next_u128(), b.next_u128()]).collect();
        assert_eq!(ids.len(), 20_000);
    }
}
