//! A null sink: answers every Produce at once. What a load reaches against it is what the generator can do alone.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use bytes::Bytes;
use ottla_kafka_wire::frames;
use ottla_kafka_wire::messages::metadata_request::MetadataRequest;
use ottla_kafka_wire::messages::metadata_response::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use ottla_kafka_wire::messages::produce_request::ProduceRequest;
use ottla_kafka_wire::messages::produce_response::ProduceResponse;
use ottla_kafka_wire::{Message as _, Reader, Request as _};

use crate::bench::discard::Discard;

/// What is looked at of a request: the header and little more, never the batch.
const HEAD_BYTES: usize = 512;

/// Starts a sink on a free port; it serves until this process ends. Its address.
pub fn start(partitions: i32) -> io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream, port, partitions));
        }
    });
    Ok(format!("127.0.0.1:{port}"))
}

fn serve(mut stream: TcpStream, port: u16, partitions: i32) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut discard = Discard::default();
    loop {
        let mut length = [0; frames::LENGTH_BYTES];
        stream.read_exact(&mut length)?;
        let length = frames::frame_length(length, i32::MAX as usize).map_err(io::Error::other)?;
        let mut head = vec![0; length.min(HEAD_BYTES)];
        stream.read_exact(&mut head)?;
        discard.bytes(&stream, length - head.len())?;
        stream.write_all(&answer(head.into(), port, partitions)?)?;
    }
}

fn answer(head: Bytes, port: u16, partitions: i32) -> io::Result<Bytes> {
    let mut reader = Reader::new(head);
    let header = frames::decode_request_header(&mut reader).map_err(io::Error::other)?;
    let (version, id) = (header.api_version, header.correlation_id);
    let encoded = match header.api_key {
        ProduceRequest::KEY => frames::encode_response(version, id, &ProduceResponse::default()),
        MetadataRequest::KEY => {
            let request =
                MetadataRequest::decode(&mut reader, version).map_err(io::Error::other)?;
            frames::encode_response(version, id, &metadata(request, port, partitions))
        }
        other => return Err(io::Error::other(format!("the sink has no api {other}"))),
    };
    let chunks = encoded.map_err(io::Error::other)?;
    Ok(chunks.into_contiguous().expect("these answers have no file regions"))
}

fn metadata(request: MetadataRequest, port: u16, partitions: i32) -> MetadataResponse {
    let partition = |partition_index| MetadataResponsePartition {
        partition_index,
        leader_id: 1,
        replica_nodes: vec![1],
        isr_nodes: vec![1],
        ..Default::default()
    };
    let topic = |name| MetadataResponseTopic {
        name,
        partitions: (0..partitions).map(partition).collect(),
        ..Default::default()
    };
    MetadataResponse {
        brokers: vec![MetadataResponseBroker {
            node_id: 1,
            host: "127.0.0.1".to_owned(),
            port: i32::from(port),
            ..Default::default()
        }],
        topics: request.topics.into_iter().flatten().map(|t| topic(t.name)).collect(),
        ..Default::default()
    }
}
