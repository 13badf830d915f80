//! The node's shards: which partitions each begins with, and how all stop.
//!
//! Invariant: a folder that the cluster does not know is renamed before a shard could serve it, and never removed (R17). Journals are
//! started anew only after everything that older ones held is in segments.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::FutureExt;
use futures::future::{BoxFuture, Shared, join_all};
use ottla_metadata::Image;
use ottla_partition::{Durability, Replica, ReplicaConfig, TimestampPolicy};
use ottla_runtime::Seams;
use ottla_runtime::seams::{Disk, TaskHandle};
use ottla_types::{PartitionIndex, TopicId, TopicPartition};
use tracing::{error, warn};

use super::StartError;
use super::recover::{FoundDirectory, FoundPartition};
use crate::config::StorageConfig;
use crate::directory::DirectoryError;
use crate::figures::NodeFigures;
use crate::local::{Places, shard_of};
use crate::log::{
    Files, Journal, JournalConfig, JournalError, Quarantined, RecoveryPoints,
    parse_partition_dir_name,
};
use crate::mutant::Mutation;
use crate::shard::failures::Failures;
use crate::shard::message::Message;
use crate::shard::upkeep::Periods;
use crate::shard::{self, Partition, ShardHandle, ShardParts};

/// All shards of a node, directory by directory.
pub(super) struct Shards {
    handles: Vec<ShardHandle>,
    ended: Vec<Shared<BoxFuture<'static, ()>>>,
    places: Arc<Places>,
    failures: Arc<Failures>,
    figures: Arc<NodeFigures>,
    per_dir: usize,
}

impl Shards {
    /// Starts the shards with what was found on disk.
    pub(super) fn start(
        config: &StorageConfig,
        seams: &Seams,
        image: &Image,
        found: Vec<FoundDirectory>,
    ) -> Result<Self, StartError> {
        let per_dir = config.shards_per_dir();
        let places = Arc::new(Places::default());
        let failures = Arc::new(Failures::default());
        let figures = Arc::default();
        let mut shards =
            Self { handles: vec![], ended: vec![], places, failures, figures, per_dir };
        for (dir, found) in found.into_iter().enumerate() {
            shards.start_dir(config, seams, image, (dir, found))?;
        }
        Ok(shards)
    }

    fn start_dir(
        &mut self,
        config: &StorageConfig,
        seams: &Seams,
        image: &Image,
        (dir, mut found): (usize, FoundDirectory),
    ) -> Result<(), StartError> {
        let path = found.path.clone();
        let failed = |source| DirectoryError::Io { path: path.clone(), source };
        let mut by_shard: BTreeMap<usize, Vec<Partition>> = BTreeMap::new();
        for partition in std::mem::take(&mut found.partitions) {
            let id = partition.log.id();
            if !is_held(config, image, id) || self.places.get(id).is_some() {
                // Its name may be another topic's soon.
                found.points.forget(partition.log.topic(), id);
                r17_set_aside(&*seams.disk, partition.log.dir()).map_err(failed)?;
                continue;
            }
            let place = shard_of(id, dir, self.per_dir);
            self.places.set(id, place);
            by_shard.entry(place.shard).or_default().push(begin(config, partition));
        }
        let mut quarantined =
            self.place_quarantined(config, seams, image, (dir, &found)).map_err(failed)?;
        for within in 0..self.per_dir {
            let shard = dir * self.per_dir + within;
            let partitions = by_shard.remove(&shard).unwrap_or_default();
            let deleted = if within == 0 { found.deleted.clone() } else { Vec::new() };
            let journal = start_journal(config, seams, (&found.path, within));
            let parts = ShardParts {
                index: shard,
                me: config.node,
                seams: seams.clone(),
                log_dir: found.path.clone(),
                files: Files::new(Arc::clone(&seams.disk), config.sizes.open_files_per_shard),
                journal: journal.map_err(|e| failed(std::io::Error::other(e)))?,
                journal_bytes: config.sizes.journal_bytes,
                recovery_points: Arc::clone(&found.points),
                partitions,
                quarantined: quarantined.remove(&shard).unwrap_or_default(),
                deleted,
                periods: periods(config),
                failures: Arc::clone(&self.failures),
                figures: Arc::clone(&self.figures),
                mutation: Mutation::of(config),
            };
            let (handle, task) = shard::start(parts);
            self.handles.push(handle);
            let ended = ended(shard, task, Arc::clone(&self.failures));
            self.ended.push(ended.boxed().shared());
        }
        Journal::remove_above(&*seams.disk, &found.path, self.per_dir).map_err(failed)?;
        Ok(())
    }

    /// The quarantined folders by the shards that look after them; those that the cluster does not know are set aside.
    fn place_quarantined(
        &self,
        config: &StorageConfig,
        seams: &Seams,
        image: &Image,
        (dir, found): (usize, &FoundDirectory),
    ) -> std::io::Result<BTreeMap<usize, BTreeMap<TopicPartition, PathBuf>>> {
        let mut by_shard: BTreeMap<usize, BTreeMap<_, _>> = BTreeMap::new();
        for broken in &found.quarantined {
            let Some(id) = self.held_id(config, image, broken) else {
                forget(&found.points, broken);
                r17_set_aside(&*seams.disk, &broken.dir)?;
                continue;
            };
            let place = shard_of(id, dir, self.per_dir);
            self.places.quarantine(id, place);
            by_shard.entry(place.shard).or_default().insert(id, broken.dir.clone());
        }
        Ok(by_shard)
    }

    /// Whose a quarantined folder is, if this node holds it: by its metadata, else by its name.
    fn held_id(
        &self,
        config: &StorageConfig,
        image: &Image,
        broken: &Quarantined,
    ) -> Option<TopicPartition> {
        let by_name = || {
            let (topic, partition) = name_of(broken)?;
            Some(TopicPartition { topic: image.topic_by_name(topic)?.id, partition })
        };
        let id = broken.partition.or_else(by_name)?;
        (is_held(config, image, id) && self.places.get(id).is_none()).then_some(id)
    }

    pub(super) fn handles(&self) -> Vec<ShardHandle> {
        self.handles.clone()
    }

    pub(super) fn places(&self) -> Arc<Places> {
        Arc::clone(&self.places)
    }

    pub(super) fn figures(&self) -> Arc<NodeFigures> {
        Arc::clone(&self.figures)
    }

    /// Shards of each directory.
    pub(super) fn per_dir(&self) -> usize {
        self.per_dir
    }

    pub(super) fn failures(&self) -> Arc<Failures> {
        Arc::clone(&self.failures)
    }

    /// Completes when no shard serves any more.
    pub(super) async fn all_failed(&self) {
        self.failures.reach(self.handles.len()).await;
    }

    /// Stops all; whether each directory was left clean.
    pub(super) async fn stop(&self) -> Vec<bool> {
        let stopped = self.handles.iter().map(|shard| shard.ask(Message::Stop));
        let stopped: Vec<_> = join_all(stopped).await;
        join_all(self.ended.iter().cloned()).await;
        let is_clean = |shards: &[Result<bool, _>]| shards.iter().all(|clean| *clean == Ok(true));
        stopped.chunks(self.per_dir).map(is_clean).collect()
    }
}

/// Completes when the shard ended; a panic is told.
async fn ended(shard: usize, task: TaskHandle, failures: Arc<Failures>) {
    if let Err(cause) = task.join().await {
        failures.add(shard);
        error!(shard, "a storage shard ended: {cause}; restart the node, and report this as a bug");
    }
}

fn is_held(config: &StorageConfig, image: &Image, id: TopicPartition) -> bool {
    let partition = image.partition(id.topic, id.partition);
    partition.is_some_and(|partition| partition.replicas.contains(&config.node))
}

/// Topic and partition that a quarantined folder is named after.
fn name_of(broken: &Quarantined) -> Option<(&str, PartitionIndex)> {
    parse_partition_dir_name(broken.dir.file_name()?.to_str()?)
}

/// The name of a folder that is set aside may be another topic's soon.
fn forget(points: &RecoveryPoints, broken: &Quarantined) {
    if let Some((topic, partition)) = name_of(broken) {
        let unknown = TopicPartition { topic: TopicId::default(), partition };
        points.forget(topic, broken.partition.unwrap_or(unknown));
    }
}

/// R17. Renames a folder that the cluster does not know; it is kept until a person removes it.
fn r17_set_aside(disk: &dyn Disk, dir: &Path) -> std::io::Result<()> {
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    let mut to: PathBuf = dir.with_file_name(format!("{name}-stray"));
    let mut copy = 1;
    while disk.exists(&to)? {
        copy += 1;
        to = dir.with_file_name(format!("{name}-{copy}-stray"));
    }
    disk.rename(dir, &to)?;
    disk.sync_dir(dir.parent().unwrap_or(dir))?;
    warn!(
        path = %to.display(),
        "the cluster does not know this partition: its folder is renamed and kept; remove it once you are sure"
    );
    Ok(())
}

/// A partition before the metadata said anything of it.
fn begin(config: &StorageConfig, found: FoundPartition) -> Partition {
    let unassigned = ReplicaConfig {
        durability: Durability::Synced,
        min_insync_replicas: 1,
        max_message_bytes: ottla_types::limits::DEFAULT_MAX_MESSAGE_BYTES,
        timestamps: TimestampPolicy::LogAppendTime,
        producer_expiration_ms: config.producer_expiration_ms,
    };
    let replica = Replica::new(config.node, unassigned, found.state);
    Partition::new(found.log, replica)
}

fn start_journal(
    config: &StorageConfig,
    seams: &Seams,
    (path, within): (&Path, usize),
) -> Result<Journal, JournalError> {
    let salt = (seams.rng.next_u64() >> 32) as u32;
    let size = JournalConfig { file_bytes: config.sizes.journal_bytes, salt };
    #[cfg(feature = "mutants")]
    if config.mutant == Some(crate::mutant::Mutant::NoSync) {
        let disk: Arc<dyn Disk> = Arc::new(crate::mutant::NoSyncDisk::new(Arc::clone(&seams.disk)));
        return Journal::start(&disk, path, within, size);
    }
    Journal::start(&seams.disk, path, within, size)
}

fn periods(config: &StorageConfig) -> Periods {
    Periods {
        checkpoint: config.timing.checkpoint_interval,
        retention: config.timing.retention_check_interval,
    }
}
