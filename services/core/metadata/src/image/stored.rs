//! The stored form of an image: what a snapshot holds.
//!
//! Invariant: a stored image that breaks a rule of [`Image`] is refused when it is read; names, sum and index are derived
//! again, never stored.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_types::{ClusterId, MetadataOffset, ProducerId};
use serde::{Deserialize, Serialize};

use super::partition::is_isr_of;
use super::{Broker, Gateway, Image, Topic};
use crate::event::ConfigResource;

/// What a snapshot holds. Frozen by the format version of `codec`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StoredImage {
    offset: MetadataOffset,
    cluster_id: Option<ClusterId>,
    next_producer_id: ProducerId,
    brokers: Vec<Arc<Broker>>,
    gateways: Vec<Arc<Gateway>>,
    configs: Vec<(ConfigResource, Arc<BTreeMap<String, String>>)>,
    topics: Vec<Arc<Topic>>,
}

/// What snapshots held before there were configs of anything but topics.
#[derive(Deserialize)]
pub(crate) struct StoredImageV1 {
    offset: MetadataOffset,
    cluster_id: Option<ClusterId>,
    next_producer_id: ProducerId,
    brokers: Vec<Arc<Broker>>,
    gateways: Vec<Arc<Gateway>>,
    topics: Vec<Arc<Topic>>,
}

impl From<StoredImageV1> for StoredImage {
    fn from(old: StoredImageV1) -> Self {
        Self {
            offset: old.offset,
            cluster_id: old.cluster_id,
            next_producer_id: old.next_producer_id,
            brokers: old.brokers,
            gateways: old.gateways,
            configs: Vec::new(),
            topics: old.topics,
        }
    }
}

/// A stored image that no run of events can have made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokenImage {
    /// A storage node, gateway, topic id, topic name or resource with configs is there twice.
    #[error("{what} is in the snapshot twice")]
    Duplicate {
        /// Which one.
        what: String,
    },
    /// A partition without ISR, or with a leader or ISR outside of its replicas.
    #[error("partition {partition} of topic {topic} has a leader or ISR that cannot be")]
    Partition {
        /// The topic's name.
        topic: String,
        /// The index.
        partition: usize,
    },
}

impl From<Image> for StoredImage {
    fn from(image: Image) -> Self {
        Self {
            offset: image.offset,
            cluster_id: image.cluster_id,
            next_producer_id: image.next_producer_id,
            brokers: image.brokers.values().cloned().collect(),
            gateways: image.gateways.values().cloned().collect(),
            configs: image.configs.into_iter().collect(),
            topics: image.topics.values().cloned().collect(),
        }
    }
}

impl TryFrom<StoredImage> for Image {
    type Error = BrokenImage;

    fn try_from(stored: StoredImage) -> Result<Self, BrokenImage> {
        let mut image = Self {
            offset: stored.offset,
            cluster_id: stored.cluster_id,
            next_producer_id: stored.next_producer_id,
            ..Self::default()
        };
        for broker in stored.brokers {
            let node = broker.registration.node;
            image.sum.broker(None, Some(&broker));
            if image.brokers.insert(node, broker).is_some() {
                return Err(duplicate("storage node", node));
            }
        }
        for gateway in stored.gateways {
            let node = gateway.registration.node;
            image.sum.gateway(None, Some(&gateway));
            if image.gateways.insert(node, gateway).is_some() {
                return Err(duplicate("gateway", node));
            }
        }
        for (resource, configs) in stored.configs {
            image.sum.configs(&resource, None, Some(&configs));
            if image.configs.insert(resource.clone(), configs).is_some() {
                return Err(duplicate("resource", format_args!("{resource:?}")));
            }
        }
        for topic in stored.topics {
            check_topic(&image, &topic)?;
            image.insert_topic(Arc::unwrap_or_clone(topic));
        }
        Ok(image)
    }
}

fn check_topic(image: &Image, topic: &Topic) -> Result<(), BrokenImage> {
    let taken = image.topics.contains_key(&topic.id)
        || image.topic_ids.contains_key(&topic.name)
        || image.index.collision(&topic.name).is_some();
    if taken {
        return Err(duplicate("topic", &topic.name));
    }
    for (at, partition) in topic.partitions.iter().enumerate() {
        let leads = |node| partition.isr.contains(&node);
        if !is_isr_of(&partition.replicas, &partition.isr) || !partition.leader.is_none_or(leads) {
            return Err(BrokenImage::Partition { topic: topic.name.clone(), partition: at });
        }
    }
    Ok(())
}

fn duplicate(kind: &str, which: impl std::fmt::Display) -> BrokenImage {
    BrokenImage::Duplicate { what: format!("{kind} {which}") }
}
