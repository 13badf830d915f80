//! One committed event and what it did, for whoever follows the image.

use std::sync::Arc;

use ottla_metadata::{Changes, Event, Image};
use ottla_types::MetadataOffset;

/// One event that was replayed.
#[derive(Clone, Debug)]
pub struct Applied {
    /// Its offset.
    pub offset: MetadataOffset,
    /// The event.
    pub event: Arc<Event>,
    /// What it touched.
    pub changes: Arc<Changes>,
    /// The image after it; shares its structure with the images before and after.
    pub after: Image,
}

impl Applied {
    /// Replays an event.
    pub(in crate::quorum) fn replay(image: &mut Image, event: Event) -> Self {
        let mut changes = Changes::default();
        image.replay(&event, &mut changes);
        let (event, changes) = (Arc::new(event), Arc::new(changes));
        Self { offset: image.offset, event, changes, after: image.clone() }
    }
}
