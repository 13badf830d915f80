//! A log directory on a simulated disk, as a shard uses it.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use ottla_log_format::{BatchBuilder, PlacedBatch, Records, batches, validate_produced};
use ottla_runtime::seams::{Disk, SimDisk};
use ottla_types::{
    LeaderEpoch, Offset, PartitionIndex, TimestampMs, TopicId, TopicPartition, Uuid,
};

use crate::log::*;

pub(super) const LOG_DIR: &str = "/data";
pub(super) const SMALL_JOURNAL: JournalConfig = JournalConfig { file_bytes: 1 << 20, salt: 0x5eed };

pub(super) fn id(partition: i32) -> TopicPartition {
    TopicPartition { topic: TopicId(Uuid::from_random(1)), partition: PartitionIndex(partition) }
}

/// Segments of about 4 KB, an index entry for about each second batch.
pub(super) fn small() -> LogConfig {
    LogConfig { segment_bytes: 4096, index_interval_bytes: 150, ..LogConfig::default() }
}

/// A value that tells its offset and partition, and is never only zeros.
pub(super) fn value(partition: i32, offset: i64) -> Vec<u8> {
    format!("value {offset} of partition {partition} {}", "x".repeat(offset as usize % 50))
        .into_bytes()
}

/// One batch of `count` records from `base` on.
pub(super) fn batch(partition: i32, base: i64, count: i64, epoch: i32) -> PlacedBatch {
    let mut builder = BatchBuilder::new(Offset(0));
    for offset in base..base + count {
        builder.push(TimestampMs(1000 + offset), None, Some(&value(partition, offset)), &[]);
    }
    placed(builder.build(), base, epoch)
}

pub(super) fn placed(bytes: Bytes, base: i64, epoch: i32) -> PlacedBatch {
    let header = validate_produced(&bytes).unwrap();
    PlacedBatch::new(bytes, header, Offset(base), LeaderEpoch(epoch))
}

pub(super) struct Machine {
    pub(super) disk: SimDisk,
    pub(super) files: Files,
    pub(super) journal: Journal,
    pub(super) points: RecoveryPoints,
    pub(super) logs: Vec<PartitionLog>,
    pub(super) quarantined: Vec<Quarantined>,
    pub(super) config: Arc<LogConfig>,
}

impl Machine {
    /// A new machine with partitions 0, 1, … durable.
    pub(super) fn new(seed: u64, partitions: i32, config: LogConfig) -> Self {
        let disk = SimDisk::new(seed);
        disk.create_dir_all(Path::new(LOG_DIR)).unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        let mut machine = Self::start(&disk, config).unwrap();
        machine.create(partitions);
        machine
    }

    pub(super) fn create(&mut self, partitions: i32) {
        let mut round = Round::new(&self.journal);
        for partition in 0..partitions {
            let config = Arc::clone(&self.config);
            let log = PartitionLog::create(
                &self.files,
                Path::new(LOG_DIR),
                "topic",
                id(partition),
                config,
            )
            .unwrap();
            round.created(&log);
            self.logs.push(log);
        }
        round.commit(&self.disk, &mut self.journal).unwrap();
    }

    /// The logs' starts, as they are now.
    pub(super) fn write_log_starts(&self) {
        let starts: Vec<_> =
            self.logs.iter().map(|log| log.plan_log_start(log.log_start())).collect();
        self.points.raise_log_starts(&starts).unwrap();
    }

    /// What a process does when it starts.
    pub(super) fn start(disk: &SimDisk, config: LogConfig) -> Result<Self, RecoverError> {
        let (arc, dir): (Arc<dyn Disk>, _) = (Arc::new(disk.clone()), Path::new(LOG_DIR));
        let config = Arc::new(config);
        let io = |source| RecoverError::Io { path: dir.into(), source };
        let is_clean = remove_clean_marker(disk, dir).map_err(io)?.is_some();
        let points = RecoveryPoints::load(Arc::clone(&arc), dir)?;
        let recovered = recover_log_dir(&arc, dir, &points, is_clean, &|_, _| Arc::clone(&config))?;
        let journal = Journal::start(&arc, dir, 0, SMALL_JOURNAL)
            .map_err(|e| io(std::io::Error::other(e)))?;
        let files = Files::new(arc, 8);
        let RecoveredLogDir { mut logs, quarantined, .. } = recovered;
        logs.sort_by_key(PartitionLog::id);
        Ok(Self { disk: disk.clone(), files, journal, points, logs, quarantined, config })
    }

    /// The power goes, and the process starts again.
    pub(super) fn crash(self) -> Self {
        self.disk.crash();
        self.disk.heal();
        Self::start(&self.disk, (*self.config).clone()).unwrap()
    }

    pub(super) fn restart(self) -> Self {
        self.disk.kill_process();
        Self::start(&self.disk, (*self.config).clone()).unwrap()
    }

    /// A round of one batch of `count` records for each of these partitions; then it is durable.
    pub(super) fn round(&mut self, partitions: &[usize], count: i64) -> Result<(), RoundError> {
        let mut round = Round::new(&self.journal);
        for &number in partitions {
            let log = &mut self.logs[number];
            let batch = batch(number as i32, log.end().0, count, 1);
            round.append(log, &mut self.files, vec![batch], TimestampMs(5000)).unwrap();
        }
        self.commit(&mut round)
    }

    pub(super) fn commit(&mut self, round: &mut Round) -> Result<(), RoundError> {
        let committed = match round.commit(&self.disk, &mut self.journal) {
            Err(RoundError::Journal(JournalError::Full)) => {
                self.checkpoint();
                round.commit(&self.disk, &mut self.journal)?
            }
            other => other?,
        };
        for committed in committed {
            let log = self.logs.iter_mut().find(|log| log.id() == committed.partition).unwrap();
            log.apply_commit(&committed);
        }
        Ok(())
    }

    pub(super) fn checkpoint(&mut self) {
        self.try_checkpoint().unwrap();
    }

    pub(super) fn try_checkpoint(&mut self) -> Result<(), Box<dyn std::error::Error>> {
        self.checkpoint_as(false)
    }

    fn checkpoint_as(&mut self, is_final: bool) -> Result<(), Box<dyn std::error::Error>> {
        if self.journal.retired().is_none() {
            self.journal.rotate()?;
        }
        let retired = self.journal.retired().unwrap().clone();
        let mut done = Vec::new();
        for log in &mut self.logs {
            let is_wanted = retired.partitions.contains(&log.id()) || log.wants_checkpoint();
            if is_wanted || (is_final && log.wants_final_checkpoint()) {
                let checkpoint = if is_final {
                    log.begin_final_checkpoint(&mut self.files)?
                } else {
                    log.begin_checkpoint(&mut self.files)?
                };
                checkpoint.run(&self.disk)?;
                done.push(checkpoint);
            }
        }
        self.points.advance(&done)?;
        for checkpoint in &done {
            let log = self.logs.iter_mut().find(|log| log.id() == checkpoint.partition()).unwrap();
            log.end_checkpoint(checkpoint);
        }
        self.journal.free(retired.generation);
        Ok(())
    }

    pub(super) fn stop_cleanly(mut self) -> Self {
        self.checkpoint_as(true).unwrap();
        assert!(!self.logs.iter().any(PartitionLog::wants_final_checkpoint));
        write_clean_marker(&self.disk, Path::new(LOG_DIR), ottla_types::BrokerEpoch(3)).unwrap();
        self.disk.crash();
        Self::start(&self.disk, (*self.config).clone()).unwrap()
    }

    /// All values of a partition by their offsets, read as a consumer does.
    pub(super) fn read_all(&mut self, number: usize) -> Vec<(i64, Vec<u8>)> {
        let log = &mut self.logs[number];
        let (mut next, mut values) = (log.log_start(), Vec::new());
        while next < log.end() {
            let limit = ReadLimit { max_bytes: 700, at_least_one_batch: true };
            let region =
                log.read(&mut self.files, next, log.end(), limit).unwrap().expect("there is more");
            let bytes = region.to_bytes().unwrap();
            assert!(region.base <= next && region.next > next, "{region:?} for {next}");
            for batch in batches(&bytes).map(Result::unwrap) {
                for record in Records::of(&batch.header, batch.bytes).unwrap().map(Result::unwrap) {
                    values.push((record.offset.0, record.value.unwrap().to_vec()));
                }
            }
            next = region.next;
        }
        values.retain(|(offset, _)| *offset >= log.log_start().0);
        values
    }

    /// Checks that a partition holds exactly the values of `start..end`.
    pub(super) fn assert_holds(&mut self, number: usize, start: i64, end: i64) {
        let expected: Vec<_> =
            (start..end).map(|offset| (offset, value(number as i32, offset))).collect();
        let found = self.read_all(number);
        assert!(
            found == expected,
            "partition {number}: {start}..{end}, found {} records",
            found.len()
        );
    }

    pub(super) fn path(&self, number: usize, file: &str) -> std::path::PathBuf {
        self.logs[number].dir().join(file)
    }

    pub(super) fn names(&self, number: usize) -> Vec<String> {
        self.disk
            .list(self.logs[number].dir())
            .unwrap()
            .into_iter()
            .map(|entry| entry.name)
            .collect()
    }
}
