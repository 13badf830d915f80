//! What the clients of a simulation write: values that are all different, and that say themselves whether they are intact.
//!
//! Invariant: a number decides the bytes, and the bytes give the number back or are not accepted.

use ottla_runtime::seams::Rng as _;
use ottla_runtime::seams::SimRng;

/// Bytes of the number in front.
const NUMBER_BYTES: usize = 8;

/// The number of a value: writer × 2⁴⁰ + count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ValueId(pub u64);

impl ValueId {
    /// The `count`th value of a writer.
    pub fn new(writer: u64, count: u64) -> Self {
        Self((writer << 40) | count)
    }

    /// Who wrote it.
    pub fn writer(self) -> u64 {
        self.0 >> 40
    }

    /// The value.
    pub fn bytes(self) -> Vec<u8> {
        let rng = SimRng::new(self.0);
        // Mostly small, some of several pages, a few that fill a segment of a mebibyte within a simulation.
        let filler = match rng.below(100) {
            0 => 60_000,
            1..=9 => 5_000,
            _ => rng.below(300) as usize,
        };
        let mut bytes = self.0.to_be_bytes().to_vec();
        while bytes.len() < NUMBER_BYTES + filler {
            bytes.extend(rng.next_u64().to_be_bytes());
        }
        bytes
    }

    /// The number of a value that is intact.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let number = bytes.first_chunk::<NUMBER_BYTES>()?;
        let id = Self(u64::from_be_bytes(*number));
        (id.bytes() == bytes).then_some(id)
    }
}

impl std::fmt::Display for ValueId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "w{}#{}", self.writer(), self.0 & ((1 << 40) - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_gives_its_number_back_and_a_damaged_one_none() {
        for count in 0..300 {
            let id = ValueId::new(3, count);
            let mut bytes = id.bytes();
            assert_eq!(ValueId::of(&bytes), Some(id));
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            assert_eq!(ValueId::of(&bytes), None);
        }
    }
}
