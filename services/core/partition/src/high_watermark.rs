//! R4: how far the high watermark may go.
//!
//! Invariant: the result is held, in the sense that counts, by every member of the maximal ISR, and never goes back.

use ottla_types::Offset;

/// R4. The new high watermark: the smallest counting end offset of the maximal ISR, unless that would go back or the committed
/// ISR has fewer than `min_insync` members. `None`: it stays.
///
/// `ends` holds one entry a member of the maximal ISR, the leader included; `None` is a member that nothing is known of yet.
pub fn r4_advance(
    current: Offset,
    ends: impl IntoIterator<Item = Option<Offset>>,
    committed_isr: usize,
    min_insync: usize,
) -> Option<Offset> {
    if committed_isr < min_insync {
        return None;
    }
    let mut smallest: Option<Offset> = None;
    for end in ends {
        let end = end?;
        smallest = Some(smallest.map_or(end, |s| s.min(end)));
    }
    smallest.filter(|&end| end > current)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advance(current: i64, ends: &[i64], isr: usize, min: usize) -> Option<i64> {
        r4_advance(Offset(current), ends.iter().map(|&e| Some(Offset(e))), isr, min).map(|o| o.0)
    }

    #[test]
    fn r4_the_watermark_is_the_smallest_end_of_the_maximal_isr() {
        assert_eq!(advance(3, &[9, 7, 8], 3, 2), Some(7));
        assert_eq!(advance(7, &[9, 7, 8], 3, 2), None);
    }

    #[test]
    fn r4_the_watermark_never_goes_back() {
        assert_eq!(advance(8, &[9, 7], 2, 1), None);
    }

    #[test]
    fn r4_the_watermark_stands_while_fewer_than_min_insync_replicas_are_in_sync() {
        assert_eq!(advance(3, &[9], 1, 2), None);
        assert_eq!(advance(3, &[9], 1, 1), Some(9));
    }

    #[test]
    fn r4_a_member_that_nothing_is_known_of_holds_the_watermark() {
        assert_eq!(r4_advance(Offset(0), [Some(Offset(5)), None], 2, 1), None);
    }
}
