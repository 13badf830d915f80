//! Values that an obeyed key may have and that have no effect yet, and what happens instead.
//!
//! Invariant: each caveat is of a key that the table calls obeyed; `ottla config explain` and the start-up notices say the same.
//! Deliberately does not know who obeys a key.

/// Some values of a key that have no effect yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caveat {
    /// The key.
    pub(super) key: &'static str,
    /// Which of its values.
    pub(super) is_of: fn(&str) -> bool,
    /// What happens with them.
    pub(super) told: &'static str,
}

/// All of them.
pub(super) const CAVEATS: &[Caveat] = &[Caveat {
    key: "default.replication.factor",
    is_of: |text| text.parse().is_ok_and(|factor: i16| factor > 1),
    told: "replication is not there yet: a topic that names no factor, and every one that would be created automatically, \
               is refused with INVALID_REPLICATION_FACTOR; set 1",
}];

/// What is to be said of a value, if anything.
pub(super) fn caveat_of(key: &str, text: Option<&str>) -> Option<&'static str> {
    let text = text?;
    CAVEATS
        .iter()
        .find(|caveat| caveat.key == key && (caveat.is_of)(text))
        .map(|caveat| caveat.told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::key::Meaning;
    use crate::config::table::server_keys;

    #[test]
    fn every_caveat_is_of_an_obeyed_key_and_not_of_its_default() {
        for caveat in CAVEATS {
            let key = server_keys().get(caveat.key).unwrap();
            assert_eq!(key.meaning, Meaning::Obeyed, "{}", key.name);
            assert_eq!(caveat_of(key.name, key.default), None, "{}", key.name);
        }
    }

    #[test]
    fn only_the_values_without_effect_have_a_caveat() {
        assert!(caveat_of("default.replication.factor", Some("3")).is_some());
        assert!(caveat_of("num.partitions", Some("3")).is_none());
    }
}
