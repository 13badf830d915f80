//! Pages of the store.
//!
//! Invariant: a page reads as many keys as it has entries, and a few; never the whole tree.

use std::ops::Bound;
use std::sync::Arc;

use ottla_api::controller::{HistoryEntry, HistoryPage, HistoryQuery};
use ottla_types::MetadataOffset;
use serde::de::DeserializeOwned;

use super::super::history::matches;
use super::super::keys::HistoryKey;
use super::super::tree::{Order, Tree, end_of};
use super::super::{MAX_PAGE, StoreError, TopicPage, keys, records};

/// History entries that a query looks at for one page where no index helps.
const MAX_LOOKED_AT: usize = 100_000;

pub(super) fn topics(
    tree: &impl Tree,
    prefix: &str,
    after: &str,
    limit: usize,
) -> Result<TopicPage, StoreError> {
    let end = end_of(&keys::topics(prefix));
    let begin = if after.is_empty() {
        Bound::Included(keys::topics(prefix))
    } else {
        Bound::Excluded(keys::topic(after).max(keys::topics(prefix)))
    };
    let mut page = Vec::new();
    tree.scan((begin, end), Order::Ascending, &mut |_, value| {
        page.push(Arc::new(records::decode(value)?));
        Ok(page.len() < limit.min(MAX_PAGE))
    })?;
    Ok(page)
}

pub(super) fn nodes<T: DeserializeOwned>(
    tree: &impl Tree,
    kind: &[u8],
    after: Option<Vec<u8>>,
    limit: usize,
) -> Result<Vec<T>, StoreError> {
    let begin = after.map_or(Bound::Included(kind.to_vec()), Bound::Excluded);
    let mut page = Vec::new();
    tree.scan((begin, end_of(kind)), Order::Ascending, &mut |_, value| {
        page.push(records::decode(value)?);
        Ok(page.len() < limit.min(MAX_PAGE))
    })?;
    Ok(page)
}

/// The index that finds the fewest keys for a query.
fn index(query: &HistoryQuery) -> Vec<u8> {
    match (&query.topic, query.partition, query.node) {
        (Some(topic), Some(partition), _) => keys::history_of_partition(topic, partition),
        (Some(topic), None, _) => keys::history_of_topic(topic),
        (None, _, Some(node)) => keys::history_of_node(node),
        (None, _, None) => keys::history().to_vec(),
    }
}

pub(super) fn history(tree: &impl Tree, query: &HistoryQuery) -> Result<HistoryPage, StoreError> {
    let index = index(query);
    let limit = query.limit.clamp(1, MAX_PAGE);
    let end = match query.before {
        Some(before) => Bound::Excluded(keys::place_below(&index, HistoryKey::first_of(before))),
        None => end_of(&index),
    };
    let mut entries: Vec<HistoryEntry> = Vec::new();
    let mut next = None;
    let mut looked_at = 0;
    tree.scan((Bound::Included(index.clone()), end), Order::Descending, &mut |key, value| {
        let place = HistoryKey::at_end_of(key).ok_or(StoreError::Damaged)?;
        // A page ends between two offsets, so that `before` finds the next one.
        let is_new_offset = entries.last().is_none_or(|last| last.offset != place.offset);
        looked_at += 1;
        if is_new_offset && (entries.len() >= limit || looked_at > MAX_LOOKED_AT) {
            next = Some(MetadataOffset(place.offset.0 + 1));
            return Ok(false);
        }
        if let Some(entry) = entry_at(tree, place, (key, value))?
            && matches(query, &entry)
        {
            entries.push(entry);
        }
        Ok(true)
    })?;
    Ok(HistoryPage { entries, next })
}

/// The entry of a key: its own value, or that of the entry that an index key points to.
fn entry_at(
    tree: &impl Tree,
    place: HistoryKey,
    found: (&[u8], &[u8]),
) -> Result<Option<HistoryEntry>, StoreError> {
    let (key, value) = found;
    if key.first() == keys::history().first() {
        return records::decode_history(place.offset, value).map(Some);
    }
    let value = tree.get(&keys::history_at(place))?;
    value.map(|value| records::decode_history(place.offset, &value)).transpose()
}
