//! The spans of a sampled request.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use ottla_api::storage::{Acks, ProducePartition, ProduceRequest, topic_partition};
use tracing::span::{Attributes, Id};
use tracing::{Metadata, Subscriber, info_span};

use super::node::{World, batch, context};

/// Notes names and parents of spans, and which have ended.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    next: u64,
    /// Name, explicit parent, open handles.
    spans: BTreeMap<u64, (&'static str, Option<u64>, usize)>,
}

impl Subscriber for Spans {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span() && metadata.target() == "ottla::trace"
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut state = self.0.lock().unwrap();
        state.next += 1;
        let (id, parent) = (state.next, span.parent().map(Id::into_u64));
        state.spans.insert(id, (span.metadata().name(), parent, 1));
        Id::from_u64(id)
    }

    fn clone_span(&self, id: &Id) -> Id {
        self.0.lock().unwrap().spans.get_mut(&id.into_u64()).unwrap().2 += 1;
        id.clone()
    }

    fn try_close(&self, id: Id) -> bool {
        let mut state = self.0.lock().unwrap();
        let open = &mut state.spans.get_mut(&id.into_u64()).unwrap().2;
        *open -= 1;
        *open == 0
    }

    fn record(&self, _: &Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &tracing::Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn the_spans_of_a_produce_form_a_tree_and_all_end() {
    let spans = Spans::default();
    // For the whole process: spans are made on shards' threads too. Other tests sample nothing.
    tracing::subscriber::set_global_default(spans.clone()).unwrap();
    let world = World::new(51);
    let node = world.start().await;
    let id = topic_partition(world.topic(&node, "t", 1, &[]).await, 0);
    let root = info_span!(target: "ottla::trace", parent: None, "gateway");
    let root_id = root.id().unwrap().into_u64();
    let mut sampled = context();
    sampled.span = root;
    let records = batch(&world.seams, &["v"]);
    let partitions = vec![ProducePartition { partition: id, records }];
    let request =
        ProduceRequest { acks: Acks::All, timeout_ms: 1_000, transactional_id: None, partitions };
    node.storage.produce(sampled, request).await.unwrap();
    super::node::eventually(|| async {
        spans.0.lock().unwrap().spans.values().all(|(_, _, open)| *open == 0)
    })
    .await;
    let state = spans.0.lock().unwrap();
    let children = |of: u64| -> Vec<(u64, &str)> {
        let of_parent = state.spans.iter().filter(|(_, span)| span.1 == Some(of));
        of_parent.map(|(id, span)| (*id, span.0)).collect()
    };
    let storage = children(root_id);
    assert_eq!(storage.iter().map(|s| s.1).collect::<Vec<_>>(), ["storage"]);
    let steps: Vec<_> = children(storage[0].0).into_iter().map(|step| step.1).collect();
    assert_eq!(steps, ["append", "journal.sync", "high_watermark.wait"]);
}
