//! How a command fails: one line with cause and cure on standard error, and an exit code that scripts can use.
//!
//! Exit codes: 0 done · 1 failed on this machine (configuration, files, ports) · 2 wrong usage (from the argument parser) ·
//! 3 the cluster refused · 4 the cluster did not answer.

use std::process::ExitCode;

use tonic_types::StatusExt as _;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// This machine, or what the user gave.
    #[error("{0}")]
    Local(String),
    /// The cluster refused.
    #[error("{reason}: {message}")]
    Refused {
        /// Kafka's name of the error, or gRPC's.
        reason: String,
        /// Cause, then cure.
        message: String,
    },
    /// The cluster did not answer.
    #[error(
        "{peer} does not answer: {cause}; start it with `ottla dev`, or name another with {option}"
    )]
    Unreachable {
        /// Who.
        peer: String,
        /// Why.
        cause: String,
        /// The option that names another.
        option: &'static str,
    },
}

impl Failure {
    /// A failure of this machine.
    pub fn local(cause: impl std::fmt::Display) -> Self {
        Self::Local(cause.to_string())
    }

    /// The exit code, as the module's text lists them.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Local(_) => 1,
            Self::Refused { .. } => 3,
            Self::Unreachable { .. } => 4,
        })
    }

    /// The admin API's answer to a call.
    pub fn from_status(admin: &str, status: &tonic::Status) -> Self {
        let unreachable =
            matches!(status.code(), tonic::Code::Unavailable | tonic::Code::DeadlineExceeded);
        match status.get_details_error_info() {
            Some(info) => {
                Self::Refused { reason: info.reason, message: status.message().to_owned() }
            }
            None if unreachable => Self::Unreachable {
                peer: admin.to_owned(),
                cause: status.message().to_owned(),
                option: "--admin HOST:PORT",
            },
            None => Self::Refused {
                reason: status.code().description().to_owned(),
                message: status.message().to_owned(),
            },
        }
    }

    /// A Kafka client's error.
    pub fn from_kafka(bootstrap: &str, error: &rskafka::client::error::Error) -> Self {
        use rskafka::client::error::Error;
        match error {
            Error::ServerError { protocol_error, error_message, .. } => Self::Refused {
                reason: format!("{protocol_error:?}"),
                message: error_message.clone().unwrap_or_else(|| protocol_error.to_string()),
            },
            other => Self::Unreachable {
                peer: bootstrap.to_owned(),
                cause: other.to_string(),
                option: "--bootstrap HOST:PORT",
            },
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::local(error)
    }
}
