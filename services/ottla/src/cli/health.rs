//! `ottla health`: whether a process of Ottla is ready, for health checks of images that hold nothing but the binary.

use std::time::Duration;

use ottla_runtime::seams::HostPort;
use serde::{Deserialize, Serialize};

use crate::cli::failure::Failure;
use crate::cli::http::{self, Answer, HttpError};
use crate::cli::output::{Format, Rows};

/// How long the answer may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// What this command asks, for its messages.
const WHAT: &str = "the HTTP port of a process of Ottla";
/// How another process is named.
const OPTION: &str = "`ottla health HOST:PORT`";

/// What `health` is told.
#[derive(Debug, clap::Args)]
pub(super) struct HealthArgs {
    /// The HTTP address of the process (`ottla.http.listener`).
    #[arg(value_name = "HOST:PORT", default_value = "localhost:9096", value_parser = crate::cli::address)]
    address: String,
}

#[derive(Serialize)]
struct Health {
    ready: bool,
    roles: Vec<Role>,
}

#[derive(Serialize, Deserialize)]
struct Role {
    role: String,
    ready: bool,
    reason: String,
}

/// The part of the answer of `/health/ready` that is shown.
#[derive(Deserialize)]
struct Readiness {
    roles: Vec<Role>,
}

impl Rows for Health {
    fn heads(&self) -> Vec<&'static str> {
        vec!["ROLE", "READY", "REASON"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let row = |r: &Role| vec![r.role.clone(), r.ready.to_string(), r.reason.clone()];
        self.roles.iter().map(row).collect()
    }
}

/// Asks `/health/ready`.
pub(super) async fn run(args: HealthArgs, format: Format) -> Result<(), Failure> {
    let address: HostPort = args.address.parse().map_err(Failure::local)?;
    let other = |cause: String| Failure::WrongPort {
        peer: args.address.clone(),
        what: WHAT,
        cause,
        option: OPTION,
    };
    let answer = http::get(&address, "/health/ready", PATIENCE).await;
    let answer = answer.map_err(|error| match error {
        HttpError::NotHttp => other(error.to_string()),
        HttpError::Silent(cause) => {
            Failure::Unreachable { peer: args.address.clone(), cause, option: OPTION }
        }
    })?;
    let health = health(&answer).ok_or_else(|| other(format!("status {}", answer.status)))?;
    format.print(&health)?;
    match health.ready {
        true => Ok(()),
        false => Err(Failure::local("not ready yet")),
    }
}

/// What a process of Ottla says; `None` for an answer of something else.
fn health(answer: &Answer) -> Option<Health> {
    let Readiness { roles } = serde_json::from_str(&answer.body).ok()?;
    Some(Health { ready: answer.status == 200, roles })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_a_plain_list_and_another_servers_answer_is_none() {
        let body = r#"{"status":"not ready","roles":[{"role":"storage","ready":false,"reason":"starting"}]}"#;
        let found = health(&Answer { status: 503, body: body.to_owned() }).unwrap();
        let json = serde_json::to_value(&found).unwrap();
        assert_eq!(json["roles"][0]["reason"], "starting");
        assert_eq!(json["ready"], false);
        assert!(health(&Answer { status: 200, body: "<html>".to_owned() }).is_none());
    }
}
