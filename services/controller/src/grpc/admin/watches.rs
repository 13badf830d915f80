//! Watch streams: what is there, then what changes.
//!
//! Invariant: a message is made when the watcher has taken the one before, so a slow watcher costs one state, not a queue, and
//! misses states in between but never the last one. So many streams are open at most; all end without an error when the
//! controller stops. Deliberately does not know what is watched.

mod cluster;
#[cfg(test)]
mod tests;
mod topics;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_stream::stream;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use ottla_metadata::Refusal;
use ottla_types::ErrorCode;
use tokio::sync::{Semaphore, watch};
use tonic::Status;

use super::errors::AdminError;
pub(super) use cluster::ClusterWatch;
pub(super) use topics::TopicWatch;

/// Most streams that are open at a time.
const MAX_WATCHES: usize = 100;

/// Messages to a watcher.
pub(super) type Watched<T> = BoxStream<'static, Result<T, Status>>;

/// Something that is watched.
pub(super) trait Watch: Send + 'static {
    /// What a watcher is told.
    type Message: Send + 'static;

    /// The next message, once there is one; `None`: there will be none. The first one comes at once.
    fn next(&mut self) -> impl Future<Output = Result<Option<Self::Message>, AdminError>> + Send;
}

/// All watch streams of this controller; clones are the same.
#[derive(Clone)]
pub(super) struct Watches {
    places: Arc<Semaphore>,
    draining: Arc<watch::Sender<bool>>,
}

impl Default for Watches {
    fn default() -> Self {
        let places = Arc::new(Semaphore::new(MAX_WATCHES));
        Self { places, draining: Arc::new(watch::Sender::new(false)) }
    }
}

impl Watches {
    /// Begins a stream.
    ///
    /// # Errors
    /// Too many are open.
    pub(super) fn watch<W: Watch>(
        &self,
        mut watched: W,
    ) -> Result<Watched<W::Message>, AdminError> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| too_many())?;
        let mut draining = self.draining.subscribe();
        let messages = stream! {
            let _place = place;
            loop {
                let next = tokio::select! {
                    biased;
                    _ = draining.wait_for(|is_draining| *is_draining) => break,
                    next = watched.next() => next,
                };
                match next {
                    Ok(Some(message)) => yield Ok(message),
                    Ok(None) => break,
                    Err(error) => {
                        yield Err(error.into());
                        break;
                    }
                }
            }
        };
        Ok(messages.boxed())
    }

    /// Ends all streams, and each that begins from now on.
    pub(super) fn drain(&self) {
        self.draining.send_replace(true);
    }
}

fn too_many() -> AdminError {
    let message =
        format!("{MAX_WATCHES} watch streams are open, which is the most; end one of them");
    AdminError::Refused(Refusal::new(ErrorCode::ThrottlingQuotaExceeded, message))
}

/// Puts the new state in the place of the old one; what is new or other in it, and the keys of what is gone.
pub(super) fn changes<K: Ord + Clone, V: PartialEq + Clone>(
    told: &mut BTreeMap<K, V>,
    now: BTreeMap<K, V>,
) -> (Vec<V>, Vec<K>) {
    let changed = now.iter().filter(|(key, value)| told.get(key) != Some(value));
    let changed = changed.map(|(_, value)| value.clone()).collect();
    let gone = told.keys().filter(|key| !now.contains_key(key)).cloned().collect();
    *told = now;
    (changed, gone)
}
