//! What a follower decides: where it takes records from, and how far its log must be cut to agree with its leader.
//!
//! Invariant: a follower appends only what follows its end without a gap, and never cuts below its own watermark (R9).

use ottla_types::{LeaderEpoch, NodeId, Offset};

use crate::leader_epochs::LeaderEpochs;

/// The state of a follower.
/// Entered when the metadata name another leader, or none; takes records of that leader and epoch only; leaves to leader when
/// named, to offline on a disk error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Follower {
    /// Whom it follows; `None` while the partition has no leader.
    pub leader: Option<NodeId>,
    /// The leader's epoch.
    pub epoch: LeaderEpoch,
}

/// What a follower does with its log before it fetches on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truncation {
    /// Cut to this end, make that durable, ask again with the epoch that is the newest then.
    CutAndAsk(Offset),
    /// Cut to this end (which may be the present one): the logs agree from here back.
    Cut(Offset),
}

/// A fault that stops the replica for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FollowerFault {
    /// R9: records that were committed would be deleted.
    #[error(
        "the leader asks to cut the log to {cut}, below the high watermark {high_watermark}: committed records differ"
    )]
    CutBelowWatermark {
        /// Where to.
        cut: Offset,
        /// The replica's watermark.
        high_watermark: Offset,
    },
}

/// R8. Where to cut: the leader answered that of the epoch asked for (or an older one) its log ends at `leader_end`. Cut to the
/// smaller of that and where the same epoch ends here, until both logs know the epoch (KIP-279).
pub fn r8_truncation(
    epochs: &LeaderEpochs,
    own_end: Offset,
    leader_answer: (LeaderEpoch, Offset),
) -> Truncation {
    let (leader_epoch, leader_end) = leader_answer;
    match epochs.end_offset_for(leader_epoch, own_end) {
        Some((epoch, end)) if epoch == leader_epoch => Truncation::Cut(leader_end.min(end)),
        // This log has no record of that epoch: cut what is newer, and ask with what is left.
        Some((_, end)) => Truncation::CutAndAsk(leader_end.min(end)),
        // All that is here is older than the leader's epoch.
        None => Truncation::Cut(leader_end.min(own_end)),
    }
}

/// R9. Refuses a cut below the replica's own watermark.
pub fn r9_check_cut(cut: Offset, high_watermark: Offset) -> Result<(), FollowerFault> {
    if cut < high_watermark {
        return Err(FollowerFault::CutBelowWatermark { cut, high_watermark });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leader_epochs::EpochStart;

    fn epochs(entries: &[(i32, i64)]) -> LeaderEpochs {
        LeaderEpochs::from_entries(
            entries.iter().map(|&(e, s)| EpochStart { epoch: LeaderEpoch(e), start: Offset(s) }),
        )
    }

    fn truncation(entries: &[(i32, i64)], end: i64, answer: (i32, i64)) -> Truncation {
        r8_truncation(&epochs(entries), Offset(end), (LeaderEpoch(answer.0), Offset(answer.1)))
    }

    #[test]
    fn r8_the_cut_is_the_smaller_end_of_the_common_epoch() {
        assert_eq!(truncation(&[(1, 0)], 20, (1, 15)), Truncation::Cut(Offset(15)));
        assert_eq!(truncation(&[(1, 0)], 10, (1, 15)), Truncation::Cut(Offset(10)));
    }

    #[test]
    fn r8_an_epoch_that_the_leader_never_saw_is_cut_and_asked_about_again() {
        // The follower wrote epochs 1 and 3; the leader, asked for 3, answers with 2.
        assert_eq!(truncation(&[(1, 0), (3, 10)], 20, (2, 18)), Truncation::CutAndAsk(Offset(10)));
    }

    #[test]
    fn r8_records_of_epochs_newer_than_any_that_the_leader_knows_go_entirely() {
        assert_eq!(truncation(&[(3, 4)], 5, (2, 5)), Truncation::Cut(Offset(4)));
    }

    #[test]
    fn r9_a_cut_below_the_watermark_is_a_fault() {
        assert_eq!(r9_check_cut(Offset(5), Offset(5)), Ok(()));
        assert!(r9_check_cut(Offset(4), Offset(5)).is_err());
    }
}
