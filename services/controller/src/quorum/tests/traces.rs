//! The stages of a command as spans.

use std::sync::{Arc, Mutex};

use ottla_api::RequestContext;
use tracing::Subscriber;
use tracing::span::{Attributes, Id};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use super::cluster::{Cluster, create, simulate};

/// Names of spans and of their parents, in the order of their making.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<(String, String)>>>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Seen {
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, context: Context<'_, S>) {
        let parent = attributes.parent().and_then(|id| context.span(id));
        let parent = parent.map_or(String::new(), |span| span.name().to_owned());
        self.0.lock().unwrap().push((attributes.metadata().name().to_owned(), parent));
    }
}

fn spans_of(sampled: bool) -> Vec<(String, String)> {
    let seen = Seen::default();
    let subscriber = tracing_subscriber::registry().with(seen.clone());
    tracing::subscriber::with_default(subscriber, || {
        simulate(async {
            let cluster = Cluster::start(3, 1);
            cluster.live_storage_node().await;
            let leader = cluster.leader().await;
            let mut context = RequestContext::internal(std::time::Duration::from_secs(9));
            if sampled {
                context.span = tracing::info_span!("CreateTopics");
            }
            cluster.members[&leader].submit(context, create("t")).await.unwrap();
        });
    });
    let seen = seen.0.lock().unwrap();
    seen.iter().filter(|(name, _)| name != "CreateTopics").cloned().collect()
}

#[test]
fn a_sampled_command_passes_propose_append_commit_and_apply() {
    let stages = ["propose", "append", "commit", "apply"];
    let expected = stages.map(|stage| (stage.to_owned(), "CreateTopics".to_owned()));
    assert_eq!(spans_of(true), expected);
}

#[test]
fn a_command_that_is_not_sampled_builds_no_span() {
    assert_eq!(spans_of(false), []);
}
