//! Which error codes a message told, and how often: noted while it is written, so that nobody has to look for them afterwards.
//!
//! Invariant: every field that the tables call `error_code` is counted, wherever it is in the message.
//! Deliberately does not know what the codes mean.

/// The error codes of one message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorTally {
    none: u32,
    others: Vec<(i16, u32)>,
}

impl ErrorTally {
    pub(super) fn note(&mut self, code: i16) {
        if code == 0 {
            self.none += 1;
            return;
        }
        match self.others.iter_mut().find(|(other, _)| *other == code) {
            Some((_, count)) => *count += 1,
            None => self.others.push((code, 1)),
        }
    }

    /// Each code that was told, with how often it was; 0 is success.
    pub fn codes(&self) -> impl Iterator<Item = (i16, u32)> + '_ {
        let none = (self.none > 0).then_some((0, self.none));
        none.into_iter().chain(self.others.iter().copied())
    }
}
