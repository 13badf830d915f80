//! Which coordinator a group has, and how it is asked.
//!
//! Invariant: a question goes to the node that the client addressed, which says itself what it does not coordinate; on a
//! bootstrap port, where no node is addressed, to the leader of the group's partition of `__consumer_offsets`. What one request
//! asks of many coordinators is bounded in commands at a time and in groups of a command.
//! Deliberately does not know what is asked.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use ottla_api::storage::CoordinateRequest;
use ottla_coordinator::command::Caller;
use ottla_coordinator::{
    Command, GroupId, InstanceId, MemberId, Reply, TextTooLong, Token, partition_of_group,
};
use ottla_metadata::Image;
use ottla_metadata::image::{Partition, Topic};
use ottla_types::{ErrorCode, PartitionIndex};

use super::{BACKEND_TIME, offsets_topic};
use crate::backend::target;
use crate::errors;
use crate::request::Call;

/// Commands that one request has under way at a time.
pub(super) const COMMANDS_AT_ONCE: usize = 32;
/// Groups of one command: their answers together stay far below what one message may hold.
const GROUPS_PER_COMMAND: usize = 100;
/// The coordinator chooses its own.
pub(super) const ANY_TOKEN: Token = Token(0);

/// The coordinators, asked on behalf of one request.
pub(super) struct Coordinators<'a> {
    call: &'a Call,
    image: Arc<Image>,
    timeout: Duration,
}

impl<'a> Coordinators<'a> {
    /// For what is answered at once.
    pub(super) fn of(call: &'a Call) -> Self {
        Self::for_wait(call, Duration::ZERO)
    }

    /// For what may wait so long.
    pub(super) fn for_wait(call: &'a Call, wait: Duration) -> Self {
        Self { call, image: call.gateway.image(), timeout: wait.saturating_add(BACKEND_TIME) }
    }

    /// The cluster as it is to this request.
    pub(super) fn image(&self) -> &Image {
        &self.image
    }

    /// Asks the coordinator of a group.
    ///
    /// # Errors
    /// There is none, or it cannot answer now.
    pub(super) async fn ask_about(
        &self,
        group: &GroupId,
        command: Command,
    ) -> Result<Reply, ErrorCode> {
        self.ask(self.partition_of(group)?, command).await
    }

    /// Asks the coordinator of a partition.
    ///
    /// # Errors
    /// There is none, or it cannot answer now.
    pub(super) async fn ask(
        &self,
        partition: PartitionIndex,
        command: Command,
    ) -> Result<Reply, ErrorCode> {
        let state = self.partition(partition).ok_or(ErrorCode::NotCoordinator)?;
        let node = target(&self.call.peer, state).ok_or(ErrorCode::CoordinatorNotAvailable)?;
        let storage = self.call.gateway.backends.get(node, &self.image);
        let storage = storage.ok_or(ErrorCode::NotCoordinator)?;
        let request = CoordinateRequest { partition, command };
        match storage.coordinate(self.call.context(self.timeout), request).await {
            Ok(response) => response.outcome,
            Err(error) => Err(errors::for_coordinator(&error)),
        }
    }

    /// Asks about many groups; one result for each, in their order. `read` takes the results of the groups of a command out of
    /// its reply.
    pub(super) async fn ask_about_each<T>(
        &self,
        groups: &[GroupId],
        ask: fn(Vec<GroupId>) -> Command,
        read: fn(Reply) -> Result<Vec<T>, ErrorCode>,
    ) -> Vec<Result<T, ErrorCode>> {
        let mut results: Vec<_> = groups.iter().map(|_| Err(ErrorCode::NotCoordinator)).collect();
        let questions: Vec<_> = self
            .shares(groups)
            .into_iter()
            .map(|(partition, places)| {
                let named = places.iter().map(|&place| groups[place].clone()).collect();
                async move { (places, self.ask(partition, ask(named)).await.and_then(read)) }
            })
            .collect();
        let mut answers = stream::iter(questions).buffer_unordered(COMMANDS_AT_ONCE);
        while let Some((places, found)) = answers.next().await {
            match found {
                Ok(found) => {
                    places.into_iter().zip(found).for_each(|(at, found)| results[at] = Ok(found));
                }
                Err(error) => places.into_iter().for_each(|at| results[at] = Err(error)),
            }
        }
        results
    }

    /// The places of groups in a list, by command. What has no coordinator is left out.
    fn shares(&self, groups: &[GroupId]) -> Vec<(PartitionIndex, Vec<usize>)> {
        let mut places: BTreeMap<PartitionIndex, Vec<usize>> = BTreeMap::new();
        for (at, group) in groups.iter().enumerate() {
            if let Ok(partition) = self.partition_of(group) {
                places.entry(partition).or_default().push(at);
            }
        }
        let mut shares = Vec::with_capacity(places.len());
        for (partition, places) in places {
            let commands = places.chunks(GROUPS_PER_COMMAND);
            shares.extend(commands.map(|places| (partition, places.to_vec())));
        }
        shares
    }

    /// The partitions whose coordinators the client means: those of the node that it addressed, else all that have one.
    pub(super) fn all_meant(&self) -> Vec<PartitionIndex> {
        let partitions = self.topic().map(|topic| topic.partitions.as_slice()).unwrap_or_default();
        let addressed = self.call.peer.addressed;
        let is_meant = |state: &Partition| match addressed {
            Some(node) => state.leader == Some(node),
            None => state.leader.is_some(),
        };
        let numbered = (0..).map(PartitionIndex).zip(partitions);
        numbered.filter(|(_, state)| is_meant(state)).map(|(index, _)| index).collect()
    }

    fn topic(&self) -> Option<&Arc<Topic>> {
        self.image.topic_by_name(offsets_topic::NAME)
    }

    /// The partition that holds a group. Before the topic exists, nobody coordinates anything.
    fn partition_of(&self, group: &GroupId) -> Result<PartitionIndex, ErrorCode> {
        let topic = self.topic().ok_or(ErrorCode::NotCoordinator)?;
        Ok(partition_in(topic, group.as_str()))
    }

    fn partition(&self, index: PartitionIndex) -> Option<&Partition> {
        let at = usize::try_from(index.0).ok()?;
        self.topic()?.partitions.get(at).map(|state| &**state)
    }
}

/// The partition of the topic that holds a group.
pub(super) fn partition_in(topic: &Topic, group: &str) -> PartitionIndex {
    let count = u32::try_from(topic.partitions.len()).unwrap_or(u32::MAX);
    partition_of_group(group, count)
}

/// What a reply that does not fit its command comes to.
pub(super) fn not_the_answer<T>(_: Reply) -> Result<T, ErrorCode> {
    Err(ErrorCode::UnknownServerError)
}

/// A text that no group could have: the wire allows none that is so long.
pub(super) fn too_long(_: TextTooLong) -> ErrorCode {
    ErrorCode::InvalidRequest
}

/// A member as it calls itself.
pub(super) fn caller(
    group: &str,
    member: &str,
    instance: Option<&str>,
) -> Result<Caller, ErrorCode> {
    Ok(Caller {
        group: GroupId::new(group).map_err(too_long)?,
        member: MemberId::new(member).map_err(too_long)?,
        instance: instance.map(InstanceId::new).transpose().map_err(too_long)?,
    })
}

/// Where a client connects from, as Java writes an address without a name.
pub(super) fn client_host(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => format!("/{address}"),
        IpAddr::V6(address) => {
            let parts = address.segments().map(|part| format!("{part:x}"));
            format!("/{}", parts.join(":"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_host_is_written_as_java_writes_it() {
        for (address, text) in [
            ("127.0.0.1", "/127.0.0.1"),
            ("::ffff:10.0.0.7", "/10.0.0.7"),
            ("::1", "/0:0:0:0:0:0:0:1"),
            ("2001:DB8::a0", "/2001:db8:0:0:0:0:0:a0"),
        ] {
            assert_eq!(client_host(address.parse().unwrap()), text);
        }
    }
}
