//! What every request passes through before its handler, outermost first; read [`stack`] as a sentence.
//!
//! Invariant: a request is in flight only while it holds a place of its class; a class never takes another's places.
//! Deliberately knows no API: the handler comes with the request's row of the table.

mod authorization;
mod deadline;
mod dispatch;
mod trace;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use ottla_runtime::seams::Clock;
use tokio::sync::Semaphore;
use tower::ServiceBuilder;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::util::BoxCloneService;

use crate::answer::Answer;
use crate::handlers::{LONGEST_REBALANCE, LONGEST_WAIT};
use crate::request::Request;
use crate::router::Class;
use authorization::AuthorizationLayer;
pub(crate) use authorization::{AllowAll, Authorizer};
use deadline::DeadlineLayer;
use dispatch::Dispatch;
use trace::TraceLayer;

/// Requests in flight of each class, in all connections together.
const MAX_CONTROL_IN_FLIGHT: usize = 1_024;
/// See [`MAX_CONTROL_IN_FLIGHT`].
const MAX_DATA_IN_FLIGHT: usize = 8_192;
/// See [`MAX_CONTROL_IN_FLIGHT`]; one for each connection that a gateway takes.
const MAX_WAIT_IN_FLIGHT: usize = 10_000;
/// See [`MAX_CONTROL_IN_FLIGHT`].
const MAX_METADATA_IN_FLIGHT: usize = 512;
/// See [`MAX_CONTROL_IN_FLIGHT`].
const MAX_GROUP_IN_FLIGHT: usize = 4_096;
/// See [`MAX_CONTROL_IN_FLIGHT`]; one for each connection that a gateway takes.
const MAX_REBALANCE_IN_FLIGHT: usize = 10_000;
/// See [`MAX_CONTROL_IN_FLIGHT`].
const MAX_ADMIN_IN_FLIGHT: usize = 128;
/// Time to answer a request, beyond the longest wait that it may ask for.
const TIME_TO_ANSWER: Duration = Duration::from_secs(30);

/// All that a class of requests passes through.
pub(crate) type Stack = BoxCloneService<Request, Answer, Infallible>;

/// The stacks of all classes; each connection has a clone.
#[derive(Clone)]
pub(crate) struct Stacks([Stack; Class::ALL.len()]);

impl Stacks {
    /// The stacks of a gateway.
    pub(crate) fn new(clock: &Arc<dyn Clock>, authorizer: &Arc<dyn Authorizer>) -> Self {
        Self(Class::ALL.map(|class| stack(class, clock, authorizer)))
    }

    /// The stack of a class.
    pub(crate) fn of(&mut self, class: Class) -> &mut Stack {
        &mut self.0[class.index()]
    }
}

fn stack(class: Class, clock: &Arc<dyn Clock>, authorizer: &Arc<dyn Authorizer>) -> Stack {
    let places = Arc::new(Semaphore::new(places_of(class)));
    BoxCloneService::new(
        ServiceBuilder::new()
            .layer(TraceLayer)
            .layer(DeadlineLayer::new(clock.clone(), longest(class)))
            .layer(GlobalConcurrencyLimitLayer::with_semaphore(places))
            .layer(AuthorizationLayer::new(authorizer.clone()))
            .service(Dispatch),
    )
}

const fn places_of(class: Class) -> usize {
    match class {
        Class::Control => MAX_CONTROL_IN_FLIGHT,
        Class::Data => MAX_DATA_IN_FLIGHT,
        Class::Wait => MAX_WAIT_IN_FLIGHT,
        Class::Metadata => MAX_METADATA_IN_FLIGHT,
        Class::Group => MAX_GROUP_IN_FLIGHT,
        Class::Rebalance => MAX_REBALANCE_IN_FLIGHT,
        Class::Admin => MAX_ADMIN_IN_FLIGHT,
    }
}

/// When a request of a class is given up.
const fn longest(class: Class) -> Duration {
    match class {
        Class::Rebalance => LONGEST_REBALANCE.saturating_add(TIME_TO_ANSWER),
        _ => LONGEST_WAIT.saturating_add(TIME_TO_ANSWER),
    }
}
