//! Addresses: who serves whom, and what moves when a gateway goes.

use std::collections::BTreeMap;

use ottla_types::{ClusterId, DirectoryId, IncarnationId, Uuid};
use proptest::prelude::*;

use super::*;
use crate::election::CURRENT_RULES;
use crate::event::{BrokerRegistration, Event, GatewayRegistration};
use crate::image::Changes;

const LISTENER: &str = "PLAINTEXT";

fn replay(image: &mut Image, event: &Event) {
    image.replay(event, &mut Changes::default());
}

fn with_nodes(nodes: impl IntoIterator<Item = i32>) -> Image {
    let mut image = Image::default();
    replay(&mut image, &Event::ClusterFormatted { cluster_id: ClusterId::new("c") });
    for id in nodes {
        let node = NodeId(id);
        let registration = BrokerRegistration {
            node,
            incarnation: IncarnationId::default(),
            rack: None,
            directories: vec![DirectoryId(Uuid::from_random(id as u128))],
            storage_endpoint: Endpoint { host: format!("storage-{id}"), port: 9094 },
        };
        replay(&mut image, &Event::BrokerRegistered(registration));
        let broker_epoch = image.brokers.get(&node).unwrap().epoch;
        replay(&mut image, &Event::BrokerUnfenced { node, broker_epoch, rules: CURRENT_RULES });
    }
    image
}

fn gateway(id: i32) -> GatewayRegistration {
    GatewayRegistration {
        node: NodeId(id),
        incarnation: IncarnationId::default(),
        rack: None,
        own_storage_node: None,
        listeners: vec![GatewayListener {
            name: ListenerName::new(LISTENER),
            endpoint: Endpoint { host: format!("gateway-{id}"), port: 9092 },
            node_port_first: Some(9192),
        }],
    }
}

fn register(image: &mut Image, gateway: GatewayRegistration) {
    replay(image, &Event::GatewayRegistered(gateway));
}

fn ask(image: &Image, asking: i32, client_rack: Option<&str>) -> Vec<NodeAddress> {
    let listener = ListenerName::new(LISTENER);
    addresses(image, &AddressQuestion { listener: &listener, asking: NodeId(asking), client_rack })
}

fn gateways_by_node(addresses: Vec<NodeAddress>) -> BTreeMap<NodeId, NodeId> {
    addresses.into_iter().map(|address| (address.node, address.gateway)).collect()
}

#[test]
fn a_node_is_at_its_own_port_of_a_gateway() {
    let mut image = with_nodes([1, 7]);
    register(&mut image, gateway(100));
    let endpoints: Vec<_> =
        ask(&image, 100, None).into_iter().map(|a| (a.node, a.endpoint)).collect();
    let at = |port| Endpoint { host: "gateway-100".to_owned(), port };
    assert_eq!(endpoints, [(NodeId(1), at(9193)), (NodeId(7), at(9199))]);
}

#[test]
fn a_broker_process_serves_its_own_node_on_the_listeners_port_whoever_answers() {
    let mut image = with_nodes([1, 2]);
    for id in [1, 2] {
        let mut own = gateway(id);
        own.own_storage_node = Some(NodeId(id));
        own.listeners[0].node_port_first = None;
        register(&mut image, own);
    }
    for asking in [1, 2] {
        let addresses = ask(&image, asking, None);
        assert_eq!(addresses.len(), 2);
        for address in addresses {
            assert_eq!(address.gateway, address.node);
            assert_eq!(address.endpoint.port, 9092);
        }
    }
}

#[test]
fn of_two_gateways_in_a_nodes_process_the_one_that_answers_is_named() {
    let mut image = with_nodes([1]);
    for id in [1, 2] {
        register(
            &mut image,
            GatewayRegistration { own_storage_node: Some(NodeId(1)), ..gateway(id) },
        );
    }
    assert_eq!(ask(&image, 1, None)[0].gateway, NodeId(1));
    assert_eq!(ask(&image, 2, None)[0].gateway, NodeId(2));
}

#[test]
fn the_nodes_host_goes_before_the_clients_rack_and_that_before_elsewhere() {
    let mut image = with_nodes(1..9);
    register(&mut image, gateway(100));
    register(&mut image, GatewayRegistration { rack: Some("r".to_owned()), ..gateway(101) });
    let mut neighbour = gateway(102);
    neighbour.listeners[0].endpoint.host = "storage-1".to_owned();
    register(&mut image, neighbour);
    let by_node = gateways_by_node(ask(&image, 100, Some("r")));
    assert_eq!(by_node[&NodeId(1)], NodeId(102));
    assert!((2..9).all(|node| by_node[&NodeId(node)] == NodeId(101)));
}

#[test]
fn fenced_nodes_draining_gateways_and_other_listeners_are_not_named() {
    let mut image = with_nodes([1, 2]);
    register(&mut image, gateway(100));
    register(&mut image, gateway(101));
    let (node, incarnation) = (NodeId(100), IncarnationId::default());
    replay(&mut image, &Event::GatewayDraining { node, incarnation });
    let broker_epoch = image.brokers.get(&NodeId(2)).unwrap().epoch;
    replay(
        &mut image,
        &Event::BrokerFenced {
            node: NodeId(2),
            broker_epoch,
            reason: crate::event::FenceReason::Asked,
            at: ottla_types::TimestampMs(0),
            rules: CURRENT_RULES,
        },
    );
    assert_eq!(
        gateways_by_node(ask(&image, 100, None)),
        BTreeMap::from([(NodeId(1), NodeId(101))])
    );
    let other = ListenerName::new("INTERNAL");
    let question = AddressQuestion { listener: &other, asking: NodeId(101), client_rack: None };
    assert_eq!(addresses(&image, &question), []);
}

#[test]
fn a_node_id_beyond_the_ports_of_a_gateway_is_left_to_others() {
    let mut image = with_nodes([60_000]);
    register(&mut image, gateway(100));
    assert_eq!(ask(&image, 100, None), []);
    let mut low = gateway(101);
    low.listeners[0].node_port_first = Some(1_000);
    register(&mut image, low);
    assert_eq!(ask(&image, 100, None)[0].endpoint.port, 61_000);
}

proptest! {
    #[test]
    fn losing_one_gateway_leaves_no_node_without_an_address_and_no_gateway_with_more_than_its_share(
        nodes in proptest::collection::btree_set(0..500_i32, 1..40),
        gateways in proptest::collection::btree_set(1_000..1_100_i32, 2..9),
        racks in proptest::collection::vec(proptest::option::of("[ab]"), 9),
        lost: proptest::sample::Index,
        drains: bool,
    ) {
        let mut image = with_nodes(nodes.iter().copied());
        for (&id, rack) in gateways.iter().zip(&racks) {
            register(&mut image, GatewayRegistration { rack: rack.clone(), ..gateway(id) });
        }
        let all: Vec<i32> = gateways.iter().copied().collect();
        let lost = NodeId(*lost.get(&all));
        let before = gateways_by_node(ask(&image, 0, Some("a")));
        let incarnation = IncarnationId::default();
        replay(&mut image, &if drains {
            Event::GatewayDraining { node: lost, incarnation }
        } else {
            Event::GatewayGone { node: lost, incarnation }
        });
        let after = gateways_by_node(ask(&image, 0, Some("a")));
        prop_assert_eq!(before.len(), nodes.len());
        prop_assert_eq!(after.len(), nodes.len());
        let in_rack = |id: &i32| racks[all.iter().position(|one| one == id).unwrap()].as_deref() == Some("a");
        let left: Vec<i32> = all.iter().copied().filter(|id| NodeId(*id) != lost).collect();
        let near = left.iter().filter(|id| in_rack(id)).count();
        let share = nodes.len().div_ceil(if near > 0 { near } else { left.len() });
        let mut served: BTreeMap<NodeId, usize> = BTreeMap::new();
        after.values().for_each(|gateway| *served.entry(*gateway).or_default() += 1);
        prop_assert!(!served.contains_key(&lost));
        prop_assert!(served.values().all(|count| *count <= share), "{:?}", served);
    }
}

#[test]
fn no_gateway_has_more_than_its_share_however_few_nodes_there_are() {
    for first in 0..100 {
        let mut image = with_nodes(first..first + 3);
        (201..203).for_each(|id| register(&mut image, gateway(id)));
        let mut nodes_of: BTreeMap<NodeId, usize> = BTreeMap::new();
        for gateway in gateways_by_node(ask(&image, 201, None)).into_values() {
            *nodes_of.entry(gateway).or_default() += 1;
        }
        let counts: Vec<usize> = nodes_of.into_values().collect();
        assert!(counts == [1, 2] || counts == [2, 1], "nodes from {first}: {counts:?}");
    }
}

#[test]
fn nodes_spread_over_all_gateways() {
    let mut image = with_nodes(0..300);
    (1_000..1_003).for_each(|id| register(&mut image, gateway(id)));
    let mut nodes_of: BTreeMap<NodeId, usize> = BTreeMap::new();
    for gateway in gateways_by_node(ask(&image, 1_000, None)).into_values() {
        *nodes_of.entry(gateway).or_default() += 1;
    }
    assert_eq!(nodes_of.len(), 3);
    assert!(nodes_of.values().all(|count| (70..130).contains(count)), "{nodes_of:?}");
}
