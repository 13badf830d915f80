//! AlterConfigs and UnregisterBroker.

use super::*;
use crate::command::{ConfigAlteration, ConfigOp};
use crate::event::ConfigResource;
use crate::topic_config::{ClusterDefaults, ConfigSource};

fn set(value: &str) -> ConfigOp {
    ConfigOp::Set(value.to_owned())
}

fn topic() -> ConfigResource {
    ConfigResource::Topic("t".to_owned())
}

fn alteration(resource: ConfigResource, changes: &[(&str, ConfigOp)]) -> ConfigAlteration {
    let changes = changes.iter().map(|(name, op)| ((*name).to_owned(), op.clone())).collect();
    ConfigAlteration { resource, replaces: false, changes }
}

impl World {
    fn alter(&mut self, wish: ConfigAlteration) -> (Vec<Event>, Result<(), Refusal>) {
        let command = Command::AlterConfigs { resources: vec![wish], validate_only: false };
        match self.submit(command) {
            (events, Reply::Configs(mut outcomes)) => (events, outcomes.remove(0)),
            (_, other) => panic!("no configs: {other:?}"),
        }
    }

    fn with_topic() -> Self {
        let mut world = Self::with_nodes([1]);
        let topic = NewTopic {
            name: "t".to_owned(),
            partitions: None,
            replication_factor: None,
            assignments: vec![],
            configs: vec![("retention.ms".to_owned(), Some("5".to_owned()))],
        };
        world.create(topic).unwrap();
        world
    }
}

#[test]
fn items_join_and_leave_a_list_from_its_default_on() {
    let mut world = World::with_topic();
    let policy = |world: &World| {
        let topic = world.image.topic_by_name("t").unwrap();
        topic.configs.get("cleanup.policy").cloned()
    };
    let append = ConfigOp::Append("compact".to_owned());
    world.alter(alteration(topic(), &[("cleanup.policy", append.clone())])).1.unwrap();
    assert_eq!(policy(&world).as_deref(), Some("delete,compact"));
    assert_eq!(world.alter(alteration(topic(), &[("cleanup.policy", append)])), (vec![], Ok(())));
    let subtract = ConfigOp::Subtract("delete".to_owned());
    world.alter(alteration(topic(), &[("cleanup.policy", subtract)])).1.unwrap();
    assert_eq!(policy(&world).as_deref(), Some("compact"));
    let append = ConfigOp::Append("1".to_owned());
    let refusal = world.alter(alteration(topic(), &[("retention.ms", append)])).1.unwrap_err();
    assert_eq!(refusal.code, ErrorCode::InvalidConfig);
    assert_eq!(refusal.message, "Can't APPEND to key retention.ms because its type is not LIST.");
}

#[test]
fn a_replacement_resets_what_it_does_not_name() {
    let mut world = World::with_topic();
    let mut wish = alteration(topic(), &[("segment.ms", set("9"))]);
    wish.replaces = true;
    world.alter(wish).1.unwrap();
    let configs = &world.image.topic_by_name("t").unwrap().configs;
    assert_eq!(configs.iter().collect::<Vec<_>>(), [(&"segment.ms".into(), &"9".into())]);
}

#[test]
fn each_resource_is_altered_or_refused_by_itself_and_a_check_changes_nothing() {
    let mut world = World::with_topic();
    let resources = vec![
        alteration(topic(), &[("segment.ms", set("9"))]),
        alteration(topic(), &[("segment.ms", set("x"))]),
        alteration(ConfigResource::Topic("nope".into()), &[("segment.ms", set("9"))]),
        alteration(ConfigResource::Broker(Some(NodeId(9))), &[("log.roll.ms", set("9"))]),
        alteration(ConfigResource::Group(String::new()), &[]),
    ];
    let (events, reply) =
        world.submit(Command::AlterConfigs { resources: resources.clone(), validate_only: true });
    assert_eq!(events, []);
    let Reply::Configs(outcomes) = reply else { panic!("{reply:?}") };
    let codes: Vec<_> =
        outcomes.iter().map(|outcome| outcome.clone().err().map(|e| e.code)).collect();
    let expected = [
        None,
        Some(ErrorCode::InvalidConfig),
        Some(ErrorCode::UnknownTopicOrPartition),
        Some(ErrorCode::BrokerIdNotRegistered),
        Some(ErrorCode::InvalidRequest),
    ];
    assert_eq!(codes, expected);
    let (events, _) = world.submit(Command::AlterConfigs { resources, validate_only: false });
    assert!(matches!(events[..], [Event::TopicConfigsChanged { .. }]));
}

#[test]
fn what_is_set_for_one_node_goes_before_what_is_set_for_all() {
    let mut world = World::with_nodes([1, 2]);
    let (all, one) = (ConfigResource::Broker(None), ConfigResource::Broker(Some(NodeId(1))));
    world.alter(alteration(all.clone(), &[("message.max.bytes", set("2000000"))])).1.unwrap();
    world.alter(alteration(one, &[("message.max.bytes", set("3000000"))])).1.unwrap();
    let file = BTreeMap::from([("message.max.bytes".to_owned(), "4000000".to_owned())]);
    let file = ClusterDefaults::from_broker_configs(&file).unwrap();
    let of = |world: &World, node: Option<i32>| {
        let defaults = world.image.topic_defaults(&file, node.map(NodeId));
        let found = defaults.get("max.message.bytes").unwrap().clone();
        let sources: Vec<_> = found.synonyms.iter().map(|synonym| synonym.source).collect();
        (found.value, sources)
    };
    let (dynamic, default) = (ConfigSource::DynamicBroker, ConfigSource::DynamicDefaultBroker);
    let fixed = ConfigSource::StaticBroker;
    assert_eq!(of(&world, Some(1)), ("3000000".into(), vec![dynamic, default, fixed]));
    assert_eq!(of(&world, Some(2)), ("2000000".into(), vec![default, fixed]));
    assert_eq!(of(&world, None), ("2000000".into(), vec![default, fixed]));
    world.alter(alteration(all, &[("message.max.bytes", ConfigOp::Delete)])).1.unwrap();
    assert_eq!(of(&world, Some(2)), ("4000000".into(), vec![fixed]));
    assert_eq!(world.image.configs.len(), 1);
}

#[test]
fn an_unregistered_node_is_fenced_first_and_gone_then() {
    let mut world = World::with_topic();
    let unregister = || Command::UnregisterBroker { node: NodeId(1) };
    let (events, reply) = world.submit(unregister());
    assert!(matches!(events[..], [Event::BrokerFenced { .. }, Event::BrokerUnregistered { .. }]));
    assert_eq!(reply, Reply::Done);
    assert!(world.image.brokers.is_empty());
    let partition = &world.image.topic_by_name("t").unwrap().partitions[0];
    assert_eq!((partition.leader, &partition.replicas[..]), (None, &[NodeId(1)][..]));
    let (events, reply) = world.submit(unregister());
    assert_eq!(events, []);
    let Reply::Refused(refusal) = reply else { panic!("{reply:?}") };
    assert_eq!(refusal.code, ErrorCode::BrokerIdNotRegistered);
    assert_eq!(world.deadline(), None);
    // It may come back.
    world.start_node(1);
    assert_eq!(world.image.topic_by_name("t").unwrap().partitions[0].leader, Some(NodeId(1)));
}
