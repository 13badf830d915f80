//! One process of the cluster as a turmoil host: the real roles, from the text of a properties file.
//!
//! Invariant: what survives a life is the disk alone. A role that ends by itself ends the life, as it would end its process.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use ottla::roles::{self, Variations};
use ottla_controller::quorum::member::Member;
use ottla_runtime::Seams;
use ottla_runtime::config::{ConfigFile, ConfigSources, ServerConfig};
use ottla_runtime::seams::SimDisk;
use ottla_runtime::shutdown::Shutdown;

use crate::sim::trace::Trace;

/// Bytes of one journal file: small, so that they fill up and are used again.
const JOURNAL_BYTES: u64 = 1 << 20;
/// Between checkpoints.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(7);

/// What a host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A member of the quorum.
    Controller,
    /// A storage node.
    Storage,
    /// A gateway.
    Gateway,
}

/// One process, over all its lives.
pub struct Host {
    /// Its name in the network.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Its disk.
    pub disk: SimDisk,
    properties: String,
    seed: u64,
    variations: Variations,
    trace: Trace,
    lives: Cell<u64>,
    shutdown: RefCell<Option<Shutdown>>,
    member: RefCell<Option<Member>>,
}

/// How many hosts of each kind.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Members of the quorum.
    pub controllers: i32,
    /// Storage nodes.
    pub storage: i32,
    /// Gateways.
    pub gateways: i32,
}

impl Host {
    /// All hosts of a cluster.
    pub fn all(shape: Shape, seed: u64, trace: &Trace, variations: &Variations) -> Vec<Rc<Self>> {
        let voter = |n| format!("{}@controller-{n}:9093", 100 + n);
        let voters: Vec<_> = (1..=shape.controllers).map(voter).collect();
        let quorum = format!(
            "controller.quorum.voters={}\ncontroller.listener.names=CONTROLLER\n\
             num.io.threads=1\nnum.network.threads=1\noffsets.topic.replication.factor=1\n\
             offsets.topic.num.partitions=4\ngroup.initial.rebalance.delay.ms=500\n",
            voters.join(",")
        );
        let mut hosts = Vec::new();
        let mut add = |kind, name: String, own: String| {
            let disk = SimDisk::new(seed ^ (0xd15c << 40) ^ hosts.len() as u64);
            hosts.push(Rc::new(Self {
                name,
                kind,
                disk,
                properties: format!("{quorum}{own}"),
                seed: seed ^ ((hosts.len() as u64 + 1) << 20),
                variations: variations.clone(),
                trace: trace.clone(),
                lives: Cell::new(0),
                shutdown: RefCell::default(),
                member: RefCell::default(),
            }));
        };
        for n in 1..=shape.controllers {
            let name = format!("controller-{n}");
            add(Kind::Controller, name.clone(), controller(n, &name));
        }
        for n in 1..=shape.storage {
            let name = format!("storage-{n}");
            add(Kind::Storage, name.clone(), storage(n, &name));
        }
        for n in 1..=shape.gateways {
            let name = format!("gateway-{n}");
            add(Kind::Gateway, name.clone(), gateway(n, &name));
        }
        hosts
    }

    /// One life, from start to an end that nobody forced.
    pub async fn live(self: Rc<Self>) -> turmoil::Result {
        let life = self.lives.replace(self.lives.get() + 1);
        self.member.take();
        let seams = Seams::simulated(self.seed ^ life, self.disk.clone());
        let file = ConfigFile { name: self.name.clone(), text: self.properties.clone() };
        let sources = ConfigSources { file: Some(file), ..ConfigSources::default() };
        let config = ServerConfig::load(&sources, &self.name)?;
        let shutdown = Shutdown::new();
        self.shutdown.replace(Some(shutdown.clone()));
        self.trace.note(&self.name, format_args!("starts its life {life}"));
        let running = match roles::start(&config, &seams, shutdown, &self.variations).await {
            Ok(running) => running,
            Err(error) => {
                self.trace.note(&self.name, format_args!("did not start: {error}"));
                return Ok(());
            }
        };
        self.trace.note(&self.name, format_args!("ready"));
        self.member.replace(running.controller().map(|role| role.member().clone()));
        match running.until_told().await {
            Ok(()) => self.trace.note(&self.name, format_args!("is told to end")),
            Err(error) => self.trace.note(&self.name, format_args!("ends: {error}")),
        }
        running.shut_down().await;
        self.trace.note(&self.name, format_args!("ended"));
        Ok(())
    }

    /// Asks it to end in order, as SIGTERM does.
    pub fn ask_to_end(&self) {
        if let Some(shutdown) = self.shutdown.borrow().as_ref() {
            shutdown.trigger();
        }
    }

    /// Offset and hash of the metadata that this controller has applied.
    pub fn metadata(&self) -> Option<(u64, u64)> {
        let member = self.member.borrow();
        let committed = member.as_ref()?.published.committed.borrow().clone();
        Some((committed.image.offset.0, committed.image.hash()))
    }

    /// What a simulation changes in every process.
    pub fn variations() -> Variations {
        Variations {
            keeps_lists_in_memory: true,
            journal_bytes: Some(JOURNAL_BYTES),
            checkpoint_interval: Some(CHECKPOINT_INTERVAL),
            ..Variations::default()
        }
    }
}

fn controller(n: i32, name: &str) -> String {
    format!(
        "process.roles=controller\nnode.id={}\nlisteners=CONTROLLER://{name}:9093\n\
         metadata.log.dir=/meta\nlog.dirs=/meta\nmetadata.log.max.record.bytes.between.snapshots=150\n",
        100 + n
    )
}

/// Two directories, so that there are two shards.
fn storage(n: i32, name: &str) -> String {
    format!(
        "process.roles=storage\nnode.id={n}\nlog.dirs=/data/a,/data/b\n\
         ottla.storage.listener={name}:9094\n"
    )
}

fn gateway(n: i32, name: &str) -> String {
    format!("process.roles=gateway\nnode.id={}\nlisteners=PLAINTEXT://{name}:9092\n", 200 + n)
}
