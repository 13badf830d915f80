//! Times and durations as people and Kafka's tools write them.
//!
//! Invariant: a time without an offset is UTC, as with Kafka's tools. Deliberately does not know what time it is.

use rskafka::chrono::DateTime;

/// Milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Instant(i64);

/// Milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Age(i64);

/// A point in time: `2026-11-24T17:00:00`, `…T17:00:00.250Z`, `…T17:00+02:00`, `…T17:00:00-0330`.
pub(super) fn instant(text: &str) -> Result<Instant, String> {
    let wrong = || {
        format!(
            "{text:?} is no time; write, say, 2026-11-24T17:00:00 (UTC) or 2026-11-24T17:00:00+02:00"
        )
    };
    let (date, time) = text.split_once('T').ok_or_else(wrong)?;
    let zone_at = time.find(['Z', '+', '-']).unwrap_or(time.len());
    let (clock, zone) = time.split_at(zone_at);
    let seconds = if clock.matches(':').count() == 1 { ":00" } else { "" };
    let zone = match zone.len() {
        0 => "Z".to_owned(),
        // +0200, as Java writes it.
        5 if zone.is_char_boundary(3) => format!("{}:{}", &zone[..3], &zone[3..]),
        3 => format!("{zone}:00"),
        _ => zone.to_owned(),
    };
    let parsed = DateTime::parse_from_rfc3339(&format!("{date}T{clock}{seconds}{zone}"));
    let ms = parsed.map_err(|_| wrong())?.timestamp_millis();
    if ms < 0 { Err(wrong()) } else { Ok(Instant(ms)) }
}

/// A duration: ISO 8601's `P1DT2H30M5.5S`, or the same in short, `1d2h30m5.5s`.
pub(super) fn age(text: &str) -> Result<Age, String> {
    let wrong = || format!("{text:?} is no duration; write, say, PT2H30M or 2h30m, or P7D or 7d");
    let upper = text.to_ascii_uppercase();
    let is_iso = upper.starts_with('P');
    let mut rest = upper.strip_prefix('P').unwrap_or(&upper);
    let (mut ms, mut in_time, mut last_rank) = (0_i64, !is_iso, 0);
    while !rest.is_empty() {
        if let Some(time) = rest.strip_prefix('T').filter(|_| is_iso && !in_time) {
            (rest, in_time) = (time, true);
            continue;
        }
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (number, unit) = rest.split_at(digits);
        let (rank, unit_ms) = match (unit.as_bytes()[0], in_time) {
            (b'D', _) => (1, 86_400_000),
            (b'H', true) => (2, 3_600_000),
            (b'M', true) => (3, 60_000),
            (b'S', true) => (4, 1_000),
            _ => return Err(wrong()),
        };
        if rank <= last_rank {
            return Err(wrong());
        }
        last_rank = rank;
        ms = amount(number, unit_ms, rank == 4)
            .and_then(|add| ms.checked_add(add))
            .ok_or_else(wrong)?;
        rest = &unit[1..];
    }
    if last_rank == 0 { Err(wrong()) } else { Ok(Age(ms)) }
}

/// So many units in milliseconds; seconds may have a fraction.
fn amount(number: &str, unit_ms: i64, may_have_fraction: bool) -> Option<i64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.contains('.')
        || (number.contains('.') && (!may_have_fraction || fraction.is_empty()))
    {
        return None;
    }
    let thousandths: i64 = format!("{fraction:0<3}")[..3].parse().ok()?;
    whole.parse::<i64>().ok()?.checked_mul(unit_ms)?.checked_add(thousandths)
}

impl From<Instant> for prost_types::Timestamp {
    fn from(Instant(ms): Instant) -> Self {
        Self { seconds: ms / 1_000, nanos: nanos(ms) }
    }
}

impl From<Age> for prost_types::Duration {
    fn from(Age(ms): Age) -> Self {
        Self { seconds: ms / 1_000, nanos: nanos(ms) }
    }
}

fn nanos(ms: i64) -> i32 {
    i32::try_from(ms % 1_000 * 1_000_000).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_without_an_offset_is_utc() {
        let at = |text| instant(text).unwrap().0;
        assert_eq!(at("2026-11-24T17:00:00"), 1_795_539_600_000);
        assert_eq!(at("2026-11-24T17:00:00.250Z"), 1_795_539_600_250);
        assert_eq!(at("2026-11-24T17:00"), 1_795_539_600_000);
        assert_eq!(at("2026-11-24T19:00:00+02:00"), 1_795_539_600_000);
        assert_eq!(at("2026-11-24T19:00:00.0+0200"), 1_795_539_600_000);
        assert_eq!(at("2026-11-24T09:00-08"), 1_795_539_600_000);
    }

    #[test]
    fn what_is_no_time_is_refused_with_an_example() {
        for text in [
            "",
            "now",
            "2026-11-24",
            "2026-13-24T17:00:00",
            "1960-01-01T00:00:00",
            "T",
            "2026-11-24T17:00:00+é0",
        ] {
            let refused = instant(text).unwrap_err();
            assert!(refused.contains("write, say,"), "{refused}");
        }
    }

    #[test]
    fn a_duration_is_isos_or_the_short_form() {
        for (text, ms) in [
            ("PT2H30M", 9_000_000),
            ("2h30m", 9_000_000),
            ("P1DT1S", 86_401_000),
            ("1d1s", 86_401_000),
            ("P7D", 604_800_000),
            ("PT0.25S", 250),
            ("1.5s", 1_500),
            ("PT0S", 0),
        ] {
            assert_eq!(age(text), Ok(Age(ms)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "P",
            "PT",
            "5",
            "5x",
            "P5M",
            "PT1D2D",
            "1m2h",
            "1.5h",
            "1.s",
            "1.2.3s",
            "-5m",
            "P1H",
            "99999999999999d",
            "é",
        ] {
            assert!(age(text).is_err(), "{text}");
        }
    }
}
