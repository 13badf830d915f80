//! The clients of a simulation: writers, readers, members of groups, and one that makes topics and asks the last questions.
//!
//! Invariant: clients stop writing once the cluster is healed, and the last questions come after that. What a client may not see is
//! a problem of the trace at once; what needs the whole history is left to [`super::check`].

pub mod admin;
pub mod finale;
pub mod member;
pub mod reader;
pub mod writer;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use ottla_runtime::seams::HostPort;

use crate::sim::check::FinalLogs;
use crate::sim::history::History;
use crate::sim::trace::Trace;

/// Partitions of the topic that most is written to.
pub const ORDERS_PARTITIONS: i32 = 4;
/// The topics that are there from the beginning, with their partitions.
pub const BASE_TOPICS: [(&str, i32); 2] = [("orders", ORDERS_PARTITIONS), ("audit", 2)];
/// After a heal every partition accepts writes, and every reader reaches the end, within this time.
pub const LIVENESS_LIMIT: Duration = Duration::from_secs(30);
/// A client that was refused tries again after this time.
const PAUSE: Duration = Duration::from_millis(200);

/// Where a simulation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The cluster starts; its first topics are made. Leaves to `Chaos` when they are there.
    Setup,
    /// Faults happen. Leaves to `Healed` when the plan is through.
    Chaos,
    /// Nothing is broken any more.
    Healed,
}

/// What the clients share with each other and with whoever runs the simulation.
pub struct Shared {
    /// The seed.
    pub seed: u64,
    /// The trace.
    pub trace: Trace,
    /// What happened.
    pub history: RefCell<History>,
    /// Where the simulation is.
    pub stage: Cell<Stage>,
    /// When everything was healed.
    pub healed_at: Cell<Duration>,
    /// Groups that have come together after the heal.
    pub settled: RefCell<BTreeSet<String>>,
    /// Writers, readers and members that are not done.
    pub busy: Cell<usize>,
    /// Where clients begin.
    pub bootstrap: Rc<[HostPort]>,
    /// The logs as they are in the end.
    pub final_logs: RefCell<FinalLogs>,
}

impl Shared {
    /// Waits for a stage.
    pub async fn until(&self, stage: Stage) {
        while self.stage.get() < stage {
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Whether the cluster is healed for so long that it must serve.
    pub fn is_overdue(&self) -> bool {
        let healed = self.stage.get() == Stage::Healed;
        healed && self.trace.now() > self.healed_at.get() + LIVENESS_LIMIT
    }

    /// A client's task is done.
    pub fn done(&self, who: &str) {
        self.busy.set(self.busy.get() - 1);
        self.trace.note(who, format_args!("done"));
    }
}

/// Waits a while before the next try.
pub async fn pause() {
    tokio::time::sleep(PAUSE).await;
}
