//! The partitions that a member of a `consumer` group was given, out of what its leader assigned.
//!
//! Invariant: read by version 0 of `ConsumerProtocolAssignment`, which every later version begins with. Bytes of a client never
//! panic and never make it allocate more than they justify.
//! Deliberately decides nothing: what is assigned is between the members, and shown to operators only.

use std::collections::{BTreeMap, BTreeSet};

use ottla_types::PartitionIndex;

use crate::names::TopicName;

/// The partitions of a `ConsumerProtocolAssignment`, by topic; `None` if it is not one. No bytes are no partitions: so a member
/// is told that got nothing yet.
pub fn assigned_partitions(
    assignment: &[u8],
) -> Option<BTreeMap<TopicName, BTreeSet<PartitionIndex>>> {
    let mut topics: BTreeMap<TopicName, BTreeSet<PartitionIndex>> = BTreeMap::new();
    if assignment.is_empty() {
        return Some(topics);
    }
    let mut rest = assignment;
    let version = i16::from_be_bytes(take(&mut rest)?);
    if version < 0 {
        return None;
    }
    let count = u32::try_from(i32::from_be_bytes(take(&mut rest)?)).ok()?;
    for _ in 0..count {
        let length = usize::try_from(i16::from_be_bytes(take(&mut rest)?)).ok()?;
        let (name, after) = rest.split_at_checked(length)?;
        rest = after;
        let partitions = topics.entry(TopicName::new(std::str::from_utf8(name).ok()?).ok()?);
        let partitions = partitions.or_default();
        let count = u32::try_from(i32::from_be_bytes(take(&mut rest)?)).ok()?;
        for _ in 0..count {
            partitions.insert(PartitionIndex(i32::from_be_bytes(take(&mut rest)?)));
        }
    }
    Some(topics)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn partitions_are_read_by_topic() {
        let bytes = b"\0\x01\0\0\0\x02\0\x01a\0\0\0\x02\0\0\0\x07\0\0\0\x03\0\x02bc\0\0\0\0\xff\xff\xff\xff";
        let found = assigned_partitions(bytes).unwrap();
        let of = |name| found[&TopicName::new(name).unwrap()].iter().map(|p| p.0).collect();
        let (a, bc): (Vec<i32>, Vec<i32>) = (of("a"), of("bc"));
        assert_eq!((a, bc), (vec![3, 7], vec![]));
        assert_eq!(assigned_partitions(b""), Some(BTreeMap::new()));
    }

    #[test]
    fn what_is_not_an_assignment_is_none() {
        for bytes in [
            &b"\0"[..],
            b"\xff\xff\0\0\0\0",
            b"\0\0\x7f\xff\xff\xff",
            b"\0\0\0\0\0\x01\0\x05ab",
            b"\0\0\0\0\0\x01\0\x01a\x7f\xff\xff\xff\0\0\0\0",
        ] {
            assert_eq!(assigned_partitions(bytes), None, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = assigned_partitions(&bytes);
        }
    }
}
