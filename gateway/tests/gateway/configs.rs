//! Configs that change while the cluster runs, in every version of what changes and shows them.

use ottla_kafka_wire::messages::alter_configs_request as replacing;
use ottla_kafka_wire::messages::describe_configs_request::{
    DescribeConfigsRequest, DescribeConfigsResource,
};
use ottla_kafka_wire::messages::describe_configs_response::DescribeConfigsResourceResult;
use ottla_kafka_wire::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use ottla_types::ErrorCode;

use crate::client::Client;
use crate::cluster::Cluster;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const CLIENT_METRICS: i8 = 16;
const GROUP: i8 = 32;
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

fn resource(kind: i8, name: &str, configs: &[(&str, i8, Option<&str>)]) -> AlterConfigsResource {
    let config = |(name, operation, value): &(&str, i8, Option<&str>)| AlterableConfig {
        name: (*name).to_owned(),
        config_operation: *operation,
        value: value.map(str::to_owned),
    };
    AlterConfigsResource {
        resource_type: kind,
        resource_name: name.to_owned(),
        configs: configs.iter().map(config).collect(),
    }
}

async fn alter(
    client: &mut Client,
    resources: Vec<AlterConfigsResource>,
) -> Vec<(i16, Option<String>)> {
    let request = IncrementalAlterConfigsRequest { resources, validate_only: false };
    let responses = client.ask(1, &request).await.responses;
    responses.into_iter().map(|told| (told.error_code, told.error_message)).collect()
}

async fn describe(client: &mut Client, kind: i8, name: &str) -> Vec<DescribeConfigsResourceResult> {
    let request = DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            resource_type: kind,
            resource_name: name.to_owned(),
            configuration_keys: None,
        }],
        include_synonyms: true,
        ..Default::default()
    };
    client.ask(4, &request).await.results.remove(0).configs
}

#[tokio::test]
async fn configs_of_topics_are_set_reset_and_extended() {
    let cluster = Cluster::start().await;
    cluster.topic("t", 1).await;
    let mut client = cluster.client().await;
    let own = || cluster.controller.image().topic_by_name("t").unwrap().configs.clone();
    for version in 0..=1 {
        let ask = |configs: &[(&str, i8, Option<&str>)], validate_only| {
            let resources = vec![resource(TOPIC, "t", configs)];
            IncrementalAlterConfigsRequest { resources, validate_only }
        };
        let set = [("retention.ms", SET, Some("7")), ("cleanup.policy", APPEND, Some("compact"))];
        let checked = client.ask(version, &ask(&set, true)).await;
        assert_eq!((checked.responses[0].error_code, own().len()), (0, 0));
        let told = &client.ask(version, &ask(&set, false)).await.responses[0];
        assert_eq!((told.error_code, told.error_message.as_deref()), (0, None));
        assert_eq!((told.resource_type, told.resource_name.as_str()), (TOPIC, "t"));
        assert_eq!(own()["cleanup.policy"], "delete,compact");
        let rest = [("retention.ms", DELETE, None), ("cleanup.policy", SUBTRACT, Some("delete"))];
        client.ask(version, &ask(&rest, false)).await;
        assert_eq!(
            own().into_iter().collect::<Vec<_>>(),
            [("cleanup.policy".into(), "compact".into())]
        );
        client.ask(version, &ask(&[("cleanup.policy", DELETE, None)], false)).await;
    }
}

#[tokio::test]
async fn the_old_api_resets_what_it_does_not_name() {
    let cluster = Cluster::start().await;
    cluster.topic("t", 1).await;
    let mut client = cluster.client().await;
    for version in 0..=2 {
        for (name, value) in [("retention.ms", "7"), ("segment.ms", "8")] {
            let config =
                replacing::AlterableConfig { name: name.into(), value: Some(value.into()) };
            let resource = replacing::AlterConfigsResource {
                resource_type: TOPIC,
                resource_name: "t".into(),
                configs: vec![config],
            };
            let request =
                replacing::AlterConfigsRequest { resources: vec![resource], validate_only: false };
            assert_eq!(client.ask(version, &request).await.responses[0].error_code, 0);
        }
        let configs = cluster.controller.image().topic_by_name("t").unwrap().configs.clone();
        assert_eq!(configs.into_iter().collect::<Vec<_>>(), [("segment.ms".into(), "8".into())]);
    }
}

#[tokio::test]
async fn what_kafka_refuses_is_refused_and_the_rest_is_done() {
    let cluster = Cluster::start().await;
    cluster.topic("t", 1).await;
    cluster.topic("u", 1).await;
    let mut client = cluster.client().await;
    let one = &[("segment.ms", SET, Some("9"))];
    let told = alter(
        &mut client,
        vec![
            resource(TOPIC, "t", one),
            resource(TOPIC, "u", one),
            resource(TOPIC, "u", one),
            resource(TOPIC, "nope", one),
            resource(TOPIC, "a", &[("segment.ms", SET, None)]),
            resource(TOPIC, "b", &[("segment.ms", SET, Some("1")), ("segment.ms", DELETE, None)]),
            resource(TOPIC, "c", &[("segment.ms", 9, Some("1"))]),
            resource(3, "d", one),
            resource(BROKER, "x", one),
            resource(BROKER, "1", &[("node.id", SET, Some("2"))]),
        ],
    )
    .await;
    let invalid = ErrorCode::InvalidRequest.code();
    let unknown = ErrorCode::UnknownTopicOrPartition.code();
    let codes: Vec<i16> = told.iter().map(|(code, _)| *code).collect();
    let bad = [invalid; 6];
    assert_eq!(codes[..4], [0, invalid, invalid, unknown]);
    assert_eq!(codes[4..], bad);
    let texts: Vec<&str> = told.iter().map(|(_, text)| text.as_deref().unwrap_or("")).collect();
    assert_eq!(texts[1], "Each resource must appear at most once.");
    assert_eq!(texts[4], "Null value not supported for : segment.ms");
    assert_eq!(texts[5], "Error due to duplicate config keys");
    assert_eq!(texts[7], "Unknown resource type 3");
    assert_eq!(texts[8], "Node id must be an integer, but it is: x");
    assert_eq!(texts[9], "Cannot update these configs dynamically: [node.id]");
    let configs = cluster.controller.image().topic_by_name("t").unwrap().configs.clone();
    assert_eq!(configs["segment.ms"], "9");
}

#[tokio::test]
async fn what_is_set_for_brokers_shows_in_brokers_and_in_topics() {
    let cluster = Cluster::start().await;
    cluster.topic("t", 1).await;
    let mut client = cluster.client().await;
    let all = &[("message.max.bytes", SET, Some("2000000")), ("num.io.threads", SET, Some("6"))];
    let one = &[("message.max.bytes", SET, Some("3000000"))];
    let wishes = vec![resource(BROKER, "", all), resource(BROKER, "1", one)];
    assert_eq!(alter(&mut client, wishes).await, [(0, None), (0, None)]);
    let sources = |config: &DescribeConfigsResourceResult| {
        config.synonyms.iter().map(|synonym| synonym.source).collect::<Vec<_>>()
    };
    let topic = describe(&mut client, TOPIC, "t").await;
    let most = topic.iter().find(|config| config.name == "max.message.bytes").unwrap();
    assert_eq!((most.value.as_deref(), most.config_source), (Some("3000000"), 2));
    assert_eq!(sources(most), [2, 3, 5]);
    let own = describe(&mut client, BROKER, "1").await;
    let threads = own.iter().find(|config| config.name == "num.io.threads").unwrap();
    assert_eq!((threads.value.as_deref(), sources(threads)), (Some("6"), vec![3, 4, 5]));
    let shared = describe(&mut client, BROKER, "").await;
    let told: Vec<_> =
        shared.iter().map(|c| (c.name.as_str(), c.value.as_deref(), c.config_source)).collect();
    let expected = [("message.max.bytes", Some("2000000"), 3), ("num.io.threads", Some("6"), 3)];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn configs_of_groups_and_client_metrics_are_kept_and_told() {
    let cluster = Cluster::start().await;
    let mut client = cluster.client().await;
    let wishes = vec![
        resource(GROUP, "g", &[("consumer.session.timeout.ms", SET, Some("50000"))]),
        resource(CLIENT_METRICS, "m", &[("metrics", APPEND, Some("a,b"))]),
        resource(GROUP, "", &[("consumer.session.timeout.ms", SET, Some("50000"))]),
    ];
    let told = alter(&mut client, wishes).await;
    assert_eq!((told[0].0, told[1].0), (0, 0));
    assert_eq!(told[2].1.as_deref(), Some("Default group resources are not allowed."));
    let group = describe(&mut client, GROUP, "g").await;
    let timeout = group.iter().find(|c| c.name == "consumer.session.timeout.ms").unwrap();
    assert_eq!((timeout.value.as_deref(), timeout.config_source), (Some("50000"), 8));
    assert_eq!(timeout.synonyms[1].name, "group.consumer.session.timeout.ms");
    let rest = group.iter().filter(|config| config.config_source == 5).count();
    assert_eq!((group.len(), rest), (17, 16));
    let metrics = describe(&mut client, CLIENT_METRICS, "m").await;
    let [list] = &metrics[..] else { panic!("{metrics:?}") };
    assert_eq!((list.name.as_str(), list.value.as_deref()), ("metrics", Some("a,b")));
}
