//! The trace of a seed: what clients did and saw, what went wrong on purpose, what the roles logged, each with its virtual time.
//!
//! Invariant: nothing real gets in, neither time nor address of memory: equal seeds give equal bytes. What must not happen at all is
//! a *problem*: it is in the trace, too, and fails the seed.

use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// turmoil's span around everything that a host does.
const HOST_SPAN: &str = "node";

/// What was written so far. Clones are the same trace.
#[derive(Clone, Default)]
pub struct Trace(Arc<Mutex<Lines>>);

#[derive(Default)]
struct Lines {
    text: String,
    problems: Vec<String>,
    elections: u64,
    /// The simulation's time, as whoever steps it says.
    now: Duration,
    /// Whether a host is running, which then has the exact time.
    in_step: bool,
    /// The host that is running.
    host: String,
}

impl Trace {
    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes every log line of the roles, and every panic, from now on.
    pub fn listen(&self, level: Level) {
        let subscriber = LogLines { trace: self.clone(), level };
        tracing::subscriber::set_global_default(subscriber).expect("a process has one simulation");
        let trace = self.clone();
        std::panic::set_hook(Box::new(move |panic| {
            let backtrace = std::backtrace::Backtrace::capture();
            eprintln!("{panic}\n{backtrace}");
            trace.problem(format_args!("panic: {panic}"));
        }));
    }

    /// A step of the simulation begins.
    pub fn begin_step(&self, now: Duration) {
        let mut lines = self.lines();
        (lines.now, lines.in_step) = (now, true);
    }

    /// The step is over.
    pub fn end_step(&self, now: Duration) {
        let mut lines = self.lines();
        (lines.now, lines.in_step) = (now, false);
        lines.host.clear();
    }

    /// The present virtual time.
    pub fn now(&self) -> Duration {
        let (now, in_step) = {
            let lines = self.lines();
            (lines.now, lines.in_step)
        };
        // Outside of a step tokio would answer with the machine's own time.
        let exact = if in_step { turmoil::sim_elapsed() } else { None };
        exact.unwrap_or(now)
    }

    /// Adds a line.
    pub fn note(&self, who: &str, what: fmt::Arguments<'_>) {
        let now = self.now();
        // Writing to a string cannot fail.
        _ = writeln!(self.lines().text, "{:>10.6} {who:<13} {what}", now.as_secs_f64());
    }

    /// Adds something that must not happen.
    pub fn problem(&self, what: fmt::Arguments<'_>) {
        self.note("PROBLEM", what);
        let now = self.now();
        self.lines().problems.push(format!("at {:.3} s: {what}", now.as_secs_f64()));
    }

    /// All that must not happen and did.
    pub fn problems(&self) -> Vec<String> {
        self.lines().problems.clone()
    }

    /// How often a controller became the active one.
    pub fn elections(&self) -> u64 {
        self.lines().elections
    }

    /// The whole text.
    pub fn text(&self) -> String {
        self.lines().text.clone()
    }

    /// A hash of the whole text (FNV-1a).
    pub fn hash(&self) -> u64 {
        let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        self.lines().text.bytes().fold(0xcbf2_9ce4_8422_2325, fold)
    }
}

/// Turns the roles' log lines into lines of the trace.
struct LogLines {
    trace: Trace,
    level: Level,
}

impl Subscriber for LogLines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        if metadata.is_span() {
            return metadata.name() == HOST_SPAN && metadata.target().starts_with("turmoil");
        }
        let target = metadata.target();
        *metadata.level() <= self.level && (target.starts_with("ottla") || target == "raft")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        // The only spans that are enabled are turmoil's, one at a time.
        span.record(&mut HostName(&self.trace));
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = LogLine::default();
        event.record(&mut line);
        let metadata = event.metadata();
        let host = self.trace.lines().host.clone();
        let host = if host.is_empty() { "-" } else { &host };
        let LogLine { message, fields } = line;
        let (level, target) = (metadata.level(), metadata.target());
        self.trace.note(host, format_args!("{level} {target}: {message}{fields}"));
        if message.contains("became the active controller") {
            self.trace.lines().elections += 1;
        }
        if message.contains("report this as a bug") {
            self.trace.problem(format_args!("{host} logged: {message}{fields}"));
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct HostName<'a>(&'a Trace);

impl Visit for HostName<'_> {
    fn record_str(&mut self, _: &Field, value: &str) {
        let mut lines = self.0.lines();
        lines.host.clear();
        lines.host.push_str(value);
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

#[derive(Default)]
struct LogLine {
    message: String,
    fields: String,
}

impl Visit for LogLine {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string cannot fail.
        _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}
