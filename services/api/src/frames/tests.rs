//! What is sent by hand is what generated code understands, and the other way round.

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use http::uri::PathAndQuery;
use http_body_util::BodyExt;
use ottla_proto::storage::v1::storage_service_client::StorageServiceClient;
use ottla_proto::storage::v1::storage_service_server::{StorageService, StorageServiceServer};
use ottla_proto::storage::v1::{
    ExchangeRequest, ExchangeResponse, FetchPartitionResult, FetchResponse, ProducePartition,
    ProduceRequest, exchange_request, exchange_response,
};
use ottla_runtime::Seams;
use ottla_runtime::grpc::channel;
use proptest::prelude::*;
use prost::Message;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};

use super::pieces::Pieces;
use super::sending::Sending;
use super::*;
use crate::loopback::Loopback;
use crate::storage::tests::served;

const MOST: usize = 8 << 20;

fn asking(records: Vec<Bytes>) -> ExchangeRequest {
    let one = |records| ProducePartition { partition: None, records };
    let partitions = records.into_iter().map(one).collect();
    let produce = ProduceRequest { acks: 3, partitions, ..ProduceRequest::default() };
    let request = Some(exchange_request::Request::Produce(produce));
    ExchangeRequest { correlation_id: 7, context: None, request }
}

proptest! {
    #[test]
    fn the_pieces_are_the_bytes_of_the_message(
        lens in prop::collection::vec(0..2 * UNCOPIED_BYTES, 0..5),
    ) {
        let records = lens.iter().map(|len| Bytes::from(vec![*len as u8; *len])).collect();
        let message = asking(records);
        let mut pieces = Pieces::default();
        pieces.add(&message, message.encoded_len() as u32);
        pieces.finish();
        let mut joined = Vec::new();
        while let Some(piece) = pieces.take() {
            joined.extend_from_slice(&piece);
        }
        prop_assert_eq!(&joined[HEADER_BYTES..], message.encode_to_vec());
    }
}

/// Echoes records, in a server that is generated.
struct Echo;

#[tonic::async_trait]
impl StorageService for Echo {
    type ExchangeStream = BoxStream<'static, Result<ExchangeResponse, Status>>;

    async fn exchange(
        &self,
        request: Request<Streaming<ExchangeRequest>>,
    ) -> Result<Response<Self::ExchangeStream>, Status> {
        let echo = |asked: Result<ExchangeRequest, Status>| {
            let Some(exchange_request::Request::Produce(produce)) = asked?.request else {
                return Err(Status::not_found("no records"));
            };
            let records = produce.partitions.into_iter().map(|one| one.records).collect();
            let one = FetchPartitionResult { records, ..FetchPartitionResult::default() };
            let fetch = FetchResponse { partitions: vec![one] };
            let response = Some(exchange_response::Response::Fetch(fetch));
            Ok(ExchangeResponse { correlation_id: 1, response })
        };
        Ok(Response::new(request.into_inner().map(echo).boxed()))
    }
}

#[tokio::test]
async fn a_generated_server_understands() {
    let seams = Seams::real();
    let mut routes = Routes::builder();
    routes.add_service(StorageServiceServer::new(Echo).max_decoding_message_size(MOST));
    let loopback = Loopback::serve(&seams, routes).await;
    let records = vec![Bytes::from(vec![1; 3 << 20]), Bytes::new(), Bytes::from_static(b"small")];
    let requests = vec![asking(records.clone()), ExchangeRequest::default()];
    let channel = channel(&seams.net, &loopback.address);
    let path = PathAndQuery::from_static("/ottla.storage.v1.StorageService/Exchange");
    let mut reader =
        open::<_, ExchangeResponse>(channel, path, stream::iter(requests).boxed(), MOST)
            .await
            .unwrap();
    let echoed = reader.message().await.unwrap().unwrap();
    let Some(exchange_response::Response::Fetch(fetch)) = echoed.response else { panic!("fetch") };
    assert!(fetch.partitions[0].records == records);
    let refused = reader.message().await.unwrap_err();
    assert_eq!(refused.message(), "no records");
}

#[tokio::test]
async fn a_generated_client_is_understood() {
    let seams = Seams::real();
    let loopback = served(&seams).await;
    let mut client = StorageServiceClient::new(channel(&seams.net, &loopback.address));
    let unopened = stream::iter([asking(Vec::new())]);
    let status = client.exchange(unopened).await.unwrap().into_inner().message().await.unwrap_err();
    assert_eq!(status.message(), "the first frame does not open the stream");
}

/// Reads a body that comes in these chunks.
fn read(chunks: Vec<Bytes>) -> FrameReader<ExchangeRequest> {
    let frames = chunks.into_iter().map(|chunk| Ok::<_, Status>(http_body::Frame::data(chunk)));
    FrameReader::new(Body::new(http_body_util::StreamBody::new(stream::iter(frames))), MOST)
}

async fn sent(messages: Vec<ExchangeRequest>) -> Bytes {
    let messages = stream::iter(messages.into_iter().map(Ok)).boxed();
    Sending::request(messages, MOST).collect().await.unwrap().to_bytes()
}

#[tokio::test]
async fn messages_survive_any_cut() {
    let messages: Vec<_> =
        (0..20).map(|n| asking(vec![vec![n; n as usize * 900].into()])).collect();
    let bytes = sent(messages.clone()).await;
    for step in [1, 7, 5000, bytes.len()] {
        let chunks = bytes.chunks(step).map(Bytes::copy_from_slice).collect();
        let mut reader = read(chunks);
        for message in &messages {
            assert_eq!(reader.message().await.unwrap().as_ref(), Some(message));
        }
        assert_eq!(reader.message().await.unwrap(), None);
    }
}

#[tokio::test]
async fn bytes_that_make_no_sense_are_refused() {
    for bytes in [
        &b"\x01\0\0\0\0"[..],    // compressed
        b"\0\xff\xff\xff\xff",   // longer than allowed
        b"\0\0\0\0\x02\xff\xff", // no message
        b"\0\0\0\0\x02\x08",     // cut off in the message
        b"\0\0",                 // cut off in the header
    ] {
        let mut reader = read(vec![Bytes::from_static(bytes)]);
        assert!(reader.message().await.is_err(), "{bytes:?}");
    }
}

#[tokio::test]
async fn a_message_that_is_too_long_is_not_sent() {
    let long = asking(vec![vec![0; MOST + 1].into()]);
    let messages = stream::iter([Ok(long)]).boxed();
    assert!(Sending::request(messages, MOST).collect().await.is_err());
}

#[tokio::test]
async fn a_large_payload_leaves_as_it_came() {
    let payload = Bytes::from(vec![3; UNCOPIED_BYTES]);
    let message = asking(vec![payload.clone()]);
    let mut sending = Sending::request(stream::iter([Ok(message.clone())]).boxed(), MOST);
    let mut frames = Vec::new();
    while let Some(frame) = sending.frame().await {
        frames.push(frame.unwrap().into_data().unwrap());
    }
    assert!(frames.iter().any(|frame| frame.as_ptr() == payload.as_ptr()));
    let arrived = read(frames).message().await.unwrap().unwrap();
    let Some(exchange_request::Request::Produce(produce)) = arrived.request else { panic!("it") };
    assert_eq!(produce.partitions[0].records.as_ptr(), payload.as_ptr());
}
