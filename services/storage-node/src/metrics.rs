//! What scrapes see of a storage node: under our names, and under those that Kafka's dashboards and exporters use.
//!
//! Invariant: no shard is asked anything; coordinators are, between two of their turns. The number of samples is bounded, and what
//! was left out is told. Figures about a partition as a whole come from its leader only, so that they can be summed over nodes.

mod directories;
mod groups;
mod partitions;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use ottla_api::MetadataFollower;
use ottla_runtime::Seams;
use ottla_runtime::metrics::{Kind, Recent, Scrape, Source};
use ottla_types::NodeId;

use crate::cluster::membership::Membership;
use crate::coordinator::{Coordinators, Picture};
use crate::figures::NodeFigures;
use crate::local::Places;
use crate::shard::failures::Failures;
use directories::Space;

/// Partitions that one scrape is told of, at most; sums count all.
const MAX_SCRAPED_PARTITIONS: usize = 10_000;
/// Topics that one scrape is told of, at most; sums count all.
const MAX_SCRAPED_TOPICS: usize = 2_000;
/// Kafka's number of a broker that starts.
const BROKER_STARTING: i32 = 1;
/// Kafka's number of a broker that serves.
const BROKER_RUNNING: i32 = 3;

/// What figures are read from.
pub(crate) struct SourceParts {
    pub(crate) node: NodeId,
    pub(crate) seams: Seams,
    pub(crate) metadata: MetadataFollower,
    pub(crate) membership: Membership,
    pub(crate) figures: Arc<NodeFigures>,
    pub(crate) places: Arc<Places>,
    pub(crate) failures: Arc<Failures>,
    pub(crate) shards_per_dir: usize,
    pub(crate) dirs: Vec<PathBuf>,
    pub(crate) coordinators: Arc<Coordinators>,
    pub(crate) recovery: Duration,
}

/// The figures of a node, for scrapes.
pub(crate) struct StorageSource {
    parts: SourceParts,
    /// What others said at the last refresh. Only scrapes take it.
    told: Mutex<Told>,
    recent: Mutex<Recent>,
}

#[derive(Default)]
struct Told {
    pictures: Vec<Picture>,
    space: Vec<Option<Space>>,
}

impl StorageSource {
    pub(crate) fn new(parts: SourceParts) -> Self {
        Self { parts, told: Mutex::default(), recent: Mutex::default() }
    }

    fn write_node(&self, scrape: &mut Scrape) {
        let parts = &self.parts;
        let state =
            if parts.membership.standing().fenced { BROKER_STARTING } else { BROKER_RUNNING };
        let help = "State of the storage node: 1 it is not let in yet, 3 it serves";
        scrape.gauge("kafka_server_kafkaserver_brokerstate", help, state);
        let help = "Time that recovery took at the start";
        scrape.gauge("ottla_storage_recovery_seconds", help, parts.recovery.as_secs_f64());
        let help = "Partitions that are not served because their files are damaged";
        scrape.gauge(
            "ottla_storage_quarantined_partitions",
            help,
            parts.places.quarantined_count(),
        );
        let help =
            "Time that a round took to be durable: written, and synced once for all its partitions";
        let mut family = scrape.family(Kind::Histogram, "ottla_storage_commit_seconds", help);
        family.histogram(&[], &parts.figures.commits);
        let all = parts.figures.commits.read();
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = recent.since_minutes(parts.seams.clock.monotonic(), vec![all.clone()]);
        let name = "kafka_log_logflushstats_logflushrateandtimems";
        let mut family =
            scrape.family(Kind::Summary, name, "Milliseconds that a round took to be durable");
        family.summary_ms(&[], &recent[0], &all);
    }
}

impl Source for StorageSource {
    fn refresh(&self) -> BoxFuture<'_, ()> {
        async {
            let pictures = self.parts.coordinators.pictures();
            let space = directories::ask(&self.parts.seams, &self.parts.dirs);
            let (pictures, space) = futures::join!(pictures, space);
            *self.told.lock().unwrap_or_else(PoisonError::into_inner) = Told { pictures, space };
        }
        .boxed()
    }

    fn write(&self, scrape: &mut Scrape) {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        self.write_node(scrape);
        directories::write(&self.parts, &told.space, scrape);
        partitions::write(&self.parts, scrape);
        groups::write(&self.parts, &told.pictures, scrape);
    }
}
