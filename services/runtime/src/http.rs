//! HTTP for people and machines that watch: metrics and health.
//!
//! Invariant: answers come from memory, so a probe is answered while the data path is stuck; connections, headers and their times
//! are bounded.

mod health;
mod server;
#[cfg(test)]
mod tests;

pub use health::{Health, RoleHealth, RoleState};
pub use server::{HttpServer, MAX_HTTP_CONNECTIONS, MAX_SCRAPES};
