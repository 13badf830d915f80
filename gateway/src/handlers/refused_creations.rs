//! What the log says when a topic that a client only named could not be created: the client is told "unknown topic" and no more.
//!
//! Invariant: at most one line in [`INTERVAL`], however many clients ask again and again; what was left out is counted.
//! Deliberately decides nothing, and does not know why a topic was refused.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ottla_metadata::Refusal;
use ottla_types::ErrorCode;

/// The least time between two lines: clients ask again many times a second.
const INTERVAL: Duration = Duration::from_secs(10);

/// Tells of refused creations, now and then.
#[derive(Debug, Default)]
pub(crate) struct RefusedCreations {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When the next line may be written, by the monotonic clock.
    next: Duration,
    /// Refusals since the last line that were not told.
    left_out: u64,
}

impl RefusedCreations {
    /// Notes a refusal, and tells of it if the last line is long enough ago.
    pub(super) fn note(&self, now: Duration, topic: &str, refusal: &Refusal) {
        if let Some(left_out) = self.is_due(now) {
            tracing::warn!("{}", line(topic, refusal, left_out));
        }
    }

    /// How many were left out before this one; `None`: this one is left out too.
    fn is_due(&self, now: Duration) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if now < state.next {
            state.left_out = state.left_out.saturating_add(1);
            return None;
        }
        state.next = now.saturating_add(INTERVAL);
        Some(std::mem::take(&mut state.left_out))
    }
}

fn line(topic: &str, refusal: &Refusal, left_out: u64) -> String {
    let Refusal { code, message, .. } = refusal;
    let cure = match code {
        ErrorCode::InvalidReplicationFactor => {
            " (the factor is default.replication.factor of the controllers)"
        }
        ErrorCode::InvalidPartitions => " (the number is num.partitions of the controllers)",
        _ => "",
    };
    let more = match left_out {
        0 => String::new(),
        more => format!("; {more} more before it were not told"),
    };
    let code = code.name();
    format!("the topic {topic} was not created automatically: {code}: {message}{cure}{more}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal() -> Refusal {
        Refusal::new(ErrorCode::InvalidReplicationFactor, "Replication factor 3 is not possible")
    }

    #[test]
    fn a_line_names_topic_reason_and_key() {
        assert_eq!(
            line("t", &refusal(), 2),
            "the topic t was not created automatically: INVALID_REPLICATION_FACTOR: Replication factor 3 is not \
             possible (the factor is default.replication.factor of the controllers); 2 more before it were not told"
        );
    }

    #[test]
    fn clients_that_ask_again_and_again_make_one_line_in_ten_seconds() {
        let refused = RefusedCreations::default();
        let at = |ms| refused.is_due(Duration::from_millis(ms));
        assert_eq!((at(5), at(100), at(10_004)), (Some(0), None, None));
        assert_eq!((at(10_005), at(10_006), at(30_000)), (Some(2), None, Some(1)));
    }
}
