//! Why a connection ended, and what the log says of it.
//!
//! Invariant: one line for each connection; what clients do every day is told at debug level only.

use std::time::Duration;

use tracing::{debug, info, warn};

use super::frame_reader::ReadError;
use super::writer::WriteError;
use crate::request::Peer;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    #[error("the client closed")]
    ByClient,
    #[error("nothing came for {} s (connections.max.idle.ms)", .0.as_secs())]
    Idle(Duration),
    #[error("a request was not complete after {} s", super::FRAME_DEADLINE.as_secs())]
    SlowRequest,
    #[error("the gateway stops")]
    Stopping,
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl End {
    /// Tells the log; whether it was for what the client sent or did not take.
    pub(super) fn log(&self, peer: &Peer) -> bool {
        let (listener, address) = (&peer.listener, peer.address);
        match self {
            Self::ByClient | Self::Idle(_) | Self::Stopping => {
                debug!(%listener, %address, reason = %self, "connection ended");
                false
            }
            Self::Read(ReadError::Io(_)) | Self::Write(WriteError::Io(_)) => {
                debug!(%listener, %address, reason = %self, "connection broke");
                false
            }
            Self::Write(WriteError::Region(_)) => {
                warn!(%listener, %address, reason = %self, "connection closed");
                false
            }
            _ => {
                info!(%listener, %address, reason = %self, "connection closed");
                true
            }
        }
    }
}
