//! Offsets that groups committed: what was sent, what was acknowledged, and whether what is there agrees with both.
//!
//! Invariant: offsets of a partition only grow, because whoever takes it over goes on behind what is committed.

use std::collections::BTreeMap;

/// Offsets by partition.
pub type Offsets = BTreeMap<i32, i64>;

/// The commits of all groups.
#[derive(Debug, Default)]
pub struct Commits {
    groups: BTreeMap<String, OfGroup>,
    /// How many were acknowledged.
    pub acknowledged: usize,
}

#[derive(Debug, Default)]
struct OfGroup {
    sent: Offsets,
    acknowledged: Offsets,
}

fn raise(offsets: &mut Offsets, to: &[(i32, i64)]) {
    for (partition, offset) in to {
        let known = offsets.entry(*partition).or_insert(*offset);
        *known = (*known).max(*offset);
    }
}

impl Commits {
    /// A commit leaves.
    pub fn send(&mut self, group: &str, offsets: &[(i32, i64)]) {
        raise(&mut self.groups.entry(group.to_owned()).or_default().sent, offsets);
    }

    /// A commit was acknowledged.
    pub fn acknowledge(&mut self, group: &str, offsets: &[(i32, i64)]) {
        raise(&mut self.groups.entry(group.to_owned()).or_default().acknowledged, offsets);
        self.acknowledged += 1;
    }

    /// What a client saw stays there as well.
    pub fn see(&mut self, group: &str, offsets: &[(i32, i64)]) {
        raise(&mut self.groups.entry(group.to_owned()).or_default().acknowledged, offsets);
    }

    /// What a group was promised so far.
    pub fn promised(&self, group: &str) -> Offsets {
        self.groups.get(group).map(|group| group.acknowledged.clone()).unwrap_or_default()
    }

    /// What is wrong with what was fetched, after so much had been promised.
    pub fn judge(&self, group: &str, promised: &Offsets, fetched: &[(i32, i64)]) -> Vec<String> {
        let fetched: Offsets = fetched.iter().copied().collect();
        let there = |partition: &i32| fetched.get(partition).copied().unwrap_or(-1);
        let lost = promised.iter().filter(|(partition, offset)| there(partition) < **offset);
        let mut findings: Vec<_> = lost
            .map(|(partition, offset)| {
                let found = there(partition);
                format!(
                    "lost-commit: {group} {partition}: {offset} was acknowledged, {found} is there"
                )
            })
            .collect();
        let sent = self.groups.get(group).map(|group| &group.sent);
        let most =
            |partition: &i32| sent.and_then(|sent| sent.get(partition)).copied().unwrap_or(-1);
        let phantoms = fetched.iter().filter(|(partition, offset)| **offset > most(partition));
        findings.extend(phantoms.map(|(partition, offset)| {
            format!("phantom-commit: {group} {partition}: {offset} was never sent")
        }));
        findings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_that_was_acknowledged_must_be_there_and_none_that_nobody_sent() {
        let mut commits = Commits::default();
        commits.send("g", &[(0, 5), (1, 7)]);
        commits.acknowledge("g", &[(0, 5)]);
        commits.send("g", &[(0, 6)]);
        let promised = commits.promised("g");
        assert_eq!(promised, Offsets::from([(0, 5)]));
        let judge = |fetched: &[(i32, i64)]| {
            let findings = commits.judge("g", &promised, fetched);
            let names = findings.iter().map(|finding| finding.split(':').next().unwrap());
            names.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(judge(&[(0, 5), (1, -1)]), "");
        assert_eq!(judge(&[(0, 6), (1, 7)]), "");
        assert_eq!(judge(&[(0, 4), (1, 7)]), "lost-commit");
        assert_eq!(judge(&[(1, 7)]), "lost-commit");
        assert_eq!(judge(&[(0, 6), (1, 8)]), "phantom-commit");
    }
}
