//! OffsetDelete: some offsets of a group go (KIP-496).

use ottla_coordinator::command::DeleteOffsets;
use ottla_coordinator::{Command, GroupId, Reply, TopicName};
use ottla_kafka_wire::messages::offset_delete_request::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use ottla_kafka_wire::messages::offset_delete_response::{
    OffsetDeleteResponse, OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use ottla_metadata::Image;
use ottla_types::{ErrorCode, PartitionIndex, Uuid};

use super::coordinators::{ANY_TOKEN, Coordinators, not_the_answer, too_long};
use super::topics;
use super::topics::Codes;
use crate::answer::Answer;
use crate::request::Call;
use crate::router::Handle;

/// The handler.
pub(crate) struct OffsetDelete;

impl Handle for OffsetDelete {
    type Request = OffsetDeleteRequest;

    async fn handle(call: Call, request: OffsetDeleteRequest) -> Answer {
        let mut codes = Codes::default();
        let response = match delete(&call, &request, &mut codes).await {
            Ok(deleted) => {
                let mut codes = codes.with(Ok(deleted)).into_iter();
                let topics = request.topics.into_iter().map(|topic| told(topic, &mut codes));
                OffsetDeleteResponse { topics: topics.collect(), ..Default::default() }
            }
            Err(error) => OffsetDeleteResponse { error_code: error.code(), ..Default::default() },
        };
        call.answer(&response)
    }
}

/// The coordinator is asked even if no topic is left: it knows whether the group exists.
async fn delete(
    call: &Call,
    request: &OffsetDeleteRequest,
    codes: &mut Codes,
) -> Result<Vec<ErrorCode>, ErrorCode> {
    let coordinators = Coordinators::of(call);
    let group = GroupId::new(&request.group_id).map_err(too_long)?;
    let topics = plan(coordinators.image(), request, codes)?;
    let command =
        Command::DeleteOffsets(DeleteOffsets { token: ANY_TOKEN, group: group.clone(), topics });
    match coordinators.ask_about(&group, command).await? {
        Reply::DeleteOffsets(outcome) => outcome.map(topics::flat),
        other => not_the_answer(other),
    }
}

type Asked = Vec<(TopicName, Vec<PartitionIndex>)>;

/// What the coordinator is asked; what is refused here has its code at once.
fn plan(
    image: &Image,
    request: &OffsetDeleteRequest,
    codes: &mut Codes,
) -> Result<Asked, ErrorCode> {
    let mut asked = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let found = topics::find(image, false, &topic.name, Uuid::ZERO);
        let is_there = |partition: &&OffsetDeleteRequestPartition| {
            let index = partition.partition_index;
            codes.check(found.and_then(|found| topics::partition(found, index)))
        };
        let partitions = topic.partitions.iter().filter(is_there);
        let partitions: Vec<_> =
            partitions.map(|one| PartitionIndex(one.partition_index)).collect();
        if !partitions.is_empty() {
            asked.push((TopicName::new(&topic.name).map_err(too_long)?, partitions));
        }
    }
    Ok(asked)
}

fn told(
    topic: OffsetDeleteRequestTopic,
    codes: &mut impl Iterator<Item = ErrorCode>,
) -> OffsetDeleteResponseTopic {
    let partition = |(asked, code): (&OffsetDeleteRequestPartition, ErrorCode)| {
        let partition_index = asked.partition_index;
        OffsetDeleteResponsePartition { partition_index, error_code: code.code() }
    };
    OffsetDeleteResponseTopic {
        partitions: topic.partitions.iter().zip(codes).map(partition).collect(),
        name: topic.name,
    }
}
