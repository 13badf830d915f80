//! One link per storage node: a direct call to the one of this process, a connection to any other.
//!
//! Invariant: a node that registered with another address gets a new link. Deliberately does not know how a link works, nor what
//! is asked of the nodes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use ottla_metadata::Image;
use ottla_metadata::event::Endpoint;
use ottla_runtime::Seams;
use ottla_runtime::seams::HostPort;
use ottla_types::NodeId;

use super::{RemoteStorage, Storage};

/// Makes links to storage nodes of other processes.
pub trait ConnectStorage: Send + Sync + 'static {
    /// A link to the node at this address. Returns at once: the connection is made when it is first needed.
    fn connect(&self, node: NodeId, endpoint: &Endpoint) -> Arc<dyn Storage>;
}

/// Links over gRPC streams.
pub struct RemoteStorages(pub Seams);

impl ConnectStorage for RemoteStorages {
    fn connect(&self, node: NodeId, endpoint: &Endpoint) -> Arc<dyn Storage> {
        let address = HostPort::new(endpoint.host.clone(), endpoint.port);
        Arc::new(RemoteStorage::new(&self.0, node, &address))
    }
}

/// The storage nodes.
pub struct StorageLinks {
    own: Option<(NodeId, Arc<dyn Storage>)>,
    connect: Arc<dyn ConnectStorage>,
    /// In order of the nodes: so links that end together end in the same order every time.
    links: ArcSwap<BTreeMap<NodeId, Link>>,
    changing: Mutex<()>,
}

#[derive(Clone)]
struct Link {
    endpoint: Endpoint,
    storage: Arc<dyn Storage>,
}

impl StorageLinks {
    /// No links yet but to the storage node of this process.
    pub fn new(own: Option<(NodeId, Arc<dyn Storage>)>, connect: Arc<dyn ConnectStorage>) -> Self {
        Self { own, connect, links: ArcSwap::default(), changing: Mutex::new(()) }
    }

    /// The storage node of this process.
    pub fn own(&self) -> Option<NodeId> {
        self.own.as_ref().map(|(node, _)| *node)
    }

    /// The storage node, if the image knows it.
    pub fn get(&self, node: NodeId, image: &Image) -> Option<Arc<dyn Storage>> {
        if let Some((own, storage)) = &self.own
            && *own == node
        {
            return Some(storage.clone());
        }
        let endpoint = &image.brokers.get(&node)?.registration.storage_endpoint;
        if let Some(link) = self.links.load().get(&node)
            && link.endpoint == *endpoint
        {
            return Some(link.storage.clone());
        }
        Some(self.link(node, endpoint, image))
    }

    fn link(&self, node: NodeId, endpoint: &Endpoint, image: &Image) -> Arc<dyn Storage> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let links = self.links.load_full();
        if let Some(link) = links.get(&node).filter(|link| link.endpoint == *endpoint) {
            return link.storage.clone();
        }
        let storage = self.connect.connect(node, endpoint);
        let mut links: BTreeMap<_, _> = links
            .iter()
            .filter(|(node, _)| image.brokers.contains_key(*node))
            .map(|(node, link)| (*node, link.clone()))
            .collect();
        links.insert(node, Link { endpoint: endpoint.clone(), storage: storage.clone() });
        self.links.store(Arc::new(links));
        storage
    }
}
