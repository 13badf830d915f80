//! Frames that get further than most: at a topic that exists, in versions that are served, and batches that are damaged
//! below a checksum that is right.
//!
//! Invariant: undamaged, each of them is answered without an error.

use std::io;

use ottla_kafka_wire::messages::api_versions_request::ApiVersionsRequest;
use ottla_kafka_wire::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use ottla_kafka_wire::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use ottla_kafka_wire::{ApiKey, Request, request_header_version};
use ottla_log_format::{BATCH_HEADER_BYTES, CRC_START, journal};

use crate::hostile::{CLAIMS, Dice, Sample, samples};
use crate::{records, wire};

/// Where a batch has its checksum.
const CRC: std::ops::Range<usize> = CRC_START - 4..CRC_START;

/// What is thrown at a port.
pub struct Arsenal {
    /// Every api and version that there is.
    pub all: Vec<Sample>,
    /// Those that the gateway serves.
    pub served: Vec<Sample>,
    /// Requests for a topic that exists.
    pub aimed: Vec<Sample>,
}

impl Arsenal {
    /// Asks the gateway what it serves.
    pub fn new(bootstrap: &str, topic: &str) -> io::Result<Self> {
        let mut gateway = wire::Wire::connect(bootstrap)?;
        let answer = gateway.call(3, &software())?;
        let is_served = |sample: &&Sample| {
            answer.api_keys.iter().any(|api| {
                api.api_key == sample.key.code()
                    && (api.min_version..=api.max_version).contains(&sample.version)
            })
        };
        let all = samples();
        let served = all.iter().filter(is_served).cloned().collect();
        Ok(Self { all, served, aimed: aimed(topic) })
    }

    /// One frame to be damaged: mostly one that gets far.
    pub fn pick(&self, dice: &mut Dice) -> &Sample {
        let shelf = match dice.below(8) {
            0 => &self.all,
            1..=4 => &self.served,
            _ => &self.aimed,
        };
        &shelf[dice.below(shelf.len())]
    }
}

fn software() -> ApiVersionsRequest {
    ApiVersionsRequest {
        client_software_name: "hostile".to_owned(),
        client_software_version: "1".to_owned(),
    }
}

fn aimed(topic: &str) -> Vec<Sample> {
    let traceparent = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let batch = records::batch(&["one", "two", "three"], &[("traceparent", traceparent)]);
    let produce = records::produce_request(topic, 0, 1, batch.clone());
    let fetch = FetchRequest {
        max_wait_ms: 1,
        max_bytes: 4096,
        topics: vec![FetchTopic {
            topic: topic.to_owned(),
            partitions: vec![FetchPartition { partition_max_bytes: 4096, ..Default::default() }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let offsets = ListOffsetsRequest {
        topics: vec![ListOffsetsTopic {
            name: topic.to_owned(),
            partitions: vec![ListOffsetsPartition { timestamp: -1, ..Default::default() }],
        }],
        ..Default::default()
    };
    let mut samples: Vec<_> = (3..=12).map(|version| sample(version, &produce)).collect();
    for sample in &mut samples {
        let found = sample.frame.windows(batch.len()).position(|window| window == batch);
        sample.batch = found.map(|at| at..at + batch.len());
    }
    samples.extend((4..=12).map(|version| sample(version, &fetch)));
    samples.extend((1..=10).map(|version| sample(version, &offsets)));
    samples
}

fn sample<R: Request>(version: i16, request: &R) -> Sample {
    let key = ApiKey::from_code(R::KEY).expect("a request has a key");
    let frame = wire::encode(version, 0, request)[4..].to_vec();
    // Key, version, correlation id, client id, and tagged fields where there are any.
    let flexible = usize::from(request_header_version(key, version) == 2);
    let body = 2 + 2 + 4 + 2 + "ottla-test".len() + flexible;
    Sample { key, version, frame, body, batch: None }
}

/// Damages a batch at one to four places, and makes its checksum right again.
pub fn damage_batch(batch: &mut [u8], dice: &mut Dice) {
    for _ in 0..=dice.below(4) {
        // The header is small, the records are many: both get their share.
        let end = if dice.below(2) == 0 { BATCH_HEADER_BYTES } else { batch.len() };
        let at = CRC_START + dice.below(end - CRC_START);
        let claim = CLAIMS[dice.below(CLAIMS.len())];
        match dice.below(3) {
            0 => batch[at] = dice.bits() as u8,
            1 => batch[at] ^= 1 << dice.below(8),
            _ => batch[at..].iter_mut().zip(claim).for_each(|(byte, new)| *byte = *new),
        }
    }
    let checksum = journal::payload_checksum(&batch[CRC_START..]);
    batch[CRC].copy_from_slice(&checksum.to_be_bytes());
}
