//! What lies in the log directories.
//!
//! Invariant: each directory is told of, also one that failed; the cost grows with what is held and what is asked for, not with
//! their product. Deliberately opens no file.

use std::collections::BTreeSet;

use ottla_api::CallError;
use ottla_api::storage::{DescribeLogDirsRequest, DescribeLogDirsResponse, LogDirectory};
use ottla_types::{ErrorCode, TopicPartition};
use tokio::sync::oneshot;

use super::LocalStorage;
use crate::shard::message::Message;

impl LocalStorage {
    pub(super) async fn do_describe(
        &self,
        request: DescribeLogDirsRequest,
    ) -> Result<DescribeLogDirsResponse, CallError> {
        let mut messages = Vec::new();
        for shard in 0..self.parts().shards.len() {
            let (answer, answered) = oneshot::channel();
            messages.push((shard, Message::Describe(answer), answered));
        }
        let described = self.gather(messages).await;
        let per_dir = self.parts().shards.len() / self.parts().directories.len().max(1);
        let wanted = Wanted::new(request.partitions);
        let mut directories = Vec::new();
        let by_dir = described.chunks(per_dir.max(1)).enumerate();
        for (dir, (index, shards)) in self.parts().directories.iter().zip(by_dir) {
            let of_dir = index * per_dir..(index + 1) * per_dir;
            let has_failed = self.parts().failures.any_of(of_dir);
            let partitions = shards.iter().flatten().flatten();
            let disk = &self.parts().seams.disk;
            let bytes = |space: std::io::Result<u64>| {
                space.ok().and_then(|bytes| i64::try_from(bytes).ok()).unwrap_or(-1)
            };
            directories.push(LogDirectory {
                error: if has_failed { ErrorCode::KafkaStorageError } else { ErrorCode::None },
                path: dir.path.display().to_string(),
                id: dir.id,
                total_bytes: bytes(disk.total_space_bytes(&dir.path)),
                usable_bytes: bytes(disk.free_space_bytes(&dir.path)),
                partitions: partitions.filter(|p| wanted.holds(p.partition)).copied().collect(),
            });
        }
        Ok(DescribeLogDirsResponse { directories })
    }
}

/// What is asked for: these partitions, or all.
struct Wanted(Option<BTreeSet<TopicPartition>>);

impl Wanted {
    fn new(partitions: Option<Vec<TopicPartition>>) -> Self {
        Self(partitions.map(BTreeSet::from_iter))
    }

    fn holds(&self, partition: TopicPartition) -> bool {
        self.0.as_ref().is_none_or(|wanted| wanted.contains(&partition))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_api::storage::topic_partition;
    use ottla_types::TopicId;

    /// The square of it would keep this test busy for many minutes.
    const MANY: i32 = 200_000;

    fn partition(index: i32) -> TopicPartition {
        topic_partition(TopicId::default(), index)
    }

    #[test]
    fn many_are_picked_from_many_without_comparing_each_to_each() {
        let wanted = Wanted::new(Some((0..MANY).map(partition).collect()));
        let held = (1..=MANY).map(partition);
        assert_eq!(held.filter(|held| wanted.holds(*held)).count(), MANY as usize - 1);
    }

    #[test]
    fn all_are_wanted_when_none_is_named_and_none_when_the_list_is_empty() {
        assert!(Wanted::new(None).holds(partition(1)));
        assert!(!Wanted::new(Some(vec![])).holds(partition(1)));
    }
}
