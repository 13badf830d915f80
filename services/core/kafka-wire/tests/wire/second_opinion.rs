//! A second implementation reads what we write, and writes the same.
//!
//! Only our own well-formed bytes are given to it: that crate trusts counts on the wire. It lacks Kafka's newest versions of
//! some messages; those are left out.

use bytes::BytesMut;
use kafka_protocol::messages as theirs;
use kafka_protocol::protocol::{Decodable, Encodable};
use ottla_kafka_wire::Reader;

use crate::golden::entry;
use crate::golden_file::samples;

fn agree<M: Decodable + Encodable + kafka_protocol::protocol::Message>(name: &str) {
    let mut compared = 0;
    for sample in samples().filter(|sample| sample.name == name) {
        let version = sample.version;
        if version < M::VERSIONS.min || version > M::VERSIONS.max {
            continue;
        }
        let ours = (entry(name).convert)(&mut Reader::new(sample.bytes), version, version).unwrap();
        let ours = ours.into_contiguous().unwrap();
        let value = M::decode(&mut ours.clone(), version)
            .unwrap_or_else(|e| panic!("{name} version {version}: {e}"));
        let mut again = BytesMut::new();
        value.encode(&mut again, version).unwrap();
        assert_eq!(again.freeze(), ours, "{name} version {version}");
        compared += 1;
    }
    assert!(compared >= 10, "{name}: only {compared} samples in versions that both have");
}

macro_rules! agree_on {
    ($($message:ident)*) => {
        $(agree::<theirs::$message>(stringify!($message));)*
    };
}

#[test]
fn another_implementation_agrees_on_the_main_messages() {
    agree_on! {
        ApiVersionsRequest ApiVersionsResponse
        MetadataRequest MetadataResponse
        ProduceRequest ProduceResponse
        FetchRequest FetchResponse
        ListOffsetsRequest ListOffsetsResponse
        CreateTopicsRequest CreateTopicsResponse
        DeleteTopicsRequest DeleteTopicsResponse
        CreatePartitionsRequest CreatePartitionsResponse
        DescribeConfigsRequest DescribeConfigsResponse
        InitProducerIdRequest InitProducerIdResponse
        FindCoordinatorRequest FindCoordinatorResponse
        JoinGroupRequest JoinGroupResponse
        SyncGroupRequest SyncGroupResponse
        ConsumerGroupHeartbeatRequest ConsumerGroupHeartbeatResponse
    }
}
