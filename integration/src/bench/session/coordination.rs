//! The rows of groups: how soon they are stable, and how they live through more produce than the node takes.

use std::io;
use std::time::Duration;

use super::Session;
use crate::bench::groups::Groups;
use crate::bench::overload::{self, SINGLES};
use crate::bench::plan::{Task, Work};
use crate::bench::table::Row;
use crate::wire;

/// Times that groups come together unmeasured before.
const WARM_ROUNDS: u32 = 2;
/// A flood lasts as many times as long as the other loads.
const FLOOD: u32 = 3;
/// Between the end of the unmeasured rounds and the measured one.
const REST: Duration = Duration::from_secs(1);

/// How long groups take until they are stable.
pub(super) fn groups(session: &Session<'_>, work: &Work, groups: Groups) -> io::Result<Vec<Row>> {
    let (system, kind) = (&session.system, session.kind);
    let topic = format!("groups-{}", groups.partitions);
    wire::create_topic(&system.bootstrap, &topic, (groups.partitions, 1), &[])?;
    let run = |prefix: &str| {
        let prefix = format!("{prefix}-{}", groups.members);
        groups.run((&system.bootstrap, &topic), &prefix, || system.cpu_seconds())
    };
    for round in 0..WARM_ROUNDS {
        let (took, _) = run(&format!("warm-{round}"))?;
        session.say(&format!("warming up, stable after {:.2} s", took.as_secs_f64()));
    }
    std::thread::sleep(REST);
    let (took, [before, after]) = run("measured")?;
    let row = Row::new(work, kind.name(), "s", vec![took.as_secs_f64()]);
    Ok(vec![Row { cpu_seconds: Some(after - before), ..row }])
}

/// What each kind of request sees while four times what the node takes is offered.
pub(super) fn overload(session: &mut Session<'_>) -> io::Result<Vec<Row>> {
    let shape = overload::SINGLES;
    // The load of the rows before it is what warms this one up.
    let topic = session.create(Task::Produce(SINGLES), shape)?;
    for _ in 0..WARM_ROUNDS {
        session.warm_up(Task::Produce(SINGLES), &topic)?;
    }
    let lasts = session.options.limit * FLOOD;
    let outcome = overload::run(&session.system.bootstrap, &topic, lasts)?;
    let row = |name: &str, unit, figures| {
        let work = Work { name: format!("overload: {name}"), task: Task::Overload, aim: None };
        Row::new(&work, session.kind.name(), unit, figures)
    };
    let (takes, took, offered) = (outcome.takes, outcome.took, outcome.offered);
    let mut rows =
        vec![row("the node takes / is offered / takes", "MB/s", vec![takes, offered, took])];
    for seen in &outcome.seen {
        rows.push(row(&seen.name, "ms", seen.latencies.to_the_largest_ms()));
        if seen.failed > 0 {
            rows.push(row(&format!("{}: failed", seen.name), "requests", vec![seen.failed as f64]));
        }
    }
    rows.push(row("members lost", "members", vec![outcome.members_lost as f64]));
    session.delete(&topic)?;
    Ok(rows)
}
