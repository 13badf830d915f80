//! Which coordinator a group has, and how it is asked.
//!
//! Invariant: a question about a group goes to the leader of the group's partition of `__consumer_offsets`, and is asked again
//! only where that node says that it did not begin it. Deliberately does not know what is asked.

use std::sync::Arc;
use std::time::Duration;

use ottla_api::CallError;
use ottla_api::storage::CoordinateRequest;
use ottla_coordinator::{Command, GroupId, OFFSETS_TOPIC, Reply, Token, partition_of_group};
use ottla_metadata::Image;
use ottla_metadata::image::Topic;
use ottla_types::{ErrorCode, NodeId, PartitionIndex};
use tracing::Span;

use super::super::errors::AdminError;
use super::super::{AdminServices, context};

/// How long one question may take.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a coordinator that loads or moves is waited for.
const MOVE_PATIENCE: Duration = Duration::from_secs(5);
/// Between two questions to a coordinator that loads or moves.
const MOVE_PAUSE: Duration = Duration::from_millis(50);
/// The coordinator chooses its own.
pub(super) const ANY_TOKEN: Token = Token(0);

/// The coordinators as one call of an operator reaches them.
pub(super) struct Coordinators<'a> {
    services: &'a AdminServices,
    span: Span,
}

/// A group's place: its partition of `__consumer_offsets`, and who leads that.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) partition: PartitionIndex,
    pub(super) node: Option<NodeId>,
}

impl<'a> Coordinators<'a> {
    pub(super) fn of(services: &'a AdminServices, span: Span) -> Self {
        Self { services, span }
    }

    /// Where a group is; `None`: no group was ever anywhere.
    pub(super) fn place(&self, group: &GroupId) -> Option<Place> {
        let image = self.services.image();
        let topic = offsets_topic(&image)?;
        let count = u32::try_from(topic.partitions.len()).unwrap_or(u32::MAX);
        let partition = partition_of_group(group.as_str(), count);
        let state = image.partition(topic.id, partition);
        Some(Place { partition, node: state.and_then(|state| state.leader) })
    }

    /// Every place that groups can be in, in order.
    pub(super) fn places(&self) -> Vec<Place> {
        let image = self.services.image();
        let partitions = offsets_topic(&image).map(|topic| topic.partitions.as_slice());
        let numbered = (0..).map(PartitionIndex).zip(partitions.unwrap_or_default());
        numbered.map(|(partition, state)| Place { partition, node: state.leader }).collect()
    }

    /// Asks the coordinator of a group, and waits for one that loads or moves.
    pub(super) async fn ask_about(
        &self,
        group: &GroupId,
        command: Command,
    ) -> Result<Reply, AdminError> {
        let clock = &self.services.seams.clock;
        let give_up = clock.monotonic() + MOVE_PATIENCE;
        loop {
            let place = self.place(group).ok_or_else(|| no_coordinator(group))?;
            match self.ask(place, command.clone()).await {
                Ok(reply) => return Ok(reply),
                Err(Unasked::Refused(code)) if clock.monotonic() >= give_up => {
                    return Err(AdminError::of_group(group.as_str(), code));
                }
                Err(Unasked::Refused(_)) => clock.sleep(MOVE_PAUSE).await,
                Err(Unasked::Call(error)) => return Err(AdminError::Call(error)),
            }
        }
    }

    /// Asks the coordinator at a place, once.
    pub(super) async fn ask(&self, place: Place, command: Command) -> Result<Reply, Unasked> {
        let node = place.node.ok_or(Unasked::Refused(ErrorCode::CoordinatorNotAvailable))?;
        let storage = self.services.storage.get(node, &self.services.image());
        let storage = storage.ok_or(Unasked::Refused(ErrorCode::NotCoordinator))?;
        let request = CoordinateRequest { partition: place.partition, command };
        let asked = storage.coordinate(context(self.span.clone(), ASK_TIMEOUT), request).await;
        asked.map_err(Unasked::Call)?.outcome.map_err(Unasked::Refused)
    }
}

/// Why a coordinator did not answer.
#[derive(Debug)]
pub(super) enum Unasked {
    /// It says that it did not begin, or there is none: it may be asked again.
    Refused(ErrorCode),
    /// Nothing is known.
    Call(CallError),
}

fn offsets_topic(image: &Image) -> Option<&Arc<Topic>> {
    image.topic_by_name(OFFSETS_TOPIC)
}

fn no_coordinator(group: &GroupId) -> AdminError {
    let message = format!(
        "group {:?} has no coordinator, because no group was ever here: {OFFSETS_TOPIC} is made for the first consumer of any \
         group, or by `ottla doctor`; try again after that",
        group.as_str()
    );
    let code = ErrorCode::CoordinatorNotAvailable;
    AdminError::Refused(ottla_metadata::Refusal::new(code, message))
}
