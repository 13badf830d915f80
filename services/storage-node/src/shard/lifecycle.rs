//! Partitions come, change and go, as the metadata say.
//!
//! Invariant: a partition serves only once its creation is part of a durable round; what goes is renamed before anything of it is
//! removed (R17). Roles are taken from the final image (R15).

use std::path::Path;
use std::sync::Arc;

use ottla_api::storage::LogDirectoryPartition;
use ottla_log_format::journal::FRAME_HEADER_BYTES;
use ottla_partition::{Effect, RecoveredState, Replica, ReplicaRole};
use ottla_types::{ErrorCode, Offset, TopicPartition, Uuid};
use tokio::sync::oneshot;
use tracing::{error, info};

use super::message::AssignJob;
use super::partition::Partition;
use super::round::RoundWork;
use super::topic_settings::TopicSettings;
use super::{LEFTOVER_DELAY, Shard};
use crate::log::{PartitionLog, deleted_dir_name, parse_partition_dir_name};

impl Shard {
    /// Acts on partitions as the newest image has them; `done` is told once the round is durable.
    pub(super) async fn assign(
        &mut self,
        jobs: Vec<AssignJob>,
        done: oneshot::Sender<()>,
        round: &mut RoundWork,
    ) {
        for job in jobs {
            let id = job.partition;
            if !self.partitions.contains_key(&id) && !self.create(id, &job.settings, round) {
                continue;
            }
            if round.bytes >= self.round_bytes {
                self.commit_midway(round).await;
            }
            self.take_settings(id, &job.settings);
            self.take_role(job);
            round.touched.insert(id);
        }
        round.assigned.push(done);
    }

    /// Makes a new partition; false if the disk does not let it.
    fn create(
        &mut self,
        id: TopicPartition,
        settings: &TopicSettings,
        round: &mut RoundWork,
    ) -> bool {
        if self.is_failed {
            return false;
        }
        // The name may be that of a deleted partition.
        self.recovery_points.cleaned().forget(&settings.name, id.partition);
        if let Err(cause) = self.recovery_points.write_forgotten() {
            self.r16_fail(&cause);
            return false;
        }
        let config = Arc::clone(&settings.log);
        let created = PartitionLog::create(&self.files, &self.log_dir, &settings.name, id, config);
        let log = match created {
            Ok(log) => log,
            Err(cause) => {
                error!(topic = %settings.name, partition = %id.partition, "not created: {cause}");
                self.unmade.insert(id);
                return false;
            }
        };
        round.frames.created(&log);
        round.has_new_partitions = true;
        round.bytes += FRAME_HEADER_BYTES + settings.name.len();
        let replica = Replica::new(self.me, settings.replica, RecoveredState::default());
        let partition = Partition::new(log, replica);
        self.figures.add(id, Arc::clone(&partition.figures));
        self.partitions.insert(id, partition);
        self.unmade.remove(&id);
        true
    }

    fn take_settings(&mut self, id: TopicPartition, settings: &Arc<TopicSettings>) {
        let Some(partition) = self.partitions.get_mut(&id) else { return };
        if partition.settings.as_ref() == Some(settings) {
            return;
        }
        partition.settings = Some(Arc::clone(settings));
        partition.log.set_config(Arc::clone(&settings.log));
        partition.figures.tell_min_isr(settings.replica.min_insync_replicas as u64);
        let mut effects = Vec::new();
        partition.replica.reconfigure(settings.replica, &mut effects);
        self.obey(id, effects);
    }

    fn take_role(&mut self, job: AssignJob) {
        let id = job.partition;
        let now = self.seams.clock.wall();
        let Some(partition) = self.partitions.get_mut(&id) else { return };
        let before = partition.replica.known_leader();
        let mut effects = Vec::new();
        partition.replica.r15_assign(job.assignment, now, &mut effects);
        if let ReplicaRole::Leader(leader) = partition.replica.role() {
            partition.log.assign_epoch(leader.epoch);
        }
        let has_moved = partition.replica.known_leader() != before;
        self.obey(id, effects);
        if has_moved {
            let waiters = self.parked.partition_changed(id);
            self.wake(waiters);
        }
    }

    /// Takes deleted partitions away; `done` is told once the round is durable.
    pub(super) fn remove(
        &mut self,
        ids: &[TopicPartition],
        done: oneshot::Sender<()>,
        round: &mut RoundWork,
    ) {
        for id in ids {
            self.unmade.remove(id);
            if let Some(partition) = self.partitions.remove(id) {
                self.figures.remove(*id);
                self.r17_dismiss(partition, round);
                let waiters = self.parked.partition_changed(*id);
                self.wake(waiters);
            }
            if let Some(dir) = self.quarantined.remove(id) {
                self.dismiss_quarantined(*id, &dir);
            }
        }
        round.assigned.push(done);
    }

    /// R17: the folder is renamed now, and removed after `file.delete.delay.ms`.
    fn r17_dismiss(&mut self, mut partition: Partition, round: &mut RoundWork) {
        let mut effects = Vec::new();
        partition.replica.r16_stop(&mut effects);
        for effect in effects {
            if let Effect::Refuse(ticket, _) = effect {
                let code = ErrorCode::UnknownTopicOrPartition;
                self.produces.settle(ticket, code, Offset::NONE);
            }
        }
        let (topic, id) = (partition.log.topic().to_owned(), partition.id());
        let index = id.partition;
        let delay = partition.settings.map(|s| s.file_delete_delay).unwrap_or_default();
        let unique = Uuid::from_random(self.seams.rng.next_u128());
        match partition.log.delete(&mut self.files, &mut round.frames, unique) {
            Ok(path) => {
                info!(topic, partition = %index, "deleted");
                let due = self.seams.clock.monotonic() + delay;
                self.upkeep.remove_later(path, due);
            }
            Err(kept) => error!(topic, partition = %index, "not renamed: {}", kept.1),
        }
        self.recovery_points.forget(&topic, id);
    }

    /// R17 for a folder that was never opened. The topic is gone, and with it how long to wait: as long as for what an earlier life left.
    fn dismiss_quarantined(&mut self, id: TopicPartition, dir: &Path) {
        let name = dir.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Some((topic, index)) = parse_partition_dir_name(name) else { return };
        let unique = Uuid::from_random(self.seams.rng.next_u128());
        let to = dir.with_file_name(deleted_dir_name(topic, index, unique));
        match self.seams.disk.rename(dir, &to) {
            Ok(()) => {
                info!(topic, partition = %index, "deleted; it was in quarantine");
                self.upkeep.remove_later(to, self.seams.clock.monotonic() + LEFTOVER_DELAY);
            }
            Err(cause) => error!(path = %dir.display(), "not renamed: {cause}"),
        }
        self.recovery_points.forget(topic, id);
    }

    /// What this shard holds.
    pub(super) fn describe(&self) -> Vec<LogDirectoryPartition> {
        self.partitions.values().map(Partition::describe).collect()
    }
}
