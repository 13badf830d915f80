//! The bytes of the metadata log: frozen for ever, and safe to read from anybody.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;

use ottla_metadata::codec::{self, DecodeError};
use ottla_metadata::command::{
    Command, ConfigAlteration, ConfigOp, NewPartitions, NewTopic, Refusal, Reply, TopicOutcome,
    TopicRef,
};
use ottla_metadata::{Changes, Event, Image};
use ottla_types::{ErrorCode, MetadataOffset, NodeId, PartitionIndex, ProducerId, TopicId};
use proptest::prelude::*;

#[path = "codec/samples.rs"]
mod samples;

use ottla_metadata::event::ConfigResource;
use samples::{first_samples, samples, uuid};

/// One line a sample: its name, then the bytes of the batch that holds only it. Lines are added, never changed.
const GOLDEN_EVENTS: &str = include_str!("golden/events.txt");
/// The bytes of the image that the first samples make in the first format, and its hash.
const GOLDEN_IMAGE_V1: &str = include_str!("golden/image.txt");
/// The bytes of the image that all samples together make, and its hash.
const GOLDEN_IMAGE: &str = include_str!("golden/image-v2.txt");

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        text.chars().map(|digit| u8::try_from(digit.to_digit(16).unwrap()).unwrap()).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn story() -> Image {
    replayed(samples())
}

fn replayed(events: Vec<(&'static str, Event)>) -> Image {
    let mut image = Image::default();
    for (_, event) in events {
        image.replay(&event, &mut Changes::default());
    }
    image
}

#[test]
fn the_bytes_of_every_event_are_frozen() {
    let lines = samples().into_iter().map(|(name, event)| {
        let bytes = codec::encode_events(std::slice::from_ref(&event));
        assert_eq!(codec::decode_events(&bytes), Ok(vec![event]), "{name}");
        format!("{name} {}\n", hex(&bytes))
    });
    let now: String = lines.collect();
    assert!(now == GOLDEN_EVENTS, "the format changed: old logs cannot be read any more\n{now}");
}

#[test]
fn the_bytes_and_the_hash_of_an_image_are_frozen() {
    let image = story();
    let now = format!("{:016x} {}\n", image.hash(), hex(&codec::encode_image(&image)));
    assert!(now == GOLDEN_IMAGE, "the format or the hash changed\n{now}");
    let (_, bytes) = GOLDEN_IMAGE.trim().split_once(' ').unwrap();
    let read = codec::decode_image(&unhex(bytes)).unwrap();
    assert_eq!(read, image);
    assert_eq!(read.hash(), image.hash());
}

#[test]
fn an_image_of_the_first_format_is_read_and_has_the_hash_that_it_had() {
    let (hash, bytes) = GOLDEN_IMAGE_V1.trim().split_once(' ').unwrap();
    let read = codec::decode_image(&unhex(bytes)).unwrap();
    assert_eq!(read, replayed(first_samples()));
    assert_eq!(format!("{:016x}", read.hash()), hash);
}

#[test]
fn a_batch_is_read_back_as_it_was() {
    let events: Vec<Event> = samples().into_iter().map(|(_, event)| event).collect();
    let bytes = codec::encode_events(&events);
    let whole: usize = events.iter().map(codec::event_len).sum();
    assert_eq!(bytes.len(), whole + 2);
    assert_eq!(codec::decode_events(&bytes), Ok(events));
    assert_eq!(codec::decode_events(&codec::encode_events(&[])), Ok(vec![]));
}

#[test]
fn commands_and_replies_are_read_back_as_they_were() {
    let topic = NewTopic {
        name: "t".to_owned(),
        partitions: Some(-1),
        replication_factor: None,
        assignments: vec![(PartitionIndex(0), vec![NodeId(1)])],
        configs: vec![("a".to_owned(), None)],
    };
    let grow =
        NewPartitions { name: "t".to_owned(), count: 3, assignments: Some(vec![vec![NodeId(1)]]) };
    for command in [
        Command::Tick,
        Command::CreateTopics { topics: vec![topic], validate_only: true },
        Command::DeleteTopics { topics: vec![TopicRef::Id(TopicId(uuid(9)))] },
        Command::CreatePartitions { topics: vec![grow], validate_only: false },
        Command::AlterTopicConfigs {
            topic: TopicRef::Name("t".to_owned()),
            changes: BTreeMap::from([("a".to_owned(), None)]),
            validate_only: false,
        },
        Command::UnregisterBroker { node: NodeId(3) },
        Command::AlterConfigs {
            resources: vec![ConfigAlteration {
                resource: ConfigResource::Broker(None),
                replaces: true,
                changes: vec![("a".to_owned(), ConfigOp::Append("b".to_owned()))],
            }],
            validate_only: true,
        },
    ] {
        assert_eq!(codec::decode_command(&codec::encode_command(&command)), Ok(command));
    }
    let outcome = TopicOutcome {
        id: TopicId(uuid(9)),
        name: "t".to_owned(),
        partitions: 1,
        replication_factor: 1,
    };
    let refusal = Refusal::new(ErrorCode::InvalidTopicException, "no");
    for reply in [
        Reply::Done,
        Reply::Topics(vec![Ok(outcome), Err(refusal.clone())]),
        Reply::Refused(refusal),
        Reply::ProducerIds { first: ProducerId(5), count: 1_000 },
        Reply::Configs(vec![Ok(()), Err(Refusal::new(ErrorCode::InvalidConfig, "no"))]),
    ] {
        assert_eq!(codec::decode_reply(&codec::encode_reply(&reply)), Ok(reply));
    }
}

#[test]
fn every_cut_of_a_batch_is_refused() {
    let events: Vec<Event> = samples().into_iter().map(|(_, event)| event).collect();
    let bytes = codec::encode_events(&events);
    for len in 0..bytes.len() {
        assert!(codec::decode_events(&bytes[..len]).is_err(), "{len} bytes were taken");
    }
    let image = codec::encode_image(&story());
    for len in 0..image.len() {
        assert!(codec::decode_image(&image[..len]).is_err(), "{len} bytes were taken");
    }
}

#[test]
fn bytes_after_the_end_another_version_and_no_bytes_are_told_apart() {
    let mut bytes = codec::encode_events(&[Event::StateHash { hash: 1 }]);
    bytes.push(0);
    assert_eq!(codec::decode_events(&bytes), Err(DecodeError::Trailing(1)));
    bytes[0] = 9;
    let version = DecodeError::Version { found: 9, known: codec::EVENTS_VERSION };
    assert_eq!(codec::decode_events(&bytes), Err(version));
    assert_eq!(codec::decode_events(&[]), Err(DecodeError::Empty));
    let most = codec::MAX_BATCH_BYTES;
    let too_large = DecodeError::TooLarge { found: most + 1, most, unit: "bytes" };
    assert_eq!(codec::decode_events(&vec![1; most + 1]), Err(too_large));
}

#[test]
fn counts_that_the_bytes_cannot_hold_are_refused_without_taking_memory() {
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    let batch = [&[codec::EVENTS_VERSION][..], &huge].concat();
    assert!(matches!(
        codec::decode_events(&batch),
        Err(DecodeError::TooLarge { unit: "events", .. })
    ));
    // The name of a cluster, and the list of brokers, of 2⁶⁴−1 bytes and items.
    let event = [&[codec::EVENTS_VERSION, 1, 0][..], &huge].concat();
    assert!(matches!(codec::decode_events(&event), Err(DecodeError::Malformed(_))));
    let image = [&[codec::IMAGE_VERSION, 0, 0, 0][..], &huge].concat();
    assert!(matches!(codec::decode_image(&image), Err(DecodeError::Malformed(_))));
}

#[test]
fn a_snapshot_that_no_events_can_have_made_is_refused() {
    let good = story();
    let bytes = codec::encode_image(&good);
    assert_eq!(codec::decode_image(&bytes), Ok(good));
    // The last partition's leader, a node of its ISR, becomes one that is not: leader, two epochs are the last bytes.
    let topic_end = bytes.len() - 2;
    let mut broken = bytes;
    assert_eq!(broken[topic_end - 1], 0, "no leader: node 1 is fenced");
    broken[topic_end - 1] = 1;
    broken.insert(topic_end, 0x58);
    assert!(matches!(codec::decode_image(&broken), Err(DecodeError::Broken(_))));
}

proptest! {
    #[test]
    fn no_bytes_make_decoding_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = codec::decode_events(&bytes);
        let _ = codec::decode_image(&bytes);
        let _ = codec::decode_command(&bytes);
        let _ = codec::decode_reply(&bytes);
    }

    #[test]
    fn a_flipped_bit_never_makes_decoding_or_replaying_panic(at: proptest::sample::Index, bit in 0_u8..8) {
        let events: Vec<Event> = samples().into_iter().map(|(_, event)| event).collect();
        let mut bytes = codec::encode_events(&events);
        *at.get_mut(&mut bytes[1..]) ^= 1 << bit;
        let mut image = Image::default();
        for event in codec::decode_events(&bytes).unwrap_or_default() {
            image.replay(&event, &mut Changes::default());
        }
        let mut bytes = codec::encode_image(&story());
        *at.get_mut(&mut bytes[1..]) ^= 1 << bit;
        let _ = codec::decode_image(&bytes);
        prop_assert!(image.offset >= MetadataOffset(0));
    }
}
