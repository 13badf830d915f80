//! The table of Kafka 4.3.1's api keys, generated from the request tables in `schema/`.
//!
//! Invariant: what is stable here is what the generated messages can read and write. Deliberately does not know which
//! requests a gateway serves or advertises.

use std::fmt;
use std::ops::RangeInclusive;

struct Facts {
    key: ApiKey,
    name: &'static str,
    from: i16,
    to: i16,
    flexible_from: Option<i16>,
    on_broker: bool,
}

impl ApiKey {
    /// Every key, in the order of its number, reserved ones included.
    pub fn all() -> impl Iterator<Item = Self> {
        FACTS.iter().map(|facts| facts.key)
    }

    /// The key of a number from the wire.
    pub fn from_code(code: i16) -> Option<Self> {
        let at = FACTS.binary_search_by_key(&code, |facts| facts.key.code()).ok()?;
        Some(FACTS[at].key)
    }

    /// The number on the wire.
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// Kafka's name, such as `Fetch`.
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// The stable versions of Kafka 4.3.1; empty for the keys that are only reserved.
    pub fn versions(self) -> RangeInclusive<i16> {
        let facts = self.facts();
        facts.from..=facts.to
    }

    /// First version with compact types, tagged fields and the newer headers.
    pub fn flexible_from(self) -> Option<i16> {
        self.facts().flexible_from
    }

    /// Whether the version, known or not, has compact types, tagged fields and the newer headers.
    pub fn is_flexible(self, version: i16) -> bool {
        self.flexible_from().is_some_and(|from| version >= from)
    }

    /// Whether Kafka's brokers serve it to clients; else it is between controllers and brokers.
    pub fn is_for_clients(self) -> bool {
        self.facts().on_broker
    }

    fn facts(self) -> &'static Facts {
        let at = FACTS.binary_search_by_key(&self, |facts| facts.key);
        &FACTS[at.expect("the table has every variant, in order")]
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

include!(concat!(env!("OUT_DIR"), "/api_keys.rs"));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_found_by_its_number() {
        for key in ApiKey::all() {
            assert_eq!(ApiKey::from_code(key.code()), Some(key));
        }
        for code in [-1, 93, i16::MAX, i16::MIN] {
            assert_eq!(ApiKey::from_code(code), None);
        }
    }

    #[test]
    fn the_table_has_the_stable_versions() {
        assert_eq!(ApiKey::Produce.versions(), 3..=13);
        assert_eq!(ApiKey::Fetch.versions(), 4..=18);
        assert_eq!(ApiKey::InitProducerId.versions(), 0..=5);
        assert_eq!(ApiKey::ApiVersions.flexible_from(), Some(3));
        assert_eq!(ApiKey::SaslHandshake.flexible_from(), None);
        assert!(ApiKey::LeaderAndIsr.versions().is_empty());
        assert!(ApiKey::Metadata.is_for_clients());
        assert!(!ApiKey::Vote.is_for_clients());
    }
}
