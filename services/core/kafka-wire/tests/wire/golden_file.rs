//! Reads the golden file: what Kafka's own encoders wrote.
//!
//! How the file is written: `golden/README.md`.

use bytes::Bytes;

static GOLDEN: &str = include_str!("../../golden/kafka-4.3.1.txt");

/// One line of the golden file.
pub(crate) struct Sample {
    pub(crate) name: &'static str,
    pub(crate) version: i16,
    pub(crate) is_default: bool,
    pub(crate) text_hash: u64,
    pub(crate) bytes: Bytes,
    /// For each older version: what Kafka's encoder makes of the value, as `version:hash` or `version:!`.
    pub(crate) older: Vec<&'static str>,
}

/// The lines, not parsed yet.
pub(crate) fn lines() -> impl Iterator<Item = &'static str> {
    GOLDEN.lines()
}

/// All samples.
pub(crate) fn samples() -> impl Iterator<Item = Sample> {
    lines().map(parse)
}

pub(crate) fn parse(line: &'static str) -> Sample {
    let words: Vec<&'static str> = line.split(' ').collect();
    let [name, version, number, hash, base64, ref older @ ..] = words[..] else {
        panic!("five words in {line}")
    };
    Sample {
        name,
        version: version.parse().unwrap(),
        is_default: number == "0",
        text_hash: u64::from_str_radix(hash, 16).unwrap(),
        bytes: decode_base64(base64),
        older: older.to_vec(),
    }
}

fn decode_base64(text: &str) -> Bytes {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = text.trim_end_matches('=').bytes();
    let (mut bits, mut held, mut out) = (0u32, 0, Vec::new());
    for digit in digits {
        let value = ALPHABET.iter().position(|&c| c == digit).expect("base64");
        bits = bits << 6 | u32::try_from(value).unwrap();
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
    }
    out.into()
}
