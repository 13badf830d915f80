//! What Kafka refuses of configs that belong to no topic, with its code and its words.

use std::collections::BTreeMap;

use ottla_types::NodeId;

use super::*;

fn refusal(of: &ConfigResource, name: &str, value: &str) -> (ErrorCode, String) {
    let configs = BTreeMap::from([(name.to_owned(), value.to_owned())]);
    let refusal = validate(of, &configs).unwrap_err();
    (refusal.code, refusal.message)
}

#[test]
fn tables_are_sorted_and_their_defaults_are_valid() {
    for keys in [BROKER_KEYS, GROUP_KEYS, CLIENT_METRICS_KEYS] {
        assert!(keys.is_sorted_by(|a, b| a.name < b.name));
        for key in keys {
            assert!(key.default.is_none_or(|text| key.validate(text).is_ok()), "{}", key.name);
        }
    }
}

#[test]
fn every_default_of_topics_that_a_broker_changes_is_judged_as_the_topics_config() {
    for key in BROKER_KEYS {
        let topic = topic_config::KEYS.iter().find(|topic| topic.synonyms.contains(&key.name));
        for text in ["-2", "-1", "0", "1", "x", "true", "delete", "gzip", "99999999999999999999"] {
            if let Some(topic) = topic {
                let (own, theirs) = (key.validate(text).is_ok(), topic.validate(text).is_ok());
                assert_eq!(own, theirs, "{}={text}", key.name);
            }
        }
    }
}

#[test]
fn brokers_are_refused_with_kafkas_words() {
    let (all, one) = (ConfigResource::Broker(None), ConfigResource::Broker(Some(NodeId(1))));
    for (of, name, value, expected) in [
        (&one, "node.id", "7", "Cannot update these configs dynamically: [node.id]"),
        (
            &all,
            "log.retention.ms",
            "abc",
            "Invalid value abc for configuration log.retention.ms: Not a number of type LONG",
        ),
        (
            &all,
            "log.segment.bytes",
            "5",
            "Invalid value 5 for configuration log.segment.bytes: Value must be at least 1048576",
        ),
        (
            &all,
            "listeners",
            "PLAINTEXT://:9",
            "Cannot update these configs at default cluster level, broker id must be specified: [listeners]",
        ),
        (
            &all,
            "ssl.keystore.type",
            "JKS",
            "These security configs can be dynamically updated only per-listener using the listener \
             prefix: [ssl.keystore.type]",
        ),
    ] {
        assert_eq!(refusal(of, name, value), (ErrorCode::InvalidRequest, expected.to_owned()));
    }
    assert!(refusal(&one, "listeners", "PLAINTEXT://:9").1.contains("restart"));
}

#[test]
fn groups_and_client_metrics_are_refused_with_kafkas_words() {
    let group = ConfigResource::Group("g".to_owned());
    for (name, value, expected) in [
        ("foo", "x", "Unknown group config name: foo"),
        (
            "consumer.session.timeout.ms",
            "5",
            "consumer.session.timeout.ms must be greater than or equal to \
             group.consumer.min.session.timeout.ms",
        ),
        (
            "consumer.session.timeout.ms",
            "x",
            "Invalid value x for configuration consumer.session.timeout.ms: Not a number of type INT",
        ),
        (
            "share.isolation.level",
            "x",
            "Invalid value x for configuration share.isolation.level: String must be one of: \
             read_committed, read_uncommitted",
        ),
    ] {
        assert_eq!(refusal(&group, name, value), (ErrorCode::InvalidConfig, expected.to_owned()));
    }
    let metrics = ConfigResource::ClientMetrics("m".to_owned());
    for (name, value, code, expected) in [
        ("foo", "5", ErrorCode::InvalidRequest, "Unknown client metrics configuration: foo"),
        (
            "interval.ms",
            "5",
            ErrorCode::InvalidRequest,
            "Invalid value 5 for interval.ms, interval must be between 100 and 3600000 (1 hour)",
        ),
        ("match", "foo=5", ErrorCode::InvalidConfig, "Illegal client matching pattern: foo=5"),
    ] {
        assert_eq!(refusal(&metrics, name, value), (code, expected.to_owned()));
    }
}
