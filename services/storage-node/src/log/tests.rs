//! Tests of partition logs and the journal, on a simulated disk.

mod compaction;
mod corruption;
mod crash;
mod harness;
mod journal;
mod model;
mod quarantine;
mod reading;
mod retention;
mod truncate;
