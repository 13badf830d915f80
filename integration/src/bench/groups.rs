//! Groups that come together: every member on a connection of its own, all joining at once, until all groups are stable.
//!
//! Invariant: a group counts as stable when all its members were given their parts in one generation. Members behave as Kafka's
//! consumers do with their default heartbeat interval, in one thread for all.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ottla_kafka_wire::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use tokio::sync::Notify;
use tokio::task::LocalSet;

use crate::bench::link::{Link, coordinators};
use crate::group::member::{
    BEAT_VERSION, Group, JOIN_VERSION, LEAVE_VERSION, Member, Next, SYNC_VERSION, Turn,
};
use crate::wire;

/// `heartbeat.interval.ms`, as Kafka's consumers have it by default.
const HEARTBEAT: Duration = Duration::from_secs(3);
/// `session.timeout.ms`, as Kafka's consumers have it by default.
const SESSION_TIMEOUT_MS: i32 = 45_000;
/// `max.poll.interval.ms`.
const REBALANCE_TIMEOUT_MS: i32 = 300_000;
/// Before a member asks again after its coordinator was not there.
const PAUSE: Duration = Duration::from_millis(20);
/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// What comes together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Groups {
    /// Groups.
    pub groups: usize,
    /// Members of each.
    pub members: usize,
    /// Partitions of the topic that all read.
    pub partitions: i32,
}

/// In which generation each member works, -1 where it does not.
struct Board {
    generations: RefCell<Vec<Vec<i32>>>,
    /// Groups whose members all work in one generation.
    stable: RefCell<usize>,
    all_stable: Notify,
    is_over: Cell<bool>,
    over: Notify,
}

impl Board {
    fn new(groups: Groups) -> Rc<Self> {
        Rc::new(Self {
            generations: RefCell::new(vec![vec![-1; groups.members]; groups.groups]),
            stable: RefCell::new(0),
            all_stable: Notify::new(),
            is_over: Cell::new(false),
            over: Notify::new(),
        })
    }

    fn set(&self, (group, member): (usize, usize), generation: i32) {
        let mut generations = self.generations.borrow_mut();
        let of_group = &mut generations[group];
        if of_group[member] == generation {
            return;
        }
        let mut stable = self.stable.borrow_mut();
        *stable -= usize::from(is_stable(of_group));
        of_group[member] = generation;
        *stable += usize::from(is_stable(of_group));
        if *stable == generations.len() {
            self.all_stable.notify_one();
        }
    }
}

fn is_stable(generations: &[i32]) -> bool {
    generations[0] >= 0 && generations.iter().all(|other| *other == generations[0])
}

/// A member and its place on the board.
struct Joiner {
    link: Link,
    member: Member,
    place: (usize, usize),
    board: Rc<Board>,
}

impl Groups {
    /// Lets groups whose names begin with `prefix` come together, and leave. How long the former took, and what `measure` said
    /// before and after.
    ///
    /// # Errors
    /// A member is refused, or they do not come together in time.
    pub fn run<T>(
        &self,
        (bootstrap, topic): (&str, &str),
        prefix: &str,
        measure: impl Fn() -> T,
    ) -> io::Result<(Duration, [T; 2])> {
        let names: Vec<_> = (0..self.groups).map(|at| format!("{prefix}-{at}")).collect();
        let addresses = wire::retry(PATIENCE, || coordinators(bootstrap, names.clone()))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        LocalSet::new().block_on(&runtime, async {
            let board = Board::new(*self);
            let mut joiners = Vec::with_capacity(self.groups * self.members);
            for (group, (name, address)) in names.iter().zip(&addresses).enumerate() {
                for member in 0..self.members {
                    let link = Link::connect(address).await?;
                    let (member, place) = (Member::new(self.group(name, topic)), (group, member));
                    joiners.push(Joiner { link, member, place, board: board.clone() });
                }
            }
            let before = measure();
            let started = Instant::now();
            let joiners = together(joiners, &board).await?;
            let took = started.elapsed();
            let after = measure();
            leave(joiners).await?;
            Ok((took, [before, after]))
        })
    }

    fn group(&self, name: &str, topic: &str) -> Group {
        Group {
            id: name.to_owned(),
            topic: topic.to_owned(),
            partitions: self.partitions,
            session_timeout_ms: SESSION_TIMEOUT_MS,
            rebalance_timeout_ms: REBALANCE_TIMEOUT_MS,
        }
    }
}

/// Lets all join at once, until every group is stable.
async fn together(joiners: Vec<Joiner>, board: &Board) -> io::Result<Vec<Joiner>> {
    let tasks: Vec<_> =
        joiners.into_iter().map(|joiner| tokio::task::spawn_local(joiner.take_part())).collect();
    let all_stable = tokio::time::timeout(PATIENCE, board.all_stable.notified()).await;
    board.is_over.set(true);
    board.over.notify_waiters();
    let mut joiners = Vec::with_capacity(tasks.len());
    for task in tasks {
        if all_stable.is_err() {
            task.abort();
            continue;
        }
        joiners.push(task.await.map_err(io::Error::other)??);
    }
    let stable = *board.stable.borrow();
    all_stable.map_err(|_| io::Error::other(format!("only {stable} groups are stable")))?;
    Ok(joiners)
}

/// All members of each group leave with one request.
async fn leave(mut joiners: Vec<Joiner>) -> io::Result<()> {
    let ids = |of: &[Joiner]| -> Vec<MemberIdentity> {
        let id = |joiner: &Joiner| MemberIdentity {
            member_id: joiner.member.id.clone(),
            ..Default::default()
        };
        of.iter().map(id).collect()
    };
    for of_group in joiners.chunk_by_mut(|one, other| one.place.0 == other.place.0) {
        let members = ids(of_group);
        let group_id = of_group[0].member.group.id.clone();
        let request = LeaveGroupRequest { group_id, members, ..Default::default() };
        of_group[0].link.call(LEAVE_VERSION, &request).await?;
    }
    Ok(())
}

impl Joiner {
    /// Joins, and goes on as a member until all is over.
    async fn take_part(mut self) -> io::Result<Self> {
        while !self.board.is_over.get() {
            let turn = self.step().await?;
            let is_working = self.member.next == Next::Work;
            let generation = if is_working { self.member.generation } else { -1 };
            self.board.set(self.place, generation);
            let pause = match turn {
                Turn::Fine if is_working => HEARTBEAT,
                Turn::Fine => continue,
                Turn::Elsewhere => PAUSE,
                Turn::Refused(code) => return Err(io::Error::other(format!("refused: {code}"))),
            };
            if !self.board.is_over.get() {
                _ = tokio::time::timeout(pause, self.board.over.notified()).await;
            }
        }
        Ok(self)
    }

    async fn step(&mut self) -> io::Result<Turn> {
        Ok(match self.member.next {
            Next::Join => {
                let request = self.member.join_request();
                let answer = self.link.call(JOIN_VERSION, &request).await?;
                self.member.joined(answer)
            }
            Next::Sync => {
                let request = self.member.sync_request();
                let answer = self.link.call(SYNC_VERSION, &request).await?;
                self.member.synced(&answer)
            }
            Next::Work => {
                let request = self.member.beat_request();
                let answer = self.link.call(BEAT_VERSION, &request).await?;
                self.member.beaten(&answer)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_stable_when_each_group_works_in_one_generation() {
        let board = Board::new(Groups { groups: 2, members: 2, partitions: 4 });
        let stable = || *board.stable.borrow();
        board.set((0, 0), 1);
        assert_eq!(stable(), 0);
        board.set((0, 1), 1);
        assert_eq!(stable(), 1);
        board.set((1, 0), 7);
        board.set((1, 1), 8);
        assert_eq!(stable(), 1);
        board.set((0, 1), -1);
        assert_eq!(stable(), 0);
    }
}
