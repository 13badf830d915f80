//! The figures of one API: atomics that requests add to when they end.
//!
//! Invariant: the phases of a request add up to its duration, but for `throttle`, which comes after it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ottla_kafka_wire::{ApiKey, ErrorTally};
use ottla_runtime::metrics::LatencyHistogram;
use ottla_types::{ErrorCode, TraceParent};

use crate::router::Route;

/// Places for Kafka's error codes, of which −1 is the first; a code beyond the last counts as unknown.
const ERROR_CODES: usize = 160;

/// What is known of a request when it has its answer. Times are monotonic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Steps {
    /// Of the API.
    pub(crate) version: i16,
    /// Of the request, without its header.
    pub(crate) bytes: usize,
    /// Read.
    pub(crate) received: Duration,
    /// Given to its handler.
    pub(crate) started: Duration,
    /// How long this process worked on it after that.
    pub(crate) local: Duration,
    /// Answered by its handler.
    pub(crate) answered: Duration,
}

/// A request whose answer was sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    pub(crate) steps: Steps,
    /// Of the answer.
    pub(crate) bytes: usize,
    /// How long its connection is not read because of it.
    pub(crate) throttle: Duration,
    /// Its trace, if it is sampled.
    pub(crate) trace: Option<TraceParent>,
}

/// The parts of a request's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Until it found a place of its class.
    Queue,
    /// The gateway worked on it.
    Local,
    /// It waited for storage nodes or the quorum, and for what they wait for.
    Remote,
    /// Its connection was not read, because the client is over a quota.
    Throttle,
    /// Until its answer was sent, answers before it included.
    Response,
    /// All but throttle.
    Total,
}

impl Phase {
    pub(super) const ALL: [Self; 6] =
        [Self::Queue, Self::Local, Self::Remote, Self::Throttle, Self::Response, Self::Total];

    /// The value of our label; the total has a metric of its own.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Local => "local",
            Self::Remote => "remote",
            Self::Throttle => "throttle",
            Self::Response => "response",
            Self::Total => "total",
        }
    }
}

/// The figures of one API.
#[derive(Debug)]
pub(crate) struct ApiMetrics {
    /// Kafka's name of it.
    pub(super) name: &'static str,
    first_version: i16,
    by_version: Box<[AtomicU64]>,
    errors: Box<[AtomicU64]>,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    phases: [LatencyHistogram; Phase::ALL.len()],
}

impl ApiMetrics {
    pub(super) fn new(route: &Route) -> Self {
        let zeros = |count| (0..count).map(|_| AtomicU64::new(0)).collect();
        let versions = route.served();
        Self {
            name: ApiKey::from_code(route.key()).map_or("unknown", ApiKey::name),
            first_version: *versions.start(),
            by_version: zeros(versions.count()),
            errors: zeros(ERROR_CODES),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            phases: Default::default(),
        }
    }

    /// Counts a request whose answer left at `sent`.
    pub(crate) fn count(&self, ended: &Ended, sent: Duration) {
        let Ended { steps, bytes, throttle, trace } = *ended;
        let version = usize::try_from(steps.version - self.first_version).unwrap_or(usize::MAX);
        if let Some(count) = self.by_version.get(version) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.bytes_in.fetch_add(steps.bytes as u64, Ordering::Relaxed);
        self.bytes_out.fetch_add(bytes as u64, Ordering::Relaxed);
        let worked = steps.answered.saturating_sub(steps.started);
        let observe = |phase: Phase, duration| self.phase(phase).observe(duration, trace);
        observe(Phase::Queue, steps.started.saturating_sub(steps.received));
        observe(Phase::Local, steps.local);
        observe(Phase::Remote, worked.saturating_sub(steps.local));
        observe(Phase::Throttle, throttle);
        observe(Phase::Response, sent.saturating_sub(steps.answered));
        observe(Phase::Total, sent.saturating_sub(steps.received));
    }

    pub(super) fn tell_errors(&self, errors: &ErrorTally) {
        for (code, count) in errors.codes() {
            let place = usize::try_from(i32::from(code) + 1).unwrap_or(0);
            let place = self.errors.get(place).unwrap_or(&self.errors[0]);
            place.fetch_add(u64::from(count), Ordering::Relaxed);
        }
    }

    pub(super) fn phase(&self, phase: Phase) -> &LatencyHistogram {
        &self.phases[phase as usize]
    }

    /// Requests that were answered, by version; without versions that nobody used.
    pub(super) fn requests(&self) -> impl Iterator<Item = (i16, u64)> + '_ {
        let counts = (self.first_version..).zip(&self.by_version);
        counts.map(|(version, count)| (version, load(count))).filter(|(_, count)| *count > 0)
    }

    /// Error codes that were told, success included; without those that never were.
    pub(super) fn errors(&self) -> impl Iterator<Item = (ErrorCode, u64)> + '_ {
        let counts = (-1_i16..).zip(&self.errors);
        let counts = counts.map(|(code, count)| (ErrorCode::from_code(code), load(count)));
        counts.filter(|(_, count)| *count > 0)
    }

    pub(super) fn bytes(&self) -> (u64, u64) {
        (load(&self.bytes_in), load(&self.bytes_out))
    }
}

fn load(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::router::TABLE;

    #[test]
    fn the_phases_of_a_request_add_up_to_its_duration() {
        let api = ApiMetrics::new(&TABLE[0]);
        let ms = Duration::from_millis;
        let steps = Steps {
            version: TABLE[0].served().start() + 1,
            bytes: 70,
            received: ms(10),
            started: ms(12),
            local: ms(3),
            answered: ms(22),
        };
        api.count(&Ended { steps, bytes: 30, throttle: ms(50), trace: None }, ms(27));
        let sum = |phase: Phase| api.phase(phase).read().sum;
        let phases = [Phase::Queue, Phase::Local, Phase::Remote, Phase::Response];
        assert_eq!(phases.map(sum), [ms(2), ms(3), ms(7), ms(5)]);
        assert_eq!(phases.map(sum).iter().sum::<Duration>(), sum(Phase::Total));
        assert_eq!(sum(Phase::Throttle), ms(50));
        assert_eq!(api.requests().collect::<Vec<_>>(), [(steps.version, 1)]);
        assert_eq!(api.bytes(), (70, 30));
    }

    #[test]
    fn every_error_code_of_kafka_has_a_place() {
        let codes = (0..i16::MAX).take_while(|code| {
            *code <= ErrorCode::ShareSessionLimitReached.code()
                || ErrorCode::from_code(*code) != ErrorCode::UnknownServerError
        });
        assert!(codes.count() < ERROR_CODES);
    }
}
