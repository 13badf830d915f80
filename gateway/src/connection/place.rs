//! When a request that was read may start.
//!
//! Invariant: no request starts whose answer there is no room for; the first request of a connection waits for other
//! connections only, those behind it also for it. Deliberately does not know what a request asks.

use std::future::pending;
use std::time::Duration;

use tower::ServiceExt;

use crate::layers::Stacks;
use crate::request::Request;
use crate::router::Class;

/// Completes when there is room for the answer, and a place of the class. Can be dropped and called again.
pub(super) async fn place(
    stacks: &mut Stacks,
    waiting: Option<&(Request, Duration)>,
    is_first: bool,
) {
    let Some((request, _)) = waiting else { return };
    let route = request.route;
    match route.class {
        // Behind another, its records would lie in memory for as long as that one waits.
        Class::Wait if !is_first => pending().await,
        // As in Kafka, which starts nothing behind another: one connection parks no more than one.
        Class::Rebalance if !is_first => pending().await,
        _ if route.needs_room() => request.call.peer.answers.room(is_first).await,
        _ => {}
    }
    match stacks.of(route.class).ready().await {
        Ok(_) => {}
        Err(never) => match never {},
    }
}
