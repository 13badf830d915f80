//! Which partition a record goes to: by its key as Kafka's clients do, else where the last one went.
//!
//! Invariant: records of one key go to one partition, the same one that Kafka's own clients choose for this key.

/// The partition of a key among `count`, as Kafka's default partitioner has it.
///
/// # Panics
/// If there are no partitions.
pub(super) fn partition_of(key: &[u8], count: usize) -> usize {
    let hash = murmur2(key) & 0x7fff_ffff;
    usize::try_from(hash).expect("31 bits fit") % count
}

/// MurmurHash2 with Kafka's seed.
fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;
    let length = u32::try_from(data.len()).expect("a line is shorter than 4 GiB");
    let (words, tail) = data.as_chunks::<4>();
    let mut hash = SEED ^ length;
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> R;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !tail.is_empty() {
        let rest = tail.iter().rev().fold(0, |rest, byte| (rest << 8) | u32::from(*byte));
        hash = (hash ^ rest).wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_hash_that_kafka_gives_it() {
        // The values of Kafka's own test of its hash.
        let known: [(&str, i32); 6] = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ];
        for (key, hash) in known {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
        }
    }

    #[test]
    fn keys_are_spread_and_each_stays_where_it_is() {
        let keys: Vec<_> = (0..300).map(|n| format!("key-{n}")).collect();
        let of = |key: &String| partition_of(key.as_bytes(), 3);
        for partition in 0..3 {
            assert!(keys.iter().filter(|key| of(key) == partition).count() > 50);
        }
        assert!(keys.iter().all(|key| of(key) == of(key)));
    }
}
