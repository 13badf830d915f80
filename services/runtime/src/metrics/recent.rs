//! Quantiles of the last minutes, for dashboards that expect Kafka's, which forget what is older than some five minutes.
//!
//! Invariant: costs nothing between scrapes: what is old is known from what earlier scrapes saw.

use std::collections::VecDeque;
use std::time::Duration;

use super::latency::Buckets;

/// Between two pictures that are kept.
const INTERVAL: Duration = Duration::from_secs(60);
/// Pictures that are kept: the oldest is five to six minutes old.
const PICTURES: usize = 6;

/// What histograms looked like at earlier scrapes.
#[derive(Debug, Default)]
pub struct Recent {
    pictures: VecDeque<(Duration, Vec<Buckets>)>,
}

impl Recent {
    /// What came into each histogram in the last minutes, and since the start while that is not longer ago.
    pub fn since_minutes(&mut self, now: Duration, histograms: Vec<Buckets>) -> Vec<Buckets> {
        let oldest = self.pictures.front().filter(|_| self.pictures.len() == PICTURES);
        let none = Buckets::default();
        let since = |(at, own): (usize, &Buckets)| {
            let before = oldest.and_then(|(_, before)| before.get(at)).unwrap_or(&none);
            own.since(before)
        };
        let recent = histograms.iter().enumerate().map(since).collect();
        if self.pictures.back().is_none_or(|(at, _)| now >= *at + INTERVAL) {
            self.pictures.push_back((now, histograms));
            if self.pictures.len() > PICTURES {
                self.pictures.pop_front();
            }
        }
        recent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::LatencyHistogram;

    #[test]
    fn what_is_older_than_minutes_is_forgotten() {
        let histogram = LatencyHistogram::default();
        let mut recent = Recent::default();
        let mut at = |minute: u64| {
            let now = Duration::from_secs(minute * 60);
            recent.since_minutes(now, vec![histogram.read()])[0].count()
        };
        histogram.observe(Duration::from_secs(1), None);
        assert_eq!(at(0), 1);
        for minute in 1..6 {
            assert_eq!(at(minute), 1, "{minute}");
        }
        histogram.observe(Duration::from_secs(1), None);
        // The first one was there at minute 0 already, which is the oldest picture now.
        assert_eq!(at(6), 1);
    }
}
