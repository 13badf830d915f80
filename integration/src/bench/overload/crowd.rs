//! Groups that live through the flood: each member beats and commits on a connection of its own.
//!
//! Invariant: a member that has its part once and is then told to join again, or is not known any more, counts as lost: by then
//! nobody comes or goes by itself.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::task::LocalSet;

use super::{Course, SINGLES, Seen};
use crate::bench::latency::Latencies;
use crate::bench::link::{Link, coordinators};
use crate::group::member::{BEAT_VERSION, Group, JOIN_VERSION, Member, Next, SYNC_VERSION, Turn};
use crate::group::offsets;
use crate::wire;

/// Groups.
const GROUPS: usize = 20;
/// Members of each.
const MEMBERS: usize = 3;
/// `session.timeout.ms`: the least that brokers take by default.
const SESSION_TIMEOUT_MS: i32 = 6_000;
/// `max.poll.interval.ms`.
const REBALANCE_TIMEOUT_MS: i32 = 30_000;
/// A third of the session, as clients are told to have it.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// Members of a group come within this time, of which the first generation has all.
const TOGETHER: Duration = Duration::from_secs(60);
/// Before a member asks again after its coordinator was not there.
const PAUSE: Duration = Duration::from_millis(20);

/// What members see together.
#[derive(Default)]
struct Diary {
    beats: RefCell<Latencies>,
    commits: RefCell<Latencies>,
    settled: Cell<usize>,
    failed: Cell<u64>,
    lost: Cell<u64>,
}

/// Lives until it is over; what heartbeats and commits saw, and how many members were lost.
pub(super) fn run(bootstrap: &str, topic: &str, course: &Course) -> io::Result<(Vec<Seen>, u64)> {
    let names: Vec<_> = (0..GROUPS).map(|at| format!("crowd-{at}")).collect();
    let addresses = wire::retry(TOGETHER, || coordinators(bootstrap, names.clone()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let diary = Rc::new(Diary::default());
    LocalSet::new().block_on(&runtime, async {
        let mut lives = Vec::new();
        for (name, address) in names.iter().zip(&addresses) {
            let is_together = Rc::new(Cell::new(0));
            for _ in 0..MEMBERS {
                let member = Member::new(Group {
                    id: name.clone(),
                    topic: topic.to_owned(),
                    partitions: SINGLES.partitions,
                    session_timeout_ms: SESSION_TIMEOUT_MS,
                    rebalance_timeout_ms: REBALANCE_TIMEOUT_MS,
                });
                let link = Link::connect(address).await?;
                let life = Life { link, member, diary: diary.clone(), count: 0 };
                lives.push(tokio::task::spawn_local(life.run(course.clone(), is_together.clone())));
            }
        }
        for life in lives {
            life.await.map_err(io::Error::other)??;
        }
        io::Result::Ok(())
    })?;
    let seen = |name: &str, latencies: &RefCell<Latencies>, failed| Seen {
        name: name.to_owned(),
        latencies: latencies.borrow().clone(),
        failed,
    };
    let beats = seen("group: heartbeat", &diary.beats, diary.failed.get());
    let commits = seen("group: commit", &diary.commits, 0);
    Ok((vec![beats, commits], diary.lost.get()))
}

struct Life {
    link: Link,
    member: Member,
    diary: Rc<Diary>,
    count: i64,
}

impl Life {
    async fn run(mut self, course: Course, together: Rc<Cell<usize>>) -> io::Result<()> {
        self.settle(&together).await?;
        let settled = &self.diary.settled;
        settled.set(settled.get() + 1);
        course.together.fetch_or(settled.get() == GROUPS * MEMBERS, Ordering::SeqCst);
        let started = Instant::now();
        let mut nth = 0;
        while !course.is_over() {
            let due = started + HEARTBEAT * nth / 2;
            tokio::time::sleep(due.saturating_duration_since(Instant::now())).await;
            let turn = if nth % 2 == 0 { self.beat(due).await } else { self.commit(due).await };
            let is_lost = turn.is_err() || self.member.next != Next::Work;
            if is_lost {
                self.diary.lost.set(self.diary.lost.get() + 1);
                break;
            }
            let is_failed = !matches!(turn, Ok(Turn::Fine));
            self.diary.failed.set(self.diary.failed.get() + u64::from(is_failed));
            nth += 1;
        }
        Ok(())
    }

    /// Until all members of the group are in one generation.
    async fn settle(&mut self, together: &Cell<usize>) -> io::Result<()> {
        let deadline = Instant::now() + TOGETHER;
        let mut counted = false;
        while together.get() < MEMBERS {
            let turn = self.step().await?;
            if counted != (self.member.next == Next::Work) {
                counted = !counted;
                together.set(if counted { together.get() + 1 } else { together.get() - 1 });
            }
            if Instant::now() > deadline {
                return Err(io::Error::other("the groups do not come together"));
            }
            if turn != Turn::Fine || counted {
                tokio::time::sleep(PAUSE).await;
            }
        }
        Ok(())
    }

    async fn step(&mut self) -> io::Result<Turn> {
        match self.member.next {
            Next::Join => {
                let request = self.member.join_request();
                let answer = self.link.call(JOIN_VERSION, &request).await?;
                Ok(self.member.joined(answer))
            }
            Next::Sync => {
                let request = self.member.sync_request();
                let answer = self.link.call(SYNC_VERSION, &request).await?;
                Ok(self.member.synced(&answer))
            }
            Next::Work => {
                let request = self.member.beat_request();
                let answer = self.link.call(BEAT_VERSION, &request).await?;
                Ok(self.member.beaten(&answer))
            }
        }
    }

    async fn beat(&mut self, due: Instant) -> io::Result<Turn> {
        let turn = self.step().await?;
        self.diary.beats.borrow_mut().record(due.elapsed());
        Ok(turn)
    }

    async fn commit(&mut self, due: Instant) -> io::Result<Turn> {
        self.count += 1;
        let offsets: Vec<_> = self.member.assigned.iter().map(|at| (*at, self.count)).collect();
        let request = self.member.commit_request(&offsets);
        let answer = self.link.call(offsets::COMMIT_VERSION, &request).await?;
        self.diary.commits.borrow_mut().record(due.elapsed());
        Ok(self.member.committed(&answer))
    }
}
