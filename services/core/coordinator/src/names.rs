//! The names and numbers of this room.
//!
//! Invariant: no text is longer than a record of Kafka's can hold ([`MAX_TEXT_BYTES`]), so that encoding an event cannot fail.
//! Deliberately does not know what is a good group id: an empty one is fine for some commands and not for others.

use std::fmt;
use std::sync::Arc;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest text, in bytes: records give lengths as 16-bit numbers with a sign.
pub const MAX_TEXT_BYTES: usize = 32_767;

/// A text that no record could hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a text of {0} bytes is too long, {MAX_TEXT_BYTES} is the most")]
pub struct TextTooLong(pub usize);

macro_rules! text {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes the text as it is. Errors: it is longer than [`MAX_TEXT_BYTES`].
            pub fn new(text: impl AsRef<str>) -> Result<Self, TextTooLong> {
                let text = text.as_ref();
                if text.len() > MAX_TEXT_BYTES {
                    return Err(TextTooLong(text.len()));
                }
                Ok(Self(text.into()))
            }

            /// The empty text: Kafka's "none" in most places.
            pub fn empty() -> Self {
                Self("".into())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Whether this is the empty text.
            pub fn is_empty(&self) -> bool {
                self.0.is_empty()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Bounded).map(Self)
            }
        }
    )*};
}

/// Reads a text that is not too long.
struct Bounded;

impl Visitor<'_> for Bounded {
    type Value = Arc<str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a text of at most {MAX_TEXT_BYTES} bytes")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Arc<str>, E> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(E::custom(TextTooLong(text.len())));
        }
        Ok(text.into())
    }
}

text! {
    /// A group's id.
    GroupId;
    /// A member's id, drawn by the coordinator; empty: the member has none yet.
    MemberId;
    /// `group.instance.id` of a static member (KIP-345).
    InstanceId;
    /// A topic's name.
    TopicName;
    /// Any other text: protocol types and names, client ids and hosts, metadata of an offset.
    Text;
}

/// A classic group's generation: grows with each completed rebalance, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(pub i32);

impl Generation {
    /// Kafka's `-1`: the caller is in no generation.
    pub const NONE: Self = Self(-1);

    /// The generation after this one; after 2³¹−1 comes 0, never a negative number, which would mean none.
    pub const fn next(self) -> Self {
        match self.0.checked_add(1) {
            Some(next) => Self(next),
            None => Self(0),
        }
    }

    /// Whether this stands for no generation.
    pub const fn is_none(self) -> bool {
        self.0 < 0
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_no_record_can_hold_is_refused() {
        assert!(GroupId::new("g".repeat(MAX_TEXT_BYTES)).is_ok());
        let long = "g".repeat(MAX_TEXT_BYTES + 1);
        assert_eq!(GroupId::new(long), Err(TextTooLong(MAX_TEXT_BYTES + 1)));
    }

    #[test]
    fn a_generation_never_becomes_negative() {
        assert_eq!(Generation(0).next(), Generation(1));
        assert_eq!(Generation(i32::MAX).next(), Generation(0));
    }
}
