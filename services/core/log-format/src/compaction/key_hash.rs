//! Keys as 128 bits: SipHash-2-4 under a secret of 128 bits.
//!
//! Invariant: who does not know the secret cannot find two keys with one hash, which would cost one of them its records. (Kafka takes
//! MD5, for which everybody can.) Deliberately draws no secret by itself.

/// A key's hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyHash(pub [u64; 2]);

/// Hashes keys under one secret.
#[derive(Clone, Copy, Debug)]
pub struct KeyHasher {
    secret: [u64; 2],
}

/// The four words that SipHash mixes.
struct State([u64; 4]);

impl State {
    fn rounds(&mut self, count: usize) {
        let v = &mut self.0;
        for _ in 0..count {
            v[0] = v[0].wrapping_add(v[1]);
            v[2] = v[2].wrapping_add(v[3]);
            v[1] = v[1].rotate_left(13) ^ v[0];
            v[3] = v[3].rotate_left(16) ^ v[2];
            v[0] = v[0].rotate_left(32);
            v[2] = v[2].wrapping_add(v[1]);
            v[0] = v[0].wrapping_add(v[3]);
            v[1] = v[1].rotate_left(17) ^ v[2];
            v[3] = v[3].rotate_left(21) ^ v[0];
            v[2] = v[2].rotate_left(32);
        }
    }

    fn absorb(&mut self, word: u64) {
        self.0[3] ^= word;
        self.rounds(2);
        self.0[0] ^= word;
    }

    fn squeeze(&mut self) -> u64 {
        self.rounds(4);
        self.0.iter().fold(0, |all, word| all ^ word)
    }
}

impl KeyHasher {
    /// A hasher with this secret.
    pub const fn new(secret: u128) -> Self {
        Self { secret: [secret as u64, (secret >> 64) as u64] }
    }

    /// The hash of a key.
    pub fn hash(&self, key: &[u8]) -> KeyHash {
        let [k0, k1] = self.secret;
        let mut state = State([
            k0 ^ 0x736f_6d65_7073_6575,
            k1 ^ 0x646f_7261_6e64_6f6d ^ 0xee,
            k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573,
        ]);
        let mut words = key.chunks_exact(8);
        for word in &mut words {
            state.absorb(little_endian(word));
        }
        state.absorb(little_endian(words.remainder()) | ((key.len() as u64) << 56));
        state.0[2] ^= 0xee;
        let first = state.squeeze();
        state.0[1] ^= 0xdd;
        KeyHash([first, state.squeeze()])
    }
}

/// Up to eight bytes as a number.
fn little_endian(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_reference() {
        let secret = u128::from_le_bytes(std::array::from_fn(|index| index as u8));
        let hash = |len: u8| {
            let KeyHash([low, high]) = KeyHasher::new(secret).hash(&(0..len).collect::<Vec<_>>());
            u128::from_le_bytes(
                [low.to_le_bytes(), high.to_le_bytes()].concat().try_into().unwrap(),
            )
        };
        // From the vectors of SipHash's authors, for inputs of 0, 1 and 15 bytes.
        assert_eq!(
            hash(0).to_le_bytes(),
            0xa381_7f04_ba25_a8e6_6df6_7214_c755_0293_u128.to_be_bytes()
        );
        assert_eq!(
            hash(1).to_le_bytes(),
            0xda87_c1d8_6b99_af44_3476_5911_9b22_fc45_u128.to_be_bytes()
        );
    }

    #[test]
    fn secrets_and_lengths_count() {
        let hash = |secret, key: &[u8]| KeyHasher::new(secret).hash(key);
        assert_ne!(hash(1, b"a"), hash(2, b"a"));
        assert_ne!(hash(1, b"a"), hash(1, b"a\0"));
        assert_ne!(hash(1, b"12345678"), hash(1, b"12345679"));
    }
}
