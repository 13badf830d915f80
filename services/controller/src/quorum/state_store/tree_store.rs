//! The state store over an ordered tree: one tree, so that one batch is atomic.
//!
//! Invariant: the mark is written with what it speaks of. During a rebuild there is no mark: a crash then leads to another.

mod read;
mod write;

use std::path::Path;
use std::sync::Mutex;

use ottla_api::controller::{HistoryPage, HistoryQuery};
use ottla_metadata::Image;
use ottla_metadata::image::{Broker, Gateway};
use ottla_runtime::seams::Disk;
use ottla_types::NodeId;

use super::tree::{MemoryTree, SledTree, Tree};
use super::{StateStore, StoreError, StoreMark, TopicPage, keys, records};
use crate::quorum::driver::Applied;

/// The store in a sled database.
pub struct SledStore(TreeStore<SledTree>);

/// The store in memory, for simulations.
#[derive(Default)]
pub struct MemoryStore(TreeStore<MemoryTree>);

#[derive(Default)]
struct TreeStore<T> {
    tree: T,
    /// Entries of the history; `None` until they were counted.
    history_count: Mutex<Option<usize>>,
}

impl SledStore {
    /// Opens the database in a folder. One that cannot be opened is removed and begun anew: it holds nothing of its own but the
    /// history.
    pub fn open(disk: &dyn Disk, path: &Path) -> Result<Self, StoreError> {
        let open = || SledTree::open(path).map(TreeStore::new).map(Self);
        let opened = open().and_then(|store| store.mark().map(|_| store));
        opened.or_else(|error| {
            tracing::warn!(path = %path.display(), "the metadata state store is rebuilt: {error}");
            let removed =
                if disk.exists(path).unwrap_or(false) { disk.remove_dir_all(path) } else { Ok(()) };
            removed.map_err(|error| StoreError::Database(error.to_string()))?;
            open()
        })
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }
}

impl<T> TreeStore<T> {
    fn new(tree: T) -> Self {
        Self { tree, history_count: Mutex::new(None) }
    }
}

impl<T: Tree> StateStore for TreeStore<T> {
    fn mark(&self) -> Result<Option<StoreMark>, StoreError> {
        let bytes = self.tree.get(keys::MARK)?;
        bytes.map_or(Ok(None), |bytes| records::decode_mark(&bytes))
    }

    fn apply(&self, applied: &[Applied]) -> Result<(), StoreError> {
        write::apply(self, applied)
    }

    fn rebuild(&self, image: &Image) -> Result<(), StoreError> {
        write::rebuild(self, image)
    }

    fn topics(&self, prefix: &str, after: &str, limit: usize) -> Result<TopicPage, StoreError> {
        read::topics(&self.tree, prefix, after, limit)
    }

    fn brokers(&self, after: Option<NodeId>, limit: usize) -> Result<Vec<Broker>, StoreError> {
        read::nodes(&self.tree, &keys::brokers(), after.map(keys::broker), limit)
    }

    fn gateways(&self, after: Option<NodeId>, limit: usize) -> Result<Vec<Gateway>, StoreError> {
        read::nodes(&self.tree, &keys::gateways(), after.map(keys::gateway), limit)
    }

    fn history(&self, query: &HistoryQuery) -> Result<HistoryPage, StoreError> {
        read::history(&self.tree, query)
    }
}

macro_rules! is_a_tree_store {
    ($($store:ident),*) => {$(
        impl StateStore for $store {
            fn mark(&self) -> Result<Option<StoreMark>, StoreError> {
                self.0.mark()
            }

            fn apply(&self, applied: &[Applied]) -> Result<(), StoreError> {
                self.0.apply(applied)
            }

            fn rebuild(&self, image: &Image) -> Result<(), StoreError> {
                self.0.rebuild(image)
            }

            fn topics(&self, prefix: &str, after: &str, limit: usize) -> Result<TopicPage, StoreError> {
                self.0.topics(prefix, after, limit)
            }

            fn brokers(&self, after: Option<NodeId>, limit: usize) -> Result<Vec<Broker>, StoreError> {
                self.0.brokers(after, limit)
            }

            fn gateways(&self, after: Option<NodeId>, limit: usize) -> Result<Vec<Gateway>, StoreError> {
                self.0.gateways(after, limit)
            }

            fn history(&self, query: &HistoryQuery) -> Result<HistoryPage, StoreError> {
                self.0.history(query)
            }
        }
    )*};
}

is_a_tree_store!(SledStore, MemoryStore);
