//! The W3C `traceparent`, as a value that can travel in any request or record header.
//!
//! Invariant: a value of this type has a trace id and a span id that are not zero.

use std::fmt;
use std::str::FromStr;

/// Length of the text form: `00-` + 32 + `-` + 16 + `-` + 2.
const TEXT_LEN: usize = 55;

/// Where a span hangs in a trace, and whether the trace is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceParent {
    /// 128-bit trace id, never zero.
    pub trace_id: u128,
    /// 64-bit id of the parent span, never zero.
    pub span_id: u64,
    /// Whether the trace is recorded.
    pub sampled: bool,
}

/// A text that is not a `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a W3C traceparent")]
pub struct ParseTraceParentError;

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, u8::from(self.sampled))
    }
}

impl FromStr for TraceParent {
    type Err = ParseTraceParentError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = text.as_bytes();
        let dashes = [2, 35, 52].iter().all(|&at| bytes.get(at) == Some(&b'-'));
        let hex = |from: usize, to: usize| {
            let part = text.get(from..to).ok_or(ParseTraceParentError)?;
            let lower_hex = part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
            if lower_hex { Ok(part) } else { Err(ParseTraceParentError) }
        };
        // A later version may append fields; version ff is forbidden.
        let version = hex(0, 2)?;
        if !dashes || version == "ff" || (version == "00" && bytes.len() != TEXT_LEN) {
            return Err(ParseTraceParentError);
        }
        let trace_id = u128::from_str_radix(hex(3, 35)?, 16).map_err(|_| ParseTraceParentError)?;
        let span_id = u64::from_str_radix(hex(36, 52)?, 16).map_err(|_| ParseTraceParentError)?;
        let flags = u8::from_str_radix(hex(53, 55)?, 16).map_err(|_| ParseTraceParentError)?;
        if trace_id == 0 || span_id == 0 {
            return Err(ParseTraceParentError);
        }
        Ok(Self { trace_id, span_id, sampled: flags & 1 == 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_survives_its_text_form() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let parsed: TraceParent = text.parse().unwrap();
        assert!(parsed.sampled);
        assert_eq!(parsed.to_string(), text);
    }

    #[test]
    fn texts_that_are_no_traceparent_are_refused() {
        for text in [
            "",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0é4736-00f067aa0ba902b7-01",
        ] {
            assert!(text.parse::<TraceParent>().is_err(), "{text}");
        }
    }
}
