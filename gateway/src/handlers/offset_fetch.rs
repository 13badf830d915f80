//! OffsetFetch: what groups have committed. From version 8 on of many groups at a time, from version 10 on with topics by id.
//!
//! Invariant: each group has its own answer, whatever becomes of the others; that of one whose topic is unknown by id names the
//! topic with its code. Deliberately does not know whether a topic of this name exists: what was committed can be read all the
//! same, as in Kafka.

use std::collections::HashSet;

use futures::{StreamExt, stream};
use ottla_coordinator::command::{FetchOffsets, FetchTopic};
use ottla_coordinator::reply::{FetchedOffset, FetchedTopic};
use ottla_coordinator::{Command, GroupId, Reply, TopicName};
use ottla_kafka_wire::messages::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use ottla_kafka_wire::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartitions, OffsetFetchResponseTopics,
};
use ottla_types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, TopicId, Uuid};

use super::coordinators::{ANY_TOKEN, COMMANDS_AT_ONCE, Coordinators, not_the_answer, too_long};
use super::topics;
use crate::answer::Answer;
use crate::request::Call;
use crate::router::Handle;

mod response;

/// First version that asks for many groups.
const FIRST_WITH_MANY: i16 = 8;
/// First version in which topics go by id.
const FIRST_WITH_TOPIC_IDS: i16 = 10;
/// First version with a code for a group as a whole.
const FIRST_WITH_ERROR: i16 = 2;

/// The handler.
pub(crate) struct OffsetFetch;

impl Handle for OffsetFetch {
    type Request = OffsetFetchRequest;

    async fn handle(call: Call, request: OffsetFetchRequest) -> Answer {
        let fetch = Fetch {
            coordinators: Coordinators::of(&call),
            version: call.version,
            require_stable: request.require_stable,
        };
        let mut whole = HashSet::new();
        let questions = groups(&call, request).into_iter().map(|group| {
            // All offsets of one group, over and over: a large answer to a small request.
            let is_refused = group.topics.is_none() && !whole.insert(group.group_id.clone());
            fetch.group(group, is_refused)
        });
        let questions: Vec<_> = questions.collect();
        let groups: Vec<_> = stream::iter(questions).buffered(COMMANDS_AT_ONCE).collect().await;
        call.answer(&response::of(&call, groups))
    }
}

/// The groups that are asked about: before there could be many, the one.
fn groups(call: &Call, request: OffsetFetchRequest) -> Vec<OffsetFetchRequestGroup> {
    if call.version >= FIRST_WITH_MANY {
        return request.groups;
    }
    let topic = |topic: OffsetFetchRequestTopic| OffsetFetchRequestTopics {
        name: topic.name,
        topic_id: Uuid::ZERO,
        partition_indexes: topic.partition_indexes,
    };
    let topics = request.topics.map(|topics| topics.into_iter().map(topic).collect());
    let group_id = request.group_id;
    vec![OffsetFetchRequestGroup { group_id, topics, ..Default::default() }]
}

/// A topic that is asked about, with its name in front.
type Named<'t> = (String, &'t OffsetFetchRequestTopics);

/// What the groups of a request have in common.
struct Fetch<'a> {
    coordinators: Coordinators<'a>,
    version: i16,
    require_stable: bool,
}

impl Fetch<'_> {
    /// The answer for one group.
    async fn group(
        &self,
        group: OffsetFetchRequestGroup,
        is_refused: bool,
    ) -> OffsetFetchResponseGroup {
        let (known, unknown) = self.sort(group.topics.as_deref());
        let found = match is_refused {
            true => Err(ErrorCode::InvalidRequest),
            false => self.ask(&group, known).await,
        };
        let (error, topics) = match found {
            Ok(found) => {
                let topics = found.into_iter().filter_map(|topic| self.fetched(topic));
                (ErrorCode::None, topics.chain(unknown).collect())
            }
            Err(error) if self.version >= FIRST_WITH_ERROR => (error, Vec::new()),
            Err(error) => {
                let topics = group.topics.as_deref().unwrap_or_default();
                (ErrorCode::None, topics.iter().map(|topic| refused(topic, error)).collect())
            }
        };
        OffsetFetchResponseGroup { group_id: group.group_id, topics, error_code: error.code() }
    }

    /// The topics that a coordinator can be asked about, by their names, and the answers for those that nobody knows.
    /// `None` asks for all.
    fn sort<'t>(
        &self,
        topics: Option<&'t [OffsetFetchRequestTopics]>,
    ) -> (Option<Vec<Named<'t>>>, Vec<OffsetFetchResponseTopics>) {
        let Some(topics) = topics else { return (None, Vec::new()) };
        let (mut known, mut unknown) = (Vec::with_capacity(topics.len()), Vec::new());
        for topic in topics {
            match self.version >= FIRST_WITH_TOPIC_IDS {
                false => known.push((topic.name.clone(), topic)),
                true => match topics::find(self.coordinators.image(), true, "", topic.topic_id) {
                    Ok(found) => known.push((found.name.clone(), topic)),
                    Err(error) => unknown.push(refused(topic, error)),
                },
            }
        }
        (Some(known), unknown)
    }

    async fn ask(
        &self,
        group: &OffsetFetchRequestGroup,
        topics: Option<Vec<Named<'_>>>,
    ) -> Result<Vec<FetchedTopic>, ErrorCode> {
        let group = GroupId::new(&group.group_id).map_err(too_long)?;
        let topics = topics.map(|topics| topics.into_iter().map(wanted).collect());
        let command = Command::FetchOffsets(FetchOffsets {
            token: ANY_TOKEN,
            group: group.clone(),
            topics: topics.transpose()?,
            require_stable: self.require_stable,
        });
        match self.coordinators.ask_about(&group, command).await {
            Ok(Reply::FetchOffsets(outcome)) => outcome,
            Ok(other) => not_the_answer(other),
            // Kafka's consumers before 3.9 do not know that code here, and look for another coordinator after this one.
            Err(ErrorCode::CoordinatorNotAvailable) => Err(ErrorCode::NotCoordinator),
            Err(error) => Err(error),
        }
    }

    /// A topic as it is answered: one that has no id any more cannot be named where topics go by id.
    fn fetched(&self, topic: FetchedTopic) -> Option<OffsetFetchResponseTopics> {
        let name = topic.name.as_str().to_owned();
        let mut topic_id = topic.id.0;
        if self.version >= FIRST_WITH_TOPIC_IDS && topic_id.is_zero() {
            topic_id = self.coordinators.image().topic_by_name(&name)?.id.0;
        }
        let partitions = topic.partitions.into_iter().map(partition).collect();
        Some(OffsetFetchResponseTopics { name, topic_id, partitions })
    }
}

fn wanted((name, topic): Named<'_>) -> Result<FetchTopic, ErrorCode> {
    Ok(FetchTopic {
        name: TopicName::new(name).map_err(too_long)?,
        id: TopicId(topic.topic_id),
        partitions: topic.partition_indexes.iter().copied().map(PartitionIndex).collect(),
    })
}

fn partition(fetched: FetchedOffset) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions {
        partition_index: fetched.partition.0,
        committed_offset: fetched.offset.0,
        committed_leader_epoch: fetched.leader_epoch.0,
        metadata: Some(fetched.metadata.as_str().to_owned()),
        error_code: fetched.error.code(),
    }
}

/// All partitions of a topic with the same code.
fn refused(topic: &OffsetFetchRequestTopics, error: ErrorCode) -> OffsetFetchResponseTopics {
    let partition = |index: &i32| OffsetFetchResponsePartitions {
        partition_index: *index,
        committed_offset: Offset::NONE.0,
        committed_leader_epoch: LeaderEpoch::NONE.0,
        metadata: Some(String::new()),
        error_code: error.code(),
    };
    OffsetFetchResponseTopics {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions: topic.partition_indexes.iter().map(partition).collect(),
    }
}
