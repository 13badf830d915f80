//! Fetch sessions (KIP-227): a client names its partitions once, then only what changes, and is told only what changed.
//!
//! Invariant: at most `slots` sessions and [`MAX_CACHED_PARTITIONS`] partitions are kept; who is evicted is Kafka's rule. One request
//! of a session is answered at a time: a small one stands for all its partitions. A session lives at one gateway and belongs to no
//! connection: where it is not known, its client is told so and begins anew.
//! Deliberately does not know records, nor which partitions exist.

mod cache;
mod session;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ottla_api::storage::FetchPartitionResult;
use ottla_kafka_wire::messages::fetch_request::FetchRequest;
use ottla_runtime::seams::Rng;
use ottla_types::ErrorCode;

use cache::Cache;
use session::Session;

/// Most partitions of all sessions of a gateway together, about 150 bytes each.
pub(crate) const MAX_CACHED_PARTITIONS: usize = 250_000;
/// A session that was not used for so long makes room for any other, and one that is older gives way to a larger one
/// (Kafka's `MIN_INCREMENTAL_FETCH_SESSION_EVICTION_MS`).
pub(crate) const EVICTION_AGE: Duration = Duration::from_secs(120);

/// "No session" on the wire.
const NO_SESSION: i32 = 0;
/// The epoch of a request that wants a new session.
const INITIAL_EPOCH: i32 = 0;
/// The epoch of a request that wants none, or closes one.
const FINAL_EPOCH: i32 = -1;

/// How a fetch is to be answered.
pub(crate) enum Turn {
    /// In full, and no session is begun.
    Sessionless,
    /// In full, as the first of a new session.
    First {
        /// Whether topics go by id.
        by_id: bool,
    },
    /// With what changed.
    Next(Asked),
}

/// A session that is being answered: no other request of it is taken until this is dropped.
pub(crate) struct Asked(Arc<Mutex<Session>>);

impl Drop for Asked {
    fn drop(&mut self) {
        lock(&self.0).answered();
    }
}

/// What to say of a fetch's session, and which of its results.
pub(crate) struct Told {
    /// The session; 0: none.
    pub(crate) session_id: i32,
    /// Which results are told; `None`: all.
    pub(crate) chosen: Option<Vec<bool>>,
}

impl Told {
    /// Whether the result at this place is told.
    pub(crate) fn tells(&self, place: usize) -> bool {
        self.chosen.as_ref().is_none_or(|chosen| chosen.get(place) == Some(&true))
    }
}

/// The sessions of a gateway.
pub(crate) struct FetchSessions {
    cache: Mutex<Cache>,
    rng: Arc<dyn Rng>,
}

impl FetchSessions {
    /// Room for so many sessions (`max.incremental.fetch.session.cache.slots`).
    pub(crate) fn new(slots: usize, rng: Arc<dyn Rng>) -> Self {
        Self { cache: Mutex::new(Cache::new(slots, MAX_CACHED_PARTITIONS)), rng }
    }

    /// A fetch came. In a session, its partitions are put in place of those that the request names, which are the changes.
    ///
    /// # Errors
    /// Kafka's code for a request that fits no session.
    pub(crate) fn open(
        &self,
        request: &mut FetchRequest,
        by_id: bool,
        now: Duration,
    ) -> Result<Turn, ErrorCode> {
        let (id, epoch) = (request.session_id, request.session_epoch);
        if epoch == INITIAL_EPOCH || epoch == FINAL_EPOCH {
            if id != NO_SESSION {
                self.locked().remove(id);
            }
            return Ok(if epoch == FINAL_EPOCH {
                Turn::Sessionless
            } else {
                Turn::First { by_id }
            });
        }
        let session = self.locked().get(id).ok_or(ErrorCode::FetchSessionIdNotFound)?;
        let size = {
            let mut session = lock(&session);
            session.begin_answer(epoch, by_id)?;
            session.update(&request.topics, &request.forgotten_topics_data);
            request.topics = session.topics();
            session.len()
        };
        let asked = Asked(session);
        // Neither is locked while the other one is.
        let mut cache = self.locked();
        if size == 0 {
            cache.remove(id);
            return Ok(Turn::Sessionless);
        }
        if !cache.touch(id, size, now) {
            return Err(ErrorCode::FetchSessionIdNotFound);
        }
        Ok(Turn::Next(asked))
    }

    /// The fetch has its results, in the order of the request's partitions.
    pub(crate) fn settle(
        &self,
        turn: &Turn,
        request: &FetchRequest,
        results: &[FetchPartitionResult],
        now: Duration,
    ) -> Told {
        match turn {
            Turn::Sessionless => Told { session_id: NO_SESSION, chosen: None },
            Turn::First { by_id } => {
                let session_id = self.begin(*by_id, request, results, now);
                Told { session_id, chosen: None }
            }
            Turn::Next(asked) => {
                let mut session = lock(&asked.0);
                Told { session_id: session.id(), chosen: Some(session.choose(results)) }
            }
        }
    }

    /// Begins a session, if there is room; its id.
    fn begin(
        &self,
        by_id: bool,
        request: &FetchRequest,
        results: &[FetchPartitionResult],
        now: Duration,
    ) -> i32 {
        let mut cache = self.locked();
        if !cache.makes_room(results.len(), now) {
            return NO_SESSION;
        }
        let id = loop {
            // Any positive number that no other session has.
            let id = (self.rng.next_u128() >> 97) as i32;
            if id > 0 && !cache.holds(id) {
                break id;
            }
        };
        cache.insert(id, Session::begin(id, by_id, request, results), now);
        id
    }

    fn locked(&self) -> MutexGuard<'_, Cache> {
        // A panic elsewhere leaves whole entries behind.
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lock(session: &Mutex<Session>) -> MutexGuard<'_, Session> {
    session.lock().unwrap_or_else(PoisonError::into_inner)
}
