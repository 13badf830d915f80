//! Deciding: what the active controller answers to a command, and which events make it so.
//!
//! Invariant: the image is only read; a command that is refused leaves no event; a decision's events are one unsplittable
//! batch that follows the image's offset. Only the active controller decides; everybody replays.
//! Deliberately does not know whether a decision is ever committed: if it is not, the controller is no longer active, and
//! drops [`Soft`] with its image.

use std::time::Duration;

pub use ottla_types::Now;

use crate::command::{Command, Reply};
use crate::event::Event;
use crate::image::Image;

mod allocate_producer_ids;
mod alter_configs;
mod alter_topic_configs;
mod broker_heartbeat;
mod control_stream_broken;
mod create_partitions;
mod create_topics;
mod delete_topics;
mod draft;
mod gateway_heartbeat;
mod manual_assignment;
mod register_broker;
mod register_gateway;
mod settings;
mod soft;
mod tick;
mod topic_name;
mod unregister_broker;

pub use allocate_producer_ids::PRODUCER_IDS_PER_BLOCK;
pub use alter_configs::{
    MAX_CONFIG_RESOURCES, MAX_CONFIG_RESOURCES_PER_REQUEST, MAX_RESOURCE_NAME_BYTES,
};
pub use create_topics::{MAX_CONFIGS_PER_TOPIC, MAX_TOPICS_PER_REQUEST};
pub use draft::STATE_HASH_EVERY;
pub use register_broker::{MAX_DIRECTORIES, MAX_HOST_BYTES, MAX_RACK_BYTES};
pub use register_gateway::MAX_GATEWAY_LISTENERS;
pub use settings::Settings;
pub use soft::{Follower, Soft};

use draft::Draft;

/// What a decision depends on besides image and command.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The cluster's settings.
    pub settings: &'a Settings,
    /// The time.
    pub now: Now,
    /// Topic ids and placements follow from it: a fresh random number for every decision.
    pub seed: u64,
}

/// The outcome of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What becomes true, in order, beginning at the offset after the image's. Empty where nothing changes.
    pub events: Vec<Event>,
    /// What is answered once the events are committed.
    pub reply: Reply,
    /// When the next [`Command::Tick`] is due, in the monotonic time of [`Now`]; `None`: nothing can expire.
    pub deadline: Option<Duration>,
}

/// Decides a command against the image.
pub fn decide(image: &Image, soft: &mut Soft, command: Command, context: &Context<'_>) -> Decision {
    let mut draft = Draft::new(image, soft.state_hash_is_due(image));
    let reply = answer(&mut draft, soft, command, context);
    let events = draft.into_events();
    if let Some(Event::StateHash { .. }) = events.first() {
        soft.state_hash_was_put(image);
    }
    Decision { events, reply, deadline: soft.next_deadline(context.settings) }
}

fn answer(
    draft: &mut Draft<'_>,
    soft: &mut Soft,
    command: Command,
    context: &Context<'_>,
) -> Reply {
    match command {
        Command::RegisterBroker { cluster_id, registration } => {
            register_broker::decide(draft, soft, (cluster_id, registration), context)
        }
        Command::BrokerHeartbeat { .. } => broker_heartbeat::decide(draft, soft, &command, context),
        Command::ControlStreamBroken { node, broker_epoch } => {
            control_stream_broken::decide(draft, soft, (node, broker_epoch), context)
        }
        Command::RegisterGateway(registration) => {
            register_gateway::decide(draft, soft, registration, context)
        }
        Command::GatewayHeartbeat { node, incarnation, draining, goodbye } => {
            let state = gateway_heartbeat::State { draining, goodbye };
            gateway_heartbeat::decide(draft, soft, (node, incarnation, state), context)
        }
        Command::Tick => tick::decide(draft, soft, context),
        Command::CreateTopics { topics, validate_only } => {
            create_topics::decide(draft, &topics, validate_only, context)
        }
        Command::DeleteTopics { topics } => delete_topics::decide(draft, &topics, context),
        Command::CreatePartitions { topics, validate_only } => {
            create_partitions::decide(draft, &topics, validate_only, context)
        }
        Command::AlterTopicConfigs { topic, changes, validate_only } => {
            alter_topic_configs::decide(draft, &topic, changes, validate_only)
        }
        Command::AllocateProducerIds { node, broker_epoch } => {
            allocate_producer_ids::decide(draft, node, broker_epoch)
        }
        Command::AlterConfigs { resources, validate_only } => {
            alter_configs::decide(draft, &resources, validate_only)
        }
        Command::UnregisterBroker { node } => unregister_broker::decide(draft, soft, node, context),
    }
}

#[cfg(test)]
mod tests;
