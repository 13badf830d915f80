//! The plan's hand: breaks hosts and links when their time comes, mends them, and starts again what ended.
//!
//! Invariant: a pair of hosts has at most one broken link at a time, and a host that is down is left alone; what cannot be done
//! is left out, and the trace says so. Who loses power says goodbye to nobody.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use ottla_runtime::seams::{CrashDamage, SimRng};
use serde::{Deserialize, Serialize};
use turmoil::Sim;

use crate::sim::host::Host;
use crate::sim::plan::{Fault, Planned};
use crate::sim::trace::Trace;

/// The longest way of a message on a link that is well.
pub const USUAL_LATENCY: Duration = Duration::from_millis(8);
/// A process that ended by itself is started again after this time.
const RESTART_PAUSE: Duration = Duration::from_secs(1);
/// A machine whose disk is without power runs on for less than this, in milliseconds.
const MOST_AFTERGLOW_MS: u64 = 25;

/// What took effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effects {
    /// Hosts that lost power, in the middle of a disk change or not.
    pub power_losses: u64,
    /// Processes that were killed.
    pub kills: u64,
    /// Processes that ended by themselves or in order.
    pub ends: u64,
    /// Links that were cut, in one direction or both.
    pub cuts: u64,
    /// Links that held messages back, or were slow.
    pub delays: u64,
    /// Disks that refused to sync.
    pub sync_errors: u64,
    /// Writes that nobody had synced and a power loss tore.
    pub torn: u64,
    /// The same, lost.
    pub lost: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Break {
    Cut,
    Held,
    Slow,
}

/// A host's disk that is about to take the host with it.
struct Doom {
    at: Duration,
    downtime: Duration,
}

/// The hand.
pub struct Faults {
    hosts: Vec<Rc<Host>>,
    /// Hosts, then clients.
    names: Vec<String>,
    rng: SimRng,
    trace: Trace,
    down: BTreeMap<usize, Duration>,
    broken: BTreeMap<(usize, usize), (Break, Duration)>,
    doomed: BTreeMap<usize, Doom>,
    /// What took effect so far.
    pub effects: Effects,
}

impl Faults {
    /// Over these hosts, with clients behind them.
    pub fn new(hosts: &[Rc<Host>], clients: &[&str], rng: SimRng, trace: &Trace) -> Self {
        let names = hosts.iter().map(|host| host.name.clone());
        let names = names.chain(clients.iter().map(|name| (*name).to_owned())).collect();
        let (down, broken, doomed) = Default::default();
        let (hosts, trace, effects) = (hosts.to_vec(), trace.clone(), Effects::default());
        Self { hosts, names, rng, trace, down, broken, doomed, effects }
    }

    /// Begins a fault.
    pub fn begin(&mut self, sim: &mut Sim<'_>, planned: &Planned) {
        let (now, lasts) = (sim.elapsed(), planned.lasts);
        self.trace.note("fault", format_args!("{} for {lasts:?}", planned.fault));
        match &planned.fault {
            Fault::PowerLoss(hosts) => {
                hosts.iter().for_each(|host| self.lose_power(sim, *host, lasts))
            }
            Fault::PowerCut(host, changes) => {
                self.hosts[*host].disk.cut_power_after(*changes);
                // A disk that has nothing to do loses its power later.
                self.doom(*host, now + lasts, lasts);
            }
            Fault::Kill(host) => self.kill(sim, *host, lasts),
            Fault::Restart(host) => self.hosts[*host].ask_to_end(),
            Fault::SyncErrors(host) => {
                self.hosts[*host].disk.fail_sync(|_| true);
                self.effects.sync_errors += 1;
                self.doom(*host, now + lasts, lasts);
            }
            Fault::Partition(a, b) => self.break_link(sim, (*a, *b), Break::Cut, now + lasts),
            Fault::OneWay(a, b) => self.cut_one_way(sim, (*a, *b), now + lasts),
            Fault::Isolation(host) => {
                for other in (0..self.names.len()).filter(|other| other != host) {
                    self.break_link(sim, (*host, other), Break::Cut, now + lasts);
                }
            }
            Fault::Hold(a, b) => self.break_link(sim, (*a, *b), Break::Held, now + lasts),
            Fault::Slow(a, b, ms) => {
                self.break_link(sim, (*a, *b), Break::Slow, now + lasts);
                let most = Duration::from_millis(*ms);
                let (a, b) = (self.names[*a].as_str(), self.names[*b].as_str());
                sim.set_link_max_message_latency(a, b, most);
            }
        }
    }

    /// Ends what is over, and starts again what is down for long enough.
    pub fn go_on(&mut self, sim: &mut Sim<'_>) {
        let now = sim.elapsed();
        let over = |(_, until): &(Break, Duration)| *until <= now;
        let mended: Vec<_> =
            self.broken.iter().filter(|(_, broken)| over(broken)).map(|(pair, _)| *pair).collect();
        mended.into_iter().for_each(|pair| self.mend(sim, pair));
        self.follow_the_doomed(sim, now);
        for host in 0..self.hosts.len() {
            if !self.down.contains_key(&host) && !sim.is_host_running(self.names[host].as_str()) {
                self.effects.ends += 1;
                self.hosts[host].disk.kill_process();
                self.down.insert(host, now + RESTART_PAUSE);
            }
        }
        let due: Vec<_> =
            self.down.iter().filter(|(_, at)| **at <= now).map(|(host, _)| *host).collect();
        for host in due {
            self.down.remove(&host);
            sim.bounce(self.names[host].as_str());
        }
    }

    /// Ends everything.
    pub fn heal(&mut self, sim: &mut Sim<'_>) {
        let now = sim.elapsed();
        self.trace.note("fault", format_args!("everything heals"));
        self.doomed.values_mut().for_each(|doom| (doom.at, doom.downtime) = (now, Duration::ZERO));
        self.broken.values_mut().for_each(|(_, until)| *until = now);
        self.down.values_mut().for_each(|at| *at = now);
        self.go_on(sim);
    }

    fn doom(&mut self, host: usize, at: Duration, downtime: Duration) {
        self.doomed.entry(host).or_insert(Doom { at, downtime });
    }

    fn follow_the_doomed(&mut self, sim: &mut Sim<'_>, now: Duration) {
        for (host, doom) in &mut self.doomed {
            if self.hosts[*host].disk.is_power_off() {
                let afterglow = Duration::from_millis(self.rng.below(MOST_AFTERGLOW_MS));
                doom.at = doom.at.min(now + afterglow);
            }
        }
        let due: Vec<_> =
            self.doomed.iter().filter(|(_, doom)| doom.at <= now).map(|(host, _)| *host).collect();
        for host in due {
            let Some(doom) = self.doomed.remove(&host) else { continue };
            self.lose_power(sim, host, doom.downtime);
            self.hosts[host].disk.heal();
        }
    }

    /// What is in the host's memory and what its disk had not synced is gone; its peers hear nothing.
    fn lose_power(&mut self, sim: &mut Sim<'_>, host: usize, downtime: Duration) {
        let name = self.names[host].clone();
        let silenced: Vec<_> = (0..self.names.len())
            .filter(|other| *other != host && !self.broken.contains_key(&pair(host, *other)))
            .collect();
        for other in &silenced {
            sim.partition(name.as_str(), self.names[*other].as_str());
        }
        sim.crash(name.as_str());
        for other in silenced {
            sim.repair(name.as_str(), self.names[other].as_str());
        }
        let damage = self.hosts[host].disk.crash();
        let CrashDamage { kept, torn, lost, names_lost } = damage;
        let what =
            format_args!("power lost: {kept} kept, {torn} torn, {lost} lost, {names_lost} names");
        self.trace.note(&name, what);
        self.effects.power_losses += 1;
        self.effects.torn += torn;
        self.effects.lost += lost + names_lost;
        self.down.insert(host, sim.elapsed() + downtime);
    }

    fn kill(&mut self, sim: &mut Sim<'_>, host: usize, downtime: Duration) {
        if self.down.contains_key(&host) {
            return;
        }
        sim.crash(self.names[host].as_str());
        self.hosts[host].disk.kill_process();
        self.effects.kills += 1;
        self.down.insert(host, sim.elapsed() + downtime);
    }

    fn break_link(
        &mut self,
        sim: &mut Sim<'_>,
        (a, b): (usize, usize),
        how: Break,
        until: Duration,
    ) {
        if self.broken.contains_key(&pair(a, b)) {
            return;
        }
        let (from, to) = (self.names[a].as_str(), self.names[b].as_str());
        match how {
            Break::Cut => sim.partition(from, to),
            Break::Held => sim.hold(from, to),
            Break::Slow => {}
        }
        match how {
            Break::Cut => self.effects.cuts += 1,
            Break::Held | Break::Slow => self.effects.delays += 1,
        }
        self.broken.insert(pair(a, b), (how, until));
    }

    fn cut_one_way(&mut self, sim: &mut Sim<'_>, (a, b): (usize, usize), until: Duration) {
        if self.broken.contains_key(&pair(a, b)) {
            return;
        }
        sim.partition_oneway(self.names[a].as_str(), self.names[b].as_str());
        self.effects.cuts += 1;
        self.broken.insert(pair(a, b), (Break::Cut, until));
    }

    fn mend(&mut self, sim: &mut Sim<'_>, (a, b): (usize, usize)) {
        let Some((how, _)) = self.broken.remove(&(a, b)) else { return };
        let (from, to) = (self.names[a].as_str(), self.names[b].as_str());
        match how {
            Break::Cut => sim.repair(from, to),
            Break::Held => sim.release(from, to),
            Break::Slow => sim.set_link_max_message_latency(from, to, USUAL_LATENCY),
        }
        self.trace.note("fault", format_args!("{from} and {to} are linked again"));
    }
}

fn pair(a: usize, b: usize) -> (usize, usize) {
    (a.min(b), a.max(b))
}
