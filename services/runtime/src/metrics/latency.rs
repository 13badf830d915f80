//! Durations by bucket, each bucket with the trace of a request that fell into it.
//!
//! Invariant: counting a duration neither waits nor allocates: buckets are atomics, and an exemplar that a scrape is reading at
//! that moment is left out. Hence not the histogram of `prometheus-client`, which takes a lock for each duration.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ottla_types::TraceParent;

/// The bound of the first bucket, microseconds.
const FIRST_BOUND_US: u64 = 25;
/// Buckets with a bound, each twice the one before: 25 µs to 13 s. One more has none.
const BOUNDED: usize = 20;
/// All buckets.
const BUCKETS: usize = BOUNDED + 1;

/// A histogram of durations with exemplars. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct LatencyHistogram {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    buckets: [AtomicU64; BUCKETS],
    sum_ns: AtomicU64,
    exemplars: Mutex<[Option<Exemplar>; BUCKETS]>,
}

/// One measured request that is traced.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exemplar {
    /// Its trace.
    pub trace_id: u128,
    /// How long it took.
    pub duration: Duration,
}

/// What a histogram holds at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Buckets {
    counts: [u64; BUCKETS],
    /// Sum of all durations.
    pub sum: Duration,
}

/// One bucket of [`Buckets`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// Upper bound, seconds; `None`: none.
    pub bound: Option<f64>,
    /// Durations up to that bound, those of the buckets before included.
    pub count: u64,
}

impl LatencyHistogram {
    /// Counts one duration; `trace` is the request's, if it is sampled.
    pub fn observe(&self, duration: Duration, trace: Option<TraceParent>) {
        let at = bucket_of(duration);
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.inner.buckets[at].fetch_add(1, Ordering::Relaxed);
        self.inner.sum_ns.fetch_add(ns, Ordering::Relaxed);
        if let Some(trace) = trace.filter(|trace| trace.sampled)
            && let Ok(mut exemplars) = self.inner.exemplars.try_lock()
        {
            exemplars[at] = Some(Exemplar { trace_id: trace.trace_id, duration });
        }
    }

    /// What it holds now.
    pub fn read(&self) -> Buckets {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Buckets {
            counts: self.inner.buckets.each_ref().map(load),
            sum: Duration::from_nanos(load(&self.inner.sum_ns)),
        }
    }

    /// For each bucket the traced request that fell into it last.
    pub fn exemplars(&self) -> [Option<Exemplar>; BUCKETS] {
        *self.inner.exemplars.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Buckets {
    /// Durations in all.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The buckets, from the smallest bound on.
    pub fn buckets(&self) -> impl Iterator<Item = Bucket> + '_ {
        let mut count = 0;
        self.counts.iter().enumerate().map(move |(at, own)| {
            count += own;
            Bucket { bound: bound_seconds(at), count }
        })
    }

    /// What came after `earlier`, which is of the same histogram.
    pub fn since(&self, earlier: &Self) -> Self {
        let mut new = self.clone();
        for (own, before) in new.counts.iter_mut().zip(&earlier.counts) {
            *own = own.saturating_sub(*before);
        }
        new.sum = self.sum.saturating_sub(earlier.sum);
        new
    }

    /// The duration, in seconds, below which this part of all durations is: linear within a bucket. `None` if there are none.
    pub fn quantile(&self, part: f64) -> Option<f64> {
        let rank = part * self.count() as f64;
        let mut below = (0.0, 0.0);
        for bucket in self.buckets() {
            let (count, bound) = (bucket.count as f64, bucket.bound.unwrap_or(below.1));
            if bucket.count > 0 && count >= rank {
                let share = (rank - below.0) / (count - below.0).max(1.0);
                return Some(below.1 + share.clamp(0.0, 1.0) * (bound - below.1));
            }
            below = (count, bound);
        }
        None
    }
}

/// The first bucket whose bound is not below a duration.
fn bucket_of(duration: Duration) -> usize {
    let units = duration.as_nanos().div_ceil(u128::from(FIRST_BOUND_US) * 1_000);
    let doublings = match units {
        0 | 1 => 0,
        units => (u128::BITS - (units - 1).leading_zeros()) as usize,
    };
    doublings.min(BOUNDED)
}

fn bound_seconds(at: usize) -> Option<f64> {
    (at < BOUNDED).then(|| (FIRST_BOUND_US << at) as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(micros: &[u64]) -> Buckets {
        let histogram = LatencyHistogram::default();
        micros.iter().for_each(|us| histogram.observe(Duration::from_micros(*us), None));
        histogram.read()
    }

    #[test]
    fn a_duration_is_in_the_first_bucket_that_takes_it() {
        for (us, at) in
            [(0, 0), (25, 0), (26, 1), (50, 1), (51, 2), (13_107_200, 19), (13_107_201, 20)]
        {
            assert_eq!(bucket_of(Duration::from_micros(us)), at, "{us}");
        }
        assert_eq!(bucket_of(Duration::MAX), 20);
        assert_eq!(bound_seconds(5), Some(0.0008));
    }

    #[test]
    fn quantiles_lie_within_the_bucket_of_their_rank() {
        let mut durations = vec![30; 98];
        durations.extend([600, 20_000_000]);
        let buckets = of(&durations);
        let median = buckets.quantile(0.5).unwrap();
        assert!(median > 0.000_025 && median <= 0.000_05, "{median}");
        let p99 = buckets.quantile(0.99).unwrap();
        assert!(p99 > 0.000_4 && p99 <= 0.000_8, "{p99}");
        assert_eq!(buckets.quantile(1.0), bound_seconds(19));
        assert_eq!(Buckets::default().quantile(0.5), None);
    }

    #[test]
    fn what_came_since_is_the_difference() {
        let histogram = LatencyHistogram::default();
        histogram.observe(Duration::from_secs(1), None);
        let before = histogram.read();
        histogram.observe(Duration::from_secs(2), None);
        let since = histogram.read().since(&before);
        assert_eq!((since.count(), since.sum), (1, Duration::from_secs(2)));
    }
}
