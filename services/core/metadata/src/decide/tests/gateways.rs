//! Registration, leases, draining, goodbye.

use super::*;

fn heartbeat(node: i32, life: u128) -> Command {
    Command::GatewayHeartbeat {
        node: NodeId(node),
        incarnation: IncarnationId(Uuid::from_random(life)),
        draining: false,
        goodbye: false,
    }
}

#[test]
fn a_gateway_registers_once_and_a_lost_answer_is_given_again() {
    let mut world = World::new();
    let (events, reply) = world.submit(Command::RegisterGateway(gateway(1, 1)));
    assert!(matches!(events[..], [Event::GatewayRegistered(_)]));
    assert_eq!(reply, Reply::Done);
    assert_eq!(world.submit(Command::RegisterGateway(gateway(1, 1))), (vec![], Reply::Done));
}

#[test]
fn a_lease_lives_on_with_heartbeats_and_ends_without() {
    let mut world = World::new();
    world.submit(Command::RegisterGateway(gateway(1, 1)));
    world.pass_ms(1_999);
    assert_eq!(world.submit(heartbeat(1, 1)), (vec![], Reply::GatewayHeartbeat));
    world.pass_ms(1_999);
    assert_eq!(world.submit(Command::Tick), (vec![], Reply::Done));
    world.pass_ms(1);
    let (events, _) = world.submit(Command::Tick);
    assert!(matches!(events[..], [Event::GatewayGone { node: NodeId(1), .. }]));
    assert!(world.image.gateways.is_empty());
    assert_eq!(refused(world.submit(heartbeat(1, 1)).1), ErrorCode::BrokerIdNotRegistered);
}

#[test]
fn a_new_life_replaces_the_old_one_and_the_old_one_is_refused() {
    let mut world = World::new();
    world.submit(Command::RegisterGateway(gateway(1, 1)));
    world.submit(Command::RegisterGateway(gateway(1, 2)));
    assert_eq!(refused(world.submit(heartbeat(1, 1)).1), ErrorCode::StaleBrokerEpoch);
    assert_eq!(world.submit(heartbeat(1, 2)).1, Reply::GatewayHeartbeat);
}

#[test]
fn a_gateway_drains_once_and_then_says_goodbye() {
    let mut world = World::new();
    world.submit(Command::RegisterGateway(gateway(1, 1)));
    let incarnation = IncarnationId(Uuid::from_random(1));
    let heartbeat = |goodbye| Command::GatewayHeartbeat {
        node: NodeId(1),
        incarnation,
        draining: true,
        goodbye,
    };
    let (events, _) = world.submit(heartbeat(false));
    assert!(matches!(events[..], [Event::GatewayDraining { .. }]));
    assert_eq!(world.submit(heartbeat(false)).0, []);
    let (events, _) = world.submit(heartbeat(true));
    assert!(matches!(events[..], [Event::GatewayGone { .. }]));
    assert_eq!(world.deadline(), None);
}

#[test]
fn listeners_that_would_give_two_nodes_one_address_are_refused() {
    let mut world = World::new();
    let good = gateway(1, 1);
    let listener = good.listeners[0].clone();
    let second = |name: &str, port, node_port_first| GatewayListener {
        name: ListenerName::new(name),
        endpoint: Endpoint { port, ..listener.endpoint.clone() },
        node_port_first,
    };
    for bad in [
        second("PLAINTEXT", 9300, Some(9400)),
        second("OTHER", 9092, Some(9400)),
        second("OTHER", 9300, Some(9192)),
        second("OTHER", 9192, None),
    ] {
        let listeners = vec![listener.clone(), bad.clone()];
        let registration = GatewayRegistration { listeners, ..good.clone() };
        let (events, reply) = world.submit(Command::RegisterGateway(registration));
        assert_eq!((events, refused(reply)), (vec![], ErrorCode::InvalidRegistration), "{bad:?}");
    }
    let listeners = vec![listener.clone(), second("OTHER", 9300, Some(9400))];
    let registration = GatewayRegistration { listeners, ..good };
    assert_eq!(world.submit(Command::RegisterGateway(registration)).1, Reply::Done);
}

#[test]
fn two_broker_processes_at_one_address_are_not_let_in_but_two_gateways_are() {
    let mut world = World::new();
    let own =
        |id, life| GatewayRegistration { own_storage_node: Some(NodeId(id)), ..gateway(id, life) };
    assert_eq!(world.submit(Command::RegisterGateway(own(1, 1))).1, Reply::Done);
    let (events, reply) = world.submit(Command::RegisterGateway(own(2, 1)));
    assert_eq!((events, refused(reply)), (vec![], ErrorCode::InvalidRegistration));
    assert_eq!(world.submit(Command::RegisterGateway(own(1, 2))).1, Reply::Done);
    // Behind a load balancer, gateways without nodes of their own share an address.
    assert_eq!(world.submit(Command::RegisterGateway(gateway(3, 1))).1, Reply::Done);
    assert_eq!(world.submit(Command::RegisterGateway(gateway(4, 1))).1, Reply::Done);
}
