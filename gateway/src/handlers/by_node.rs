//! Asking storage nodes about partitions: each about its own, all at once.
//!
//! Invariant: a partition whose node is not known, or does not answer, has a refusal for a result. Deliberately does not know what is
//! asked.

use std::sync::Arc;

use ottla_api::Storage;
use ottla_metadata::Image;
use ottla_types::{ErrorCode, NodeId};

use crate::backend::FanOut;
use crate::request::Call;

/// The results of a plan, in the order of the request. `ask` asks one node; its error is that of all that the node was asked.
pub(super) async fn ask_nodes<I, R, F>(
    (call, image): (&Call, &Image),
    plan: FanOut<I, R>,
    ask: impl Fn(NodeId, Arc<dyn Storage>, Vec<I>) -> F,
    refusal: impl Fn(ErrorCode) -> R,
) -> Vec<R>
where
    R: Clone,
    F: Future<Output = Result<Vec<R>, ErrorCode>>,
{
    let refusal = &refusal;
    let ask_one = |node: NodeId, items: Vec<I>| {
        let count = items.len();
        let storage = call.gateway.backends.get(node, image);
        let told = storage.map(|storage| ask(node, storage, items));
        async move {
            let told = match told {
                Some(told) => told.await,
                None => Err(ErrorCode::NotLeaderOrFollower),
            };
            told.unwrap_or_else(|error| vec![refusal(error); count])
        }
    };
    plan.run(ask_one, refusal(ErrorCode::KafkaStorageError)).await
}
