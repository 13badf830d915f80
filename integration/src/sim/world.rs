//! The life of a seed: a cluster starts, clients work, the plan breaks things, everything heals, the last questions are asked, and
//! the evidence is judged.
//!
//! Invariant: this loop is the only one that moves time. Between two of its steps no host runs, so faults hit whole steps only;
//! the disk alone can die in the middle of one.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use ottla::roles::Variations;
use ottla_runtime::seams::{HostPort, SimRng};
use turmoil::Sim;

use crate::sim::check;
use crate::sim::faults::{Faults, USUAL_LATENCY};
use crate::sim::history::{History, TopicState};
use crate::sim::host::{Host, Kind, Shape};
use crate::sim::plan::{self, Planned};
use crate::sim::report::Report;
use crate::sim::trace::Trace;
use crate::sim::workload::member::{GROUPS, Worker};
use crate::sim::workload::writer::{Style, Writer};
use crate::sim::workload::{LIVENESS_LIMIT, Shared, Stage, admin, reader};

/// How long things break.
pub const CHAOS: Duration = Duration::from_secs(40);
/// A cluster that has its first topics not within this time is stuck.
const SETUP_LIMIT: Duration = Duration::from_secs(60);
/// What comes after the heal may take this long; the clients give up earlier.
const END_LIMIT: Duration = Duration::from_secs(120);
/// Controllers agree within this time after the last question.
const AGREEMENT_LIMIT: Duration = Duration::from_secs(10);
/// Hosts of clients.
const CLIENTS: [&str; 4] = ["writers", "readers", "members", "admin"];
/// How the writers write.
const WRITERS: [Style; 4] =
    [Style::Idempotent, Style::Idempotent, Style::Plain(-1), Style::Plain(1)];
/// How many readers there are.
const READERS: usize = 2;

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The seed.
    pub seed: u64,
    /// How long things break.
    pub chaos: Duration,
    /// What is changed in every process.
    pub variations: Variations,
}

/// Runs one seed. Once per process: the trace takes the process's log.
pub fn run(options: &Options, trace: &Trace) -> Report {
    let rng = SimRng::new(options.seed);
    // Two or three storage nodes, one or two gateways, as the seed says.
    let shape = Shape {
        controllers: 3,
        storage: 2 + rng.below(2) as i32,
        gateways: 1 + rng.below(2) as i32,
    };
    trace.note("world", format_args!("seed {} {shape:?}", options.seed));
    let hosts = Host::all(shape, options.seed, trace, &options.variations);
    let shared = shared(options.seed, trace, &hosts);
    let mut sim = build(options, &hosts, &shared);
    let kinds: Vec<_> = hosts.iter().map(|host| host.kind).collect();
    let mut world = World {
        faults: Faults::new(&hosts, &CLIENTS, SimRng::new(options.seed ^ 0xfa17), trace),
        plan: plan::draw(&rng, &kinds, CLIENTS.len(), options.chaos),
        chaos: options.chaos,
        hosts,
        shared: shared.clone(),
    };
    if let Err(error) = world.live(&mut sim) {
        trace.problem(format_args!("the simulation stopped: {error}"));
    }
    for finding in check::judge(&shared.history.borrow(), &shared.final_logs.borrow()) {
        trace.problem(format_args!("{finding}"));
    }
    report(options.seed, &sim, &world)
}

fn report(seed: u64, sim: &Sim<'_>, world: &World) -> Report {
    let (trace, history) = (&world.shared.trace, world.shared.history.borrow());
    let created = |state: &&TopicState| !matches!(state, TopicState::Asked);
    Report {
        seed,
        virtual_seconds: sim.elapsed().as_secs_f64(),
        effects: world.faults.effects,
        elections: trace.elections(),
        acknowledged: history.acknowledged_records(),
        read: history.read.len(),
        commits: history.commits.acknowledged,
        topics: history.topics.values().filter(created).count(),
        trace_hash: format!("{:016x}", trace.hash()),
        problems: trace.problems(),
    }
}

fn shared(seed: u64, trace: &Trace, hosts: &[Rc<Host>]) -> Rc<Shared> {
    let gateways = hosts.iter().filter(|host| host.kind == Kind::Gateway);
    Rc::new(Shared {
        seed,
        trace: trace.clone(),
        history: RefCell::new(History::default()),
        stage: Cell::new(Stage::Setup),
        healed_at: Cell::new(Duration::ZERO),
        settled: RefCell::default(),
        busy: Cell::new(WRITERS.len() + READERS + members().count()),
        bootstrap: gateways.map(|gateway| HostPort::new(gateway.name.clone(), 9092)).collect(),
        final_logs: RefCell::default(),
    })
}

fn build(options: &Options, hosts: &[Rc<Host>], shared: &Rc<Shared>) -> Sim<'static> {
    let limit = SETUP_LIMIT + options.chaos + END_LIMIT + AGREEMENT_LIMIT;
    let mut sim = turmoil::Builder::new()
        .rng_seed(options.seed)
        .epoch(SystemTime::UNIX_EPOCH)
        .simulation_duration(limit)
        .max_message_latency(USUAL_LATENCY)
        .tcp_capacity(4096)
        .build();
    for host in hosts {
        let life = host.clone();
        sim.host(host.name.as_str(), move || life.clone().live());
    }
    let [writers, readers, members_host, admin_host] = CLIENTS;
    let all: Vec<_> = (1..)
        .zip(WRITERS)
        .map(|(number, style)| Writer::new(shared, number, style).run())
        .collect();
    sim.client(writers, async move {
        futures::future::join_all(all.into_iter().map(tokio::task::spawn_local)).await;
        Ok(())
    });
    let all: Vec<_> = (1..=READERS as u64).map(|n| reader::run(shared.clone(), n)).collect();
    sim.client(readers, async move {
        futures::future::join_all(all.into_iter().map(tokio::task::spawn_local)).await;
        Ok(())
    });
    let all: Vec<_> = members().map(|(group, n)| Worker::new(shared, group, n).run()).collect();
    sim.client(members_host, async move {
        futures::future::join_all(all.into_iter().map(tokio::task::spawn_local)).await;
        Ok(())
    });
    let last = shared.clone();
    sim.client(admin_host, async move {
        admin::run(last).await;
        Ok(())
    });
    sim
}

/// All members of all groups.
fn members() -> impl Iterator<Item = (&'static str, u64)> {
    GROUPS.into_iter().flat_map(|(group, count)| (1..=count).map(move |number| (group, number)))
}

struct World {
    hosts: Vec<Rc<Host>>,
    shared: Rc<Shared>,
    faults: Faults,
    plan: Vec<Planned>,
    chaos: Duration,
}

impl World {
    fn live(&mut self, sim: &mut Sim<'_>) -> turmoil::Result {
        let begin = self.setup(sim)?;
        let mut plan = std::mem::take(&mut self.plan).into_iter().peekable();
        while sim.elapsed() < begin + self.chaos {
            while let Some(planned) = plan.next_if(|next| begin + next.at <= sim.elapsed()) {
                self.faults.begin(sim, &planned);
            }
            self.faults.go_on(sim);
            self.step(sim)?;
        }
        self.faults.heal(sim);
        self.shared.healed_at.set(sim.elapsed());
        self.shared.stage.set(Stage::Healed);
        let limit = sim.elapsed() + END_LIMIT;
        while !self.step(sim)? {
            self.faults.go_on(sim);
            if sim.elapsed() > limit {
                self.shared.trace.problem(format_args!("liveness: the clients do not end"));
                break;
            }
        }
        self.agree(sim)
    }

    /// Waits for the first topics.
    fn setup(&mut self, sim: &mut Sim<'_>) -> turmoil::Result<Duration> {
        while self.shared.stage.get() == Stage::Setup {
            self.step(sim)?;
            self.faults.go_on(sim);
            if sim.elapsed() > SETUP_LIMIT {
                return Err("liveness: the cluster does not come up".into());
            }
        }
        Ok(sim.elapsed())
    }

    fn step(&self, sim: &mut Sim<'_>) -> turmoil::Result<bool> {
        let trace = &self.shared.trace;
        trace.begin_step(sim.elapsed());
        let done = sim.step();
        trace.end_step(sim.elapsed());
        done
    }

    /// All controllers come to the same metadata.
    fn agree(&mut self, sim: &mut Sim<'_>) -> turmoil::Result {
        let limit = sim.elapsed() + AGREEMENT_LIMIT;
        loop {
            let quorum = self.hosts.iter().filter(|host| host.kind == Kind::Controller);
            let found: Vec<_> = quorum.map(|host| host.metadata()).collect();
            let is_same_offset =
                found.windows(2).all(|two| two[0].map(|m| m.0) == two[1].map(|m| m.0));
            if is_same_offset && found.iter().all(Option::is_some) {
                let note = format_args!("the controllers hold {found:?}");
                self.shared.trace.note("world", note);
                if found.windows(2).any(|two| two[0] != two[1]) {
                    self.shared.trace.problem(format_args!("metadata differ: {found:?}"));
                }
                return Ok(());
            }
            if sim.elapsed() > limit {
                self.shared.trace.problem(format_args!("controllers do not agree: {found:?}"));
                return Ok(());
            }
            self.faults.go_on(sim);
            self.step(sim)?;
        }
    }
}

const _: () = assert!(LIVENESS_LIMIT.as_secs() < END_LIMIT.as_secs());
