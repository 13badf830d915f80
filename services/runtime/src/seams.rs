//! The five seams, bundled: whoever owns a [`Seams`] owns a machine, real or simulated.

mod clock;
mod disk;
mod net;
mod real;
mod rng;
mod sim;
mod tasks;

use std::sync::Arc;

pub use clock::Clock;
pub use disk::{DirEntry, Disk, DiskFile, DiskLock, OpenMode, create_dir_durably};
pub use net::{HostPort, Listener, Net, NetStream};
pub use real::{RealClock, RealDisk, RealNet, RealRng, RealTasks, host_name};
pub use rng::Rng;
#[cfg(feature = "sim")]
pub use sim::SimNet;
pub use sim::{CrashDamage, ManualClock, SECTOR_BYTES, SimClock, SimDisk, SimRng, SimTasks};
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

impl Seams {
    /// This machine. Called inside the tokio runtime whose workers carry the tasks.
    pub fn real() -> Self {
        Self {
            clock: Arc::new(RealClock::new()),
            rng: Arc::new(RealRng::new()),
            disk: Arc::new(RealDisk),
            net: Arc::new(RealNet),
            tasks: Arc::new(RealTasks::new()),
        }
    }

    /// A simulated machine. Called inside the turmoil host that it stands for, once per life of that host: the disk is what
    /// survives a life, so the caller keeps it and calls `SimDisk::crash` in between.
    #[cfg(feature = "sim")]
    pub fn simulated(seed: u64, disk: SimDisk) -> Self {
        Self {
            clock: Arc::new(SimClock::new()),
            rng: Arc::new(SimRng::new(seed)),
            disk: Arc::new(disk),
            net: Arc::new(SimNet),
            tasks: Arc::new(SimTasks::new()),
        }
    }
}
