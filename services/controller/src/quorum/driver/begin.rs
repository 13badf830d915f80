//! How a member starts: snapshot, then log; and then it is a follower, or the only voter.
//!
//! Invariant: nothing is sent before all of it is read and checked. A snapshot that the log never heard of is not the state (P4).

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use ottla_metadata::{Image, codec};
use ottla_runtime::Seams;
use ottla_runtime::metrics::LatencyHistogram;
use ottla_types::NodeId;
use raft::RawNode;
use raft::eraftpb::ConfState;

use super::health::Health;
use super::membership::Membership;
use super::settings::p15_raft_config;
use super::snapshot::Schedule;
use super::{Driver, Inbox, QuorumConfig, Stop, Time};
use crate::quorum::peers::{Peers, first_node};
use crate::quorum::published::Publisher;
use crate::quorum::raft_log;
use crate::quorum::snapshots::{Snapshot, SnapshotError, Snapshots};
use crate::quorum::state_store::StoreQueue;
use crate::quorum::wal::{Batch, Durability, Position, Wal};
use crate::transport::PeerSender;

/// What a driver is connected to.
pub struct Links {
    /// The way to the other members.
    pub sender: Arc<dyn PeerSender>,
    /// Its inputs.
    pub inbox: Inbox,
    /// Its outputs.
    pub publisher: Publisher,
    /// The state store's inputs.
    pub store: StoreQueue,
}

impl Driver {
    /// Reads what this member has on disk.
    pub fn open(config: QuorumConfig, seams: Seams, links: Links) -> Result<Self, Stop> {
        if config.voters.iter().all(|voter| voter.node != config.node) {
            return Err(Stop::NotAVoter(config.node));
        }
        let mut peers = Peers::open(seams.disk.clone(), &config.dir, &config)?;
        if peers.is_removed() {
            return Err(Stop::Removed);
        }
        let mut wal = Wal::open(seams.disk.clone(), &config.dir.join("log"))?;
        if wal.is_new() {
            begin_log(&mut wal, &peers)?;
        }
        let snapshots = Snapshots::open(seams.disk.clone(), &config.dir.join("snapshots"))?;
        let (image, position) = p4_newest_image(&snapshots, &mut wal, &mut peers)?;
        check_voters(&wal, &peers)?;
        let raft = RawNode::new(
            &p15_raft_config(peers.own_id(), position.index, config.election_ticks()),
            wal,
            &raft_log::logger(),
        )
        .map_err(|error| Stop::Raft(error.to_string()))?;
        let now = seams.clock.monotonic();
        let mut snapshot = Schedule::default();
        snapshot.taken_at(&image, now);
        let mut driver = Self {
            election_seed: seams.rng.next_u64(),
            seams,
            config,
            raft,
            snapshots: Arc::new(snapshots),
            peers,
            sender: links.sender,
            inbox: links.inbox,
            committed: image,
            applied_index: position.index,
            unreleased: VecDeque::new(),
            store: links.store,
            publisher: links.publisher,
            leadership: None,
            waiting: VecDeque::new(),
            received: None,
            snapshot,
            time: Time { next_tick: now + super::TICK, last_commit_sync: now, next_greeting: now },
            health: Health::default(),
            log_syncs: LatencyHistogram::default(),
            membership: Membership::default(),
            stopping: None,
        };
        driver.publisher.restart_from(&driver.committed, driver.applied_index);
        driver.store.start_from(&driver.committed);
        driver.note_role();
        Ok(driver)
    }

    /// The snapshots, to check those that peers send.
    pub fn snapshots(&self) -> Arc<Snapshots> {
        self.snapshots.clone()
    }

    /// How long the log takes to be durable.
    pub fn log_syncs(&self) -> LatencyHistogram {
        self.log_syncs.clone()
    }

    /// The only voter needs nobody's vote, and does not wait for a time-out.
    pub(super) fn begin(&mut self) -> Result<(), Stop> {
        if self.config.voters.len() == 1 && !self.peers.is_later() {
            self.raft.campaign().map_err(|error| Stop::Raft(error.to_string()))?;
            self.note_role();
        }
        Ok(())
    }
}

/// The members of a new quorum are the first disks of the configured voters: for a later disk too, which finds itself among them
/// only further on in the log.
fn begin_log(wal: &mut Wal, peers: &Peers) -> Result<(), Stop> {
    let conf_state = Some(ConfState::from((peers.first_ids(), vec![])));
    Ok(wal.append(Batch { conf_state, ..Batch::default() }, Durability::Synced)?)
}

/// The configuration must name the nodes that the log and its snapshots name.
fn check_voters(wal: &Wal, peers: &Peers) -> Result<(), Stop> {
    let conf_state = wal.conf_state();
    let ids = conf_state.voters.iter().chain(&conf_state.learners);
    let stored: BTreeSet<_> =
        ids.filter_map(|id| peers.node(*id).or_else(|| first_node(*id))).collect();
    if stored == *peers.voters() {
        return Ok(());
    }
    let names = |nodes: &BTreeSet<NodeId>| {
        let names: Vec<String> = nodes.iter().map(ToString::to_string).collect();
        names.join(", ")
    };
    Err(Stop::OtherVoters { configured: names(peers.voters()), stored: names(&stored) })
}

/// The newest snapshot that the log knows and that can be read; an empty image where the log goes back to its beginning.
fn p4_newest_image(
    snapshots: &Snapshots,
    wal: &mut Wal,
    peers: &mut Peers,
) -> Result<(Image, Position), Stop> {
    let (start, commit) = (wal.start(), wal.hard_state().commit);
    for position in snapshots.list()? {
        if position.index > commit {
            tracing::warn!(
                index = position.index,
                "removes a metadata snapshot that was never finished"
            );
            snapshots.remove(position)?;
            continue;
        }
        if position.index < start.index {
            break;
        }
        match read_image(snapshots, position) {
            Ok((snapshot, image)) => {
                wal.set_snapshot(snapshot.head.metadata());
                // Raft begins with the members of the position that it begins at; later changes are applied again.
                wal.set_conf_state(snapshot.head.conf_state.clone());
                for (node, directory) in snapshot.head.later_disks {
                    peers.learn(node, directory)?;
                }
                return Ok((image, position));
            }
            Err(error @ SnapshotError::Io { .. }) => return Err(error.into()),
            Err(error) => tracing::error!("{error}"),
        }
    }
    if start.index == 0 {
        return Ok((Image::default(), Position::default()));
    }
    let dir = snapshots.dir().to_owned();
    Err(SnapshotError::None { dir, log_start: start.index }.into())
}

fn read_image(
    snapshots: &Snapshots,
    position: Position,
) -> Result<(Snapshot, Image), SnapshotError> {
    let snapshot = snapshots.read(position)?;
    let damaged = |what| SnapshotError::Damaged { path: snapshots.dir().to_owned(), what };
    let image =
        codec::decode_image(&snapshot.image).map_err(|_| damaged("its image cannot be read"))?;
    if image.hash() != snapshot.head.hash {
        return Err(damaged("its image is not the one that its header names"));
    }
    Ok((snapshot, image))
}
