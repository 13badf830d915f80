//! Sets a group's committed offsets.
//!
//! Invariant: nothing is committed unless every partition has its plan, and then all of it in one batch. The coordinator has the
//! last word on members: one that joined since the plan was made refuses the commit.

use std::collections::{BTreeMap, BTreeSet};

use ottla_coordinator::command::{Caller, CommitOffsets, CommitPartition, CommitTopic};
use ottla_coordinator::{
    Command, Generation, GroupId, GroupState, MemberId, Reply, Text, TopicName,
};
use ottla_metadata::{Image, Refusal};
use ottla_proto::admin::v1 as wire;
use ottla_proto::admin::v1::reset_group_offsets_request::Target as Wanted;
use ottla_types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, TopicId, TopicPartition};
use tracing::Span;

use super::super::AdminServices;
use super::super::errors::AdminError;
use super::coordinators::{ANY_TOKEN, Coordinators};
use super::log_offsets::{self, EARLIEST, Found, LATEST};
use super::offsets::{Committed, Named, committed, partition_id};
use super::plan::{Known, Target, plan};
use super::{describe, values};

/// Most partitions of one call.
const MAX_PARTITIONS: usize = 100_000;

/// What each partition is set to.
type Targets = BTreeMap<Named, Target>;

impl AdminServices {
    pub(super) async fn reset_group(
        &self,
        span: Span,
        request: wire::ResetGroupOffsetsRequest,
    ) -> Result<wire::ResetGroupOffsetsResponse, AdminError> {
        let group = values::group_id(&request.id)?;
        let coordinators = Coordinators::of(self, span.clone());
        let described = describe(&coordinators, &group).await?;
        if described.is_some_and(|found| found.state != GroupState::Empty) {
            return Err(AdminError::of_group(group.as_str(), ErrorCode::NonEmptyGroup));
        }
        let committed = committed(&coordinators, &group).await?;
        let targets = self.targets(&request, &committed)?;
        let offsets = self.plan_reset(&span, &targets, &committed).await?;
        if !request.validate_only {
            commit(&coordinators, &group, &offsets).await?;
        }
        Ok(wire::ResetGroupOffsetsResponse { request_id: request.request_id, offsets })
    }

    /// The partitions that are meant, each with its target.
    fn targets(
        &self,
        request: &wire::ResetGroupOffsetsRequest,
        committed: &BTreeMap<Named, Committed>,
    ) -> Result<Targets, AdminError> {
        let image = self.image();
        let wanted = request.target.as_ref().ok_or_else(|| {
            AdminError::invalid("no target; say where the offsets go, such as position")
        })?;
        let targets = match wanted {
            Wanted::Listed(listed) if request.scope.is_empty() => listed_targets(&image, listed)?,
            Wanted::Listed(_) => {
                return Err(AdminError::invalid("both scope and listed; leave scope out"));
            }
            wanted => {
                let target = target(wanted, self.seams.clock.wall().0)?;
                let meant = scope(&image, &request.scope, committed)?;
                meant.into_iter().map(|at| (at, target)).collect()
            }
        };
        match targets.len() {
            0 => Err(AdminError::invalid(
                "the group has committed nothing yet; name the topics in scope (--topic)",
            )),
            1..=MAX_PARTITIONS => Ok(targets),
            many => Err(AdminError::invalid(format!(
                "{many} partitions are too many, {MAX_PARTITIONS} is the most; take fewer topics at a time"
            ))),
        }
    }

    async fn plan_reset(
        &self,
        span: &Span,
        targets: &Targets,
        committed: &BTreeMap<Named, Committed>,
    ) -> Result<Vec<wire::ResetOffset>, AdminError> {
        let image = self.image();
        let ids: Vec<_> =
            targets.keys().filter_map(|(topic, at)| partition_id(&image, topic, *at)).collect();
        let starts = log_offsets::at(self, span, &ids, EARLIEST).await;
        let ends = log_offsets::at(self, span, &ids, LATEST).await;
        let at_time = match targets.values().next() {
            Some(Target::Time(time)) => Some(log_offsets::at(self, span, &ids, *time).await),
            _ => None,
        };
        let planned = targets.iter().map(|(at, target)| {
            let id = partition_id(&image, &at.0, at.1).ok_or_else(|| no_partition(at))?;
            let committed = committed.get(at).map(|committed| committed.offset);
            let known = Known {
                start: found(at, id, &starts)?.unwrap_or(0),
                end: found(at, id, &ends)?.unwrap_or(0),
                at_time: match &at_time {
                    Some(at_time) => found(at, id, at_time)?,
                    None => None,
                },
                committed,
            };
            let planned = plan(*target, known).map_err(|_| nothing_to_shift(at))?;
            Ok(wire::ResetOffset {
                topic: at.0.clone(),
                partition: at.1,
                previous_offset: committed,
                offset: planned.offset,
                note: planned.note.to_owned(),
            })
        });
        planned.collect()
    }
}

/// One target for all partitions.
fn target(wanted: &Wanted, now_ms: i64) -> Result<Target, AdminError> {
    let out_of_range = || AdminError::invalid("time or age is out of range; give another");
    Ok(match wanted {
        Wanted::Position(position) => match wire::ResetPosition::try_from(*position) {
            Ok(wire::ResetPosition::Earliest) => Target::Earliest,
            Ok(wire::ResetPosition::Latest) => Target::Latest,
            Ok(wire::ResetPosition::Current) => Target::Current,
            Ok(wire::ResetPosition::Unspecified) | Err(_) => {
                return Err(AdminError::invalid(
                    "position is none that exists; name it, such as RESET_POSITION_EARLIEST",
                ));
            }
        },
        Wanted::Offset(offset) => Target::Offset(*offset),
        Wanted::Shift(shift) => Target::Shift(*shift),
        Wanted::Time(time) => Target::Time(
            in_ms(time.seconds, time.nanos).filter(|ms| *ms >= 0).ok_or_else(out_of_range)?,
        ),
        Wanted::Age(age) => {
            let age_ms = in_ms(age.seconds, age.nanos).filter(|ms| *ms >= 0);
            Target::Time(now_ms.saturating_sub(age_ms.ok_or_else(out_of_range)?).max(0))
        }
        Wanted::Listed(_) => return Err(AdminError::invalid("listed offsets are no one target")),
    })
}

fn in_ms(seconds: i64, nanos: i32) -> Option<i64> {
    seconds.checked_mul(1_000)?.checked_add(i64::from(nanos) / 1_000_000)
}

fn listed_targets(image: &Image, listed: &wire::PartitionOffsets) -> Result<Targets, AdminError> {
    let mut targets = Targets::new();
    for wire::PartitionOffset { topic, partition, offset } in &listed.offsets {
        let at = (topic.clone(), *partition);
        partition_id(image, topic, *partition).ok_or_else(|| no_partition(&at))?;
        if targets.insert(at, Target::Offset(*offset)).is_some() {
            let message = format!("{topic}-{partition} is listed twice; list it once");
            return Err(AdminError::invalid(message));
        }
    }
    match targets.is_empty() {
        true => Err(AdminError::invalid("nothing is listed; list a partition and its offset")),
        false => Ok(targets),
    }
}

/// The partitions of a scope. Without one those that have an offset, as far as they still exist.
fn scope(
    image: &Image,
    scope: &[wire::TopicPartitions],
    committed: &BTreeMap<Named, Committed>,
) -> Result<BTreeSet<Named>, AdminError> {
    let exists = |at: &&Named| partition_id(image, &at.0, at.1).is_some();
    if scope.is_empty() {
        return Ok(committed.keys().filter(exists).cloned().collect());
    }
    let mut meant = BTreeSet::new();
    for wire::TopicPartitions { topic, partitions } in scope {
        let known = image.topic_by_name(topic).ok_or_else(|| AdminError::no_topic(topic))?;
        let all = (0..).zip(&known.partitions).map(|(index, _)| index);
        match partitions.is_empty() {
            true => meant.extend(all.map(|index| (topic.clone(), index))),
            false => meant.extend(partitions.iter().map(|index| (topic.clone(), *index))),
        }
    }
    match meant.iter().find(|at| !exists(at)) {
        Some(missing) => Err(no_partition(missing)),
        None => Ok(meant),
    }
}

async fn commit(
    coordinators: &Coordinators<'_>,
    group: &GroupId,
    offsets: &[wire::ResetOffset],
) -> Result<(), AdminError> {
    let mut topics: Vec<CommitTopic> = Vec::new();
    for offset in offsets {
        let name = TopicName::new(&offset.topic)
            .map_err(|error| AdminError::invalid(format!("{error}; no topic has such a name")))?;
        let partition = CommitPartition {
            partition: PartitionIndex(offset.partition),
            offset: Offset(offset.offset),
            leader_epoch: LeaderEpoch::NONE,
            metadata: Some(Text::empty()),
        };
        match topics.last_mut().filter(|last| last.name == name) {
            Some(last) => last.partitions.push(partition),
            None => {
                let id = TopicId::default();
                topics.push(CommitTopic { name, id, partitions: vec![partition] });
            }
        }
    }
    let caller = Caller { group: group.clone(), member: MemberId::empty(), instance: None };
    let command = Command::CommitOffsets(CommitOffsets {
        token: ANY_TOKEN,
        caller,
        generation: Generation::NONE,
        retention_ms: -1,
        knows_group_id_not_found: true,
        topics,
    });
    let outcome = match coordinators.ask_about(group, command).await? {
        Reply::CommitOffsets(outcome) => outcome,
        _ => Err(ErrorCode::UnknownServerError),
    };
    let failed = match outcome {
        Ok(topics) => {
            let mut codes = topics.iter().flat_map(|topic| &topic.partitions).map(|one| one.1);
            codes.find(|code| !code.is_none())
        }
        // A member has joined: it is not one of us.
        Err(ErrorCode::UnknownMemberId) => Some(ErrorCode::NonEmptyGroup),
        Err(code) => Some(code),
    };
    failed.map_or(Ok(()), |code| Err(AdminError::of_group(group.as_str(), code)))
}

fn found(
    at: &Named,
    id: TopicPartition,
    among: &BTreeMap<TopicPartition, Found>,
) -> Result<Option<i64>, AdminError> {
    let found = among.get(&id).copied().unwrap_or(Err(ErrorCode::UnknownTopicOrPartition));
    found.map_err(|code| {
        let message = format!(
            "the leader of {}-{} does not say its offsets ({}); `ottla status` (GetCluster) shows whether it is active; \
             nothing was changed",
            at.0,
            at.1,
            code.name()
        );
        AdminError::Refused(Refusal::new(code, message))
    })
}

fn no_partition((topic, partition): &Named) -> AdminError {
    let message = format!(
        "there is no partition {topic}-{partition}; `ottla topic describe {topic}` (GetTopic) shows those that are there"
    );
    AdminError::Refused(Refusal::new(ErrorCode::UnknownTopicOrPartition, message))
}

fn nothing_to_shift((topic, partition): &Named) -> AdminError {
    AdminError::invalid(format!(
        "{topic}-{partition} has no committed offset to shift from; leave it out, or set it to a position"
    ))
}
