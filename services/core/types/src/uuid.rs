//! Kafka's 128-bit ids and their text form (URL-safe base64, no padding, 22 characters).
//!
//! Invariant: `parse(to_string(x)) == x`. Where random bits come from is the caller's business.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/// Length of the text form in characters.
const TEXT_LEN: usize = 22;

/// A 128-bit id, shown as Kafka shows it.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Uuid([u8; 16]);

/// A text that is not a 22-character URL-safe base64 id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id: expected 22 characters of URL-safe base64, got {0:?}")]
pub struct ParseUuidError(String);

impl Uuid {
    /// All zero bits: Kafka's "no id".
    pub const ZERO: Self = Self([0; 16]);

    /// An id of these bytes, in the order of the wire.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes, in the order of the wire.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// A version 4 id of 128 random bits. Never one that Kafka reserves (0 and 1) nor one whose text begins with a dash.
    pub const fn from_random(bits: u128) -> Self {
        let mut bytes = bits.to_be_bytes();
        bytes[0] &= 0x7f;
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        Self(bytes)
    }

    /// Whether this is Kafka's "no id".
    pub const fn is_zero(&self) -> bool {
        u128::from_be_bytes(self.0) == 0
    }
}

impl std::fmt::Display for Uuid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bits = u128::from_be_bytes(self.0);
        let mut text = String::with_capacity(TEXT_LEN);
        for position in 0..TEXT_LEN {
            // 22 digits of 6 bits hold 132 bits: the last digit carries two bits and four zeros.
            let index = match 122_u32.checked_sub(6 * position as u32) {
                Some(shift) => (bits >> shift) & 0x3f,
                None => (bits << 4) & 0x3f,
            };
            text.push(char::from(ALPHABET[index as usize]));
        }
        f.write_str(&text)
    }
}

impl std::fmt::Debug for Uuid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl FromStr for Uuid {
    type Err = ParseUuidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseUuidError(text.chars().take(64).collect());
        if text.len() != TEXT_LEN {
            return Err(error());
        }
        let mut bits: u128 = 0;
        for (position, byte) in text.bytes().enumerate() {
            let digit = ALPHABET.iter().position(|&c| c == byte).ok_or_else(error)? as u128;
            if position + 1 == TEXT_LEN {
                if digit & 0x0f != 0 {
                    return Err(error());
                }
                bits = (bits << 2) | (digit >> 4);
            } else {
                bits = (bits << 6) | digit;
            }
        }
        Ok(Self(bits.to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_text_form_is_kafkas() {
        // `Uuid.ONE_UUID` and `new Uuid(0x0123456789abcdefL, 0xfedcba9876543210L)` in Kafka.
        assert_eq!(Uuid::from_bytes(1_u128.to_be_bytes()).to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
        let id = Uuid::from_bytes(0x0123_4567_89ab_cdef_fedc_ba98_7654_3210_u128.to_be_bytes());
        assert_eq!(id.to_string(), "ASNFZ4mrze_-3LqYdlQyEA");
    }

    #[test]
    fn a_text_of_another_shape_is_refused() {
        for text in ["", "short", "AAAAAAAAAAAAAAAAAAAAA!", "AAAAAAAAAAAAAAAAAAAAAB"] {
            assert!(text.parse::<Uuid>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_text_form_leads_back_to_the_id(bits: u128) {
            let id = Uuid::from_random(bits);
            prop_assert_eq!(id.to_string().parse::<Uuid>(), Ok(id));
            prop_assert!(!id.to_string().starts_with('-'));
        }
    }
}
