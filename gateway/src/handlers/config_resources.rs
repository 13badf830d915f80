//! Kafka's kinds of resources that have configs, by their numbers on the wire.
//!
//! Invariant: what the metadata hold is a [`ConfigResource`]; loggers live in the processes. Deliberately knows no config.

use ottla_metadata::Refusal;
use ottla_metadata::event::ConfigResource;
use ottla_types::{ErrorCode, NodeId};

/// Topics.
pub(super) const TOPIC: i8 = 2;
/// Brokers: one by its id, or with an empty name what holds for all that say nothing themselves.
pub(super) const BROKER: i8 = 4;
/// Loggers of one broker.
pub(super) const BROKER_LOGGER: i8 = 8;
/// Subscriptions to metrics of clients.
pub(super) const CLIENT_METRICS: i8 = 16;
/// Groups.
pub(super) const GROUP: i8 = 32;

/// A resource, by its number and name; `None`: the number is not one of the metadata's.
///
/// # Errors
/// The name is none of a broker.
pub(super) fn of(kind: i8, name: &str) -> Result<Option<ConfigResource>, Refusal> {
    Ok(Some(match kind {
        TOPIC => ConfigResource::Topic(name.to_owned()),
        BROKER if name.is_empty() => ConfigResource::Broker(None),
        BROKER => ConfigResource::Broker(Some(node_of(name)?)),
        GROUP => ConfigResource::Group(name.to_owned()),
        CLIENT_METRICS => ConfigResource::ClientMetrics(name.to_owned()),
        _ => return Ok(None),
    }))
}

/// The node that a name stands for.
///
/// # Errors
/// It is no number.
pub(super) fn node_of(name: &str) -> Result<NodeId, Refusal> {
    name.parse().map(NodeId).map_err(|_| {
        let message = format!("Node id must be an integer, but it is: {name:.32}");
        Refusal::new(ErrorCode::InvalidRequest, message)
    })
}
