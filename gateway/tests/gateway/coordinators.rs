//! Group coordinators in memory: the real state machine for each partition, without a log.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use ottla_api::CallError;
use ottla_api::storage::{CoordinateRequest, CoordinateResponse};
use ottla_coordinator::decide::{Context, Now, decide};
use ottla_coordinator::{Changes, Command, Durable, Reply, Settings, Soft, Token};
use ottla_runtime::seams::Clock;
use ottla_types::{ErrorCode, PartitionIndex};
use tokio::sync::{Notify, oneshot};

pub(crate) struct FakeCoordinators {
    clock: Arc<dyn Clock>,
    machines: Mutex<BTreeMap<PartitionIndex, Machine>>,
    decided: Notify,
    /// What to say instead of an answer.
    pub(crate) failure: Mutex<Option<Result<ErrorCode, CallError>>>,
}

#[derive(Default)]
struct Machine {
    durable: Durable,
    soft: Soft,
    waiting: BTreeMap<Token, oneshot::Sender<Reply>>,
    decisions: u64,
}

impl Machine {
    fn decide(&mut self, command: Command, clock: &dyn Clock) {
        let settings = Settings { group_initial_rebalance_delay_ms: 0, ..Settings::default() };
        let mut next = Some(command);
        while let Some(command) = next {
            self.decisions += 1;
            let now = Now { wall: clock.wall(), monotonic: clock.monotonic() };
            let context = Context { settings: &settings, now, seed: self.decisions.into() };
            let decision = decide(&self.durable, &mut self.soft, command, &context);
            let mut changes = Changes::default();
            decision.events.iter().for_each(|event| self.durable.replay(event, &mut changes));
            for (token, reply) in decision.replies {
                let waiting = self.waiting.remove(&token).expect("one reply for each command");
                // Whoever gave up is not there any more.
                _ = waiting.send(reply);
            }
            next = decision.next;
        }
    }
}

impl FakeCoordinators {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let (machines, decided) = (Mutex::default(), Notify::new());
        Self { clock, machines, decided, failure: Mutex::default() }
    }

    pub(crate) async fn coordinate(
        &self,
        request: CoordinateRequest,
    ) -> Result<CoordinateResponse, CallError> {
        if let Some(failure) = self.failure.lock().unwrap().clone() {
            return failure.map(|error| CoordinateResponse { outcome: Err(error) });
        }
        let CoordinateRequest { partition, command } = request;
        let mut reply = self.command(partition, command);
        loop {
            let decided = self.decided.notified();
            let deadline = self.machines.lock().unwrap()[&partition].soft.next_deadline();
            let due = async {
                match deadline {
                    Some(at) => self.clock.sleep(at.saturating_sub(self.clock.monotonic())).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                reply = &mut reply => return Ok(CoordinateResponse { outcome: Ok(reply.unwrap()) }),
                () = due => self.decide(partition, Command::Tick),
                () = decided => {}
            }
        }
    }

    /// Decides a command with a token of its own; its reply comes now or later.
    pub(crate) fn command(
        &self,
        partition: PartitionIndex,
        mut command: Command,
    ) -> oneshot::Receiver<Reply> {
        let (tell, reply) = oneshot::channel();
        {
            let mut machines = self.machines.lock().unwrap();
            let machine = machines.entry(partition).or_default();
            let token = Token(machine.decisions);
            machine.waiting.insert(token, tell);
            command.set_token(token);
        }
        self.decide(partition, command);
        reply
    }

    fn decide(&self, partition: PartitionIndex, command: Command) {
        let mut machines = self.machines.lock().unwrap();
        machines.entry(partition).or_default().decide(command, &*self.clock);
        self.decided.notify_waiters();
    }

    /// How many requests wait in all coordinators.
    pub(crate) fn waiting(&self) -> usize {
        self.machines.lock().unwrap().values().map(|machine| machine.soft.waiting()).sum()
    }

    /// The groups that a partition holds.
    pub(crate) fn groups_in(&self, partition: PartitionIndex) -> usize {
        let machines = self.machines.lock().unwrap();
        machines.get(&partition).map_or(0, |machine| machine.durable.group_count())
    }
}
