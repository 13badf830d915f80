//! The plan of a seed: what breaks, when, and for how long.
//!
//! Invariant: the plan keeps the promise keepable. Disks keep what was synced, every host comes back, every link heals; what is
//! acknowledged at replication factor 1 must then be there.

use std::fmt;
use std::time::Duration;

use ottla_runtime::seams::SimRng;

use crate::sim::host::Kind;

/// Fewest and most faults of a plan.
const FAULTS: (u64, u64) = (10, 18);
/// A fault lasts between these.
const LASTS_MS: (u64, u64) = (300, 6_000);
/// Disk changes until the power goes, at most.
const MOST_CHANGES: u64 = 40;

/// Something that breaks. Hosts are named by their index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The power of a host goes, and with it what its disk had not synced; nobody is told.
    PowerLoss(Vec<usize>),
    /// The power goes in the middle of the host's work: so many changes of its disk from now.
    PowerCut(usize, u64),
    /// The process is killed; the machine stays up.
    Kill(usize),
    /// The process is asked to end in order, and started again.
    Restart(usize),
    /// The host's disk refuses to sync, until it is started again after a power loss.
    SyncErrors(usize),
    /// Nothing passes between two hosts.
    Partition(usize, usize),
    /// Nothing passes in one direction.
    OneWay(usize, usize),
    /// Nothing passes between a host and all others.
    Isolation(usize),
    /// What two hosts say to each other is held back, then delivered at once.
    Hold(usize, usize),
    /// What two hosts say to each other takes up to so many milliseconds.
    Slow(usize, usize, u64),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// A fault and its time, from the beginning of the plan.
#[derive(Clone, Debug)]
pub struct Planned {
    /// When it begins.
    pub at: Duration,
    /// For how long.
    pub lasts: Duration,
    /// What.
    pub fault: Fault,
}

/// Draws a plan for hosts of these kinds and as many clients behind them, in order of its times.
pub fn draw(rng: &SimRng, kinds: &[Kind], clients: usize, length: Duration) -> Vec<Planned> {
    let between = |(least, most): (u64, u64)| least + rng.below(most - least);
    let millis = |ms| Duration::from_millis(ms);
    let length_ms = length.as_millis() as u64;
    let mut plan: Vec<_> = (0..between(FAULTS))
        .map(|_| Planned {
            at: millis(rng.below(length_ms)),
            lasts: millis(between(LASTS_MS)),
            fault: draw_fault(rng, kinds, clients),
        })
        .collect();
    plan.sort_by_key(|planned| planned.at);
    plan
}

fn draw_fault(rng: &SimRng, kinds: &[Kind], clients: usize) -> Fault {
    let any = |kind: Kind| {
        let all: Vec<_> = (0..kinds.len()).filter(|host| kinds[*host] == kind).collect();
        all[rng.below(all.len() as u64) as usize]
    };
    let server = || match rng.below(5) {
        0 | 1 => any(Kind::Controller),
        2 | 3 => any(Kind::Storage),
        _ => any(Kind::Gateway),
    };
    // The other end of a broken link may be a client.
    let pair = || {
        let (a, all) = (server(), (kinds.len() + clients) as u64);
        let b = (0..).map(|_| rng.below(all) as usize).find(|b| *b != a);
        (a, b.expect("there are several hosts"))
    };
    let all_controllers = || (0..kinds.len()).filter(|host| kinds[*host] == Kind::Controller);
    match rng.below(20) {
        0..=2 => Fault::PowerLoss(vec![any(Kind::Storage)]),
        3..=5 => Fault::PowerCut(any(Kind::Storage), rng.below(MOST_CHANGES)),
        6 => Fault::PowerLoss(vec![any(Kind::Controller)]),
        7 => Fault::PowerCut(any(Kind::Controller), rng.below(MOST_CHANGES)),
        8 => Fault::PowerLoss(all_controllers().collect()),
        9 | 10 => Fault::Kill(server()),
        11 => Fault::Restart(server()),
        12 => Fault::SyncErrors(any(Kind::Storage)),
        13 | 14 => {
            let (a, b) = pair();
            Fault::Partition(a, b)
        }
        15 => {
            let (a, b) = pair();
            Fault::OneWay(a, b)
        }
        16 | 17 => Fault::Isolation(server()),
        18 => {
            let (a, b) = pair();
            Fault::Hold(a, b)
        }
        _ => {
            let (a, b) = pair();
            Fault::Slow(a, b, 50 + rng.below(400))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_follows_from_its_seed_and_is_in_order() {
        let kinds = [Kind::Controller, Kind::Storage, Kind::Gateway];
        let plan = |seed| draw(&SimRng::new(seed), &kinds, 2, Duration::from_secs(30));
        let text = |seed| format!("{:?}", plan(seed));
        assert_eq!(text(7), text(7));
        assert_ne!(text(7), text(8));
        assert!(plan(7).is_sorted_by_key(|planned| planned.at));
    }
}
