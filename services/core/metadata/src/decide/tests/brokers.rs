//! Registration, heartbeats, fencing (R1, R2).

use super::*;
use crate::event::FenceReason;

fn heartbeat(node: i32, broker_epoch: BrokerEpoch, caught_up_to: u64) -> Command {
    Command::BrokerHeartbeat {
        node: NodeId(node),
        broker_epoch,
        caught_up_to: MetadataOffset(caught_up_to),
        want_fence: false,
        want_shutdown: false,
    }
}

fn broken(node: i32, broker_epoch: BrokerEpoch) -> Command {
    Command::ControlStreamBroken { node: NodeId(node), broker_epoch }
}

fn fence_reasons(events: &[Event]) -> Vec<(NodeId, FenceReason)> {
    let reason = |event: &Event| match event {
        Event::BrokerFenced { node, reason, .. } => Some((*node, reason.clone())),
        _ => None,
    };
    events.iter().filter_map(reason).collect()
}

#[test]
fn a_broker_epoch_is_the_offset_of_the_registration() {
    let mut world = World::new();
    let first = world.register(registration(1, 1));
    assert_eq!(first.0, i64::try_from(world.image.offset.0).unwrap());
    let second = world.register(registration(2, 1));
    assert!(second > first);
}

#[test]
fn r2_a_node_starts_fenced_and_is_unfenced_once_it_replayed_its_own_registration() {
    let mut world = World::new();
    let epoch = world.register(registration(1, 1));
    assert!(!world.image.is_live(NodeId(1)));
    let behind = u64::try_from(epoch.0).unwrap() - 1;
    let (events, reply) = world.submit(heartbeat(1, epoch, behind));
    assert_eq!(
        (events, reply),
        (vec![], Reply::BrokerHeartbeat { fenced: true, may_shut_down: false })
    );
    let (events, reply) = world.submit(heartbeat(1, epoch, behind + 1));
    assert!(matches!(events[..], [Event::BrokerUnfenced { .. }]));
    assert_eq!(reply, Reply::BrokerHeartbeat { fenced: false, may_shut_down: false });
    assert!(world.image.is_live(NodeId(1)));
}

#[test]
fn a_lost_answer_to_a_registration_is_given_again_without_an_event() {
    let mut world = World::with_nodes([1]);
    let (events, reply) = world.submit(register_command(registration(1, 1)));
    let broker_epoch = world.epoch(1);
    assert_eq!((events, reply), (vec![], Reply::BrokerRegistered { broker_epoch }));
}

#[test]
fn r1_a_second_process_with_a_live_nodes_id_is_refused() {
    let mut world = World::with_nodes([1]);
    let (events, reply) = world.submit(register_command(registration(1, 2)));
    assert_eq!((events, refused(reply)), (vec![], ErrorCode::DuplicateBrokerRegistration));
}

#[test]
fn r1_a_restart_is_let_in_at_once_when_the_old_stream_broke_and_the_directory_is_the_same() {
    let mut world = World::with_nodes([1]);
    let old = world.epoch(1);
    world.submit(broken(1, old));
    let (events, reply) = world.submit(register_command(registration(1, 2)));
    assert_eq!(fence_reasons(&events), [(NodeId(1), FenceReason::Restarted)]);
    assert!(matches!(events[..], [_, Event::BrokerRegistered(_)]));
    let broker_epoch = world.epoch(1);
    assert!(broker_epoch > old);
    assert_eq!(reply, Reply::BrokerRegistered { broker_epoch });
    assert!(!world.image.is_live(NodeId(1)));
}

#[test]
fn r1_another_machine_with_the_same_id_waits_for_the_grace_period() {
    let mut world = World::with_nodes([1]);
    world.submit(broken(1, world.epoch(1)));
    let mut other = registration(1, 2);
    other.directories = vec![DirectoryId(Uuid::from_random(5))];
    let (_, reply) = world.submit(register_command(other.clone()));
    assert_eq!(refused(reply), ErrorCode::DuplicateBrokerRegistration);
    world.pass_ms(500);
    world.register(other);
}

#[test]
fn r1_a_restart_of_everything_needs_no_session_timeout() {
    let mut world = World::with_nodes([1]);
    // A new active controller never heard the old life, and knows of no broken stream.
    world.soft = Soft::new_leader(&world.image, world.now);
    let (events, _) = world.submit(register_command(registration(1, 2)));
    assert_eq!(fence_reasons(&events), [(NodeId(1), FenceReason::Restarted)]);
}

#[test]
fn r1_a_new_controller_that_heard_the_old_life_refuses_the_new_one() {
    let mut world = World::with_nodes([1]);
    world.soft = Soft::new_leader(&world.image, world.now);
    world.heartbeat(1, world.epoch(1));
    let (_, reply) = world.submit(register_command(registration(1, 2)));
    assert_eq!(refused(reply), ErrorCode::DuplicateBrokerRegistration);
}

#[test]
fn a_node_of_another_cluster_is_refused() {
    let mut world = World::new();
    let cluster_id = Some(ClusterId::new("other"));
    let command = Command::RegisterBroker { cluster_id, registration: registration(1, 1) };
    let (events, reply) = world.submit(command);
    assert_eq!((events, refused(reply)), (vec![], ErrorCode::InconsistentClusterId));
}

#[test]
fn a_node_that_knows_no_cluster_yet_is_let_in() {
    let mut world = World::new();
    let command = Command::RegisterBroker { cluster_id: None, registration: registration(1, 1) };
    assert!(matches!(world.submit(command).1, Reply::BrokerRegistered { .. }));
}

#[test]
fn nobody_registers_before_the_cluster_is_formatted() {
    let mut world = World::new();
    world.image = Image::default();
    let (events, reply) = world.submit(register_command(registration(1, 1)));
    assert_eq!((events, refused(reply)), (vec![], ErrorCode::BrokerNotAvailable));
}

#[test]
fn registrations_that_make_no_sense_are_refused() {
    let mut world = World::with_nodes([1]);
    let good = registration(2, 1);
    let directory = good.directories[0];
    let taken = registration(1, 1).directories;
    let bad = [
        BrokerRegistration { directories: vec![], ..good.clone() },
        BrokerRegistration { directories: vec![directory, directory], ..good.clone() },
        BrokerRegistration { directories: vec![DirectoryId::default()], ..good.clone() },
        BrokerRegistration { directories: taken, ..good.clone() },
        BrokerRegistration { node: NodeId(-1), ..good.clone() },
        BrokerRegistration { rack: Some("r".repeat(MAX_RACK_BYTES + 1)), ..good.clone() },
    ];
    for registration in bad {
        let (events, reply) = world.submit(register_command(registration.clone()));
        assert_eq!(
            (events, refused(reply)),
            (vec![], ErrorCode::InvalidRegistration),
            "{registration:?}"
        );
    }
    world.register(good);
}

#[test]
fn heartbeats_of_unknown_and_older_registrations_are_refused() {
    let mut world = World::with_nodes([1]);
    let (_, reply) = world.submit(heartbeat(2, BrokerEpoch(1), 9));
    assert_eq!(refused(reply), ErrorCode::BrokerIdNotRegistered);
    let (_, reply) = world.submit(heartbeat(1, BrokerEpoch(1), 9));
    assert_eq!(refused(reply), ErrorCode::StaleBrokerEpoch);
    let (_, reply) = world.submit(broken(1, BrokerEpoch(1)));
    assert_eq!(refused(reply), ErrorCode::StaleBrokerEpoch);
}

#[test]
fn a_silent_node_is_fenced_when_its_session_ends_and_not_before() {
    let mut world = World::with_nodes([1]);
    assert_eq!(world.deadline(), Some(world.now.monotonic + Duration::from_secs(9)));
    world.pass_ms(8_999);
    assert_eq!(world.submit(Command::Tick), (vec![], Reply::Done));
    world.pass_ms(1);
    let (events, _) = world.submit(Command::Tick);
    let reason = FenceReason::SessionExpired { silent_ms: 9_000 };
    assert_eq!(fence_reasons(&events), [(NodeId(1), reason)]);
    assert_eq!(world.submit(Command::Tick), (vec![], Reply::Done));
    assert_eq!(world.deadline(), None);
}

#[test]
fn a_broken_stream_shortens_the_session_to_the_grace_period() {
    let mut world = World::with_nodes([1, 2]);
    world.pass_ms(100);
    world.submit(broken(1, world.epoch(1)));
    assert_eq!(world.deadline(), Some(world.now.monotonic + Duration::from_millis(500)));
    world.pass_ms(300);
    // A second report does not begin the grace period again.
    world.submit(broken(1, world.epoch(1)));
    world.pass_ms(200);
    let (events, _) = world.submit(Command::Tick);
    let reason = FenceReason::ControlStreamBroken { silent_ms: 500 };
    assert_eq!(fence_reasons(&events), [(NodeId(1), reason)]);
}

#[test]
fn a_heartbeat_ends_the_grace_period() {
    let mut world = World::with_nodes([1]);
    let epoch = world.epoch(1);
    world.submit(broken(1, epoch));
    world.pass_ms(400);
    world.heartbeat(1, epoch);
    world.pass_ms(400);
    assert_eq!(world.submit(Command::Tick), (vec![], Reply::Done));
}

#[test]
fn a_new_active_controller_gives_everybody_a_full_session() {
    let mut world = World::with_nodes([1]);
    world.pass_ms(60_000);
    world.soft = Soft::new_leader(&world.image, world.now);
    assert_eq!(world.deadline(), Some(world.now.monotonic + Duration::from_secs(9)));
    world.submit(Command::RegisterGateway(gateway(1, 1)));
    world.pass_ms(60_000);
    world.soft = Soft::new_leader(&world.image, world.now);
    assert_eq!(world.submit(Command::Tick), (vec![], Reply::Done));
    assert_eq!(world.deadline(), Some(world.now.monotonic + Duration::from_secs(2)));
}

#[test]
fn a_fenced_node_comes_back_with_its_next_heartbeat() {
    let mut world = World::with_nodes([1]);
    let epoch = world.epoch(1);
    world.pass_ms(9_000);
    world.submit(Command::Tick);
    assert!(!world.image.is_live(NodeId(1)));
    let reply = world.heartbeat(1, epoch);
    assert_eq!(reply, Reply::BrokerHeartbeat { fenced: false, may_shut_down: false });
    assert_eq!(world.deadline(), Some(world.now.monotonic + Duration::from_secs(9)));
}

#[test]
fn a_node_that_wants_to_be_fenced_is_and_stays_so() {
    let mut world = World::with_nodes([1]);
    let ask = Command::BrokerHeartbeat {
        node: NodeId(1),
        broker_epoch: world.epoch(1),
        caught_up_to: world.image.offset,
        want_fence: true,
        want_shutdown: false,
    };
    let (events, reply) = world.submit(ask.clone());
    assert_eq!(fence_reasons(&events), [(NodeId(1), FenceReason::Asked)]);
    assert_eq!(reply, Reply::BrokerHeartbeat { fenced: true, may_shut_down: false });
    assert_eq!(world.submit(ask).0, []);
}

#[test]
fn a_controlled_shutdown_fences_and_lets_go_and_is_not_undone_in_this_life() {
    let mut world = World::with_nodes([1]);
    let epoch = world.epoch(1);
    let (events, reply) = world.submit(Command::BrokerHeartbeat {
        node: NodeId(1),
        broker_epoch: epoch,
        caught_up_to: world.image.offset,
        want_fence: false,
        want_shutdown: true,
    });
    assert_eq!(fence_reasons(&events), [(NodeId(1), FenceReason::ControlledShutdown)]);
    assert_eq!(reply, Reply::BrokerHeartbeat { fenced: true, may_shut_down: true });
    assert_eq!(
        world.heartbeat(1, epoch),
        Reply::BrokerHeartbeat { fenced: true, may_shut_down: true }
    );
    // The next life starts as usual.
    let epoch = world.register(registration(1, 2));
    assert_eq!(
        world.heartbeat(1, epoch),
        Reply::BrokerHeartbeat { fenced: false, may_shut_down: false }
    );
}

#[test]
fn a_life_that_amends_its_registration_gets_a_new_epoch_and_starts_fenced() {
    let mut world = World::with_nodes([1]);
    let old = world.epoch(1);
    let amended = BrokerRegistration { rack: Some("r".to_owned()), ..registration(1, 1) };
    let epoch = world.register(amended);
    assert!(epoch > old);
    assert!(!world.image.is_live(NodeId(1)));
}
