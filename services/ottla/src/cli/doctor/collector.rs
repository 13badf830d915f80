//! Whether the trace of the doctor's record reached the place that its link leads to.
//!
//! Deliberately asks Jaeger's page, not the port that spans go to: only the page shows that they went all the way.

use std::time::Duration;

use ottla_runtime::seams::HostPort;

use crate::cli::http::{self, HttpError};

/// How long one answer may take.
const ANSWER_PATIENCE: Duration = Duration::from_secs(2);
/// How long a trace may be on its way: a second in the process, the rest in the collector.
const TRACE_PATIENCE: Duration = Duration::from_secs(6);
/// How often the collector is asked for it.
const POLL: Duration = Duration::from_millis(200);

/// Why no trace was found: cause and cure.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoTrace {
    /// Not a place that this command can ask.
    #[error("not looked for at {0}: only http://HOST:PORT is asked")]
    NotAsked(String),
    /// Nobody is there.
    #[error(
        "no Jaeger answers at {jaeger}, so nobody shows the trace: {cause}; start one that takes OTLP on port 4317, \
         or name its page with --jaeger"
    )]
    NoCollector {
        /// Where its page was looked for.
        jaeger: String,
        /// How it does not answer.
        cause: HttpError,
    },
    /// It was not told.
    #[error(
        "the Jaeger at {0} did not get the trace; set OTEL_EXPORTER_OTLP_ENDPOINT of every process to where it takes OTLP"
    )]
    NotTaken(String),
}

/// Waits until Jaeger has a trace.
///
/// # Errors
/// Why it has not.
pub(super) async fn find_trace(jaeger: &str, trace_id: u128) -> Result<(), NoTrace> {
    let address = address(jaeger).ok_or_else(|| NoTrace::NotAsked(jaeger.to_owned()))?;
    let path = format!("/api/traces/{trace_id:032x}");
    let look = async {
        loop {
            let answer = http::get(&address, &path, ANSWER_PATIENCE).await;
            let answer = answer.map_err(|cause| {
                let jaeger = jaeger.to_owned();
                NoTrace::NoCollector { jaeger, cause }
            })?;
            if answer.status == 200 && answer.body.contains("spanID") {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(TRACE_PATIENCE, look)
        .await
        .unwrap_or_else(|_| Err(NoTrace::NotTaken(jaeger.to_owned())))
}

fn address(url: &str) -> Option<HostPort> {
    let rest = url.strip_prefix("http://")?.trim_end_matches('/');
    match rest.parse() {
        Ok(address) => Some(address),
        Err(_) if rest.is_empty() || rest.contains(['/', ':']) => None,
        Err(_) => Some(HostPort::new(rest, 80)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_runtime::seams::{Listener, Net as _, RealNet};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    /// A Jaeger that gives these answers, one a connection, and then is gone.
    async fn answer(mut listener: Box<dyn Listener>, answers: [&'static str; 2]) {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut question = [0; 1024];
            let len = stream.read(&mut question).await.unwrap();
            assert!(question[..len].starts_with(b"GET /api/traces/0000"));
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_trace_that_comes_late_is_found_and_a_missing_collector_is_told_at_once() {
        let missing = "HTTP/1.0 404 Not Found\r\n\r\n{}";
        let there = "HTTP/1.0 200 OK\r\n\r\n{\"data\":[{\"spans\":[{\"spanID\":\"1\"}]}]}";
        let listener = RealNet.bind(&HostPort::new("127.0.0.1", 0)).await.unwrap();
        let jaeger = format!("http://{}", listener.local_addr().unwrap());
        let served = answer(listener, [missing, there]);
        let (found, ()) = tokio::join!(find_trace(&jaeger, 7), served);
        found.unwrap();
        let gone = find_trace(&jaeger, 7).await.unwrap_err();
        assert!(matches!(gone, NoTrace::NoCollector { .. }), "{gone}");
    }

    #[test]
    fn a_page_has_a_host_and_a_port() {
        assert_eq!(address("http://j:16686/"), Some(HostPort::new("j", 16_686)));
        assert_eq!(address("http://jaeger"), Some(HostPort::new("jaeger", 80)));
        assert_eq!(address("https://jaeger"), None);
        assert_eq!(address("http://jaeger/ui"), None);
    }
}
