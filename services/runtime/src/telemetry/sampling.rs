//! Which requests are traced; decided before any span is made.
//!
//! Invariant: while tracing is off, the decision costs one relaxed load.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ottla_types::TraceParent;

/// A sampler of the OpenTelemetry specification.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Whether the caller's decision is followed where there is a caller.
    pub is_parent_based: bool,
    /// The share of other requests that is traced, 0 to 1.
    pub ratio: f64,
}

impl Sampling {
    /// `parentbased_always_on`, the default of OpenTelemetry.
    pub const EVERYTHING: Self = Self { is_parent_based: true, ratio: 1.0 };

    /// The threshold that random bits must stay below.
    fn threshold(self) -> u64 {
        // A cast of a float saturates, so 1.0 is the greatest threshold, which stands for "always".
        (self.ratio.clamp(0.0, 1.0) * (u64::MAX as f64)) as u64
    }
}

static IS_ON: AtomicBool = AtomicBool::new(false);
static IS_PARENT_BASED: AtomicBool = AtomicBool::new(true);
static THRESHOLD: AtomicU64 = AtomicU64::new(0);
static DRAWS: AtomicU64 = AtomicU64::new(0);

/// Sets the process's sampling; `None` turns tracing off.
pub(super) fn set(sampling: Option<Sampling>) {
    if let Some(sampling) = sampling {
        IS_PARENT_BASED.store(sampling.is_parent_based, Ordering::Relaxed);
        THRESHOLD.store(sampling.threshold(), Ordering::Relaxed);
    }
    IS_ON.store(sampling.is_some(), Ordering::Relaxed);
}

/// Whether any request may be traced: while it is false, nobody need look for a caller's trace.
pub fn is_on() -> bool {
    IS_ON.load(Ordering::Relaxed)
}

/// Whether a request with this caller, and these producers behind its records, is traced.
pub(super) fn decide(parent: Option<TraceParent>, links: &[TraceParent]) -> bool {
    if !is_on() {
        return false;
    }
    if IS_PARENT_BASED.load(Ordering::Relaxed) {
        if let Some(parent) = parent {
            return parent.sampled;
        }
        // A producer that traces its record wants to see where it went, whatever batch it travels in.
        if links.iter().any(|link| link.sampled) {
            return true;
        }
    }
    match THRESHOLD.load(Ordering::Relaxed) {
        u64::MAX => true,
        0 => false,
        threshold => draw() < threshold,
    }
}

/// Evenly spread bits, the same in every process: sampling needs no secret, and a simulation no exception.
fn draw() -> u64 {
    let mixed = DRAWS.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
