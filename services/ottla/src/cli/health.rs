//! `ottla health`: whether a process of Ottla is ready, for health checks of images that hold nothing but the binary.

use std::time::Duration;

use ottla_runtime::seams::{HostPort, Net as _, RealNet};
use serde::Serialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::cli::failure::Failure;
use crate::cli::output::{Format, Rows};

/// How long the answer may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Most bytes of an answer.
const MAX_ANSWER_BYTES: u64 = 64 * 1024;

/// What `health` is told.
#[derive(Debug, clap::Args)]
pub(super) struct HealthArgs {
    /// The HTTP address of the process (`ottla.http.listener`).
    #[arg(default_value = "localhost:9096")]
    address: String,
}

#[derive(Serialize)]
struct Health {
    ready: bool,
    roles: serde_json::Value,
}

impl Rows for Health {
    fn heads(&self) -> Vec<&'static str> {
        vec!["READY", "ROLES"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        vec![vec![self.ready.to_string(), self.roles.to_string()]]
    }
}

/// Asks `/health/ready`.
pub(super) async fn run(args: HealthArgs, format: Format) -> Result<(), Failure> {
    let unreachable = |cause: String| Failure::Unreachable {
        peer: args.address.clone(),
        cause,
        option: "its HTTP address",
    };
    let answer = tokio::time::timeout(PATIENCE, ask(&args.address)).await;
    let answer = answer
        .map_err(|_| unreachable("no answer within 2 s".to_owned()))?
        .map_err(|error| unreachable(error.to_string()))?;
    let ready = answer.split_whitespace().nth(1) == Some("200");
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let roles = serde_json::from_str(body).unwrap_or(serde_json::Value::Null);
    format.print(&Health { ready, roles })?;
    match ready {
        true => Ok(()),
        false => Err(Failure::local("not ready yet")),
    }
}

async fn ask(address: &str) -> std::io::Result<String> {
    let host_port: HostPort = address.parse().map_err(std::io::Error::other)?;
    let mut stream = RealNet.connect(&host_port).await?;
    let request = format!("GET /health/ready HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER_BYTES).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
