//! A machine that is made up: time, randomness, disk and tasks that answer from a seed, for unit tests and for simulation.
//!
//! Invariant: the same seed and the same calls give the same answers. The network needs turmoil, so it is there with the
//! feature `sim` only; everything else is always compiled, for the tests of other crates.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "this is the seam that the lint protects"
)]

mod clock;
mod disk;
#[cfg(feature = "sim")]
mod net;
mod rng;
mod tasks;

pub use clock::{ManualClock, SimClock};
pub use disk::{CrashDamage, SECTOR_BYTES, SimDisk};
#[cfg(feature = "sim")]
pub use net::SimNet;
pub use rng::SimRng;
pub use tasks::SimTasks;
