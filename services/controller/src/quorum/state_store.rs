//! The applied metadata as a database holds it: lists, pages, and the history of what happened.
//!
//! Invariant: it is written behind the commit path by an actor of its own, and holds nothing that is not committed durably (P2).
//! Missing, torn, behind or ahead, it is rebuilt from the image; nothing is ever started from it that only it knows.
//! Deliberately not asked by the consensus for anything.

mod history;
mod keys;
mod queue;
mod records;
#[cfg(test)]
mod tests;
mod tree;
mod tree_store;
mod writer;

use std::sync::Arc;

use ottla_api::controller::{HistoryPage, HistoryQuery};
use ottla_metadata::Image;
use ottla_metadata::image::{Broker, Gateway, Topic};
use ottla_types::{ClusterId, MetadataOffset, NodeId};

pub(super) use history::cause;
pub use queue::StoreQueue;
pub use tree_store::{MemoryStore, SledStore};
pub use writer::StoreWriter;

use super::driver::Applied;

/// Most entries of the history; the oldest go.
pub const MAX_HISTORY_ENTRIES: usize = 100_000;
/// Most partitions that the history names for one event; a line counts the rest.
pub const MAX_HISTORY_ENTRIES_PER_EVENT: usize = 1_000;
/// Most entries of one page, of anything.
pub const MAX_PAGE: usize = 1_000;

/// Why the store cannot answer or write.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database.
    #[error(
        "the metadata state store failed: {0}; remove its folder, it is rebuilt at the next start"
    )]
    Database(String),
    /// A record that cannot be read.
    #[error(
        "the metadata state store holds a damaged record; remove its folder, it is rebuilt at the next start"
    )]
    Damaged,
}

/// What the store is the state of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreMark {
    /// The cluster.
    pub cluster_id: Option<ClusterId>,
    /// Metadata offset.
    pub offset: MetadataOffset,
    /// Hash of the image there.
    pub hash: u64,
}

/// A page of topics, by name.
pub type TopicPage = Vec<Arc<Topic>>;

/// The applied metadata, to be asked. All calls are short; a page is bounded by [`MAX_PAGE`].
pub trait StateStore: Send + Sync + 'static {
    /// What it is the state of; `None` if it is empty.
    fn mark(&self) -> Result<Option<StoreMark>, StoreError>;

    /// Takes over committed events, all or none.
    fn apply(&self, applied: &[Applied]) -> Result<(), StoreError>;

    /// Takes over an image in place of everything but the history.
    fn rebuild(&self, image: &Image) -> Result<(), StoreError>;

    /// Topics whose names begin with `prefix`, after the name `after`, in order.
    fn topics(&self, prefix: &str, after: &str, limit: usize) -> Result<TopicPage, StoreError>;

    /// Storage nodes after a node, in order.
    fn brokers(&self, after: Option<NodeId>, limit: usize) -> Result<Vec<Broker>, StoreError>;

    /// Gateways after a node, in order.
    fn gateways(&self, after: Option<NodeId>, limit: usize) -> Result<Vec<Gateway>, StoreError>;

    /// A page of the history, newest first. It ends with all entries of the last metadata offset, and may so be longer.
    fn history(&self, query: &HistoryQuery) -> Result<HistoryPage, StoreError>;
}
