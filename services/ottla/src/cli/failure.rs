//! How a command fails: one line with cause and cure on standard error, and an exit code that scripts can use.
//!
//! Exit codes: 0 done · 1 failed on this machine (configuration, files, ports) · 2 wrong usage (from the argument parser) ·
//! 3 the cluster refused · 4 the cluster did not answer.

mod kafka;

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
    /// Something answers, but it is not what was meant.
    #[error("{peer} answers, but not as {what}: {cause}; name another address with {option}")]
    WrongPort {
        /// Who.
        peer: String,
        /// What was meant.
        what: &'static str,
        /// How it answers.
        cause: String,
        /// The option that names another.
        option: &'static str,
    },
    /// The cluster answers, but not all of it.
    #[error(
        "{peer} answers, but an address that it names does not: {cause}; the addresses of all gateways must be \
         reached from here (`ottla status` lists them)"
    )]
    PartlyUnreachable {
        /// Who answers.
        peer: String,
        /// Who does not, and why.
        cause: String,
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
            Self::Unreachable { .. } | Self::WrongPort { .. } | Self::PartlyUnreachable { .. } => 4,
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
            // Whatever the admin API refuses, it refuses with details.
            None => Self::WrongPort {
                peer: admin.to_owned(),
                what: "the admin API",
                cause: cause_of(status),
                option: "--admin HOST:PORT",
            },
        }
    }

    /// A Kafka client's error before it was connected.
    pub fn from_bootstrap(bootstrap: &str, error: &rskafka::client::error::Error) -> Self {
        kafka::refusal(error).unwrap_or_else(|| Self::Unreachable {
            peer: bootstrap.to_owned(),
            cause: innermost(error).to_string(),
            option: "--bootstrap HOST:PORT",
        })
    }

    /// A Kafka client's error once it was connected.
    pub fn from_kafka(bootstrap: &str, error: &rskafka::client::error::Error) -> Self {
        kafka::refusal(error).unwrap_or_else(|| Self::PartlyUnreachable {
            peer: bootstrap.to_owned(),
            cause: error.to_string(),
        })
    }

    /// The cluster refused with an error of Kafka's; the message is cause, then cure.
    pub fn refused(error: ottla_types::ErrorCode, message: String) -> Self {
        Self::Refused { reason: error.name().to_owned(), message }
    }

    /// There is no such topic.
    pub fn no_topic(name: &str) -> Self {
        Self::Refused {
            reason: "UnknownTopicOrPartition".to_owned(),
            message: format!(
                "there is no topic {name:?}; `ottla topic list` shows those that are there, \
                 `ottla topic create {name}` makes it"
            ),
        }
    }
}

/// What is behind a status, else what it says itself, else its code.
fn cause_of(status: &tonic::Status) -> String {
    match std::error::Error::source(status) {
        Some(source) => innermost(source).to_string(),
        None if status.message().is_empty() => status.code().description().to_owned(),
        None => status.message().to_owned(),
    }
}

/// The last of an error's causes, which says most in fewest words.
pub(super) fn innermost<'a>(
    mut error: &'a (dyn std::error::Error + 'static),
) -> &'a (dyn std::error::Error + 'static) {
    while let Some(next) = error.source() {
        error = next;
    }
    error
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::local(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(failure: &Failure) -> String {
        format!("{:?}", failure.exit_code())
    }

    #[test]
    fn a_port_that_speaks_something_else_is_told_from_one_that_is_silent() {
        let other = tonic::Status::unknown("transport error");
        let failure = Failure::from_status("localhost:9092", &other);
        assert!(matches!(failure, Failure::WrongPort { .. }), "{failure:?}");
        assert!(failure.to_string().contains("--admin HOST:PORT"), "{failure}");
        assert_eq!(code(&failure), format!("{:?}", ExitCode::from(4)));
        let silent = tonic::Status::unavailable("tcp connect error");
        let failure = Failure::from_status("localhost:9095", &silent);
        assert!(matches!(failure, Failure::Unreachable { .. }), "{failure:?}");
    }
}
