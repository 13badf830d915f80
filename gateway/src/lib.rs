//! The gateway: the only place of Ottla that serves Kafka's wire protocol.
//!
//! Read [`service`] for the wiring, `router.rs` for what is supported, `connection.rs` for how a socket is served, and one
//! file of `handlers/` for each API.
//!
//! Invariant: a gateway has no state of its own beyond open sockets and fetch sessions, which clients begin anew elsewhere: what it
//! knows of the cluster is the image that the metadata follower publishes, and what it knows of records is in the storage nodes.
//! Deliberately does not know how records are kept, nor who decides about metadata: both are asked through the traits of
//! `ottla-api`, and whether they are in this process is not visible here.

mod answer;
mod backend;
pub mod config;
mod connection;
mod errors;
mod fetch_sessions;
mod gateway;
mod handlers;
mod layers;
mod metrics;
mod request;
mod router;
pub mod service;

pub use config::{ConnectionLimits, GatewayConfig, ListenerConfig, OffsetsTopic};
pub use service::{GatewayHandle, Neighbours, Process, StartError, start};
