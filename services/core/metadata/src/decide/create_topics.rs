//! CreateTopics: each topic is created or refused by itself, all in one batch of events.
//!
//! Invariant: two topics of one request see each other; a topic is one event with all its partitions. The order of checks
//! and the messages are Kafka's (`ReplicationControlManager.createTopics`).

use std::collections::BTreeMap;

use ottla_types::limits::MAX_NEW_PARTITIONS_PER_REQUEST;
use ottla_types::{ErrorCode, TopicId, Uuid};

use super::draft::Draft;
use super::{Context, Settings, manual_assignment, topic_name};
use crate::command::{NewTopic, Refusal, Reply, TopicOutcome};
use crate::dice::Dice;
use crate::event::{Assignment, Event};
use crate::image::Image;
use crate::placement;
use crate::topic_config;

/// Most topics of one request.
pub const MAX_TOPICS_PER_REQUEST: usize = MAX_NEW_PARTITIONS_PER_REQUEST;
/// Most configs of one topic in a request.
pub const MAX_CONFIGS_PER_TOPIC: usize = 256;

pub(super) fn decide(
    draft: &mut Draft<'_>,
    topics: &[NewTopic],
    validate_only: bool,
    context: &Context<'_>,
) -> Reply {
    if let Err(refusal) = check_size(topics, context.settings) {
        return all_refused(refusal, topics.len());
    }
    let mut dice = Dice::new(context.seed);
    let mut times_named: BTreeMap<&str, usize> = BTreeMap::new();
    for topic in topics {
        *times_named.entry(&topic.name).or_default() += 1;
    }
    let mut outcomes = Vec::with_capacity(topics.len());
    for topic in topics {
        let outcome = if times_named.get(topic.name.as_str()) == Some(&1) {
            create(draft, topic, &mut dice, context)
        } else {
            Err(Refusal::new(ErrorCode::InvalidRequest, "Duplicate topic name."))
        };
        outcomes.push(outcome.map(|outcome| checked_or_done(outcome, validate_only)));
    }
    if validate_only {
        draft.forget();
    }
    Reply::Topics(outcomes)
}

fn create(
    draft: &mut Draft<'_>,
    topic: &NewTopic,
    dice: &mut Dice,
    context: &Context<'_>,
) -> Result<TopicOutcome, Refusal> {
    topic_name::check_new(draft.image(), &topic.name)?;
    let configs = checked_configs(topic)?;
    let assignments = assignments(draft.image(), topic, dice, context.settings)?;
    let id = unused_id(draft.image(), dice);
    let outcome = TopicOutcome {
        id,
        name: topic.name.clone(),
        partitions: i32::try_from(assignments.len()).unwrap_or(i32::MAX),
        replication_factor: replication_factor_of(&assignments),
    };
    draft.push_and_see(Event::TopicCreated {
        id,
        name: topic.name.clone(),
        configs: configs.into_iter().collect(),
        assignments,
        at: context.now.wall,
    })?;
    Ok(outcome)
}

/// Kafka bounds the records of one request; so do we, for all topics together.
fn check_size(topics: &[NewTopic], settings: &Settings) -> Result<(), Refusal> {
    let wanted = |topic: &NewTopic| match (topic.assignments.len(), topic.partitions) {
        (0, Some(count)) => usize::try_from(count).unwrap_or(0),
        (0, None) => usize::try_from(settings.num_partitions).unwrap_or(0),
        (by_hand, _) => by_hand,
    };
    let total = topics.iter().map(wanted).fold(0_usize, usize::saturating_add);
    check_partition_count(total.max(topics.len()))
}

/// Refuses a request for more than [`MAX_NEW_PARTITIONS_PER_REQUEST`] partitions.
pub(super) fn check_partition_count(total: usize) -> Result<(), Refusal> {
    if total <= MAX_NEW_PARTITIONS_PER_REQUEST {
        return Ok(());
    }
    Err(Refusal::new(
        ErrorCode::PolicyViolation,
        format!(
            "Excessively large number of partitions per request. At most \
             {MAX_NEW_PARTITIONS_PER_REQUEST} are possible: use several requests."
        ),
    ))
}

/// The answer to a request that is refused as a whole: for each topic, unless there are more than a request may have.
pub(super) fn all_refused(refusal: Refusal, topics: usize) -> Reply {
    if topics > MAX_TOPICS_PER_REQUEST {
        return Reply::Refused(refusal);
    }
    Reply::Topics(vec![Err(refusal); topics])
}

fn checked_configs(topic: &NewTopic) -> Result<BTreeMap<String, String>, Refusal> {
    let invalid = |message: String| Refusal::new(ErrorCode::InvalidConfig, message);
    if topic.configs.len() > MAX_CONFIGS_PER_TOPIC {
        return Err(invalid(format!("A topic has at most {MAX_CONFIGS_PER_TOPIC} configs.")));
    }
    let nulls = topic.configs.iter().filter(|(_, value)| value.is_none());
    let nulls: Vec<&str> = nulls.map(|(name, _)| name.as_str()).collect();
    if !nulls.is_empty() {
        let nulls = nulls.join(",");
        return Err(invalid(format!("Null value not supported for topic configs: {nulls}")));
    }
    let with_value =
        |(name, value): &(String, Option<String>)| Some((name.clone(), value.clone()?));
    let configs = topic.configs.iter().filter_map(with_value).collect();
    topic_config::validate(&configs).map_err(|error| invalid(error.to_string()))?;
    Ok(configs)
}

fn assignments(
    image: &Image,
    topic: &NewTopic,
    dice: &mut Dice,
    settings: &Settings,
) -> Result<Vec<Assignment>, Refusal> {
    if !topic.assignments.is_empty() {
        return manual_assignment::of_new_topic(image, topic, settings);
    }
    let factor = topic.replication_factor.unwrap_or(settings.default_replication_factor);
    let count = topic.partitions.unwrap_or(settings.num_partitions);
    if factor <= 0 {
        return Err(Refusal::new(
            ErrorCode::InvalidReplicationFactor,
            "Replication factor must be larger than 0, or -1 to use the default value.",
        ));
    }
    let (Ok(count @ 1..), Ok(factor)) = (usize::try_from(count), usize::try_from(factor)) else {
        return Err(Refusal::new(
            ErrorCode::InvalidPartitions,
            "Number of partitions was set to an invalid non-positive value.",
        ));
    };
    place(image, (count, factor), dice, settings)
}

/// Lets the controller place `count` partitions with `factor` replicas each.
pub(super) fn place(
    image: &Image,
    (count, factor): (usize, usize),
    dice: &mut Dice,
    settings: &Settings,
) -> Result<Vec<Assignment>, Refusal> {
    placement::check(image, factor).map_err(|error| {
        let message = format!("Unable to replicate the partition {factor} time(s): {error}");
        Refusal::new(ErrorCode::InvalidReplicationFactor, message)
    })?;
    check_replication_factor(factor, settings)?;
    Ok(placement::place(image, count, factor, dice))
}

/// Refuses what replication does not serve yet.
pub(super) fn check_replication_factor(factor: usize, settings: &Settings) -> Result<(), Refusal> {
    let most = settings.max_replication_factor;
    if usize::try_from(most).is_ok_and(|most| factor <= most) {
        return Ok(());
    }
    Err(Refusal::new(
        ErrorCode::InvalidReplicationFactor,
        format!(
            "Replication factor {factor} is not possible: replication is not there yet. Use a \
             replication factor of at most {most}."
        ),
    ))
}

/// Replicas of a partition, as an answer names it.
pub(super) fn replication_factor_of(assignments: &[Assignment]) -> i16 {
    let replicas = assignments.first().map_or(0, |assignment| assignment.replicas.len());
    i16::try_from(replicas).unwrap_or(i16::MAX)
}

/// An outcome as answered: a topic that was only checked has no id.
fn checked_or_done(outcome: TopicOutcome, validate_only: bool) -> TopicOutcome {
    if validate_only { TopicOutcome { id: TopicId::default(), ..outcome } } else { outcome }
}

fn unused_id(image: &Image, dice: &mut Dice) -> TopicId {
    loop {
        let id = TopicId(Uuid::from_random(dice.next_u128()));
        if !image.topics.contains_key(&id) {
            return id;
        }
    }
}
