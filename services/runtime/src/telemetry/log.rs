//! Log lines on stderr: one event, one line.
//!
//! Invariant: bytes that a client chose (topic names, client ids) cannot end a line or steer a terminal: control characters are
//! written as escapes.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::panic;

use tracing::error;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{EnvFilter, FilterExt, filter_fn};
use tracing_subscriber::fmt::MakeWriter;

use crate::telemetry::SPAN_TARGET;
use crate::telemetry::settings::Env;

/// What is logged unless `OTTLA_LOG` or `RUST_LOG` say otherwise. The exporter's own complaints are told once, by `export`.
const DEFAULT_FILTER: &str = "info,h2=warn,hyper=warn,hyper_util=warn,tonic=warn,tower=warn,sled=warn,raft=warn,\
     opentelemetry=off,opentelemetry_sdk=off,opentelemetry-otlp=off";

pub(super) fn layer<S>(env: Env<'_>) -> impl Layer<S> + use<S>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    let wanted = env("OTTLA_LOG").or_else(|| env("RUST_LOG")).unwrap_or_default();
    // The user's words come after ours, so that they win where both speak of the same target.
    let filter = EnvFilter::builder().parse_lossy(format!("{DEFAULT_FILTER},{wanted}"));
    let spans_apart = filter_fn(|metadata| metadata.target() != SPAN_TARGET);
    tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(EscapedStderr)
        .with_filter(filter.and(spans_apart))
}

/// A panic becomes one log line that names the thread and the place.
pub(super) fn log_panics() {
    panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let message = panic.payload_as_str().unwrap_or("a panic without a text");
        error!(thread = thread.name().unwrap_or("unnamed"), place, "panicked: {message}");
    }));
}

#[derive(Clone, Copy, Debug)]
struct EscapedStderr;

impl<'a> MakeWriter<'a> for EscapedStderr {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        *self
    }
}

impl Write for EscapedStderr {
    /// The layer writes one whole event per call.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        io::stderr().write_all(escaped(line).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// The line with every control character but its own end made visible.
pub(super) fn escaped(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let (text, end) = text.strip_suffix('\n').map_or((&*text, ""), |text| (text, "\n"));
    let mut escaped = String::with_capacity(line.len());
    for character in text.chars() {
        if character.is_control() {
            write!(escaped, "{}", character.escape_default())
                .expect("a string takes all that is written to it");
        } else {
            escaped.push(character);
        }
    }
    escaped + end
}
