//! The machine, behind seams: clock, randomness, disk, network and tasks, each real and simulated; and what every
//! process needs besides: configuration, shutdown, telemetry, the gRPC server builder.
//!
//! Invariant: no other crate reaches the machine except through [`Seams`].
//! Deliberately has no word of the domain: it does not know what a partition or a topic is.

pub mod config;
pub mod grpc;
pub mod http;
pub mod metrics;
pub mod seams;
pub mod shutdown;
pub mod telemetry;

pub use seams::Seams;
