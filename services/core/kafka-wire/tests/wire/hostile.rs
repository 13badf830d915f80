//! Bytes of strangers: no panic, and never more memory than the bytes received justify.
//!
//! The stated bound: a decode holds at most [`MAX_EXPANSION`] bytes for each byte it was given, and never more than the
//! budget that the reader was made with.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use bytes::Bytes;
use ottla_kafka_wire::codec::{MAX_DECODED_HEAP_BYTES, MAX_EXPANSION};
use ottla_kafka_wire::frames::decode_request_header;
use ottla_kafka_wire::messages::{CATALOGUE, Entry};
use ottla_kafka_wire::{DecodeError, Reader};
use proptest::prelude::*;

use crate::counting_allocator::peak_of;
use crate::golden::entry;
use crate::golden_file::{lines, parse, samples};

/// What is put over the bytes at each position: counts of 2³¹−1 in every encoding, negative ones, strings of 2¹⁵−1.
const PATCHES: [&[u8]; 8] = [
    &[0x7f, 0xff, 0xff, 0xff],
    &[0x80, 0x00, 0x00, 0x00],
    &[0xff, 0xff, 0xff, 0xff],
    &[0xff, 0xff, 0xff, 0xff, 0x07],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0x80, 0x80, 0x80, 0x80, 0x80],
    &[0x7f, 0xff],
    &[0x80, 0x80, 0x02],
];

static GOLDEN_LINES: LazyLock<Vec<&'static str>> = LazyLock::new(|| lines().collect());

/// Decodes and checks the bound; the outcome itself is free.
fn decode(entry: &Entry, version: i16, bytes: &Bytes) -> Result<(), DecodeError> {
    let mut reader = Reader::new(bytes.clone());
    let (peak, outcome) = peak_of(|| (entry.check)(&mut reader, version));
    let bound = MAX_EXPANSION * bytes.len();
    let (name, len) = (entry.name, bytes.len());
    assert!(peak <= bound, "{name} version {version}: {peak} bytes of memory for {len} received");
    outcome
}

/// Golden messages to be damaged: of each message and version the largest two of at most 400 bytes, or the smallest.
fn victims() -> impl Iterator<Item = (&'static Entry, i16, Bytes)> {
    const LARGEST_BYTES: usize = 400;
    let mut of_each: BTreeMap<(&str, i16), Vec<Bytes>> = BTreeMap::new();
    for sample in samples().filter(|sample| !sample.is_default) {
        of_each.entry((sample.name, sample.version)).or_default().push(sample.bytes);
    }
    of_each.into_iter().flat_map(|((name, version), mut all)| {
        all.sort_by_key(Bytes::len);
        let fitting = all.iter().filter(|bytes| bytes.len() <= LARGEST_BYTES).count();
        let picked = fitting.saturating_sub(2)..fitting.max(1);
        all.drain(picked).map(move |bytes| (entry(name), version, bytes)).collect::<Vec<_>>()
    })
}

#[test]
fn counts_of_two_billion_at_every_position_cost_nothing() {
    for (entry, version, bytes) in victims() {
        for at in 0..bytes.len() {
            for patch in PATCHES {
                let mut damaged = bytes.to_vec();
                damaged.truncate(at);
                damaged.extend_from_slice(patch);
                let cut = Bytes::from(damaged.clone());
                // Whatever stands there: cut off after the patch, and with the rest after it.
                let _ = decode(entry, version, &cut);
                damaged.extend_from_slice(bytes.get(at + patch.len()..).unwrap_or_default());
                let _ = decode(entry, version, &Bytes::from(damaged));
            }
        }
    }
}

#[test]
fn a_message_that_is_cut_anywhere_is_refused_or_shorter() {
    for (entry, version, bytes) in victims() {
        for len in 0..bytes.len() {
            let outcome = decode(entry, version, &bytes.slice(..len));
            assert!(outcome.is_err(), "{} version {version} cut to {len} bytes", entry.name);
        }
    }
}

/// Honest counts with the smallest elements there are: the worst that a sender can make of its bytes.
#[test]
fn arrays_of_the_smallest_elements_stay_within_the_bound() {
    const FILL_BYTES: usize = 2_000;
    for (entry, version, bytes) in victims() {
        for at in (0..bytes.len()).step_by(7) {
            for (fill, count) in [(0u8, 1_990u16), (1, 1_990), (2, 600), (0, 120)] {
                let mut grown = bytes[..at].to_vec();
                let compact = [(count & 0x7f) as u8 | 0x80, (count >> 7) as u8];
                grown.extend_from_slice(&compact);
                grown.resize(at + FILL_BYTES, fill);
                let _ = decode(entry, version, &Bytes::from(grown.clone()));
                grown.truncate(at);
                grown.extend_from_slice(&u32::from(count).to_be_bytes());
                grown.resize(at + FILL_BYTES, fill);
                let _ = decode(entry, version, &Bytes::from(grown));
            }
        }
    }
}

#[test]
fn four_bytes_that_announce_two_billion_topics_are_refused_at_once() {
    let metadata = entry("MetadataRequest");
    let bytes = Bytes::from_static(&[0x7f, 0xff, 0xff, 0xff]);
    let (peak, outcome) = peak_of(|| (metadata.check)(&mut Reader::new(bytes), 1));
    assert_eq!(outcome, Err(DecodeError::CountTooLarge { count: 0x7fff_ffff, remaining: 0 }));
    assert_eq!(peak, 0);
}

/// A request for coordinators of `count` keys, each of no characters: one byte on the wire, 24 in memory.
fn empty_keys(count: u32) -> Bytes {
    let mut bytes = vec![0];
    let mut claimed = count + 1;
    while claimed >= 0x80 {
        bytes.push((claimed & 0x7f) as u8 | 0x80);
        claimed >>= 7;
    }
    bytes.push(claimed as u8);
    bytes.resize(bytes.len() + count as usize, 1);
    // No tagged fields.
    bytes.push(0);
    bytes.into()
}

#[test]
fn a_reader_never_uses_more_memory_than_its_maker_allows() {
    let find_coordinator = entry("FindCoordinatorRequest");
    let bytes = empty_keys(1_000);
    let mut enough = Reader::with_heap_budget(bytes.clone(), 24_000);
    let (peak, outcome) = peak_of(|| (find_coordinator.check)(&mut enough, 4));
    assert_eq!((peak, outcome), (24_000, Ok(())));
    let mut too_little = Reader::with_heap_budget(bytes, 23_999);
    let (peak, outcome) = peak_of(|| (find_coordinator.check)(&mut too_little, 4));
    assert_eq!((peak, outcome), (0, Err(DecodeError::HeapBudget)));
}

#[test]
fn a_large_frame_of_tiny_elements_is_refused_before_it_takes_memory() {
    let count = MAX_DECODED_HEAP_BYTES / 24 + 1;
    let mut reader = Reader::new(empty_keys(count.try_into().unwrap()));
    let (peak, outcome) = peak_of(|| (entry("FindCoordinatorRequest").check)(&mut reader, 4));
    assert_eq!((peak, outcome), (0, Err(DecodeError::HeapBudget)));
}

#[test]
fn versions_that_never_were_are_refused() {
    for entry in &CATALOGUE {
        let zeros = Bytes::from_static(&[0; 64]);
        for version in
            [-1, entry.versions.start() - 1, entry.versions.end() + 1, i16::MAX, i16::MIN]
        {
            let outcome = (entry.check)(&mut Reader::new(zeros.clone()), version);
            let message = entry.name;
            assert_eq!(outcome, Err(DecodeError::UnsupportedVersion { message, version }));
        }
    }
}

fn any_message() -> impl Strategy<Value = (usize, i16)> {
    let known: Vec<usize> =
        (0..CATALOGUE.len()).filter(|&at| !CATALOGUE[at].versions.is_empty()).collect();
    prop::sample::select(known).prop_flat_map(|at| (Just(at), CATALOGUE[at].versions.clone()))
}

/// Bytes of which many are small, so that counts and lengths are often plausible.
fn plausible_bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![4 => 0u8..6, 1 => any::<u8>()];
    prop::collection::vec(byte, 0..400)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn random_bytes_are_decoded_within_the_bound((at, version) in any_message(), bytes in plausible_bytes()) {
        let entry = &CATALOGUE[at];
        let bytes = Bytes::from(bytes);
        if decode(entry, version, &bytes).is_ok() {
            // What was understood can be said again, and means the same.
            let mut writer_input = Reader::new(bytes);
            let again = (entry.convert)(&mut writer_input, version, version).unwrap();
            let again = again.into_contiguous().unwrap();
            let twice = (entry.convert)(&mut Reader::new(again.clone()), version, version).unwrap();
            prop_assert_eq!(twice.into_contiguous().unwrap(), again);
        }
    }

    #[test]
    fn golden_messages_with_random_damage_are_decoded_within_the_bound(
        pick in any::<prop::sample::Index>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let sample = parse(GOLDEN_LINES[pick.index(GOLDEN_LINES.len())]);
        let mut bytes = sample.bytes.to_vec();
        for (at, byte) in damage.iter().filter(|_| !sample.bytes.is_empty()) {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
        }
        let _ = decode(entry(sample.name), sample.version, &Bytes::from(bytes));
    }

    #[test]
    fn random_headers_are_read_within_the_bound(bytes in plausible_bytes()) {
        let bytes = Bytes::from(bytes);
        let mut reader = Reader::new(bytes.clone());
        let (peak, _) = peak_of(|| decode_request_header(&mut reader));
        prop_assert!(peak <= bytes.len() * MAX_EXPANSION);
    }
}
