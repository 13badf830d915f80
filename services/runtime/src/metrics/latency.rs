//! Durations by bucket, each bucket with the trace of a request that fell into it.
//!
//! Invariant: an unsampled request costs no allocation.

use std::time::Duration;

use ottla_types::TraceParent;
use prometheus_client::encoding::{
    EncodeLabel, EncodeLabelSet, EncodeMetric, LabelSetEncoder, MetricEncoder,
};
use prometheus_client::metrics::exemplar::HistogramWithExemplars;
use prometheus_client::metrics::{MetricType, TypedMetric};

/// The smallest bucket, seconds.
const SMALLEST: f64 = 0.0001;
/// Buckets that double: 0.1 ms to 13 s.
const BUCKETS: i32 = 18;

/// Names the trace of one measured request.
#[derive(Clone, Debug, Hash, PartialEq, Eq)]
pub struct TraceLabel(u128);

impl EncodeLabelSet for TraceLabel {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        ("trace_id", format!("{:032x}", self.0)).encode(encoder.encode_label())
    }
}

/// A histogram of seconds with exemplars. Also for families: `Family::<Labels, LatencyHistogram>::default()`.
#[derive(Clone, Debug)]
pub struct LatencyHistogram {
    seconds: HistogramWithExemplars<TraceLabel>,
}

impl Default for LatencyHistogram {
    fn default() -> Self {
        let buckets = (0..BUCKETS).map(|power| SMALLEST * 2_f64.powi(power));
        Self { seconds: HistogramWithExemplars::new(buckets) }
    }
}

impl LatencyHistogram {
    /// Counts one duration; `trace` is the request's, if it is sampled.
    pub fn observe(&self, duration: Duration, trace: Option<TraceParent>) {
        let label = trace.filter(|trace| trace.sampled).map(|trace| TraceLabel(trace.trace_id));
        self.seconds.observe(duration.as_secs_f64(), label, None);
    }
}

impl EncodeMetric for LatencyHistogram {
    fn encode(&self, encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.seconds.encode(encoder)
    }

    fn metric_type(&self) -> MetricType {
        HistogramWithExemplars::<TraceLabel>::TYPE
    }
}

impl TypedMetric for LatencyHistogram {
    const TYPE: MetricType = HistogramWithExemplars::<TraceLabel>::TYPE;
}
