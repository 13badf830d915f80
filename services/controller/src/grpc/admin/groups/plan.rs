//! Where a partition's committed offset goes when a group is set back: Kafka's rules, as its `kafka-consumer-groups` has them.
//!
//! Invariant: what is planned is within the log. Deliberately does not know who asks, nor how it becomes true.

/// Where to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// The first record.
    Earliest,
    /// The end.
    Latest,
    /// The committed offset; the end where there is none.
    Current,
    /// This offset.
    Offset(i64),
    /// So many records from the committed offset.
    Shift(i64),
    /// The first record that is not older than this, in milliseconds since 1970.
    Time(i64),
}

/// What is known of a partition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    /// Its first offset.
    pub(super) start: i64,
    /// The end of what can be read.
    pub(super) end: i64,
    /// What the group has committed.
    pub(super) committed: Option<i64>,
    /// The offset of the target's time; `None` where no record is so new.
    pub(super) at_time: Option<i64>,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Planned {
    /// The offset to commit.
    pub(super) offset: i64,
    /// Why it is not the one that was asked for.
    pub(super) note: &'static str,
}

/// There is no committed offset to shift from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NothingToShift;

/// Plans one partition.
pub(super) fn plan(target: Target, known: Known) -> Result<Planned, NothingToShift> {
    let exactly = |offset| Planned { offset, note: "" };
    Ok(match target {
        Target::Earliest => exactly(known.start),
        Target::Latest => exactly(known.end),
        Target::Current => match known.committed {
            Some(committed) => exactly(committed),
            None => Planned { offset: known.end, note: "nothing was committed: the end" },
        },
        Target::Offset(offset) => within(offset, known),
        Target::Shift(by) => {
            within(known.committed.ok_or(NothingToShift)?.saturating_add(by), known)
        }
        Target::Time(_) => match known.at_time {
            Some(offset) => within(offset, known),
            None => Planned { offset: known.end, note: "no record is so new: the end" },
        },
    })
}

fn within(offset: i64, known: Known) -> Planned {
    if offset > known.end {
        return Planned { offset: known.end, note: "behind the end: the end" };
    }
    if offset < known.start {
        return Planned { offset: known.start, note: "before the first record: the first record" };
    }
    Planned { offset, note: "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: Known = Known { start: 10, end: 100, committed: Some(50), at_time: Some(70) };

    fn to(target: Target) -> i64 {
        plan(target, KNOWN).unwrap().offset
    }

    #[test]
    fn each_target_has_its_place_in_the_log() {
        assert_eq!(to(Target::Earliest), 10);
        assert_eq!(to(Target::Latest), 100);
        assert_eq!(to(Target::Current), 50);
        assert_eq!(to(Target::Offset(42)), 42);
        assert_eq!(to(Target::Shift(-7)), 43);
        assert_eq!(to(Target::Shift(7)), 57);
        assert_eq!(to(Target::Time(1)), 70);
    }

    #[test]
    fn what_is_outside_of_the_log_goes_to_its_nearer_end_and_says_so() {
        for (target, offset) in [
            (Target::Offset(9), 10),
            (Target::Offset(-1), 10),
            (Target::Offset(101), 100),
            (Target::Shift(i64::MAX), 100),
            (Target::Shift(i64::MIN), 10),
        ] {
            let planned = plan(target, KNOWN).unwrap();
            assert_eq!(planned.offset, offset, "{target:?}");
            assert!(!planned.note.is_empty(), "{target:?}");
        }
        assert_eq!(plan(Target::Offset(100), KNOWN), Ok(Planned { offset: 100, note: "" }));
    }

    #[test]
    fn without_a_committed_offset_current_is_the_end_and_nothing_is_shifted() {
        let known = Known { committed: None, ..KNOWN };
        assert_eq!(plan(Target::Current, known).unwrap().offset, 100);
        assert_eq!(plan(Target::Shift(1), known), Err(NothingToShift));
    }

    #[test]
    fn a_time_after_the_last_record_is_the_end() {
        let known = Known { at_time: None, ..KNOWN };
        assert_eq!(plan(Target::Time(5), known).unwrap().offset, 100);
    }
}
