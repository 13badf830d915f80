//! Configs of brokers that change while they run: for one, or for all (Kafka's "cluster-wide" ones).
//!
//! Invariant: sorted by name. What Kafka lets change of listeners and security is refused: a gateway serves what it was started
//! with. Every other name is static: it is refused with Kafka's text, whether Kafka knows it or not.

use std::collections::BTreeMap;

use ottla_types::{ErrorCode, NodeId};

use super::{DynamicKey, dynamic_keys, find};
use crate::command::Refusal;
use crate::topic_config::Kind::{Boolean, Double, Int, List, Long, String};
use crate::topic_config::value::Check::{
    Any, AtLeast, Between, BetweenOrDefault, OneOf, Ratio, Subset,
};

dynamic_keys! {
    /// All configs of brokers that may change while they run, by name.
    BROKER_KEYS:
    "background.threads": Int = Some("10"), AtLeast(1);
    "compression.gzip.level": Int = Some("-1"), BetweenOrDefault(1, 9);
    "compression.lz4.level": Int = Some("9"), Between(1, 17);
    "compression.type": String = Some("producer"), OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]);
    "compression.zstd.level": Int = Some("3"), Between(-131_072, 22);
    "config.providers": List = Some(""), Any;
    "errors.deadletterqueue.auto.create.topics.enable": Boolean = Some("false"), Any;
    "errors.deadletterqueue.topic.name.prefix": String = Some("dlq."), Any;
    "follower.fetch.last.tiered.offset.enable": Boolean = Some("false"), Any;
    "follower.replication.throttled.rate": Long = Some("9223372036854775807"), AtLeast(0);
    "group.consumer.assignment.interval.ms": Int = Some("1000"), AtLeast(0);
    "group.consumer.assignor.offload.enable": Boolean = Some("true"), Any;
    "group.coordinator.cached.buffer.max.bytes": Int = Some("1048588"), AtLeast(524_288);
    "group.share.assignment.interval.ms": Int = Some("1000"), AtLeast(0);
    "group.share.assignor.offload.enable": Boolean = Some("true"), Any;
    "group.streams.assignment.interval.ms": Int = Some("1000"), AtLeast(0);
    "group.streams.assignor.offload.enable": Boolean = Some("true"), Any;
    "leader.replication.throttled.rate": Long = Some("9223372036854775807"), AtLeast(0);
    "log.cleaner.backoff.ms": Long = Some("15000"), AtLeast(0);
    "log.cleaner.dedupe.buffer.size": Long = Some("134217728"), Any;
    "log.cleaner.delete.retention.ms": Long = Some("86400000"), AtLeast(0);
    "log.cleaner.io.buffer.load.factor": Double = Some("0.9"), Any;
    "log.cleaner.io.buffer.size": Int = Some("524288"), AtLeast(0);
    "log.cleaner.io.max.bytes.per.second": Double = Some("1.7976931348623157E308"), Any;
    "log.cleaner.max.compaction.lag.ms": Long = Some("9223372036854775807"), AtLeast(1);
    "log.cleaner.min.cleanable.ratio": Double = Some("0.5"), Ratio;
    "log.cleaner.min.compaction.lag.ms": Long = Some("0"), AtLeast(0);
    "log.cleaner.threads": Int = Some("1"), AtLeast(0);
    "log.cleanup.policy": List = Some("delete"), Subset(&["compact", "delete"]);
    "log.flush.interval.messages": Long = Some("1"), AtLeast(1);
    "log.flush.interval.ms": Long = None, AtLeast(0);
    "log.index.interval.bytes": Int = Some("4096"), AtLeast(0);
    "log.index.size.max.bytes": Int = Some("10485760"), AtLeast(4);
    "log.local.retention.bytes": Long = Some("-2"), AtLeast(-2);
    "log.local.retention.ms": Long = Some("-2"), AtLeast(-2);
    "log.message.timestamp.after.max.ms": Long = Some("3600000"), AtLeast(0);
    "log.message.timestamp.before.max.ms": Long = Some("9223372036854775807"), AtLeast(0);
    "log.message.timestamp.type": String = Some("CreateTime"), OneOf(&["CreateTime", "LogAppendTime"]);
    "log.preallocate": Boolean = Some("false"), Any;
    "log.remote.copy.lag.bytes": Long = Some("-1"), AtLeast(-1);
    "log.remote.copy.lag.ms": Long = Some("0"), AtLeast(-1);
    "log.retention.bytes": Long = Some("-1"), Any;
    "log.retention.ms": Long = None, AtLeast(-1);
    "log.roll.jitter.ms": Long = None, AtLeast(0);
    "log.roll.ms": Long = None, AtLeast(1);
    "log.segment.bytes": Int = Some("1073741824"), AtLeast(1_048_576);
    "log.segment.delete.delay.ms": Long = Some("60000"), AtLeast(0);
    "max.connection.creation.rate": Int = Some("2147483647"), AtLeast(0);
    "max.connections": Int = Some("2147483647"), AtLeast(0);
    "max.connections.per.ip": Int = Some("2147483647"), AtLeast(0);
    "max.connections.per.ip.overrides": String = Some(""), Any;
    "message.max.bytes": Int = Some("1048588"), AtLeast(0);
    "metric.reporters": List = Some("org.apache.kafka.common.metrics.JmxReporter"), Any;
    "min.insync.replicas": Int = Some("1"), AtLeast(1);
    "num.io.threads": Int = Some("8"), AtLeast(1);
    "num.network.threads": Int = Some("3"), AtLeast(1);
    "num.recovery.threads.per.data.dir": Int = Some("2"), AtLeast(1);
    "num.replica.fetchers": Int = Some("1"), AtLeast(1);
    "producer.id.expiration.ms": Int = Some("86400000"), AtLeast(1);
    "remote.fetch.max.wait.ms": Int = Some("500"), AtLeast(1);
    "remote.list.offsets.request.timeout.ms": Long = Some("30000"), AtLeast(1);
    "remote.log.index.file.cache.total.size.bytes": Long = Some("1073741824"), AtLeast(1);
    "remote.log.manager.copier.thread.pool.size": Int = Some("10"), AtLeast(1);
    "remote.log.manager.copy.max.bytes.per.second": Long = Some("9223372036854775807"), AtLeast(1);
    "remote.log.manager.expiration.thread.pool.size": Int = Some("10"), AtLeast(1);
    "remote.log.manager.fetch.max.bytes.per.second": Long = Some("9223372036854775807"), AtLeast(1);
    "remote.log.manager.follower.thread.pool.size": Int = Some("2"), AtLeast(1);
    "remote.log.reader.threads": Int = Some("10"), AtLeast(1);
    "replica.alter.log.dirs.io.max.bytes.per.second": Long = Some("9223372036854775807"), AtLeast(0);
    "share.coordinator.cached.buffer.max.bytes": Int = Some("1048588"), AtLeast(524_288);
    "transaction.partition.verification.enable": Boolean = Some("true"), Any;
    "unclean.leader.election.enable": Boolean = Some("false"), Any;
}

/// What Kafka changes for one broker only: addresses and the security of listeners.
const PER_BROKER: &[&str] = &[
    "cordoned.log.dirs",
    "listener.security.protocol.map",
    "listeners",
    "principal.builder.class",
];
/// How names begin that Kafka changes for one listener of one broker.
const SECURITY: [&str; 2] = ["ssl.", "sasl."];

pub(super) fn validate(
    node: Option<NodeId>,
    configs: &BTreeMap<std::string::String, std::string::String>,
) -> Result<(), Refusal> {
    let is_security = |name: &str| SECURITY.iter().any(|prefix| name.starts_with(prefix));
    let is_per_broker = |name: &str| PER_BROKER.contains(&name);
    let is_of_listener = |name: &str| name.starts_with("listener.name.");
    let is_static = |name: &str| {
        let is_dynamic = find(BROKER_KEYS, name).is_some() || is_per_broker(name);
        !is_dynamic && !is_security(name) && !is_of_listener(name)
    };
    refuse(configs, is_static, "Cannot update these configs dynamically")?;
    let of_listeners = "These security configs can be dynamically updated only per-listener using the listener prefix";
    refuse(configs, is_security, of_listeners)?;
    for (name, text) in configs {
        let Some(key) = find(BROKER_KEYS, name) else { continue };
        // Kafka's code for them, too (KAFKA-13609).
        key.validate(text)
            .map_err(|error| Refusal::new(ErrorCode::InvalidRequest, error.to_string()))?;
    }
    let of_one = |name: &str| is_per_broker(name) || is_of_listener(name);
    if node.is_none() {
        let message =
            "Cannot update these configs at default cluster level, broker id must be specified";
        refuse(configs, of_one, message)?;
    }
    let message = "Listeners and their security do not change while a gateway runs: change the \
                   configuration file and restart it. Not changed";
    refuse(configs, of_one, message)
}

/// Refuses all that are such, by name.
fn refuse(
    configs: &BTreeMap<std::string::String, std::string::String>,
    is_such: impl Fn(&str) -> bool,
    message: &str,
) -> Result<(), Refusal> {
    let such: Vec<&str> = configs.keys().map(AsRef::as_ref).filter(|name| is_such(name)).collect();
    if such.is_empty() {
        return Ok(());
    }
    let message = format!("{message}: [{}]", such.join(", "));
    Err(Refusal::new(ErrorCode::InvalidRequest, message))
}
