//! Members of a quorum in one process: virtual time, simulated disks, a network in memory.

mod chaos;
mod cluster;
mod crashes;
mod elections;
mod logs;
mod network;
mod single;
mod snapshots;
mod told;
mod traces;
