//! Bytes that no honest client sends: counts of 2³¹−1 in every API and version, and mutated frames for every port.
//!
//! Invariant: the same seed gives the same bytes. The material are the golden bytes of Kafka's own encoders, so that what
//! is damaged was deep and valid a moment before. Deliberately judges no answer: the caller watches the process.

pub mod aimed;
pub mod attack;
pub mod grpc;
pub mod hoard;
pub mod session;

use std::collections::BTreeMap;

use ottla_kafka_wire::{ApiKey, Writer, request_header_version};

use crate::process::root;

/// Bodies of at most this many bytes are damaged; longer ones add nothing but time.
const LONGEST_BODY: usize = 400;
/// Counts and lengths of 2³¹−1 and their neighbours, in each of Kafka's encodings.
pub const CLAIMS: [&[u8]; 6] = [
    &[0x7f, 0xff, 0xff, 0xff],
    &[0x80, 0x00, 0x00, 0x00],
    &[0xff, 0xff, 0xff, 0xff, 0x07],
    &[0x80, 0x80, 0x80, 0x80, 0x08],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0x7f, 0xff],
];

/// A valid body of a request.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The api.
    pub key: ApiKey,
    /// The version.
    pub version: i16,
    /// Header and message, without the frame's length.
    pub frame: Vec<u8>,
    /// Where in it the message begins.
    pub body: usize,
    /// Where in it a record batch is that could be valid.
    pub batch: Option<std::ops::Range<usize>>,
}

/// For every api and version of a request: the default, the shortest and the two longest samples that are not too long.
pub fn samples() -> Vec<Sample> {
    let path = root().join("services/core/kafka-wire/golden/kafka-4.3.1.txt");
    let text = std::fs::read_to_string(&path).expect("the golden file is in the repository");
    let mut bodies: BTreeMap<(i16, i16), Vec<Vec<u8>>> = BTreeMap::new();
    let keys: BTreeMap<String, ApiKey> =
        ApiKey::all().map(|key| (format!("{}Request", key.name()), key)).collect();
    for line in text.lines() {
        let words: Vec<_> = line.split(' ').collect();
        let Some(key) = words.first().and_then(|name| keys.get(*name)) else { continue };
        let (Some(Ok(version)), Some(base64)) = (words.get(1).map(|v| v.parse()), words.get(4))
        else {
            continue;
        };
        bodies.entry((key.code(), version)).or_default().push(decode_base64(base64));
    }
    bodies
        .into_iter()
        .flat_map(|((code, version), all)| {
            let key = ApiKey::from_code(code).expect("only known keys were collected");
            pick(all).into_iter().map(move |body| Sample::new(key, version, &body))
        })
        .collect()
}

/// The default stands first; of the others the shortest and the two longest that are not too long.
fn pick(mut all: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut picked = vec![all.remove(0)];
    all.retain(|body| body.len() <= LONGEST_BODY);
    all.sort_by_key(Vec::len);
    all.dedup();
    let longest = all.split_off(all.len().saturating_sub(2));
    picked.extend(all.into_iter().take(1).chain(longest));
    picked
}

impl Sample {
    fn new(key: ApiKey, version: i16, body: &[u8]) -> Self {
        let mut writer = Writer::new();
        writer.i16(key.code());
        writer.i16(version);
        writer.i32(0);
        let header_version = request_header_version(key, version);
        if header_version >= 1 {
            writer.nullable_string(false, Some("hostile")).expect("a short text");
        }
        if header_version >= 2 {
            writer.uvarint(0);
        }
        let mut frame = writer.finish().into_contiguous().expect("no file regions").to_vec();
        let at = frame.len();
        frame.extend_from_slice(body);
        Self { key, version, frame, body: at, batch: None }
    }

    /// The frame with each of these claims at each place of the body, cut off there and with the rest after it.
    pub fn claims(&self, claims: &'static [&[u8]]) -> impl Iterator<Item = Vec<u8>> + '_ {
        let places = self.body..=self.frame.len();
        places.flat_map(move |at| {
            claims.iter().flat_map(move |claim| {
                let mut cut = self.frame[..at].to_vec();
                cut.extend_from_slice(claim);
                let mut whole = cut.clone();
                whole.extend_from_slice(self.frame.get(at + claim.len()..).unwrap_or_default());
                [cut, whole]
            })
        })
    }
}

/// A generator of pseudo-random numbers (splitmix64).
#[derive(Clone, Debug)]
pub struct Dice(pub u64);

impl Dice {
    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.bits() % bound as u64).expect("below a usize")
    }
}

/// Damages bytes at one to four places: other bytes, bits, claims, cuts, repeats.
pub fn mutate(bytes: &mut Vec<u8>, dice: &mut Dice) {
    for _ in 0..=dice.below(4) {
        if bytes.is_empty() {
            bytes.push(dice.bits() as u8);
        }
        let at = dice.below(bytes.len());
        match dice.below(7) {
            0 => bytes[at] = dice.bits() as u8,
            1 => bytes[at] ^= 1 << dice.below(8),
            2 => {
                let claim = CLAIMS[dice.below(CLAIMS.len())];
                let end = (at + claim.len()).min(bytes.len());
                bytes.splice(at..end, claim.iter().copied());
            }
            3 => bytes.truncate(at),
            4 => {
                let end = (at + 1 + dice.below(16)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            5 => {
                let end = (at + 1 + dice.below(8)).min(bytes.len());
                bytes.drain(at..end);
            }
            _ => bytes[at] = [0, 1, 2, 0x7f, 0x80, 0xff][dice.below(6)],
        }
    }
}

fn decode_base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut held, mut out) = (0_u32, 0, Vec::new());
    for digit in text.trim_end_matches('=').bytes() {
        let value = ALPHABET.iter().position(|&c| c == digit).expect("the golden file is base64");
        bits = bits << 6 | value as u32;
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
    }
    out
}
