//! The machine as it is. The only code of Ottla that calls the operating system (the others are named in ARCHITECTURE.md).
//!
//! Deliberately knows nothing of what the bytes mean, and keeps no state beyond open descriptors.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "this is the seam that the lint protects"
)]

mod clock;
mod disk;
mod net;
mod rng;
mod tasks;

pub use clock::RealClock;
pub use disk::RealDisk;
pub use net::RealNet;
pub use rng::RealRng;
pub use tasks::RealTasks;

/// The name that this machine calls itself: what an address without a host is advertised as.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
