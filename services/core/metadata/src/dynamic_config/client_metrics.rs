//! Subscriptions to metrics of clients (KIP-714): stored and shown; no client is told of them, since telemetry is not served.

use std::collections::BTreeMap;

use ottla_types::ErrorCode;

use super::{DynamicKey, dynamic_keys, find};
use crate::command::Refusal;
use crate::topic_config::Kind::{Int, List};
use crate::topic_config::value::Check::{Any, Between};
use crate::topic_config::value::list;

dynamic_keys! {
    /// All configs of client metrics.
    CLIENT_METRICS_KEYS:
    "interval.ms": Int = Some("300000"), Between(100, 3_600_000), "How often clients push their metrics.";
    "match": List = Some(""), Any, "Which clients, as patterns of what they say of themselves; empty: all.";
    "metrics": List = Some(""), Any, "Prefixes of the names of metrics; *: all; empty: none.";
}

/// What a client can be chosen by.
const SELECTORS: [&str; 6] = [
    "client_instance_id",
    "client_id",
    "client_software_name",
    "client_software_version",
    "client_source_address",
    "client_source_port",
];

pub(super) fn validate(configs: &BTreeMap<String, String>) -> Result<(), Refusal> {
    for (name, text) in configs {
        let Some(key) = find(CLIENT_METRICS_KEYS, name) else {
            let message = format!("Unknown client metrics configuration: {name}");
            return Err(Refusal::new(ErrorCode::InvalidRequest, message));
        };
        key.validate(text).map_err(|error| {
            let message = match text.trim().parse::<i32>() {
                Ok(number) => format!(
                    "Invalid value {number} for {name}, interval must be between 100 and 3600000 (1 hour)"
                ),
                Err(_) => error.to_string(),
            };
            Refusal::new(ErrorCode::InvalidRequest, message)
        })?;
    }
    configs.get("match").map_or(Ok(()), |patterns| check_patterns(patterns))
}

fn check_patterns(patterns: &str) -> Result<(), Refusal> {
    let invalid = |message: String| Err(Refusal::new(ErrorCode::InvalidConfig, message));
    for pattern in list(patterns) {
        let Some((selector, _)) = pattern.split_once('=') else {
            return invalid(format!("Illegal client matching pattern: {pattern}"));
        };
        if !SELECTORS.contains(&selector.trim()) {
            return invalid(format!("Illegal client matching pattern: {pattern}"));
        }
    }
    Ok(())
}
