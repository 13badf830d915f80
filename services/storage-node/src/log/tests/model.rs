//! A log against a vector of batches, through generated lives.

use super::harness::*;
use ottla_types::{Offset, TimestampMs};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Action {
    Append(i64),
    Read(u64, usize),
    FindTime(u64),
    Truncate(u64),
    Checkpoint,
    Retain,
    Crash,
    Kill,
    Stop,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        8 => (1_i64..12).prop_map(Action::Append),
        4 => (any::<u64>(), 0_usize..3000).prop_map(|(at, bytes)| Action::Read(at, bytes)),
        2 => any::<u64>().prop_map(Action::FindTime),
        1 => any::<u64>().prop_map(Action::Truncate),
        1 => Just(Action::Checkpoint),
        1 => Just(Action::Retain),
        1 => Just(Action::Crash),
        1 => Just(Action::Kill),
        1 => Just(Action::Stop),
    ]
}

/// First and last offset + 1 of each batch; and where the log begins.
#[derive(Default)]
struct Model {
    batches: Vec<(i64, i64)>,
    start: i64,
    end: i64,
}

impl Model {
    fn pick(&self, at: u64) -> i64 {
        self.start + (at % (self.end - self.start + 1) as u64) as i64
    }
}

fn step(mut machine: Machine, model: &mut Model, action: Action) -> Machine {
    match action {
        Action::Append(count) => {
            machine.round(&[0], count).unwrap();
            model.batches.push((model.end, model.end + count));
            model.end += count;
        }
        Action::Read(at, max_bytes) => read(&mut machine, model, at, max_bytes),
        Action::FindTime(at) => {
            let wanted = model.pick(at);
            let query = crate::log::TimestampQuery::NotBefore(TimestampMs(1000 + wanted));
            let mut budget = crate::log::InflateBudget::new(0);
            let found =
                machine.logs[0].find_timestamp(&mut machine.files, query, &mut budget).unwrap();
            assert_eq!(found.map(|found| found.offset.0), (wanted < model.end).then_some(wanted));
        }
        Action::Truncate(at) => {
            let to = model.pick(at);
            machine.logs[0]
                .truncate_to(&mut machine.files, &mut machine.journal, Offset(to))
                .unwrap();
            // It ends where the batch that holds `to` begins.
            model.end = model
                .batches
                .iter()
                .find(|&&(_, end)| end > to)
                .map_or(to, |&(base, _)| base.min(to));
            model.batches.retain(|&(_, end)| end <= to);
            model.start = model.start.min(model.end);
        }
        Action::Checkpoint => machine.checkpoint(),
        Action::Retain => {
            machine.logs[0]
                .apply_retention(&mut machine.files, TimestampMs(0), Offset(model.end))
                .unwrap();
            machine.write_log_starts();
            model.start = machine.logs[0].log_start().0;
            model.batches.retain(|&(_, end)| end > model.start);
        }
        Action::Crash => machine = machine.crash(),
        Action::Kill => machine = machine.restart(),
        Action::Stop => machine = machine.stop_cleanly(),
    }
    machine
}

fn read(machine: &mut Machine, model: &Model, at: u64, max_bytes: usize) {
    let from = model.pick(at);
    let limit = crate::log::ReadLimit { max_bytes, at_least_one_batch: true };
    let region =
        machine.logs[0].read(&mut machine.files, Offset(from), Offset(model.end), limit).unwrap();
    let expected = model.batches.iter().find(|&&(_, end)| end > from);
    assert_eq!(region.as_ref().map(|region| region.base.0), expected.map(|&(base, _)| base));
    if let Some(region) = region {
        assert!(model.batches.iter().any(|&(_, end)| end == region.next.0));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_log_is_a_vector_of_batches(seed: u64, actions in proptest::collection::vec(action(), 1..60)) {
        let config = crate::log::LogConfig { retention_bytes: 9000, retention_ms: -1, ..small() };
        let mut machine = Machine::new(seed, 1, config);
        let mut model = Model::default();
        for action in actions {
            machine = step(machine, &mut model, action);
            prop_assert!(machine.quarantined.is_empty(), "{:?}", machine.quarantined);
            let log = &machine.logs[0];
            prop_assert_eq!((log.log_start().0, log.end().0, log.durable_end().0), (model.start, model.end, model.end));
        }
        machine.assert_holds(0, model.start, model.end);
    }
}
