//! What a simulated disk does wrong on command.
//!
//! Invariant: no fault is on unless a test turned it on.

use std::fmt;
use std::io;
use std::path::Path;

use rustix::io::Errno;

/// Says whether a fault hits the file at a path.
pub(super) type Hits = Box<dyn Fn(&Path) -> bool + Send + Sync>;

#[derive(Default)]
pub(super) struct Faults {
    pub(super) syncs: Vec<Hits>,
    pub(super) reads: Vec<Hits>,
    pub(super) writes: Vec<Hits>,
    pub(super) capacity_bytes: Option<u64>,
    /// Changes that still succeed before the power goes; `None` for a steady supply.
    pub(super) changes_left: Option<u64>,
    pub(super) power_is_off: bool,
}

/// How a change goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Power {
    On,
    /// The power goes while this change is under way: it may have happened, nobody is told.
    Goes,
}

impl Faults {
    pub(super) fn check_read(&self, path: &Path) -> io::Result<()> {
        self.check_power()?;
        check(&self.reads, path)
    }

    pub(super) fn check_power(&self) -> io::Result<()> {
        if self.power_is_off { Err(power_is_off()) } else { Ok(()) }
    }

    /// Counts one change of the disk.
    pub(super) fn change(&mut self) -> io::Result<Power> {
        self.check_power()?;
        match &mut self.changes_left {
            Some(0) => {
                self.power_is_off = true;
                Ok(Power::Goes)
            }
            Some(left) => {
                *left -= 1;
                Ok(Power::On)
            }
            None => Ok(Power::On),
        }
    }
}

impl Power {
    /// The answer to a change that is done.
    pub(super) fn answer(self) -> io::Result<()> {
        if self == Self::Goes { Err(power_is_off()) } else { Ok(()) }
    }
}

pub(super) fn check(faults: &[Hits], path: &Path) -> io::Result<()> {
    if faults.iter().any(|hits| hits(path)) { Err(Errno::IO.into()) } else { Ok(()) }
}

fn power_is_off() -> io::Error {
    io::Error::other("the simulated power is off")
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults")
            .field("capacity_bytes", &self.capacity_bytes)
            .field("changes_left", &self.changes_left)
            .finish_non_exhaustive()
    }
}
