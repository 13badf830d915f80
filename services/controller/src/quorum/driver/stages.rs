//! The way of a command through the quorum, as spans: `propose`, `append`, `commit`, `apply`.
//!
//! Invariant: a command that is not sampled builds no span.

use ottla_runtime::child_span;
use tracing::Span;

/// Where a command is.
pub(super) struct Stages {
    request: Span,
    /// The stage that it is in; ends when it is replaced.
    current: Span,
}

impl Stages {
    /// It is decided and proposed.
    pub(super) fn propose(request: Span) -> Self {
        let current = child_span!(request, "propose");
        Self { request, current }
    }

    /// It is written to this member's log.
    pub(super) fn append(&mut self, bytes: usize) {
        self.current = child_span!(self.request, "append", bytes = bytes);
    }

    /// It waits for a majority.
    pub(super) fn commit(&mut self) {
        self.current = child_span!(self.request, "commit");
    }

    /// It becomes visible.
    pub(super) fn apply(&mut self, offset: u64) {
        self.current = child_span!(self.request, "apply", offset = offset);
    }

    /// What it does now, for the end of it.
    pub(super) fn finish(self) {
        drop(self.current);
    }
}
