//! Topic configs: the table, Kafka's messages, defaults, descriptions.

use proptest::prelude::*;

use super::*;

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn message(pairs: &[(&str, &str)]) -> String {
    validate(&map(pairs)).expect_err(&format!("{pairs:?} was taken")).to_string()
}

#[test]
fn the_table_is_sorted_and_every_default_is_valid() {
    assert!(KEYS.windows(2).all(|pair| pair[0].name < pair[1].name));
    for key in KEYS {
        assert!(key.default.is_none_or(|default| key.validate(default).is_ok()), "{}", key.name);
        assert_eq!(super::key(key.name).map(|key| key.name), Some(key.name));
    }
}

/// Each message was printed by Kafka 4.3.1's own `LogConfig.validate`.
#[test]
fn refusals_are_kafkas_word_for_word() {
    for (name, value, why) in [
        ("retention.ms", "abc", "Not a number of type LONG"),
        ("retention.ms", "-2", "Value must be at least -1"),
        ("retention.ms", "", "Not a number of type LONG"),
        ("retention.ms", "99999999999999999999", "Not a number of type LONG"),
        ("segment.bytes", "14", "Value must be at least 1048576"),
        ("segment.bytes", "3000000000", "Not a number of type INT"),
        ("max.message.bytes", "1.5", "Not a number of type INT"),
        ("max.message.bytes", "0x10", "Not a number of type INT"),
        ("cleanup.policy", "foo", "String must be one of: compact, delete"),
        ("cleanup.policy", "Delete", "String must be one of: compact, delete"),
        ("message.timestamp.type", "foo", "String must be one of: CreateTime, LogAppendTime"),
        (
            "compression.type",
            "foo",
            "String must be one of: uncompressed, zstd, lz4, snappy, gzip, producer",
        ),
        ("preallocate", "yes", "Expected value to be either true or false"),
        ("min.cleanable.dirty.ratio", "x", "Not a number of type DOUBLE"),
        ("compression.gzip.level", "0", "Value must be between 1 and 9 or equal to -1"),
        ("compression.lz4.level", "0", "Value must be at least 1"),
        ("compression.lz4.level", "18", "Value must be no more than 17"),
        ("compression.zstd.level", "-131073", "Value must be at least -131072"),
        ("min.insync.replicas", "0", "Value must be at least 1"),
        ("flush.messages", "0", "Value must be at least 1"),
        ("local.retention.ms", "-3", "Value must be at least -2"),
    ] {
        let expected = format!("Invalid value {value} for configuration {name}: {why}");
        assert_eq!(message(&[(name, value)]), expected);
    }
    for (pairs, expected) in [
        (&[("foo", "1")][..], "Unknown topic config name: foo"),
        (
            &[("min.cleanable.dirty.ratio", "2")],
            "Invalid value 2.0 for configuration min.cleanable.dirty.ratio: Value must be no more than 1",
        ),
        (
            &[("cleanup.policy", "delete,")],
            "Configuration 'cleanup.policy' values must not be empty.",
        ),
        (
            &[("leader.replication.throttled.replicas", "*,0:1")],
            "Invalid value [*, 0:1] for configuration leader.replication.throttled.replicas: \
             leader.replication.throttled.replicas must be the literal '*' or a list of replicas in \
             the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],...",
        ),
        (
            &[("min.compaction.lag.ms", "10"), ("max.compaction.lag.ms", "5")],
            "conflict topic config setting min.compaction.lag.ms (10) > max.compaction.lag.ms (5)",
        ),
        (
            &[("remote.storage.enable", " True ")],
            "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log storage.",
        ),
    ] {
        assert_eq!(message(pairs), expected);
    }
}

#[test]
fn what_kafka_takes_is_taken() {
    for (name, value) in [
        ("retention.ms", " 5 "),
        ("retention.ms", "+5"),
        ("retention.bytes", "-7"),
        ("cleanup.policy", ""),
        ("cleanup.policy", " compact , delete "),
        ("message.timestamp.type", " CreateTime "),
        ("preallocate", "TRUE"),
        ("min.cleanable.dirty.ratio", "0.5f"),
        ("min.cleanable.dirty.ratio", "1e-1"),
        ("compression.gzip.level", "-1"),
        ("leader.replication.throttled.replicas", "*"),
        ("leader.replication.throttled.replicas", "0:1,1:2"),
        ("leader.replication.throttled.replicas", ""),
        ("internal.segment.bytes", "5"),
    ] {
        assert_eq!(validate(&map(&[(name, value)])), Ok(()), "{name}={value}");
    }
}

#[test]
fn a_value_longer_than_kafkas_strings_is_refused() {
    let value = "0:1,".repeat(10_000);
    assert!(validate(&map(&[("leader.replication.throttled.replicas", &value)])).is_err());
}

#[test]
fn a_topic_without_configs_has_kafkas_defaults_but_syncs_every_record() {
    let config = TopicConfig::resolve(&BTreeMap::new(), &ClusterDefaults::default());
    assert_eq!(config.segment_bytes, 1 << 30);
    assert_eq!(config.retention_ms, Some(604_800_000));
    assert_eq!(config.retention_bytes, None);
    assert_eq!(config.max_message_bytes, 1_048_588);
    assert_eq!(config.flush_messages, 1);
    assert_eq!(config.timestamp_type, TimestampType::CreateTime);
    assert_eq!(config.cleanup, Cleanup { delete: true, compact: false });
    assert_eq!(config.min_insync_replicas, 1);
}

#[test]
fn the_topic_goes_before_the_broker_and_that_before_the_default() {
    let broker = map(&[
        ("log.segment.bytes", "2097152"),
        ("log.flush.interval.messages", "10000"),
        ("log.retention.hours", "2"),
        ("log.retention.minutes", "1"),
        ("log.roll.hours", "3"),
        ("node.id", "1"),
    ]);
    let defaults = ClusterDefaults::from_broker_configs(&broker).unwrap();
    let topic = map(&[("segment.bytes", "1048576"), ("message.timestamp.type", "LogAppendTime")]);
    let config = TopicConfig::resolve(&topic, &defaults);
    assert_eq!(config.segment_bytes, 1_048_576);
    assert_eq!(config.timestamp_type, TimestampType::LogAppendTime);
    assert_eq!(config.flush_messages, 10_000);
    assert_eq!(config.retention_ms, Some(60_000));
    assert_eq!(config.segment_ms, 3 * 3_600_000);
    let forever = map(&[("log.retention.hours", "-1")]);
    let forever = ClusterDefaults::from_broker_configs(&forever).unwrap();
    assert_eq!(TopicConfig::resolve(&BTreeMap::new(), &forever).retention_ms, None);
}

#[test]
fn a_wrong_default_in_the_brokers_configuration_is_told_under_its_name_there() {
    for (name, value, expected) in [
        (
            "log.retention.ms",
            "-9",
            "Invalid value -9 for configuration log.retention.ms: Value must be at least -1",
        ),
        (
            "log.roll.hours",
            "x",
            "Invalid value x for configuration log.roll.hours: Not a number of type INT",
        ),
    ] {
        let error = ClusterDefaults::from_broker_configs(&map(&[(name, value)])).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn a_description_names_every_config_with_its_source() {
    let defaults =
        ClusterDefaults::from_broker_configs(&map(&[("log.retention.hours", "2")])).unwrap();
    let described = describe(&map(&[("segment.bytes", "1048576")]), &defaults);
    assert_eq!(described.len(), KEYS.len() - 1);
    let find = |name| described.iter().find(|config| config.name == name).unwrap();
    let own = find("segment.bytes");
    assert_eq!((own.value.as_deref(), own.source), (Some("1048576"), ConfigSource::DynamicTopic));
    let names: Vec<_> = own.synonyms.iter().map(|synonym| (synonym.name, synonym.source)).collect();
    let (dynamic, default) = (ConfigSource::DynamicTopic, ConfigSource::Default);
    assert_eq!(names, [("segment.bytes", dynamic), ("log.segment.bytes", default)]);
    let fixed = find("retention.ms");
    assert_eq!(
        (fixed.value.as_deref(), fixed.source),
        (Some("7200000"), ConfigSource::StaticBroker)
    );
    assert_eq!(fixed.synonyms[0].value.as_deref(), Some("2"));
    let rest = find("flush.messages");
    assert_eq!((rest.value.as_deref(), rest.source), (Some("1"), ConfigSource::Default));
}

#[test]
fn what_is_not_obeyed_says_so() {
    let served = |name: &str, configs: &[(&str, &str)]| {
        let described = describe(&map(configs), &ClusterDefaults::default());
        described.into_iter().find(|config| config.name == name).unwrap().served
    };
    assert_eq!(served("unclean.leader.election.enable", &[]), Served::Stored);
    assert_eq!(served("min.insync.replicas", &[]), Served::Obeyed);
    let policy = |value| served("cleanup.policy", &[("cleanup.policy", value)]);
    assert_eq!((policy("delete"), policy("")), (Served::Obeyed, Served::Obeyed));
    assert_eq!((policy("compact"), policy("delete, compact")), (Served::Obeyed, Served::Obeyed));
}

#[test]
fn the_readme_lists_exactly_the_configs_that_are_obeyed() {
    let readme = include_str!("../../../../../README.md");
    let (_, rest) = readme.split_once("- **Topic configs**").expect("the README speaks of them");
    let (bullet, _) = rest.split_once("\n- ").expect("another bullet follows");
    let (_, list) = bullet.split_once("Obeyed:").expect("the list of those obeyed");
    let (list, _) = list.split_once("The others are stored").expect("the list ends");
    // What stands in brackets is about values.
    let mut told = Vec::new();
    let mut depth = 0;
    for (at, part) in list.split('`').enumerate() {
        if at % 2 == 1 && depth == 0 {
            told.push(part);
        } else if at % 2 == 0 {
            depth += part.matches('(').count();
            depth -= part.matches(')').count();
        }
    }
    told.sort_unstable();
    let is_obeyed = |key: &&ConfigKey| key.served == Served::Obeyed;
    let obeyed: Vec<&str> = KEYS.iter().filter(is_obeyed).map(|key| key.name).collect();
    assert_eq!(told, obeyed);
}

proptest! {
    #[test]
    fn no_text_makes_a_config_panic(at in 0..KEYS.len(), text in ".*") {
        let configs = map(&[(KEYS[at].name, text.as_str())]);
        let _ = validate(&configs);
        let _ = TopicConfig::resolve(&configs, &ClusterDefaults::default());
        for synonym in KEYS[at].synonyms {
            let _ = ClusterDefaults::from_broker_configs(&map(&[(synonym, text.as_str())]));
        }
    }
}
