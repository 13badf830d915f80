//! Where Ottla's defaults differ from Kafka's, and why: the one list behind ARCHITECTURE.md and `ottla config explain`.

/// A default that is not Kafka's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deviation {
    /// The key.
    pub key: &'static str,
    /// Our default.
    pub default: &'static str,
    /// Why it is not Kafka's.
    pub why: &'static str,
}

/// All of them.
pub const DEVIATIONS: &[Deviation] = &[
    Deviation {
        key: "controller.quorum.election.timeout.ms",
        default: "300",
        why: "a leader of the quorum is heard every 40 ms, so 300 ms of silence mean that it is gone: another leads within 0.6 s",
    },
    Deviation {
        key: "log.flush.interval.messages",
        default: "1",
        why: "an acknowledged record is on disk; one journal sync serves all partitions of a round, so it costs little",
    },
    Deviation {
        key: "replica.lag.time.max.ms",
        default: "10000",
        why: "a follower that hangs leaves the ISR within 10 s; followers are pushed to, so a healthy one never falls this far behind",
    },
];
