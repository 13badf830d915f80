//! The admin API, as the command line reaches it.

use std::time::Duration;

use tonic::transport::{Channel, Endpoint};

use crate::cli::failure::{Failure, innermost};

/// How long one call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection to one controller's admin port.
pub(super) struct Admin {
    /// The connection, for the generated clients.
    pub channel: Channel,
    /// Where it is, as it was asked for.
    pub address: String,
}

impl Admin {
    /// Connects.
    pub(super) async fn connect(address: &str) -> Result<Self, Failure> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .map_err(|_| Failure::local(format!("--admin {address}: not HOST:PORT")))?
            .timeout(CALL_TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT);
        let channel = endpoint.connect().await.map_err(|error| Failure::Unreachable {
            peer: address.to_owned(),
            cause: innermost(&error).to_string(),
            option: "--admin HOST:PORT",
        })?;
        Ok(Self { channel, address: address.to_owned() })
    }

    /// The content of an answer, or the failure that its status tells.
    pub(super) fn answer<T>(
        &self,
        result: Result<tonic::Response<T>, tonic::Status>,
    ) -> Result<T, Failure> {
        result
            .map(tonic::Response::into_inner)
            .map_err(|status| Failure::from_status(&self.address, &status))
    }
}
