//! A running storage node, and how it stops.
//!
//! Invariant: a clean stop goes in this order: the controller lets go, requests end, shards checkpoint, marker last (R10).

use std::sync::Arc;
use std::time::Duration;

use ottla_api::metadata_follower::FollowerStopped;
use ottla_api::{MetadataFollower, Storage};
use ottla_metadata::Image;
use ottla_runtime::Seams;
use ottla_runtime::metrics::Metrics;
use ottla_runtime::seams::HostPort;
use ottla_types::{MetadataOffset, NodeId};
use tokio::sync::watch;
use tracing::{info, warn};

use super::serve::GrpcService;
use super::shards::Shards;
use crate::cleaner::Cleaner;
use crate::cluster::membership::{Membership, Standing};
use crate::config::StorageConfig;
use crate::directory::Directory;
use crate::local::{LocalStorage, TracedStorage};
use crate::log::write_clean_marker;
use crate::metrics::{SourceParts, StorageSource};

/// While the node waits to be unfenced it says so this often.
const WAIT_NOTICE: Duration = Duration::from_secs(5);

/// A storage node that serves. Dropping it does not stop it.
pub struct StorageHandle {
    pub(super) config: StorageConfig,
    pub(super) seams: Seams,
    pub(super) storage: LocalStorage,
    pub(super) metadata: MetadataFollower,
    pub(super) membership: Membership,
    pub(super) shards: Shards,
    pub(super) cleaner: Cleaner,
    pub(super) directories: Vec<Directory>,
    pub(super) grpc: Option<GrpcService>,
    /// How long recovery took.
    pub(super) recovery: Duration,
}

impl StorageHandle {
    /// The node, for a gateway of the same process.
    pub fn storage(&self) -> Arc<dyn Storage> {
        Arc::new(TracedStorage(self.storage.clone()))
    }

    /// Makes the node's figures known.
    pub fn offer_metrics(&self, metrics: &Metrics) {
        metrics.add(Arc::new(StorageSource::new(SourceParts {
            node: self.config.node,
            seams: self.seams.clone(),
            metadata: self.metadata.clone(),
            membership: self.membership.clone(),
            figures: self.shards.figures(),
            places: self.shards.places(),
            failures: self.shards.failures(),
            shards_per_dir: self.shards.per_dir(),
            dirs: self.directories.iter().map(|dir| dir.path.clone()).collect(),
            coordinators: self.storage.coordinators(),
            recovery: self.recovery,
        })));
    }

    /// Its id.
    pub fn node(&self) -> NodeId {
        self.config.node
    }

    /// How the controller sees it.
    pub fn standing(&self) -> Standing {
        self.membership.standing()
    }

    /// How the controller sees it, now and from now on.
    pub fn standings(&self) -> watch::Receiver<Standing> {
        self.membership.standings()
    }

    /// Where its gRPC listens, if it does.
    pub fn address(&self) -> Option<HostPort> {
        self.grpc.as_ref().map(GrpcService::address)
    }

    /// Waits until the controller unfenced the node, and the shards act on that.
    pub(super) async fn is_ready(
        &self,
        mut acted: watch::Receiver<MetadataOffset>,
    ) -> Result<(), FollowerStopped> {
        let ready = async {
            let standing = self.membership.wait_until(|standing| !standing.fenced).await;
            let node = self.config.node;
            let is_live = move |image: &Image| {
                let broker = image.brokers.get(&node);
                broker.is_some_and(|b| !b.fenced && b.epoch == standing.broker_epoch)
            };
            let image = self.metadata.wait_until(is_live).await?;
            acted.wait_for(|acted| *acted >= image.offset).await.map_err(|_| FollowerStopped)?;
            Ok(())
        };
        tokio::pin!(ready);
        loop {
            tokio::select! {
                biased;
                ended = &mut ready => return ended,
                () = self.metadata.stopped() => return Err(FollowerStopped),
                () = self.seams.clock.sleep(WAIT_NOTICE) => {
                    info!("waiting for the controller to unfence this node");
                }
            }
        }
    }

    /// Completes when the node cannot serve any more by itself: following the metadata ended, or every log directory failed.
    pub async fn failed(&self) {
        tokio::select! {
            biased;
            () = self.metadata.stopped() => {}
            () = self.shards.all_failed() => {}
        }
    }

    /// Stops in order. Whether all directories were left clean.
    pub async fn shutdown(mut self) -> bool {
        self.leave_cluster().await;
        self.storage.stop();
        if let Some(grpc) = self.grpc.take() {
            grpc.stop().await;
        }
        self.cleaner.stop().await;
        let clean = self.shards.stop().await;
        self.directories
            .iter()
            .zip(clean)
            .all(|(dir, is_clean)| self.r10_leave_marker(dir, is_clean))
    }

    /// R10. Last of all, the marker: only in a directory all of whose shards left nothing unsynced.
    fn r10_leave_marker(&self, dir: &Directory, is_clean: bool) -> bool {
        let epoch = self.membership.standing().broker_epoch;
        if !is_clean {
            warn!(path = %dir.path.display(), "not left clean: the next start recovers it");
            return false;
        }
        let written = write_clean_marker(&*self.seams.disk, &dir.path, epoch);
        if let Err(error) = &written {
            warn!(path = %dir.path.display(), %error, "no clean-shutdown marker");
        }
        written.is_ok()
    }

    /// Controlled shutdown: the controller moves what this node leads, and fences it.
    async fn leave_cluster(&self) {
        let limit = self.config.timing.shutdown_timeout;
        self.membership.want_shutdown();
        tokio::select! {
            biased;
            _ = self.membership.wait_until(|standing| standing.may_shut_down) => {}
            () = self.seams.clock.sleep(limit) => {
                warn!("the controller did not answer within {} s; stopping without it", limit.as_secs());
            }
        }
    }
}
