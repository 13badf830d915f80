//! A gateway over real loopback sockets, between a controller and storage nodes that live in memory.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod admin;
mod apis;
mod client;
mod cluster;
mod configs;
mod controller;
mod coordinators;
mod fetch_sessions;
mod group_admin;
mod group_routes;
mod groups;
mod hostile;
mod member;
mod memory;
mod offsets;
mod pipeline;
mod quorum;
mod refused_creations;
mod replicas;
mod roles;
mod storage;
