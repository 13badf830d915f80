//! Where a process listens, and under which addresses others reach it.
//!
//! Invariant: every listener that is used has a protocol that is served, and a port of its own.

use std::collections::BTreeMap;

use ottla_types::ListenerName;

use crate::config::problem::{ConfigErrors, Problem};
use crate::config::server::roles::Roles;
use crate::config::settings::Settings;
use crate::seams::HostPort;

/// From a listener's port to the port of node 0, unless `ottla.gateway.node.port.first` is set.
const NODE_PORT_DISTANCE: u16 = 100;
/// The name of the controller's listener where `controller.listener.names` is not set.
const CONTROLLER: &str = "CONTROLLER";

/// Where the controller takes gRPC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControllerListener {
    /// The name.
    pub name: ListenerName,
    /// Where it listens.
    pub bind: HostPort,
    /// Where others find it.
    pub advertised: HostPort,
}

/// Where the gateway takes Kafka's protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientListener {
    /// The name.
    pub name: ListenerName,
    /// Where it listens.
    pub bind: HostPort,
    /// Where clients find it.
    pub advertised: HostPort,
    /// The port of node 0; node N has this port + N. 0 where the machine chooses.
    pub first_node_port: u16,
}

/// Ottla's own addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InternalAddresses {
    /// Where a storage node takes gRPC.
    pub storage: HostPort,
    /// Where others find it.
    pub storage_advertised: HostPort,
    /// Where the admin service listens.
    pub admin: HostPort,
    /// Where others find it.
    pub admin_advertised: HostPort,
    /// Where metrics and health are served.
    pub http: HostPort,
}

pub(super) struct Listeners {
    pub(super) controller: Option<ControllerListener>,
    pub(super) clients: Vec<ClientListener>,
}

pub(super) fn listeners(
    settings: &Settings,
    roles: Roles,
    host_name: &str,
) -> Result<Listeners, ConfigErrors> {
    let controller_names = match settings.list("controller.listener.names") {
        names if names.is_empty() => vec![CONTROLLER.to_owned()],
        names => names,
    };
    let bound = bound(settings, roles, &controller_names[0])?;
    let advertised = advertised(settings)?;
    let protocols = protocols(settings)?;
    let mut found = Listeners { controller: None, clients: Vec::new() };
    for (name, bind) in bound {
        let is_controller = controller_names.contains(&name);
        let is_used = if is_controller { roles.controller } else { roles.gateway };
        if !is_used {
            continue;
        }
        check_protocol(settings, &protocols, &name, is_controller)?;
        let outside = advertised.get(&name).cloned().unwrap_or_else(|| reachable(&bind, host_name));
        if is_controller {
            // Kafka lists several to change from one to another; the first that is bound serves.
            found.controller.get_or_insert(ControllerListener {
                name: ListenerName::new(name),
                bind,
                advertised: outside,
            });
        } else {
            let first_node_port = first_node_port(settings, &name, &bind)?;
            let name = ListenerName::new(name);
            found.clients.push(ClientListener { name, bind, advertised: outside, first_node_port });
        }
    }
    check_presence(settings, roles, &found)?;
    check_node_ports(settings, &found.clients)?;
    Ok(found)
}

fn bound(
    settings: &Settings,
    roles: Roles,
    controller_name: &str,
) -> Result<Vec<(String, HostPort)>, ConfigErrors> {
    let mut bound = parse(settings, "listeners")?;
    if !settings.is_set("listeners") && roles.controller {
        bound.push((controller_name.to_owned(), HostPort::new("", 9093)));
    }
    Ok(bound)
}

fn check_presence(
    settings: &Settings,
    roles: Roles,
    found: &Listeners,
) -> Result<(), ConfigErrors> {
    if roles.controller && found.controller.is_none() {
        let cure =
            "add CONTROLLER://:9093, or name one of the listeners in controller.listener.names";
        return Err(settings.problem("listeners", "no listener for the controller", cure).into());
    }
    if roles.gateway && found.clients.is_empty() {
        return Err(settings
            .problem("listeners", "no listener for clients", "add PLAINTEXT://:9092")
            .into());
    }
    Ok(())
}

/// The items of a list of `NAME://HOST:PORT`.
fn parse(settings: &Settings, key: &str) -> Result<Vec<(String, HostPort)>, ConfigErrors> {
    let mut listeners: Vec<(String, HostPort)> = Vec::new();
    for item in settings.list(key) {
        let parts = item.split_once("://").filter(|(name, _)| !name.is_empty());
        let Some((name, Ok(address))) =
            parts.map(|(name, address)| (name, address.parse::<HostPort>()))
        else {
            let cause = format!("{item} is not NAME://HOST:PORT");
            return Err(settings
                .problem(key, cause, "write, say, PLAINTEXT://localhost:9092")
                .into());
        };
        let name = name.to_uppercase();
        if listeners.iter().any(|(other, _)| *other == name) {
            let cause = format!("two listeners are named {name}");
            let cure = "give each a name of its own, and the names protocols in listener.security.protocol.map";
            return Err(settings.problem(key, cause, cure).into());
        }
        listeners.push((name, address));
    }
    Ok(listeners)
}

fn advertised(settings: &Settings) -> Result<BTreeMap<String, HostPort>, ConfigErrors> {
    let key = "advertised.listeners";
    let advertised = parse(settings, key)?;
    if let Some((name, address)) = advertised.iter().find(|(_, address)| is_wildcard(&address.host))
    {
        let cause = format!("nobody can connect to {name}://{address}");
        return Err(settings
            .problem(key, cause, "set the name or address that clients use")
            .into());
    }
    Ok(advertised.into_iter().collect())
}

fn protocols(settings: &Settings) -> Result<BTreeMap<String, String>, ConfigErrors> {
    let key = "listener.security.protocol.map";
    let mut protocols = BTreeMap::new();
    for item in settings.list(key) {
        let Some((name, protocol)) = item.split_once(':') else {
            let cause = format!("{item} is not NAME:PROTOCOL");
            return Err(settings.problem(key, cause, "write, say, INTERNAL:PLAINTEXT").into());
        };
        protocols.insert(name.trim().to_uppercase(), protocol.trim().to_uppercase());
    }
    Ok(protocols)
}

fn check_protocol(
    settings: &Settings,
    protocols: &BTreeMap<String, String>,
    name: &str,
    is_controller: bool,
) -> Result<(), ConfigErrors> {
    let is_map_set = settings.is_set("listener.security.protocol.map");
    match protocols.get(name).map(String::as_str) {
        Some("PLAINTEXT") => Ok(()),
        Some(protocol) => {
            let cause = format!("the listener {name} wants {protocol}, which is not served yet");
            Err(settings
                .problem("listeners", cause, "use PLAINTEXT on a network that you trust")
                .into())
        }
        // Kafka gives controller listeners PLAINTEXT too, while nobody sets the map.
        None if is_controller && !is_map_set => Ok(()),
        None => {
            let cause = format!("nobody says which protocol the listener {name} speaks");
            let cure = format!("add {name}:PLAINTEXT to listener.security.protocol.map");
            Err(settings.problem("listeners", cause, cure).into())
        }
    }
}

fn first_node_port(settings: &Settings, name: &str, bind: &HostPort) -> Result<u16, ConfigErrors> {
    let key = "ottla.gateway.node.port.first";
    let wanted = settings.list(key).into_iter().find_map(|item| match item.split_once(':') {
        Some((listener, port)) => listener.eq_ignore_ascii_case(name).then(|| port.to_owned()),
        None => Some(item),
    });
    match wanted {
        Some(port) => port.parse().map_err(|_| {
            let cause = format!("{port} is not a port");
            settings
                .problem(key, cause, "set a port, or LISTENER:PORT for each listener, with commas")
                .into()
        }),
        None if bind.port == 0 => Ok(0),
        None => bind.port.checked_add(NODE_PORT_DISTANCE).ok_or_else(|| {
            let cause = format!("the listener {name} leaves no room for the ports of nodes");
            settings.problem(key, cause, format!("set {name}:PORT")).into()
        }),
    }
}

/// Node ports of two listeners that begin at one port would meet at every node.
fn check_node_ports(settings: &Settings, clients: &[ClientListener]) -> Result<(), ConfigErrors> {
    for (index, client) in clients.iter().enumerate() {
        let port = client.first_node_port;
        let same = |other: &&ClientListener| other.first_node_port == port && port != 0;
        if let Some(other) = clients[..index].iter().find(same) {
            let cause =
                format!("{} and {} share the port {port} for node 0", other.name, client.name);
            let cure = "set LISTENER:PORT for each listener, with commas";
            return Err(settings.problem("ottla.gateway.node.port.first", cause, cure).into());
        }
    }
    Ok(())
}

pub(super) fn is_wildcard(host: &str) -> bool {
    matches!(host, "" | "0.0.0.0" | "::")
}

fn reachable(bind: &HostPort, host_name: &str) -> HostPort {
    let host = if is_wildcard(&bind.host) { host_name } else { &bind.host };
    HostPort::new(host, bind.port)
}

pub(super) fn internal_addresses(
    settings: &Settings,
    host_name: &str,
) -> Result<InternalAddresses, ConfigErrors> {
    let (storage, storage_advertised) = pair(settings, "ottla.storage.listener", host_name)?;
    let (admin, admin_advertised) = pair(settings, "ottla.admin.listener", host_name)?;
    let http = address(settings, "ottla.http.listener")?.unwrap_or_else(|| HostPort::new("", 9096));
    Ok(InternalAddresses { storage, storage_advertised, admin, admin_advertised, http })
}

fn pair(
    settings: &Settings,
    key: &str,
    host_name: &str,
) -> Result<(HostPort, HostPort), ConfigErrors> {
    let bind = address(settings, key)?.unwrap_or_else(|| HostPort::new("", 0));
    let outside_key = format!("{key}.advertised");
    let outside = match address(settings, &outside_key)? {
        Some(outside) if is_wildcard(&outside.host) => {
            let cause = "nobody can connect to it";
            return Err(settings
                .problem(&outside_key, cause, "set the name or address that others use")
                .into());
        }
        Some(outside) => outside,
        None => reachable(&bind, host_name),
    };
    Ok((bind, outside))
}

fn address(settings: &Settings, key: &str) -> Result<Option<HostPort>, ConfigErrors> {
    let Some(text) = settings.text(key).filter(|text| !text.is_empty()) else { return Ok(None) };
    let parsed = text.parse();
    parsed.map(Some).map_err(|_| {
        settings
            .problem(
                key,
                "not HOST:PORT",
                "write, say, localhost:9094, or :9094 for every interface",
            )
            .into()
    })
}

/// Two listeners on one port cannot both start; which one would fail is left to no chance.
pub(super) fn refuse_shared_ports(
    settings: &Settings,
    roles: Roles,
    listeners: &Listeners,
    internal: &InternalAddresses,
) -> Result<(), ConfigErrors> {
    let mut used: Vec<(String, &HostPort)> = vec![("ottla.http.listener".into(), &internal.http)];
    if roles.storage {
        used.push(("ottla.storage.listener".into(), &internal.storage));
    }
    // Every process may serve the admin API.
    used.push(("ottla.admin.listener".into(), &internal.admin));
    used.extend(listeners.controller.iter().map(|own| (own.name.to_string(), &own.bind)));
    used.extend(listeners.clients.iter().map(|own| (own.name.to_string(), &own.bind)));
    for (index, (name, address)) in used.iter().enumerate() {
        let shares = |(_, other): &&(String, &HostPort)| {
            let is_same_host = other.host == address.host
                || is_wildcard(&other.host)
                || is_wildcard(&address.host);
            other.port == address.port && address.port != 0 && is_same_host
        };
        if let Some((other, _)) = used[..index].iter().find(shares) {
            let key = if name.starts_with("ottla.") { name } else { "listeners" };
            let Problem { what, place, .. } = settings.problem(key, "", "");
            let cause = format!("{name} and {other} share port {}", address.port);
            return Err(
                Problem { what, place, cause, cure: "give each a port of its own".into() }.into()
            );
        }
    }
    Ok(())
}
