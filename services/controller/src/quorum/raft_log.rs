//! Raft's own log lines, as tracing events.
//!
//! Invariant: raft logs through this and nothing else; debug lines cost nothing unless somebody listens.

use slog::{Drain, Level, Logger, Never, OwnedKVList, Record, Serializer, o};

/// The logger that is given to raft.
pub(super) fn logger() -> Logger {
    Logger::root(Bridge, o!())
}

struct Bridge;

impl Drain for Bridge {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), Never> {
        use slog::KV as _;
        let mut pairs = Pairs(String::new());
        // What cannot be written as text is left out.
        _ = record.kv().serialize(record, &mut pairs);
        _ = values.serialize(record, &mut pairs);
        let (message, pairs) = (record.msg(), pairs.0);
        match record.level() {
            Level::Critical | Level::Error => tracing::error!(target: "raft", "{message}{pairs}"),
            Level::Warning => tracing::warn!(target: "raft", "{message}{pairs}"),
            Level::Info => tracing::debug!(target: "raft", "{message}{pairs}"),
            Level::Debug | Level::Trace => tracing::trace!(target: "raft", "{message}{pairs}"),
        }
        Ok(())
    }

    fn is_enabled(&self, level: Level) -> bool {
        match level {
            Level::Critical | Level::Error => true,
            Level::Warning => tracing::enabled!(target: "raft", tracing::Level::WARN),
            Level::Info => tracing::enabled!(target: "raft", tracing::Level::DEBUG),
            Level::Debug | Level::Trace => tracing::enabled!(target: "raft", tracing::Level::TRACE),
        }
    }
}

struct Pairs(String);

impl Serializer for Pairs {
    fn emit_arguments(&mut self, key: slog::Key, value: &std::fmt::Arguments<'_>) -> slog::Result {
        use std::fmt::Write as _;
        write!(self.0, " {key}={value}").map_err(slog::Error::from)
    }
}
