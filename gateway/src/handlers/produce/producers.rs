//! The traces that producers began: the `traceparent` headers of the records in a Produce request.
//!
//! Invariant: only reads; looks at no more than [`MAX_RECORDS`] records, and never unpacks a compressed batch.
//! A request of exactly one record continues that record's trace; any other is linked to the traces of its records.

use ottla_kafka_wire::Reader;
use ottla_kafka_wire::produce::Produce;
use ottla_log_format::{Records, batches};
use ottla_runtime::telemetry::TRACE_LINKS_MAX;
use ottla_types::TraceParent;

/// The record header of the W3C.
const TRACEPARENT: &str = "traceparent";
/// Records of one request that are looked at.
const MAX_RECORDS: usize = 1_024;

/// The trace to continue, and those to link.
pub(crate) fn producers(body: &Reader, version: i16) -> (Option<TraceParent>, Vec<TraceParent>) {
    // The body is read once more when it is handled; what cannot be read is refused there.
    let Ok(request) = Produce::decode(&mut body.clone(), version) else {
        return (None, Vec::new());
    };
    let partitions = request.topics.iter().flat_map(|topic| &topic.partitions);
    let all_records = partitions.filter_map(|partition| partition.records.as_deref());
    let mut count = 0;
    let mut found = Vec::new();
    for batch in all_records.flat_map(|records| batches(records).map_while(Result::ok)) {
        count += usize::try_from(batch.header.record_count).unwrap_or(0);
        let Ok(records) = Records::of(&batch.header, batch.bytes) else { continue };
        let traces = records.take(MAX_RECORDS).map_while(Result::ok).filter_map(|record| {
            let text = record.headers.get(TRACEPARENT)?;
            std::str::from_utf8(text).ok()?.parse::<TraceParent>().ok()
        });
        found.extend(traces.take(TRACE_LINKS_MAX - found.len()));
        if count > MAX_RECORDS || found.len() == TRACE_LINKS_MAX {
            break;
        }
    }
    match (count, found.pop()) {
        (1, parent) => (parent, Vec::new()),
        (_, Some(last)) => {
            found.push(last);
            (None, found)
        }
        (_, None) => (None, found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use ottla_kafka_wire::messages::produce_request::{
        PartitionProduceData, ProduceRequest, TopicProduceData,
    };
    use ottla_kafka_wire::{Message, Writer};
    use ottla_log_format::{BatchBuilder, Codec};
    use ottla_types::{Offset, TimestampMs};

    const TEXT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn body(batches: Vec<BatchBuilder>) -> Reader {
        let records: Vec<u8> =
            batches.into_iter().flat_map(|batch| batch.try_build().unwrap()).collect();
        let data = PartitionProduceData { index: 0, records: Some(Bytes::from(records)) };
        let topic = TopicProduceData { partition_data: vec![data], ..Default::default() };
        let request = ProduceRequest { topic_data: vec![topic], ..Default::default() };
        let mut writer = Writer::new();
        request.encode(&mut writer, 9).unwrap();
        Reader::new(writer.finish().into_contiguous().unwrap())
    }

    fn record(batch: BatchBuilder, trace: Option<&str>) -> BatchBuilder {
        let headers: Vec<(&str, &[u8])> =
            trace.map(|text| (TRACEPARENT, text.as_bytes())).into_iter().collect();
        batch.record_with_headers(TimestampMs(1), None, Some(b"v"), &headers)
    }

    fn new() -> BatchBuilder {
        BatchBuilder::new(Offset::ZERO)
    }

    #[test]
    fn one_record_continues_the_trace_of_its_producer() {
        let parent: TraceParent = TEXT.parse().unwrap();
        let one = body(vec![record(new(), Some(TEXT))]);
        assert_eq!(producers(&one, 9), (Some(parent), vec![]));
        let plain = body(vec![record(new(), None)]);
        assert_eq!(producers(&plain, 9), (None, vec![]));
        let bad = body(vec![record(new(), Some("00-x"))]);
        assert_eq!(producers(&bad, 9), (None, vec![]));
    }

    #[test]
    fn several_records_are_linked() {
        let link: TraceParent = TEXT.parse().unwrap();
        let batch = record(record(new(), Some(TEXT)), None);
        assert_eq!(producers(&body(vec![batch]), 9), (None, vec![link]));
        let two = vec![record(new(), Some(TEXT)), record(new(), Some(TEXT))];
        assert_eq!(producers(&body(two), 9), (None, vec![link, link]));
    }

    #[test]
    fn a_compressed_batch_is_not_unpacked() {
        let batch = record(new(), Some(TEXT)).codec(Codec::Gzip);
        assert_eq!(producers(&body(vec![batch]), 9), (None, vec![]));
    }

    #[test]
    fn garbage_has_no_trace() {
        assert_eq!(producers(&Reader::new(Bytes::from_static(b"\xff\xff\xff")), 9), (None, vec![]));
    }
}
