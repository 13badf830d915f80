//! Three replicas, a controller and a network that loses what it likes: random actions, invariants after every one.
//!
//! Invariants: an acknowledged record stays at its offset on every member of the ISR; one value per offset for ever, for every
//! reader; no value twice; a watermark stays within its log; logs agree up to the smaller watermark; at most one leader per epoch.

mod model {
    pub(crate) mod controller;
    pub(crate) mod node;
    pub(crate) mod world;
}

use model::world::{Action, World};
use proptest::prelude::*;

fn action() -> impl Strategy<Value = Action> {
    let node = 0..3_usize;
    prop_oneof![
        6 => (node.clone(), 0..2_usize).prop_map(|(n, p)| Action::Produce(n, p)),
        4 => node.clone().prop_map(Action::Sync),
        6 => (node.clone(), node.clone()).prop_map(|(a, b)| Action::Replicate(a, b)),
        6 => (node.clone(), node.clone()).prop_map(|(a, b)| Action::Progress(a, b)),
        4 => node.clone().prop_map(Action::LearnMetadata),
        3 => node.clone().prop_map(Action::ProposeIsr),
        1 => node.clone().prop_map(Action::Crash),
        2 => node.clone().prop_map(Action::Restart),
        1 => node.prop_map(Action::MoveLeader),
        2 => (0..30_i64).prop_map(Action::PassTime),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]

    #[test]
    fn acknowledged_records_survive_crashes_elections_and_a_lossy_network(
        actions in prop::collection::vec(action(), 1..250)
    ) {
        let mut world = World::new();
        for action in actions {
            world.step(action);
            world.check();
        }
    }

    /// Liveness: once all replicas live and hear each other, what is produced is acknowledged.
    #[test]
    fn after_a_heal_records_are_acknowledged_again(
        actions in prop::collection::vec(action(), 1..120)
    ) {
        let mut world = World::new();
        for action in actions {
            world.step(action);
        }
        world.heal();
        world.check();
    }
}
