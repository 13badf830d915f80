//! Bytes of Kafka's own encoders, for every message and version: each is decoded to the value that Kafka meant, and
//! encoded again to the same bytes.
//!
//! Where the bytes come from, and how to write them anew: `golden/README.md`.

use std::collections::BTreeSet;

use ottla_kafka_wire::Reader;
use ottla_kafka_wire::messages::{CATALOGUE, Entry, RecodeError};

use crate::golden_file::{Sample, samples};

pub(crate) fn entry(name: &str) -> &'static Entry {
    CATALOGUE
        .iter()
        .find(|entry| entry.name == name)
        .unwrap_or_else(|| panic!("no table of {name}"))
}

/// FNV-1a, 64 bits.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The `Debug` form without `Some( )`: Java has null, but no sign for what is not null.
fn without_some(debug: &str) -> String {
    let mut out = String::new();
    let mut rest = debug;
    let mut in_quotes = false;
    while let Some(c) = rest.chars().next() {
        if in_quotes && c == '\\' {
            out.push_str(&rest[..2]);
            rest = &rest[2..];
            continue;
        }
        if c == '"' {
            in_quotes = !in_quotes;
        }
        if !in_quotes && rest.starts_with("Some(") {
            rest = &rest[5..];
            continue;
        }
        if in_quotes || c != ')' {
            out.push(c);
        }
        rest = &rest[c.len_utf8()..];
    }
    out
}

#[test]
fn kafkas_bytes_mean_to_us_what_they_mean_to_kafka() {
    for sample in samples() {
        let Sample { name, version, .. } = sample;
        let shown = (entry(name).show)(sample.bytes, version);
        let text = without_some(&shown.unwrap_or_else(|e| panic!("{name} version {version}: {e}")));
        assert_eq!(
            hash(text.as_bytes()),
            sample.text_hash,
            "{name} version {version} has another value: {text}"
        );
    }
}

#[test]
fn kafkas_bytes_are_encoded_again_byte_for_byte() {
    for sample in samples() {
        let Sample { name, version, .. } = sample;
        let mut reader = Reader::new(sample.bytes.clone());
        let again = (entry(name).convert)(&mut reader, version, version);
        let again = again.unwrap_or_else(|e| panic!("{name} version {version}: {e}"));
        assert_eq!(again.into_contiguous().unwrap(), sample.bytes, "{name} version {version}");
        reader.expect_end().unwrap_or_else(|e| panic!("{name} version {version}: {e}"));
    }
}

#[test]
fn in_older_versions_the_same_fields_are_dropped_or_refused_as_in_kafka() {
    for sample in samples() {
        let Sample { name, version, .. } = sample;
        for older in &sample.older {
            let (to, expected) = older.split_once(':').unwrap();
            let to: i16 = to.parse().unwrap();
            let ours = (entry(name).convert)(&mut Reader::new(sample.bytes.clone()), version, to);
            let ours = match ours {
                Ok(list) => format!("{:016x}", hash(&list.into_contiguous().unwrap())),
                Err(RecodeError::Encode(_)) => "!".to_owned(),
                Err(RecodeError::Decode(e)) => panic!("{name} version {version}: {e}"),
            };
            assert_eq!(ours, *expected, "{name} version {version} as version {to}");
        }
    }
}

#[test]
fn our_default_values_are_kafkas() {
    for sample in samples().filter(|sample| sample.is_default) {
        let Sample { name, version, .. } = sample;
        let ours = (entry(name).encode_default)(version);
        let ours = ours.unwrap_or_else(|e| panic!("{name} version {version}: {e}"));
        assert_eq!(ours.into_contiguous().unwrap(), sample.bytes, "{name} version {version}");
    }
}

#[test]
fn every_message_and_version_has_golden_bytes_and_every_golden_a_table() {
    let golden: BTreeSet<(&str, i16)> = samples().map(|s| (s.name, s.version)).collect();
    let ours: BTreeSet<(&str, i16)> = CATALOGUE
        .iter()
        .flat_map(|entry| entry.versions.clone().map(|version| (entry.name, version)))
        .collect();
    assert_eq!(ours, golden);
}
