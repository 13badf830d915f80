//! Whether what a controller says is about the cluster that is followed (R17).
//!
//! Invariant: once an image names its cluster, no image of another cluster, or of none, takes its place: to whoever acts on
//! differences, every topic that the other does not have would be a deleted one.
//! Deliberately does not know who said it, nor which cluster a data directory belongs to.

use ottla_metadata::Image;
use ottla_metadata::event::Event;
use ottla_types::ClusterId;

use crate::controller::MetadataUpdate;

/// The metadata of another cluster were offered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the controllers that answer belong to {}, and this process to cluster {own}: their metadata are refused, and what is \
     here stays as it is; let controller.quorum.voters or controller.quorum.bootstrap.servers name the controllers of \
     cluster {own}, or, if those were formatted anew, give them their data directories back",
    .other.as_ref().map_or("no cluster yet".to_owned(), |other| format!("cluster {other}"))
)]
pub(super) struct OtherCluster {
    own: ClusterId,
    other: Option<ClusterId>,
}

/// Refuses what names another cluster than the image, as soon as the image names one.
pub(super) fn check_cluster(current: &Image, update: &MetadataUpdate) -> Result<(), OtherCluster> {
    let Some(own) = &current.cluster_id else { return Ok(()) };
    let other = match update {
        MetadataUpdate::Heartbeat(_) => return Ok(()),
        MetadataUpdate::Snapshot(image) => image.cluster_id.as_ref(),
        MetadataUpdate::Events { events, .. } => match events.iter().find_map(formatted) {
            None => return Ok(()),
            named => named,
        },
    };
    if other == Some(own) {
        return Ok(());
    }
    Err(OtherCluster { own: own.clone(), other: other.cloned() })
}

fn formatted(event: &Event) -> Option<&ClusterId> {
    match event {
        Event::ClusterFormatted { cluster_id } => Some(cluster_id),
        _ => None,
    }
}
