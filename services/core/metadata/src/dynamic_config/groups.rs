//! Configs of groups, by the kind of group that they are of: stored and shown. Groups of the classic protocol have none, and the
//! other kinds are not served yet.
//!
//! Invariant: bounds are Kafka's defaults of the broker's own bounds (`group.consumer.min.session.timeout.ms` and so on).

use std::collections::BTreeMap;

use ottla_types::ErrorCode;

use super::{DynamicKey, dynamic_keys, find};
use crate::command::Refusal;
use crate::topic_config::Kind::{Boolean, Int, String};
use crate::topic_config::value::Check::{Any, AtLeast, Between, OneOf};

dynamic_keys! {
    /// All configs of groups, by name.
    GROUP_KEYS:
    "consumer.assignment.interval.ms": Int = Some("1000"), AtLeast(0);
    "consumer.heartbeat.interval.ms": Int = Some("5000"), AtLeast(1);
    "consumer.session.timeout.ms": Int = Some("45000"), AtLeast(1);
    "share.assignment.interval.ms": Int = Some("1000"), AtLeast(0);
    "share.auto.offset.reset": String = Some("latest"), Any;
    "share.delivery.count.limit": Int = Some("5"), AtLeast(2);
    "share.heartbeat.interval.ms": Int = Some("5000"), AtLeast(1);
    "share.isolation.level": String = Some("read_uncommitted"), OneOf(&["read_committed", "read_uncommitted"]);
    "share.partition.max.record.locks": Int = Some("2000"), AtLeast(100);
    "share.record.lock.duration.ms": Int = Some("30000"), AtLeast(1_000);
    "share.renew.acknowledge.enable": Boolean = Some("true"), Any;
    "share.session.timeout.ms": Int = Some("45000"), AtLeast(1);
    "streams.assignment.interval.ms": Int = Some("1000"), AtLeast(0);
    "streams.heartbeat.interval.ms": Int = Some("5000"), AtLeast(1);
    "streams.initial.rebalance.delay.ms": Int = Some("3000"), AtLeast(0);
    "streams.num.standby.replicas": Int = Some("0"), Between(0, 2);
    "streams.session.timeout.ms": Int = Some("45000"), AtLeast(1);
}

/// What a broker bounds: the config, the bound's name without its `min` or `max`, least and most.
const BOUNDED: [(&str, [&str; 2], [i64; 2]); 6] = [
    (
        "consumer.heartbeat.interval.ms",
        ["group.consumer", "heartbeat.interval.ms"],
        [5_000, 15_000],
    ),
    ("consumer.session.timeout.ms", ["group.consumer", "session.timeout.ms"], [45_000, 60_000]),
    ("share.heartbeat.interval.ms", ["group.share", "heartbeat.interval.ms"], [5_000, 15_000]),
    ("share.session.timeout.ms", ["group.share", "session.timeout.ms"], [45_000, 60_000]),
    ("streams.heartbeat.interval.ms", ["group.streams", "heartbeat.interval.ms"], [5_000, 15_000]),
    ("streams.session.timeout.ms", ["group.streams", "session.timeout.ms"], [45_000, 60_000]),
];

/// The broker's name of the config that gives a group's default.
pub fn broker_synonym(name: &str) -> std::string::String {
    match name {
        "share.auto.offset.reset" | "share.isolation.level" | "share.renew.acknowledge.enable" => {
            name.to_owned()
        }
        _ => format!("group.{name}"),
    }
}

pub(super) fn validate(
    configs: &BTreeMap<std::string::String, std::string::String>,
) -> Result<(), Refusal> {
    let invalid = |message: std::string::String| Refusal::new(ErrorCode::InvalidConfig, message);
    for (name, text) in configs {
        let key = find(GROUP_KEYS, name)
            .ok_or_else(|| invalid(format!("Unknown group config name: {name}")))?;
        key.validate(text).map_err(|error| invalid(error.to_string()))?;
    }
    for (name, [before, after], [least, most]) in BOUNDED {
        let Some(value) = configs.get(name).and_then(|text| text.trim().parse::<i64>().ok()) else {
            continue;
        };
        let bound = match value {
            _ if value < least => ("greater", "min"),
            _ if value > most => ("less", "max"),
            _ => continue,
        };
        let (than, which) = bound;
        return Err(invalid(format!(
            "{name} must be {than} than or equal to {before}.{which}.{after}"
        )));
    }
    Ok(())
}
