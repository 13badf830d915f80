//! Which offsets may be read, by whom.
//!
//! Invariant: nobody reads at or above the high watermark, nor `read_committed` at or above the last stable offset.

use ottla_types::{ErrorCode, LeaderEpoch, Offset};

/// What a reader may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readable {
    /// Records from the fetch offset to `end` (exclusive; equal to the fetch offset: none yet).
    Range {
        /// End of what this reader may see.
        end: Offset,
    },
    /// The reader's log parted from ours (KIP-320): the epoch and where it ends here.
    Diverging {
        /// The largest epoch not after the reader's.
        epoch: LeaderEpoch,
        /// Its end here.
        end: Offset,
    },
}

/// Why a read is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchRefusal {
    /// This replica does not lead the partition.
    #[error("this node does not lead the partition")]
    NotLeader,
    /// The replica stopped after an error of its disk (R16).
    #[error("the partition's log directory failed")]
    Offline,
    /// The reader's epoch is older than the leader's (R13).
    #[error("the leader epoch asked for is fenced")]
    FencedLeaderEpoch,
    /// The reader's epoch is newer than what this replica knows (R13).
    #[error("the leader epoch asked for is not known here yet")]
    UnknownLeaderEpoch,
    /// The offset is outside of the log.
    #[error("the offset is out of range")]
    OffsetOutOfRange,
    /// The watermark is not trusted yet after an election (R6).
    #[error("the latest offset is not known yet after the election")]
    OffsetNotAvailable,
}

impl FetchRefusal {
    /// Kafka's code.
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::NotLeader => ErrorCode::NotLeaderOrFollower,
            Self::Offline => ErrorCode::KafkaStorageError,
            Self::FencedLeaderEpoch => ErrorCode::FencedLeaderEpoch,
            Self::UnknownLeaderEpoch => ErrorCode::UnknownLeaderEpoch,
            Self::OffsetOutOfRange => ErrorCode::OffsetOutOfRange,
            Self::OffsetNotAvailable => ErrorCode::OffsetNotAvailable,
        }
    }
}

/// R13. Checks the epoch that a request carries; `NONE` is not checked (old clients).
pub fn r13_check_epoch(asked: LeaderEpoch, own: LeaderEpoch) -> Result<(), FetchRefusal> {
    if asked == LeaderEpoch::NONE || asked == own {
        Ok(())
    } else if asked < own {
        Err(FetchRefusal::FencedLeaderEpoch)
    } else {
        Err(FetchRefusal::UnknownLeaderEpoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r13_an_older_epoch_is_fenced_and_a_newer_one_unknown() {
        let check = |asked| r13_check_epoch(LeaderEpoch(asked), LeaderEpoch(5));
        assert_eq!(check(-1), Ok(()));
        assert_eq!(check(5), Ok(()));
        assert_eq!(check(4), Err(FetchRefusal::FencedLeaderEpoch));
        assert_eq!(check(6), Err(FetchRefusal::UnknownLeaderEpoch));
    }
}
