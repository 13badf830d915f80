//! The quorum driver: the one actor that owns raft, its log, and the two images (decided and committed).
//!
//! Invariant: [`Driver::p1_work_off_ready`] is the only place where raft's decisions become deeds, in the order of P1: what a leader may send
//! early, then one durable write, then everything else, then apply, then answer. Nothing that a caller is told can be lost.
//! Deliberately knows neither gRPC nor what commands mean.

mod applied;
mod apply;
mod begin;
mod decide;
mod health;
mod inbox;
mod install;
mod leadership;
mod membership;
mod receive;
mod settings;
mod snapshot;
mod stages;
mod stop;
mod told;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use ottla_metadata::Image;
use ottla_runtime::Seams;
use ottla_runtime::metrics::LatencyHistogram;
use ottla_types::NodeId;
use raft::eraftpb::Message;
use raft::{RawNode, StateRole};

pub use applied::Applied;
pub use begin::Links;
pub use inbox::{Inbox, PeerInput, Submission};
pub use install::Received;
pub use settings::{QuorumConfig, SnapshotPolicy, TICK, Voter};
pub use stop::Stop;

use super::peers::Peers;
use super::published::Publisher;
use super::snapshots::Snapshots;
use super::state_store::StoreQueue;
use super::wal::{Batch, Durability, Wal};
use crate::transport::PeerSender;
use leadership::Leadership;

/// Most ticks that are made up for after the actor was held up: a member that was asleep first reads what came meanwhile.
const MAX_TICKS_PER_TURN: u32 = 3;
/// A commit index that is not durable yet becomes so after this long, so that the state store can go on (P2).
const COMMIT_SYNC_INTERVAL: Duration = Duration::from_millis(50);
/// Members whose directory is not known are greeted this often.
const GREETING_INTERVAL: Duration = Duration::from_millis(500);

/// One member of the quorum.
pub struct Driver {
    seams: Seams,
    config: QuorumConfig,
    raft: RawNode<Wal>,
    snapshots: Arc<Snapshots>,
    peers: Peers,
    sender: Arc<dyn PeerSender>,
    inbox: Inbox,
    /// Seed of election time-outs.
    election_seed: u64,
    /// What is committed and applied.
    committed: Image,
    applied_index: u64,
    /// Applied, but with a commit index that is not durable yet (P2).
    unreleased: VecDeque<(u64, Vec<Applied>)>,
    store: StoreQueue,
    publisher: Publisher,
    /// There while this member leads.
    leadership: Option<Leadership>,
    /// Commands that wait to be decided.
    waiting: VecDeque<Submission>,
    /// A snapshot that a peer sent, until raft says to install it.
    received: Option<Received>,
    snapshot: snapshot::Schedule,
    time: Time,
    health: health::Health,
    /// How long the log takes to be durable.
    log_syncs: LatencyHistogram,
    membership: membership::Membership,
    /// Set once the member was asked to stop.
    stopping: Option<stop::Stopping>,
}

/// Where the driver is in time.
struct Time {
    next_tick: Duration,
    last_commit_sync: Duration,
    next_greeting: Duration,
}

impl Driver {
    /// Runs until the member is stopped, or cannot go on.
    pub async fn run(mut self) -> Result<(), Stop> {
        self.begin()?;
        loop {
            self.p16_decide_waiting()?;
            self.p1_work_off_ready()?;
            self.publisher.publish(&self.committed, self.applied_index);
            if self.has_stopped()? {
                return Ok(());
            }
            self.wait().await;
            self.take_peer_inputs()?;
            self.tick()?;
        }
    }

    /// P1: all that raft has ready, in the only order that survives a crash at any point.
    fn p1_work_off_ready(&mut self) -> Result<(), Stop> {
        while self.raft.has_ready() {
            let mut ready = self.raft.ready();
            // A leader's messages may leave before its own disk has the entries: it does not count itself until then.
            self.send(ready.take_messages());
            let installed = self.write_snapshot(ready.snapshot())?;
            let batch = Batch {
                installed: installed.as_ref().map(|received| received.position()),
                start: None,
                conf_state: installed.as_ref().map(|received| received.conf_state()),
                entries: ready.take_entries(),
                hard_state: ready.hs().cloned(),
            };
            let durability = if ready.must_sync() { Durability::Synced } else { Durability::Later };
            self.persist(batch, durability)?;
            self.send(ready.take_persisted_messages());
            self.install(installed)?;
            let committed = ready.take_committed_entries();
            let mut light = self.raft.advance_append(ready);
            self.apply(committed)?;
            self.send(light.take_messages());
            self.apply(light.take_committed_entries())?;
            self.raft.advance_apply();
            self.after_apply()?;
        }
        self.take_snapshot_if_due()
    }

    /// One write for all that a `Ready` needs to be durable.
    fn persist(&mut self, batch: Batch, durability: Durability) -> Result<(), Stop> {
        if batch.is_empty() {
            return Ok(());
        }
        let last_entry = batch.entries.last().map(|entry| entry.index);
        let began = self.seams.clock.monotonic();
        self.raft.mut_store().append(batch, durability)?;
        if durability == Durability::Synced {
            let took = self.seams.clock.monotonic().saturating_sub(began);
            self.log_syncs.observe(took, None);
        }
        if let (Some(leadership), Some(last)) = (&mut self.leadership, last_entry) {
            leadership.appended_up_to(last);
        }
        self.release_to_store();
        Ok(())
    }

    /// P6: what cannot be sent is reported. P17: a snapshot takes its own way.
    fn send(&mut self, messages: Vec<Message>) {
        let mut envelopes: BTreeMap<NodeId, Vec<_>> = BTreeMap::new();
        for message in messages {
            if message.get_msg_type() == raft::eraftpb::MessageType::MsgSnapshot {
                self.p17_send_snapshot(&message);
            } else if let Some(envelope) =
                self.peers.seal(&message, self.committed.cluster_id.as_ref())
            {
                envelopes.entry(envelope.to).or_default().push(envelope);
            }
        }
        for (node, envelopes) in envelopes {
            if !self.sender.send(node, envelopes) {
                self.p6_report_unreachable(node);
            }
        }
    }

    /// Sleeps until there is something to do, and takes in what came.
    async fn wait(&mut self) {
        if !self.waiting.is_empty() && self.can_decide() {
            return;
        }
        let now = self.seams.clock.monotonic();
        let tick = self.seams.clock.sleep(self.time.next_tick.saturating_sub(now));
        self.inbox.wait(tick, &mut self.waiting).await;
    }

    /// Lets raft's time pass.
    fn tick(&mut self) -> Result<(), Stop> {
        let now = self.seams.clock.monotonic();
        let mut ticks = 0;
        while self.time.next_tick <= now && ticks < MAX_TICKS_PER_TURN {
            self.raft.tick();
            self.note_role();
            self.time.next_tick += TICK;
            ticks += 1;
        }
        // Time that is not made up for is forgotten.
        self.time.next_tick = self.time.next_tick.max(now);
        if now >= self.time.next_greeting {
            self.time.next_greeting = now + GREETING_INTERVAL;
            self.greet_strangers();
            self.tend_members()?;
        }
        if now >= self.time.last_commit_sync + COMMIT_SYNC_INTERVAL {
            self.time.last_commit_sync = now;
            self.p2_sync_commit()?;
        }
        self.become_ready_to_decide()
    }

    /// P2: makes the commit index durable that everything applied is covered by.
    fn p2_sync_commit(&mut self) -> Result<(), Stop> {
        if self.raft.store().durable_commit() >= self.applied_index {
            return Ok(());
        }
        let hard_state = Some(self.raft.raft.hard_state());
        self.persist(Batch { hard_state, ..Batch::default() }, Durability::Synced)
    }

    /// P2: hands to the state store what a durable commit index covers.
    fn release_to_store(&mut self) {
        let durable = self.raft.store().durable_commit();
        while let Some((index, applied)) = self.unreleased.pop_front() {
            if index > durable {
                self.unreleased.push_front((index, applied));
                break;
            }
            self.store.push(applied, &self.committed);
        }
    }

    /// Notices what raft became: called after everything that can change it.
    fn note_role(&mut self) {
        let (role, term) = (self.raft.raft.state, self.raft.raft.term);
        let least = self.config.election_ticks();
        let ticks = settings::draw_election_ticks(self.election_seed, term, role, least);
        self.raft.raft.set_randomized_election_timeout(ticks);
        let leads = self.leadership.as_ref().map(|leadership| leadership.term);
        let leads_now = (role == StateRole::Leader).then_some(term);
        if leads != leads_now {
            self.drop_leadership();
            if leads_now.is_some() {
                let log = &self.raft.raft.raft_log;
                let (ready_at, old_news_to) = (log.last_index(), log.committed);
                tracing::info!(node = %self.config.node, term, "became the active controller");
                self.leadership = Some(Leadership::new(term, ready_at, old_news_to));
            }
        }
        let leader = self.peers.node(self.raft.raft.leader_id);
        self.health.note_leader(leader, term);
        self.publisher.publish_leader(leader, self.can_decide());
    }

    /// P9: whatever was decided and not committed is unknown to those who wait: it may still happen. The speculative image goes.
    fn drop_leadership(&mut self) {
        if let Some(leadership) = self.leadership.take() {
            tracing::info!(node = %self.config.node, term = leadership.term, "is not the active controller any more");
            leadership.p9_answer_all_as_unknown();
        }
    }
}
