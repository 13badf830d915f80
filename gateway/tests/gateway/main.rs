//! A gateway over real loopback sockets, between a controller and storage nodes that live in memory.

mod apis;
mod client;
mod cluster;
mod controller;
mod hostile;
mod pipeline;
mod storage;
