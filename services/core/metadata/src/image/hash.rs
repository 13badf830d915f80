//! The incremental hash of an image.
//!
//! Invariant: the hash is the wrapping sum, over all entities, of a 64-bit hash of a tag byte and the entity's postcard
//! bytes, plus that of the globals (offset, cluster id, next producer id). One entity's hash is FNV-1a (offset basis
//! `cbf29ce484222325`, prime `100000001b3`), then SplitMix64's finalizer, because sums of bare FNV values collide easily.
//! All of this is frozen: members of different releases compare hashes. Deliberately not a defence against an adversary.

use std::collections::BTreeMap;

use ottla_types::{MetadataOffset, PartitionIndex, TopicId};
use postcard::ser_flavors::Flavor;
use serde::Serialize;

use super::{Broker, Gateway, Image, Partition, Topic};
use crate::event::ConfigResource;

const FNV_OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

const TAG_GLOBALS: u8 = 0;
const TAG_BROKER: u8 = 1;
const TAG_GATEWAY: u8 = 2;
const TAG_TOPIC: u8 = 3;
const TAG_PARTITION: u8 = 4;
const TAG_CONFIGS: u8 = 5;

/// The wrapping sum of the hashes of all entities of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct EntitySum(u64);

impl EntitySum {
    pub(super) fn broker(&mut self, old: Option<&Broker>, new: Option<&Broker>) {
        self.swap(TAG_BROKER, old, new);
    }

    pub(super) fn gateway(&mut self, old: Option<&Gateway>, new: Option<&Gateway>) {
        self.swap(TAG_GATEWAY, old, new);
    }

    /// The topic itself, without its partitions but with their number.
    pub(super) fn topic(&mut self, old: Option<&Topic>, new: Option<&Topic>) {
        fn parts(topic: &Topic) -> impl Serialize + '_ {
            (topic.id, &topic.name, &topic.configs, topic.partitions.len())
        }
        self.swap(TAG_TOPIC, old.map(parts), new.map(parts));
    }

    pub(super) fn partition(
        &mut self,
        at: (TopicId, PartitionIndex),
        old: Option<&Partition>,
        new: Option<&Partition>,
    ) {
        self.swap(TAG_PARTITION, old.map(|old| (at, old)), new.map(|new| (at, new)));
    }

    pub(super) fn configs(
        &mut self,
        of: &ConfigResource,
        old: Option<&BTreeMap<String, String>>,
        new: Option<&BTreeMap<String, String>>,
    ) {
        self.swap(TAG_CONFIGS, old.map(|old| (of, old)), new.map(|new| (of, new)));
    }

    /// The hash of the image as it is, but at this offset.
    pub(super) fn with_globals(self, image: &Image, offset: MetadataOffset) -> u64 {
        let globals = (offset, &image.cluster_id, image.next_producer_id);
        self.0.wrapping_add(entity_hash(TAG_GLOBALS, &globals))
    }

    fn swap<T: Serialize>(&mut self, tag: u8, old: Option<T>, new: Option<T>) {
        if let Some(old) = old {
            self.0 = self.0.wrapping_sub(entity_hash(tag, &old));
        }
        if let Some(new) = new {
            self.0 = self.0.wrapping_add(entity_hash(tag, &new));
        }
    }
}

fn entity_hash<T: Serialize>(tag: u8, entity: &T) -> u64 {
    let mut hasher = Hasher(FNV_OFFSET_BASIS);
    hasher.push(tag);
    postcard::serialize_with_flavor(entity, hasher)
        .expect("plain values serialize, and the hasher takes every byte")
}

/// Takes postcard's bytes one by one, keeps none.
struct Hasher(u64);

impl Hasher {
    fn push(&mut self, byte: u8) {
        self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(FNV_PRIME);
    }
}

impl Flavor for Hasher {
    type Output = u64;

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.push(byte);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<u64> {
        Ok(crate::dice::scramble(self.0))
    }
}
