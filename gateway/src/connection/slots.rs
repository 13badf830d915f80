//! How many connections there are: in all, per address, and new ones per second.
//!
//! Invariant: a slot is given back when its connection ends, however it ends. Deliberately does not know what connections do.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::config::ConnectionLimits;

/// Window in which new connections are counted.
const RATE_WINDOW: Duration = Duration::from_secs(1);

/// Why a connection is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoSlot {
    /// `max.connections`.
    #[error("there are {0} connections already (max.connections)")]
    Total(usize),
    /// `max.connections.per.ip`.
    #[error("there are {0} connections from this address already (max.connections.per.ip)")]
    Address(usize),
    /// `max.connection.creation.rate`.
    #[error("{0} connections came within a second already (max.connection.creation.rate)")]
    Rate(u32),
}

/// All connections of a gateway.
#[derive(Debug)]
pub(crate) struct Slots {
    limits: ConnectionLimits,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
    window_start: Duration,
    in_window: u32,
}

/// The place of one connection.
#[derive(Debug)]
pub(crate) struct Slot {
    slots: Arc<Slots>,
    address: IpAddr,
}

impl Slots {
    /// No connections yet.
    pub(crate) fn new(limits: ConnectionLimits) -> Arc<Self> {
        Arc::new(Self { limits, taken: Mutex::default() })
    }

    /// A place for a connection that came at `now` (monotonic).
    ///
    /// # Errors
    /// A limit is reached.
    pub(crate) fn take(self: &Arc<Self>, address: IpAddr, now: Duration) -> Result<Slot, NoSlot> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.admit(&self.limits, address, now)?;
        drop(taken);
        Ok(Slot { slots: self.clone(), address })
    }

    /// Connections now.
    pub(crate) fn count(&self) -> usize {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).total
    }
}

impl Taken {
    fn admit(
        &mut self,
        limits: &ConnectionLimits,
        address: IpAddr,
        now: Duration,
    ) -> Result<(), NoSlot> {
        if now.saturating_sub(self.window_start) >= RATE_WINDOW {
            self.window_start = now;
            self.in_window = 0;
        }
        if self.in_window >= limits.max_connections_per_second {
            return Err(NoSlot::Rate(self.in_window));
        }
        if self.total >= limits.max_connections {
            return Err(NoSlot::Total(self.total));
        }
        let from_address = self.by_address.entry(address).or_default();
        if *from_address >= limits.max_connections_per_address {
            return Err(NoSlot::Address(*from_address));
        }
        *from_address += 1;
        self.total += 1;
        self.in_window += 1;
        Ok(())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.total -= 1;
        if let Some(count) = taken.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                taken.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::ZERO;

    fn slots(total: usize, per_address: usize, rate: u32) -> Arc<Slots> {
        Slots::new(ConnectionLimits {
            max_connections: total,
            max_connections_per_address: per_address,
            max_connections_per_second: rate,
            ..ConnectionLimits::default()
        })
    }

    #[test]
    fn a_full_gateway_takes_nobody_until_somebody_goes() {
        let slots = slots(2, 2, 100);
        let first = slots.take([10, 0, 0, 1].into(), NOW).unwrap();
        let _second = slots.take([10, 0, 0, 2].into(), NOW).unwrap();
        assert_eq!(slots.take([10, 0, 0, 3].into(), NOW).unwrap_err(), NoSlot::Total(2));
        drop(first);
        let _third = slots.take([10, 0, 0, 3].into(), NOW).unwrap();
        assert_eq!(slots.count(), 2);
    }

    #[test]
    fn one_address_cannot_take_all_places() {
        let slots = slots(10, 2, 100);
        let _held: Vec<_> =
            (0..2).map(|_| slots.take([10, 0, 0, 1].into(), NOW).unwrap()).collect();
        assert_eq!(slots.take([10, 0, 0, 1].into(), NOW).unwrap_err(), NoSlot::Address(2));
        assert!(slots.take([10, 0, 0, 2].into(), NOW).is_ok());
    }

    #[test]
    fn a_flood_is_slowed_down() {
        let slots = slots(10, 10, 1);
        drop(slots.take([10, 0, 0, 1].into(), NOW).unwrap());
        assert_eq!(slots.take([10, 0, 0, 1].into(), NOW).unwrap_err(), NoSlot::Rate(1));
        assert!(slots.take([10, 0, 0, 1].into(), NOW + RATE_WINDOW).is_ok());
    }
}
