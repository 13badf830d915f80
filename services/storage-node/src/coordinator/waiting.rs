//! Who waits for a reply of a coordinator, by token.
//!
//! Invariant: a token is given once in the life of an actor; who waits is answered once.

use std::collections::BTreeMap;

use ottla_coordinator::{Command, Reply, Token};
use ottla_types::ErrorCode;
use tokio::sync::oneshot;

use super::inbox::Outcome;

/// Who waits.
#[derive(Default)]
pub(super) struct Waiting {
    last: u64,
    answers: BTreeMap<Token, oneshot::Sender<Outcome>>,
}

impl Waiting {
    /// Gives the command a fresh token, under which its caller will be answered.
    pub(super) fn enter(&mut self, command: &mut Command, answer: oneshot::Sender<Outcome>) {
        self.last += 1;
        let token = Token(self.last);
        command.set_token(token);
        self.answers.insert(token, answer);
    }

    /// Replies. The caller may be gone.
    pub(super) fn reply(&mut self, replies: Vec<(Token, Reply)>) {
        for (token, reply) in replies {
            if let Some(answer) = self.answers.remove(&token) {
                _ = answer.send(Ok(reply));
            }
        }
    }

    /// Answers everybody, in the order in which they came.
    pub(super) fn refuse_all(&mut self, error: ErrorCode) {
        for answer in std::mem::take(&mut self.answers).into_values() {
            _ = answer.send(Err(error));
        }
    }
}
