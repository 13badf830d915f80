//! Which partition of `__consumer_offsets` holds a group.
//!
//! Invariant: the same as Kafka's, on every character, so that both find the same coordinator for the same group.

use ottla_types::PartitionIndex;

/// The topic whose partitions hold groups and their offsets, named as in Kafka, so that existing monitoring finds it.
pub const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// Java's `String.hashCode`: over UTF-16 units, with wrapping 32-bit arithmetic.
pub fn java_string_hash(text: &str) -> i32 {
    text.encode_utf16()
        .fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

/// The partition of `__consumer_offsets` that holds a group; `partitions` is that topic's number of partitions
/// (`offsets.topic.num.partitions`), at least 1.
pub fn partition_of_group(group: &str, partitions: u32) -> PartitionIndex {
    // Kafka's `Utils.abs` takes the smallest number to 0, and the others to their absolute value.
    let hash = java_string_hash(group).checked_abs().unwrap_or(0);
    let partitions = i32::try_from(partitions.max(1)).unwrap_or(i32::MAX);
    PartitionIndex(hash % partitions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_javas() {
        for (text, hash) in [
            ("", 0),
            ("a", 97),
            ("hello", 99_162_322),
            ("console-consumer-12345", 158_455_506),
            // Beyond 16 bits a character counts as its two surrogates.
            ("😀", 1_772_899),
            ("polygenelubricants", i32::MIN),
        ] {
            assert_eq!(java_string_hash(text), hash, "{text}");
        }
    }

    #[test]
    fn a_group_is_in_the_partition_that_kafka_takes() {
        assert_eq!(partition_of_group("", 50), PartitionIndex(0));
        assert_eq!(partition_of_group("hello", 50), PartitionIndex(22));
        assert_eq!(partition_of_group("polygenelubricants", 50), PartitionIndex(0));
        assert_eq!(partition_of_group("console-consumer-12345", 50), PartitionIndex(6));
        assert_eq!(partition_of_group("hello", 0), PartitionIndex(0));
    }
}
