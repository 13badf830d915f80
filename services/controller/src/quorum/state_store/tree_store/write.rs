//! Committed events and images become records.
//!
//! Invariant: many events are coalesced into one batch: a thing that changed often is written once, in its final state (R15).

use std::collections::BTreeSet;
use std::sync::PoisonError;

use ottla_api::controller::HistoryEntry;
use ottla_metadata::Image;
use ottla_types::{NodeId, TopicId};

use super::super::history::entries_of;
use super::super::keys::HistoryKey;
use super::super::tree::{Order, Tree, TreeBatch, prefix};
use super::super::{MAX_HISTORY_ENTRIES, StoreError, StoreMark, keys, records};
use super::TreeStore;
use crate::quorum::driver::Applied;

/// Records of one batch of a rebuild.
const REBUILD_BATCH: usize = 1_000;

pub(super) fn apply<T: Tree>(store: &TreeStore<T>, applied: &[Applied]) -> Result<(), StoreError> {
    let Some(last) = applied.last() else { return Ok(()) };
    let mut batch = TreeBatch::new();
    put_changes(&store.tree, &mut batch, applied, &last.after)?;
    let added = put_history(&mut batch, applied);
    let removed = trim_history(store, &mut batch, added)?;
    batch.push((keys::MARK.to_vec(), Some(mark(&last.after))));
    store.tree.write(batch)?;
    let mut count = store.history_count.lock().unwrap_or_else(PoisonError::into_inner);
    *count = count.map(|count| count + added - removed);
    Ok(())
}

pub(super) fn rebuild<T: Tree>(store: &TreeStore<T>, image: &Image) -> Result<(), StoreError> {
    store.tree.write(vec![(keys::MARK.to_vec(), None)])?;
    for kind in keys::STATE_TYPES {
        remove_all(&store.tree, &[kind])?;
    }
    // Entries of what this image does not know belong to another history.
    remove_history_after(&store.tree, image)?;
    *store.history_count.lock().unwrap_or_else(PoisonError::into_inner) = None;
    let topics = image.topics.keys().flat_map(|id| topic_records(image, *id));
    let brokers = image.brokers.keys().map(|node| broker_record(image, *node));
    let gateways = image.gateways.keys().map(|node| gateway_record(image, *node));
    let mut batch = TreeBatch::new();
    for record in topics.chain(brokers).chain(gateways) {
        batch.push(record);
        if batch.len() >= REBUILD_BATCH {
            store.tree.write(std::mem::take(&mut batch))?;
        }
    }
    batch.push((keys::MARK.to_vec(), Some(mark(image))));
    store.tree.write(batch)
}

fn mark(image: &Image) -> Vec<u8> {
    let (cluster_id, offset) = (image.cluster_id.clone(), image.offset);
    records::encode_mark(StoreMark { cluster_id, offset, hash: image.hash() })
}

fn put_changes(
    tree: &impl Tree,
    batch: &mut TreeBatch,
    applied: &[Applied],
    image: &Image,
) -> Result<(), StoreError> {
    let all = || applied.iter().map(|applied| &applied.changes);
    let topics: BTreeSet<_> = all()
        .flat_map(|changes| changes.topics.iter().chain(changes.deleted_topics.keys()))
        .collect();
    // Removals first: a name may be taken again by another topic.
    for id in topics.iter().filter(|id| !image.topics.contains_key(**id)) {
        if let Some(name) = tree.get(&keys::topic_name(**id))? {
            let name = String::from_utf8(name).map_err(|_| StoreError::Damaged)?;
            batch.push((keys::topic(&name), None));
            batch.push((keys::topic_name(**id), None));
        }
    }
    batch.extend(topics.iter().flat_map(|id| topic_records(image, **id)));
    let brokers: BTreeSet<_> = all().flat_map(|changes| &changes.brokers).collect();
    batch.extend(brokers.into_iter().map(|node| broker_record(image, *node)));
    let gateways: BTreeSet<_> = all().flat_map(|changes| &changes.gateways).collect();
    batch.extend(gateways.into_iter().map(|node| gateway_record(image, *node)));
    Ok(())
}

type Record = (Vec<u8>, Option<Vec<u8>>);

fn topic_records(image: &Image, id: TopicId) -> Vec<Record> {
    let Some(topic) = image.topics.get(&id) else { return Vec::new() };
    vec![
        (keys::topic(&topic.name), Some(records::encode(topic))),
        (keys::topic_name(id), Some(topic.name.clone().into_bytes())),
    ]
}

fn broker_record(image: &Image, node: NodeId) -> Record {
    (keys::broker(node), image.brokers.get(&node).map(records::encode))
}

fn gateway_record(image: &Image, node: NodeId) -> Record {
    (keys::gateway(node), image.gateways.get(&node).map(records::encode))
}

/// Adds the history of events; returns how many entries.
fn put_history(batch: &mut TreeBatch, applied: &[Applied]) -> usize {
    let mut added = 0;
    for applied in applied {
        for (number, entry) in (0..).zip(entries_of(applied)) {
            let place = HistoryKey { offset: entry.offset, number };
            batch.push((keys::history_at(place), Some(records::encode_history(&entry))));
            batch.extend(index_keys(&entry, place).map(|key| (key, Some(Vec::new()))));
            added += 1;
        }
    }
    added
}

fn index_keys(entry: &HistoryEntry, place: HistoryKey) -> impl Iterator<Item = Vec<u8>> {
    let by_node = entry.node.map(keys::history_of_node);
    let by_topic = entry.partition.as_ref().map(|(topic, _)| keys::history_of_topic(topic));
    let by_partition = entry
        .partition
        .as_ref()
        .filter(|(_, partition)| *partition >= 0)
        .map(|(topic, partition)| keys::history_of_partition(topic, *partition));
    let indexes = [by_node, by_topic, by_partition].into_iter().flatten();
    indexes.map(move |index| keys::place_below(&index, place))
}

/// Removes the oldest entries beyond the bound; returns how many.
fn trim_history<T: Tree>(
    store: &TreeStore<T>,
    batch: &mut TreeBatch,
    added: usize,
) -> Result<usize, StoreError> {
    let mut count = store.history_count.lock().unwrap_or_else(PoisonError::into_inner);
    let known = match *count {
        Some(known) => known,
        None => *count.insert(count_history(&store.tree)?),
    };
    drop(count);
    let surplus = (known + added).saturating_sub(MAX_HISTORY_ENTRIES).min(known);
    let mut removed = 0;
    if surplus > 0 {
        store.tree.scan(prefix(&keys::history()), Order::Ascending, &mut |key, value| {
            remove_history(batch, key, value)?;
            removed += 1;
            Ok(removed < surplus)
        })?;
    }
    Ok(removed)
}

fn remove_history(batch: &mut TreeBatch, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
    let place = HistoryKey::at_end_of(key).ok_or(StoreError::Damaged)?;
    let entry = records::decode_history(place.offset, value)?;
    batch.push((key.to_vec(), None));
    batch.extend(index_keys(&entry, place).map(|key| (key, None)));
    Ok(())
}

fn count_history(tree: &impl Tree) -> Result<usize, StoreError> {
    let mut count = 0;
    tree.scan(prefix(&keys::history()), Order::Ascending, &mut |_, _| {
        count += 1;
        Ok(true)
    })?;
    Ok(count)
}

fn remove_history_after(tree: &impl Tree, image: &Image) -> Result<(), StoreError> {
    let mut batch = TreeBatch::new();
    tree.scan(prefix(&keys::history()), Order::Descending, &mut |key, value| {
        let place = HistoryKey::at_end_of(key).ok_or(StoreError::Damaged)?;
        let is_later = place.offset > image.offset;
        if is_later {
            remove_history(&mut batch, key, value)?;
        }
        Ok(is_later)
    })?;
    tree.write(batch)
}

fn remove_all(tree: &impl Tree, kind: &[u8]) -> Result<(), StoreError> {
    loop {
        let mut batch = TreeBatch::new();
        tree.scan(prefix(kind), Order::Ascending, &mut |key, _| {
            batch.push((key.to_vec(), None));
            Ok(batch.len() < REBUILD_BATCH)
        })?;
        if batch.is_empty() {
            return Ok(());
        }
        tree.write(batch)?;
    }
}
