//! One HTTP question, for images that hold nothing but the binary and for a look at a neighbour.
//!
//! Deliberately knows no TLS and follows no redirection.

use std::time::Duration;

use ottla_runtime::seams::{HostPort, Net as _, RealNet};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Most bytes of an answer.
const MAX_ANSWER_BYTES: u64 = 64 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    /// Nobody, or nobody in time.
    #[error("{0}")]
    Silent(String),
    /// Somebody who speaks something else.
    #[error("it does not speak HTTP")]
    NotHttp,
}

/// An answer.
pub(super) struct Answer {
    /// The status code.
    pub status: u16,
    /// What follows the headers, at most 64 KiB with them.
    pub body: String,
}

/// Asks `GET path` of an address.
pub(super) async fn get(
    address: &HostPort,
    path: &str,
    patience: Duration,
) -> Result<Answer, HttpError> {
    let late = || HttpError::Silent(format!("no answer within {} s", patience.as_secs()));
    let asked = tokio::time::timeout(patience, ask(address, path)).await;
    let text = asked.map_err(|_| late())?.map_err(|error| match error.kind() {
        // A server of another protocol hangs up on what it takes for garbage.
        std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::UnexpectedEof => {
            HttpError::NotHttp
        }
        _ => HttpError::Silent(error.to_string()),
    })?;
    parse(&text).ok_or(HttpError::NotHttp)
}

async fn ask(address: &HostPort, path: &str) -> std::io::Result<String> {
    let mut stream = RealNet.connect(address).await?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER_BYTES).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut words = head.split_whitespace();
    words.next().filter(|version| version.starts_with("HTTP/1."))?;
    Some(Answer { status: words.next()?.parse().ok()?, body: body.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_a_status_and_a_body_and_anything_else_is_none() {
        let answer = parse("HTTP/1.1 503 Service Unavailable\r\nx: y\r\n\r\n{}").unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (503, "{}"));
        assert!(parse("").is_none());
        assert!(parse("\0\0\u{12}\u{4}\0\0\r\n\r\n").is_none());
    }
}
