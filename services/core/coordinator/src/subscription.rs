//! The topics that a member of a `consumer` group subscribed to, out of the metadata that it joined with.
//!
//! Invariant: read as Kafka's coordinator reads it: by version 0, which every later version begins with. Bytes of a client
//! never panic and never make it allocate more than they justify.
//! Deliberately does not know the rest of a subscription: it is between the members.

use std::collections::BTreeSet;

use crate::names::TopicName;

/// The topics of a `ConsumerProtocolSubscription`; `None` if it is not one.
pub(crate) fn subscribed_topics(metadata: &[u8]) -> Option<BTreeSet<TopicName>> {
    let mut rest = metadata;
    let version = i16::from_be_bytes(take(&mut rest)?);
    if version < 0 {
        return None;
    }
    let count = u32::try_from(i32::from_be_bytes(take(&mut rest)?)).ok()?;
    let mut topics = BTreeSet::new();
    for _ in 0..count {
        let length = usize::try_from(i16::from_be_bytes(take(&mut rest)?)).ok()?;
        let (name, after) = rest.split_at_checked(length)?;
        topics.insert(TopicName::new(std::str::from_utf8(name).ok()?).ok()?);
        rest = after;
    }
    // The user's data: nullable, and not looked at.
    match i32::from_be_bytes(take(&mut rest)?) {
        ..0 => Some(topics),
        length => (usize::try_from(length).ok()? <= rest.len()).then_some(topics),
    }
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

    fn names(topics: &[&str]) -> BTreeSet<TopicName> {
        topics.iter().map(|topic| TopicName::new(topic).unwrap()).collect()
    }

    #[test]
    fn topics_are_read_from_every_version() {
        let version_0 = b"\0\0\0\0\0\x02\0\x01a\0\x02bc\xff\xff\xff\xff";
        assert_eq!(subscribed_topics(version_0), Some(names(&["a", "bc"])));
        // Version 1 appends the partitions that the member owns; here none.
        let version_1 = b"\0\x01\0\0\0\x01\0\x01a\0\0\0\x02ud\0\0\0\0";
        assert_eq!(subscribed_topics(version_1), Some(names(&["a"])));
        assert_eq!(subscribed_topics(b"\0\0\0\0\0\0\xff\xff\xff\xff"), Some(names(&[])));
    }

    #[test]
    fn what_is_not_a_subscription_is_none() {
        for bytes in [
            &b""[..],
            b"\0",
            b"\xff\xff\0\0\0\0\xff\xff\xff\xff",
            b"\0\0\x7f\xff\xff\xff",
            b"\0\0\xff\xff\xff\xff\xff\xff\xff\xff",
            b"\0\0\0\0\0\x01\0\x05ab",
            b"\0\0\0\0\0\x01\xff\xff\0\0\0\0",
            b"\0\0\0\0\0\x01\0\x01\xff\xff\xff\xff\xff",
            b"\0\0\0\0\0\x01\0\x01a",
            b"\0\0\0\0\0\x01\0\x01a\0\0\0\x09x",
        ] {
            assert_eq!(subscribed_topics(bytes), None, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = subscribed_topics(&bytes);
        }
    }
}
