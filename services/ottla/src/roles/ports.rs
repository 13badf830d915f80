//! Whether the ports of a configuration can be had, before anything is started or written.
//!
//! Invariant: nothing listens any more when the question is answered. Who takes a port between the answer and the start is told by
//! the role that needs it.

use ottla_runtime::Seams;
use ottla_runtime::config::ServerConfig;
use ottla_runtime::seams::HostPort;

/// The addresses that cannot be had, each with the key that names it and the reason.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join(", "))]
pub struct Taken(Vec<String>);

/// Looks at every address that the roles of a configuration listen on, but for the ports of storage nodes apart.
///
/// # Errors
/// All that cannot be had.
pub async fn refuse_what_is_taken(config: &ServerConfig, seams: &Seams) -> Result<(), Taken> {
    let mut taken = Vec::new();
    for (name, address) in addresses(config) {
        if let Err(error) = seams.net.bind(address).await {
            taken.push(format!("{name}{address}: {error}"));
        }
    }
    if taken.is_empty() { Ok(()) } else { Err(Taken(taken)) }
}

fn addresses(config: &ServerConfig) -> Vec<(String, &HostPort)> {
    let mut all = vec![("ottla.http.listener=".to_owned(), &config.internal.http)];
    let client = |own: &ottla_runtime::config::ClientListener| format!("listeners={}://", own.name);
    all.extend(config.client_listeners.iter().map(|own| (client(own), &own.bind)));
    let controller = config.controller_listener.iter();
    all.extend(controller.map(|own| (format!("listeners={}://", own.name), &own.bind)));
    if config.roles.controller {
        all.push(("ottla.admin.listener=".to_owned(), &config.internal.admin));
    }
    if config.roles.storage {
        all.push(("ottla.storage.listener=".to_owned(), &config.internal.storage));
    }
    all
}
