//! A command stays in the trace of the request that it belongs to.

use ottla_metadata::Command;
use ottla_runtime::telemetry::trace_parent_of;

use super::{Quorum, patient};
use crate::context::RequestContext;
use crate::controller::Controller;
use crate::loopback::sampled_request;

#[tokio::test(flavor = "multi_thread")]
async fn the_callers_trace_goes_on_at_the_active_controller() {
    let quorum = Quorum::new(2).await;
    quorum.activate(2);
    let span = sampled_request();
    let context = RequestContext { span: span.clone(), ..patient() };
    quorum.client(&[1, 2], true).submit(context, Command::Tick).await.unwrap();
    let contexts = quorum.fake(2).contexts.lock().unwrap();
    let there = trace_parent_of(&contexts[0].span).unwrap();
    assert_eq!(there.trace_id, trace_parent_of(&span).unwrap().trace_id);
}
