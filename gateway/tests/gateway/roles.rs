//! A gateway among others: node ports, routing, leases.

use std::sync::Arc;

use ottla_api::{Controller, MetadataFollower};
use ottla_gateway::{
    ConnectionLimits, GatewayConfig, ListenerConfig, Neighbours, Process, StartError, start,
};
use ottla_kafka_wire::messages::describe_configs_request::{
    DescribeConfigsRequest, DescribeConfigsResource,
};
use ottla_kafka_wire::messages::metadata_request::MetadataRequest;
use ottla_metadata::Command;
use ottla_runtime::Seams;
use ottla_runtime::seams::HostPort;
use ottla_types::{ErrorCode, IncarnationId, NodeId};

use crate::apis::produce;
use crate::client::Client;
use crate::cluster::{Cluster, batch, config, register_broker};
use crate::controller::FakeController;

/// A run of ports that were free a moment ago; node ports need neighbours.
pub(crate) async fn free_ports(seams: &Seams, count: u16) -> u16 {
    loop {
        let any = seams.net.bind(&HostPort::new("127.0.0.1", 0)).await.unwrap();
        let first = any.local_addr().unwrap().port();
        drop(any);
        let mut held = Vec::new();
        for port in first..first.saturating_add(count) {
            held.push(seams.net.bind(&HostPort::new("127.0.0.1", port)).await);
        }
        if held.iter().all(Result::is_ok) {
            return first;
        }
    }
}

pub(crate) fn apart(node: i32, bootstrap: u16, first: u16) -> GatewayConfig {
    let config = config(ConnectionLimits::default());
    let address = HostPort::new("127.0.0.1", bootstrap);
    let listener = ListenerConfig {
        bind: address.clone(),
        advertised: address,
        node_port_first: Some(first),
        ..config.listeners[0].clone()
    };
    GatewayConfig { node: NodeId(node), listeners: vec![listener], ..config }
}

pub(crate) fn neighbours(controller: &Arc<FakeController>, seams: &Seams) -> Neighbours {
    let controller = Arc::clone(controller) as Arc<dyn Controller>;
    let metadata = MetadataFollower::start(Arc::clone(&controller), seams);
    Neighbours { controller, metadata, own_storage: None }
}

#[tokio::test]
async fn each_storage_node_has_a_port_of_its_own_and_later_nodes_get_theirs() {
    let seams = Seams::real();
    let first = free_ports(&seams, 5).await;
    let controller = FakeController::new(seams.clock.clone());
    register_broker(&controller, NodeId(1), 1);
    let config = apart(9, first, first + 1);
    let gateway = start(config, seams.clone(), neighbours(&controller, &seams), Process::default());
    let gateway = gateway.await.unwrap();
    gateway.ready().await;
    register_broker(&controller, NodeId(2), 2);
    gateway.replayed(controller.image().offset).await;
    let mut client = Client::connect(&seams, &HostPort::new("127.0.0.1", first)).await;
    let metadata = client.ask(9, &MetadataRequest::default()).await;
    let told: Vec<_> = metadata.brokers.iter().map(|b| (b.node_id, b.port)).collect();
    let port = |node: i32| i32::from(first) + 1 + node;
    assert_eq!(told, [(1, port(1)), (2, port(2))]);
    for (_, port) in told {
        let address = HostPort::new("127.0.0.1", u16::try_from(port).unwrap());
        // The port of the later node opens when the gateway hears of it.
        let mut client = loop {
            match seams.net.connect(&address).await {
                Ok(_) => break Client::connect(&seams, &address).await,
                Err(_) => seams.clock.sleep(std::time::Duration::from_millis(1)).await,
            }
        };
        assert_eq!(client.ask(9, &MetadataRequest::default()).await.brokers.len(), 2);
    }
}

#[tokio::test]
async fn a_node_that_cannot_be_reached_makes_clients_look_again() {
    let seams = Seams::real();
    let first = free_ports(&seams, 4).await;
    let controller = FakeController::new(seams.clock.clone());
    register_broker(&controller, NodeId(1), 1);
    let config = apart(9, first, first + 1);
    let gateway = start(config, seams.clone(), neighbours(&controller, &seams), Process::default());
    let gateway = gateway.await.unwrap();
    gateway.ready().await;
    let at = crate::cluster::create(&controller, "t", 1);
    gateway.replayed(controller.image().offset).await;
    let mut client = Client::connect(&seams, &HostPort::new("127.0.0.1", first)).await;
    let response = client.ask(9, &produce(9, at, 1, batch(b"x"))).await;
    let code = response.responses[0].partition_responses[0].error_code;
    assert_eq!(code, ErrorCode::NotLeaderOrFollower.code());
    // Its configuration is its own: no gateway tells another process's.
    let resource = |name: &str| DescribeConfigsResource {
        resource_type: 4,
        resource_name: name.into(),
        configuration_keys: None,
    };
    let request = DescribeConfigsRequest {
        resources: vec![resource("1"), resource("9")],
        ..Default::default()
    };
    let codes = client.ask(4, &request).await.results.into_iter().map(|result| result.error_code);
    let expected = [ErrorCode::BrokerNotAvailable.code(), ErrorCode::InvalidRequest.code()];
    assert_eq!(codes.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn a_taken_port_is_one_line_with_cause_and_cure() {
    let cluster = Cluster::start().await;
    let mut config = config(ConnectionLimits::default());
    config.listeners[0].bind = cluster.address.clone();
    let neighbours = neighbours(&cluster.controller, &cluster.seams);
    let started = start(config, cluster.seams.clone(), neighbours, Process::default()).await;
    let error = started.err().unwrap();
    assert!(matches!(error, StartError::PortTaken { .. }));
    let text = error.to_string();
    assert!(text.contains("the port is taken; stop what listens there"), "{text}");
    assert!(!text.contains('\n'));
}

#[tokio::test]
async fn a_gateway_whose_lease_ended_registers_again() {
    let cluster = Cluster::start().await;
    let registered = |controller: &FakeController| {
        let image = controller.image();
        image.gateways.values().next().map(|gateway| gateway.registration.incarnation)
    };
    let incarnation: IncarnationId = registered(&cluster.controller).unwrap();
    let goodbye =
        Command::GatewayHeartbeat { node: NodeId(1), incarnation, draining: false, goodbye: true };
    cluster.controller.command(goodbye);
    assert_eq!(registered(&cluster.controller), None);
    while registered(&cluster.controller).is_none() {
        cluster.seams.clock.sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(registered(&cluster.controller), Some(incarnation));
}
