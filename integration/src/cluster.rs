//! Clusters of real processes on loopback: everything in one, or controllers, storage nodes and gateways apart.
//!
//! Invariant: ids are 101… for controllers, 1… for storage nodes, 201… for gateways; every port was free a moment ago.
//! Deliberately starts nothing else: clients are the callers'.

use std::path::Path;

use crate::node::Node;
use crate::ports::{free_port, free_ports};

/// How many processes of each role.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// 1, 3 or 5.
    pub controllers: i32,
    /// Any number below 100.
    pub storage: i32,
    /// Any number.
    pub gateways: i32,
}

/// A cluster; its processes end with this value.
pub struct Cluster {
    /// All nodes, controllers first, gateways last.
    pub nodes: Vec<Node>,
}

impl Cluster {
    /// All roles in one process, not started yet.
    pub fn one_process(dir: &Path) -> Self {
        let (kafka, controller) = (free_port(), free_port());
        let mut node = Node::new("ottla", 1, dir, own_listeners(&["storage", "admin", "http"]));
        node.set("process.roles", "broker,controller");
        node.set("controller.quorum.voters", &format!("1@127.0.0.1:{controller}"));
        node.set(
            "listeners",
            &format!("PLAINTEXT://127.0.0.1:{kafka},CONTROLLER://127.0.0.1:{controller}"),
        );
        node.set("controller.listener.names", "CONTROLLER");
        node.set("log.dirs", &node.data.display().to_string());
        node.set("ottla.min.free.disk.bytes", "0");
        Self { nodes: vec![node] }
    }

    /// Every role in processes of its own, not started yet.
    pub fn apart(dir: &Path, shape: Shape) -> Self {
        let ids = 101..=100 + shape.controllers;
        let voters: Vec<_> = ids.map(|id| format!("{id}@127.0.0.1:{}", free_port())).collect();
        let mut nodes: Vec<_> = voters.iter().map(|voter| controller(dir, voter)).collect();
        nodes.extend((1..=shape.storage).map(|id| storage(dir, id)));
        nodes.extend((201..=200 + shape.gateways).map(|id| gateway(dir, id, shape.storage)));
        for node in &mut nodes {
            node.set("controller.quorum.voters", &voters.join(","));
        }
        Self { nodes }
    }

    /// Sets a property on every node.
    pub fn set(&mut self, key: &str, value: &str) {
        self.nodes.iter_mut().for_each(|node| node.set(key, value));
    }

    /// Adds to the environment of every node.
    pub fn env(&mut self, key: &str, value: &str) {
        let addition = (key.to_owned(), value.to_owned());
        self.nodes.iter_mut().for_each(|node| node.environment.push(addition.clone()));
    }

    /// Starts every node and waits until all are ready.
    pub fn start(&mut self) {
        self.nodes.iter_mut().for_each(Node::start);
        self.wait_ready();
    }

    /// Waits until every node is ready.
    pub fn wait_ready(&mut self) {
        self.nodes.iter_mut().for_each(Node::wait_ready);
    }

    /// The node of an id.
    pub fn node(&mut self, id: i32) -> &mut Node {
        let found = self.nodes.iter_mut().find(|node| node.id == id);
        found.expect("the cluster has such a node")
    }

    /// Where clients begin: the first listener of the last node, which is a gateway.
    pub fn bootstrap(&self) -> String {
        let gateway = self.nodes.last().expect("a cluster has nodes");
        listener(gateway, "PLAINTEXT")
    }

    /// The admin address of the first node, which is a controller.
    pub fn admin(&self) -> String {
        self.nodes[0].admin().to_owned()
    }

    /// The controllers; empty for one process.
    pub fn controllers(&mut self) -> impl Iterator<Item = &mut Node> {
        self.nodes.iter_mut().filter(|node| (101..200).contains(&node.id))
    }
}

/// Host and port of one of a node's listeners.
pub fn listener(node: &Node, name: &str) -> String {
    let prefix = format!("{name}://");
    let all = node.property("listeners").split(',');
    let found = all.filter_map(|listener| listener.strip_prefix(&prefix)).next();
    found.expect("the node has such a listener").to_owned()
}

fn controller(dir: &Path, voter: &str) -> Node {
    let (id, address) = voter.split_once('@').expect("a voter is ID@HOST:PORT");
    let id: i32 = id.parse().expect("ids are numbers");
    let mut node =
        Node::new(&format!("controller-{id}"), id, dir, own_listeners(&["admin", "http"]));
    node.set("process.roles", "controller");
    node.set("listeners", &format!("CONTROLLER://{address}"));
    node.set("controller.listener.names", "CONTROLLER");
    node.set("metadata.log.dir", &node.data.display().to_string());
    node.set("ottla.min.free.disk.bytes", "0");
    node
}

fn storage(dir: &Path, id: i32) -> Node {
    let name = format!("storage-{id}");
    let mut node = Node::new(&name, id, dir, own_listeners(&["storage", "http"]));
    node.set("process.roles", "storage");
    node.set("log.dirs", &node.data.display().to_string());
    node.set("ottla.min.free.disk.bytes", "0");
    node
}

fn gateway(dir: &Path, id: i32, storage_nodes: i32) -> Node {
    // Node N is on the first port + N; port 0 is left out, so that the bootstrap port takes its place.
    let first = free_ports(u16::try_from(storage_nodes + 1).expect("few storage nodes"));
    let mut node = Node::new(&format!("gateway-{id}"), id, dir, own_listeners(&["http"]));
    node.set("process.roles", "gateway");
    node.set("listeners", &format!("PLAINTEXT://127.0.0.1:{}", free_port()));
    node.set("ottla.gateway.node.port.first", &first.to_string());
    node
}

/// Ottla's own listeners on free loopback ports.
fn own_listeners(names: &[&str]) -> Vec<(String, String)> {
    let own =
        |name: &&str| (format!("ottla.{name}.listener"), format!("127.0.0.1:{}", free_port()));
    names.iter().map(own).collect()
}
