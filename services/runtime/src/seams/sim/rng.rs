//! Randomness from a seed (SplitMix64).
//!
//! Invariant: the same seed gives the same sequence, on every machine.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::seams::Rng;

const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// A sequence that its seed decides.
#[derive(Debug)]
pub struct SimRng {
    state: AtomicU64,
}

impl SimRng {
    /// The sequence of this seed.
    pub fn new(seed: u64) -> Self {
        Self { state: AtomicU64::new(seed) }
    }

    /// A number below `bound`; 0 where `bound` is 0.
    pub fn below(&self, bound: u64) -> u64 {
        // The bias of the remainder does not matter for bounds far below 2^64.
        self.next_u64().checked_rem(bound).unwrap_or(0)
    }
}

impl Rng for SimRng {
    fn next_u64(&self) -> u64 {
        let state =
            self.state.fetch_add(GOLDEN_GAMMA, Ordering::Relaxed).wrapping_add(GOLDEN_GAMMA);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_the_sequence() {
        // The first values of SplitMix64 for the seed 1234567, as published with the algorithm.
        let rng = SimRng::new(1_234_567);
        assert_eq!(rng.next_u64(), 6_457_827_717_110_365_317);
        assert_eq!(rng.next_u64(), 3_203_168_211_198_807_973);
    }
}
