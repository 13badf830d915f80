//! What a member is told at start, and raft's settings (P15).

use std::path::PathBuf;
use std::time::Duration;

use ottla_runtime::seams::HostPort;
use ottla_types::{ClusterId, DirectoryId, NodeId};

/// Raft's unit of time.
pub const TICK: Duration = Duration::from_millis(10);
/// Ticks between a leader's heartbeats.
const HEARTBEAT_TICKS: usize = 4;
/// Fewest ticks of silence before an election, whatever is configured: some heartbeats may be late.
const MIN_ELECTION_TICKS: usize = 15;
/// Most ticks of silence before an election that can be configured: a minute.
const MAX_ELECTION_TICKS: usize = 6_000;
/// Bytes of entries in one message.
const MAX_MESSAGE_BYTES: u64 = 1 << 20;
/// Messages on their way to one peer.
const MAX_INFLIGHT_MESSAGES: usize = 256;
/// Bytes of entries that are proposed and not committed.
pub(super) const MAX_UNCOMMITTED_BYTES: u64 = 64 << 20;
/// Bytes of committed entries taken at once.
const MAX_COMMITTED_BYTES_PER_READY: u64 = 16 << 20;

/// A member of the quorum, as `controller.quorum.voters` names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voter {
    /// Its `node.id`.
    pub node: NodeId,
    /// Where its gRPC listens.
    pub endpoint: HostPort,
}

/// What a member is told at start.
#[derive(Clone, Debug)]
pub struct QuorumConfig {
    /// Its `node.id`; one of the voters.
    pub node: NodeId,
    /// `directory.id` of its metadata directory.
    pub directory: DirectoryId,
    /// The cluster, where `meta.properties` says so already.
    pub cluster_id: Option<ClusterId>,
    /// Its metadata directory (`metadata.log.dir`).
    pub dir: PathBuf,
    /// All members.
    pub voters: Vec<Voter>,
    /// What the domain's decisions depend on.
    pub domain: ottla_metadata::Settings,
    /// `controller.quorum.election.timeout.ms`: least silence before an election; it comes within twice this time.
    pub election_timeout: Duration,
    /// When snapshots are taken.
    pub snapshots: SnapshotPolicy,
}

/// A snapshot is taken when any of these is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotPolicy {
    /// So many events since the last one.
    pub after_events: u64,
    /// So many bytes of events (`metadata.log.max.record.bytes.between.snapshots`).
    pub after_bytes: u64,
    /// So much time, if there was any event (`metadata.log.max.snapshot.interval.ms`).
    pub after: Option<Duration>,
}

impl Default for SnapshotPolicy {
    fn default() -> Self {
        Self { after_events: 10_000, after_bytes: 20 << 20, after: None }
    }
}

impl QuorumConfig {
    /// Default for `election_timeout`: a leader's heartbeats come every 40 ms.
    pub const ELECTION_TIMEOUT: Duration = Duration::from_millis(300);

    /// Fewest ticks of silence before an election; it comes before twice as many.
    pub(super) fn election_ticks(&self) -> usize {
        let ticks = self.election_timeout.as_millis() / TICK.as_millis();
        usize::try_from(ticks).unwrap_or(usize::MAX).clamp(MIN_ELECTION_TICKS, MAX_ELECTION_TICKS)
    }
}

/// P15: raft's settings; its own defaults are unsafe or slow.
pub(super) fn p15_raft_config(raft_id: u64, applied: u64, election_ticks: usize) -> raft::Config {
    raft::Config {
        id: raft_id,
        applied,
        election_tick: election_ticks,
        heartbeat_tick: HEARTBEAT_TICKS,
        min_election_tick: election_ticks,
        max_election_tick: 2 * election_ticks,
        max_size_per_msg: MAX_MESSAGE_BYTES,
        max_inflight_msgs: MAX_INFLIGHT_MESSAGES,
        check_quorum: true,
        pre_vote: true,
        read_only_option: p11_reads(),
        skip_bcast_commit: false,
        batch_append: true,
        priority: 0,
        max_uncommitted_size: MAX_UNCOMMITTED_BYTES,
        max_committed_size_per_ready: MAX_COMMITTED_BYTES_PER_READY,
    }
}

/// P11: no lease reads: clocks jump, processes pause.
fn p11_reads() -> raft::ReadOnlyOption {
    raft::ReadOnlyOption::Safe
}

/// The time-out of an election: drawn from a seed instead of the process's own randomness, so that simulations repeat. Another
/// term or role gives another time-out, so that two candidates do not collide for ever.
pub(super) fn draw_election_ticks(
    seed: u64,
    term: u64,
    role: raft::StateRole,
    least: usize,
) -> usize {
    let mut bits = seed ^ term.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ ((role as u64) << 56);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^= bits >> 31;
    least + usize::try_from(bits % least as u64).expect("less than a usize")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p15_rafts_settings_are_valid_and_the_safe_ones() {
        for ticks in [MIN_ELECTION_TICKS, MAX_ELECTION_TICKS] {
            let config = p15_raft_config(1, 0, ticks);
            config.validate().unwrap();
            assert!(config.pre_vote && config.check_quorum && config.batch_append);
            assert!(config.max_uncommitted_size < u64::MAX);
            assert!(config.max_committed_size_per_ready < u64::MAX);
        }
    }

    #[test]
    fn p11_there_are_no_lease_reads() {
        let config = p15_raft_config(1, 0, MIN_ELECTION_TICKS);
        assert_eq!(config.read_only_option, raft::ReadOnlyOption::Safe);
    }

    #[test]
    fn election_time_outs_depend_on_seed_and_term_and_stay_in_range() {
        let draw = |seed, term| draw_election_ticks(seed, term, raft::StateRole::Follower, 30);
        let drawn: std::collections::BTreeSet<usize> = (0..500).map(|term| draw(9, term)).collect();
        assert!(drawn.len() > 20);
        assert!(drawn.iter().all(|ticks| (30..60).contains(ticks)));
        assert_ne!(draw(10, 1), draw(9, 1));
    }
}
