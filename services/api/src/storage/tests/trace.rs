//! A request stays one trace, and a request that nobody traces builds no span.

use bytes::Bytes;
use ottla_runtime::telemetry::trace_parent_of;

use super::fake::produce;
use super::{Setup, patient};
use crate::context::RequestContext;
use crate::loopback::sampled_request;
use crate::storage::Storage;

#[tokio::test(flavor = "multi_thread")]
async fn the_callers_trace_goes_on_at_the_storage_node() {
    let setup = Setup::new().await;
    let span = sampled_request();
    let context = RequestContext { span: span.clone(), ..patient() };
    setup.remote.produce(context, produce(0, Bytes::new())).await.unwrap();
    setup.remote.produce(patient(), produce(1, Bytes::new())).await.unwrap();
    let contexts = setup.fake.contexts.lock().unwrap();
    let here = trace_parent_of(&span).unwrap();
    let there = trace_parent_of(&contexts[0].span).unwrap();
    assert_eq!(there.trace_id, here.trace_id);
    assert_ne!(there.span_id, here.span_id, "the storage node's span is its own");
    assert!(trace_parent_of(&contexts[1].span).is_none());
    let expected = patient();
    assert_eq!(contexts[0].principal, expected.principal);
    assert_eq!(contexts[0].listener, expected.listener);
    assert_eq!(contexts[0].timeout, expected.timeout);
}
