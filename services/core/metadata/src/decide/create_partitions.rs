//! CreatePartitions: topics get more partitions.
//!
//! Invariant: the partitions that a topic had are not touched; the new ones have its replication factor. Messages are
//! Kafka's.

use std::collections::BTreeMap;

use ottla_types::{ErrorCode, NodeId, PartitionIndex};

use super::create_topics::{all_refused, check_partition_count, place};
use super::delete_topics::{find, outcome_of};
use super::draft::Draft;
use super::{Context, manual_assignment};
use crate::command::{NewPartitions, Refusal, Reply, TopicOutcome, TopicRef};
use crate::dice::Dice;
use crate::event::{Assignment, Event};
use crate::image::{Image, Topic};

pub(super) fn decide(
    draft: &mut Draft<'_>,
    topics: &[NewPartitions],
    validate_only: bool,
    context: &Context<'_>,
) -> Reply {
    if let Err(refusal) = check_size(draft.image(), topics) {
        return all_refused(refusal, topics.len());
    }
    let mut dice = Dice::new(context.seed);
    let mut times_named: BTreeMap<&str, usize> = BTreeMap::new();
    for topic in topics {
        *times_named.entry(&topic.name).or_default() += 1;
    }
    let mut outcomes = Vec::with_capacity(topics.len());
    for wish in topics {
        outcomes.push(if times_named.get(wish.name.as_str()) == Some(&1) {
            add(draft, wish, &mut dice, context)
        } else {
            Err(Refusal::new(ErrorCode::InvalidRequest, "Duplicate topic name."))
        });
    }
    if validate_only {
        draft.forget();
    }
    Reply::Topics(outcomes)
}

fn add(
    draft: &mut Draft<'_>,
    wish: &NewPartitions,
    dice: &mut Dice,
    context: &Context<'_>,
) -> Result<TopicOutcome, Refusal> {
    let topic = find(draft.image(), &TopicRef::Name(wish.name.clone()))?;
    let additional = additional(topic, wish)?;
    let assignments = match &wish.assignments {
        Some(by_hand) => by_hand_assignments(draft.image(), (topic, by_hand), additional, context)?,
        None => {
            let factor = replication_factor(topic);
            place(draft.image(), (additional, factor), dice, context.settings)?
        }
    };
    let outcome = TopicOutcome { partitions: wish.count, ..outcome_of(topic) };
    draft.push_and_see(Event::PartitionsAdded { id: topic.id, assignments })?;
    Ok(outcome)
}

/// How many partitions come to a topic.
fn additional(topic: &Topic, wish: &NewPartitions) -> Result<usize, Refusal> {
    let (has, name, count) = (topic.partitions.len(), &topic.name, wish.count);
    let invalid = |message| Err(Refusal::new(ErrorCode::InvalidPartitions, message));
    match usize::try_from(count).unwrap_or(0).checked_sub(has) {
        Some(0) => invalid(format!("Topic already has {has} partition(s).")),
        Some(additional) => Ok(additional),
        None => invalid(format!(
            "The topic {name} currently has {has} partition(s); {count} would not be an increase."
        )),
    }
}

fn by_hand_assignments(
    image: &Image,
    (topic, by_hand): (&Topic, &[Vec<NodeId>]),
    additional: usize,
    context: &Context<'_>,
) -> Result<Vec<Assignment>, Refusal> {
    if by_hand.len() != additional {
        let message = format!(
            "Attempted to add {additional} additional partition(s), but only {} assignment(s) were \
             specified.",
            by_hand.len()
        );
        return Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, message));
    }
    let factor = Some(replication_factor(topic));
    let first = topic.partitions.len();
    let indexes = (first..).map(|at| PartitionIndex(i32::try_from(at).unwrap_or(i32::MAX)));
    indexes
        .zip(by_hand)
        .map(|(index, nodes)| {
            manual_assignment::of_partition(image, (index, nodes), factor, context.settings)
        })
        .collect()
}

fn replication_factor(topic: &Topic) -> usize {
    topic.partitions.first().map_or(1, |partition| partition.replicas.len())
}

fn check_size(image: &Image, topics: &[NewPartitions]) -> Result<(), Refusal> {
    let new = |wish: &NewPartitions| {
        let has = image.topic_by_name(&wish.name).map_or(0, |topic| topic.partitions.len());
        usize::try_from(wish.count).unwrap_or(0).saturating_sub(has)
    };
    let total = topics.iter().map(new).fold(0_usize, usize::saturating_add);
    check_partition_count(total.max(topics.len()))
}
