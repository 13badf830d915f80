//! The table of topic configs.
//!
//! Invariant: sorted by name, each name once. Types, defaults and checks are those of Kafka 4.3, except that
//! `flush.messages` is 1: what is acknowledged is on disk.

use super::ConfigKey;
use super::Served::{Internal, Obeyed, Stored};
use super::value::Check::{
    Any, AtLeast, Between, BetweenOrDefault, OneOf, Ratio, Subset, ThrottledReplicas,
};
use super::value::Kind::{Boolean, Double, Int, List, Long, String};

/// One row of the table.
macro_rules! keys {
    ($($name:literal: $kind:ident = $default:expr, $check:expr, [$($synonym:literal),*], $served:expr, $doc:literal;)*) => {
        /// All topic configs, by name.
        pub static KEYS: &[ConfigKey] = &[$(ConfigKey {
            name: $name,
            kind: $kind,
            default: $default,
            synonyms: &[$($synonym),*],
            served: $served,
            documentation: $doc,
            check: $check,
        },)*];
    };
}

keys! {
    "cleanup.policy": List = Some("delete"), Subset(&["compact", "delete"]), ["log.cleanup.policy"], Obeyed,
        "What happens to old segments: delete removes them by time and size; compact keeps the last value of each key; neither keeps all.";
    "compression.gzip.level": Int = Some("-1"), BetweenOrDefault(1, 9), ["compression.gzip.level"], Obeyed,
        "The level to compress with where compression.type is gzip.";
    "compression.lz4.level": Int = Some("9"), Between(1, 17), ["compression.lz4.level"], Obeyed,
        "The level to compress with where compression.type is lz4.";
    "compression.type": String = Some("producer"), OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]), ["compression.type"], Obeyed,
        "The compression of stored batches: a batch that came otherwise is compressed anew; producer keeps what the producer sent.";
    "compression.zstd.level": Int = Some("3"), Between(-131_072, 22), ["compression.zstd.level"], Obeyed,
        "The level to compress with where compression.type is zstd.";
    "delete.retention.ms": Long = Some("86400000"), AtLeast(0), ["log.cleaner.delete.retention.ms"], Obeyed,
        "How long compaction keeps tombstones.";
    "errors.deadletterqueue.group.enable": Boolean = Some("false"), Any, [], Stored,
        "Whether share groups may use the topic as a dead letter queue.";
    "file.delete.delay.ms": Long = Some("60000"), AtLeast(0), ["log.segment.delete.delay.ms"], Obeyed,
        "How long a file that was marked as deleted stays on disk.";
    "flush.messages": Long = Some("1"), AtLeast(1), ["log.flush.interval.messages"], Obeyed,
        "1: a record is acknowledged once it is on disk. Any other value: once it is written; it is synced after this many records.";
    "flush.ms": Long = Some("9223372036854775807"), AtLeast(0), ["log.flush.interval.ms", "log.flush.scheduler.interval.ms"], Obeyed,
        "The longest time that written records wait for a sync.";
    "follower.replication.throttled.replicas": List = Some(""), ThrottledReplicas, [], Stored,
        "Replicas whose replication is throttled on the follower's side: partition:broker,... or *.";
    "index.interval.bytes": Int = Some("4096"), AtLeast(0), ["log.index.interval.bytes"], Obeyed,
        "How many bytes of log lie between two entries of the offset index.";
    "internal.segment.bytes": Int = None, Any, [], Internal,
        "Segment size for Kafka's own tests.";
    "leader.replication.throttled.replicas": List = Some(""), ThrottledReplicas, [], Stored,
        "Replicas whose replication is throttled on the leader's side: partition:broker,... or *.";
    "local.retention.bytes": Long = Some("-2"), AtLeast(-2), ["log.local.retention.bytes"], Stored,
        "Bytes that stay local under tiered storage; -2: as retention.bytes.";
    "local.retention.ms": Long = Some("-2"), AtLeast(-2), ["log.local.retention.ms"], Stored,
        "How long segments stay local under tiered storage; -2: as retention.ms.";
    "max.compaction.lag.ms": Long = Some("9223372036854775807"), AtLeast(1), ["log.cleaner.max.compaction.lag.ms"], Obeyed,
        "The longest time that a record may stay uncompacted.";
    "max.message.bytes": Int = Some("1048588"), AtLeast(0), ["message.max.bytes"], Obeyed,
        "The largest record batch that is taken, after compression.";
    "message.timestamp.after.max.ms": Long = Some("3600000"), AtLeast(0), ["log.message.timestamp.after.max.ms"], Obeyed,
        "How far a record's timestamp may lie after the broker's time.";
    "message.timestamp.before.max.ms": Long = Some("9223372036854775807"), AtLeast(0), ["log.message.timestamp.before.max.ms"], Obeyed,
        "How far a record's timestamp may lie before the broker's time.";
    "message.timestamp.type": String = Some("CreateTime"), OneOf(&["CreateTime", "LogAppendTime"]), ["log.message.timestamp.type"], Obeyed,
        "Whether a record's timestamp is the producer's or the time of the append.";
    "min.cleanable.dirty.ratio": Double = Some("0.5"), Ratio, ["log.cleaner.min.cleanable.ratio"], Obeyed,
        "The share of uncompacted log from which on a log is compacted.";
    "min.compaction.lag.ms": Long = Some("0"), AtLeast(0), ["log.cleaner.min.compaction.lag.ms"], Obeyed,
        "The shortest time that a record stays uncompacted.";
    "min.insync.replicas": Int = Some("1"), AtLeast(1), ["min.insync.replicas"], Obeyed,
        "How many replicas must be in sync for a write with acks=all.";
    "preallocate": Boolean = Some("false"), Any, ["log.preallocate"], Obeyed,
        "Whether a new segment's file is allocated in full.";
    "remote.copy.lag.bytes": Long = Some("-1"), AtLeast(-1), ["log.remote.copy.lag.bytes"], Stored,
        "Bytes that may wait for their upload under tiered storage.";
    "remote.copy.lag.ms": Long = Some("0"), AtLeast(-1), ["log.remote.copy.lag.ms"], Stored,
        "How long a segment may wait for its upload under tiered storage.";
    "remote.log.copy.disable": Boolean = Some("false"), Any, [], Stored,
        "Whether tiered data of the topic is read-only.";
    "remote.log.delete.on.disable": Boolean = Some("false"), Any, [], Stored,
        "Whether tiered data is deleted when tiered storage is turned off.";
    "remote.storage.enable": Boolean = Some("false"), Any, [], Stored,
        "Whether the topic uses tiered storage.";
    "retention.bytes": Long = Some("-1"), Any, ["log.retention.bytes"], Obeyed,
        "How many bytes a partition may have until old segments are deleted; -1: no limit.";
    "retention.ms": Long = Some("604800000"), AtLeast(-1), ["log.retention.ms", "log.retention.minutes", "log.retention.hours"], Obeyed,
        "How long records are kept until old segments are deleted; -1: no limit.";
    "segment.bytes": Int = Some("1073741824"), AtLeast(1_048_576), ["log.segment.bytes"], Obeyed,
        "The size at which a new segment begins; retention works on whole segments.";
    "segment.index.bytes": Int = Some("10485760"), AtLeast(4), ["log.index.size.max.bytes"], Obeyed,
        "The size of an index at which a new segment begins.";
    "segment.jitter.ms": Long = Some("0"), AtLeast(0), ["log.roll.jitter.ms", "log.roll.jitter.hours"], Obeyed,
        "The most that is subtracted at random from segment.ms, so that segments do not roll all at once.";
    "segment.ms": Long = Some("604800000"), AtLeast(1), ["log.roll.ms", "log.roll.hours"], Obeyed,
        "The age at which a new segment begins even if the old one is not full.";
    "unclean.leader.election.enable": Boolean = Some("false"), Any, ["unclean.leader.election.enable"], Stored,
        "Whether a replica that is not in sync may lead when no other can, at the price of records.";
}
