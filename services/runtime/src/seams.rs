//! The five seams, bundled: whoever owns a [`Seams`] owns a machine, real or simulated.

mod clock;
mod disk;
mod net;
mod rng;
mod tasks;

use std::sync::Arc;

pub use clock::Clock;
pub use disk::{DirEntry, Disk, DiskFile, DiskLock, OpenMode};
pub use net::{HostPort, Listener, Net, NetStream};
pub use rng::Rng;
pub use tasks::{Actor, TaskHandle, Tasks};

/// One machine: what a role is given at start, and its only way to the outside.
#[derive(Clone)]
pub struct Seams {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub rng: Arc<dyn Rng>,
    /// Files.
    pub disk: Arc<dyn Disk>,
    /// Connections.
    pub net: Arc<dyn Net>,
    /// Threads and tasks.
    pub tasks: Arc<dyn Tasks>,
}
