//! Hostile messages in well-formed gRPC calls: any bytes to any method, by a codec that encodes nothing.
//!
//! Invariant: every call ends within its patience. Deliberately knows the methods and some valid messages, not their meaning.

use std::time::Duration;

use bytes::{Buf as _, BufMut as _, Bytes};
use ottla_proto::{admin, call, controller, storage};
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::tokio_stream::StreamExt as _;
use tonic::transport::{Channel, Endpoint};

use crate::hostile::session::Outcome;
use crate::hostile::{Dice, mutate};

/// How long a call is waited for.
const CALL_PATIENCE: Duration = Duration::from_millis(200);
/// Answers of one call that are read.
const ANSWERS: usize = 8;
/// Longest field of a made-up message, in bytes.
const LONGEST_FIELD: usize = 24;
/// How deep made-up messages are nested.
const DEEPEST: usize = 5;

/// A method and messages that it understands.
pub struct Method {
    /// `/package.Service/Method`.
    pub path: &'static str,
    /// Valid messages.
    pub seeds: Vec<Vec<u8>>,
}

/// Methods of the admin port, reflection included.
pub fn admin_methods() -> Vec<Method> {
    use admin::v1::{CreateTopicRequest, ListHistoryRequest, ListTopicsRequest};
    let create = CreateTopicRequest {
        request_id: "hostile".to_owned(),
        name: "hostile-grpc".to_owned(),
        partitions: Some(1),
        configs: [("retention.ms".to_owned(), "1000".to_owned())].into(),
        ..Default::default()
    };
    let list = ListTopicsRequest { page_size: 7, page_token: "x".to_owned(), ..Default::default() };
    let history = ListHistoryRequest { page_token: "17".to_owned(), ..Default::default() };
    vec![
        method("/ottla.admin.v1.TopicService/CreateTopic", &[&create]),
        method("/ottla.admin.v1.TopicService/ListTopics", &[&list]),
        method("/ottla.admin.v1.TopicService/GetTopic", &[&list]),
        method("/ottla.admin.v1.TopicService/DeleteTopic", &[&list]),
        method("/ottla.admin.v1.TopicService/AlterTopicConfigs", &[&list, &create]),
        method("/ottla.admin.v1.TopicService/DescribeTopicConfigs", &[&list]),
        method("/ottla.admin.v1.ClusterService/GetCluster", &[&list]),
        method("/ottla.admin.v1.ClusterService/ListStorageNodes", &[&list]),
        method("/ottla.admin.v1.ClusterService/ListGateways", &[&list]),
        method("/ottla.admin.v1.ClusterService/GetQuorum", &[&list]),
        method("/ottla.admin.v1.HistoryService/ListHistory", &[&history]),
        method("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", &[&list]),
        method("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", &[&list]),
        method("/grpc.health.v1.Health/Check", &[&list]),
        method("/grpc.health.v1.Health/Watch", &[&list]),
    ]
}

/// Methods of the controller's port.
pub fn controller_methods(cluster_id: &str) -> Vec<Method> {
    use controller::v1::{
        HistoryRequest, RaftEnvelope, SendRequest, SubmitRequest, WatchMetadataRequest,
    };
    let submit =
        SubmitRequest { context: Some(context()), command: Bytes::from_static(&[1, 4, 0]) };
    let envelope = RaftEnvelope {
        cluster_id: Some(cluster_id.to_owned()),
        from_node_id: 2,
        to_node_id: 1,
        from_raft_id: 5,
        to_raft_id: 1,
        message: Bytes::from_static(&[8, 3, 16, 1, 24, 5, 32, 9]),
        ..Default::default()
    };
    let send = SendRequest { envelopes: vec![envelope] };
    let watch = WatchMetadataRequest { from_offset: 3, watcher: None };
    let history = HistoryRequest { limit: u32::MAX, ..Default::default() };
    vec![
        method("/ottla.controller.v1.ControllerService/Submit", &[&submit]),
        method("/ottla.controller.v1.ControllerService/WatchMetadata", &[&watch]),
        method("/ottla.controller.v1.ControllerService/QuorumStatus", &[]),
        method("/ottla.controller.v1.ControllerService/History", &[&history]),
        method("/ottla.controller.v1.RaftService/Send", &[&send]),
        method("/ottla.controller.v1.RaftService/InstallSnapshot", &[&send]),
    ]
}

/// Methods of the storage node's port.
pub fn storage_methods(node_id: i32) -> Vec<Method> {
    use storage::v1::{
        ExchangeOpening, ExchangeRequest, ProducePartition, ProduceRequest, TopicPartition,
        TrafficClass, exchange_request::Request,
    };
    let opening = ExchangeOpening { to_node_id: node_id, traffic_class: TrafficClass::Bulk.into() };
    let opening =
        ExchangeRequest { request: Some(Request::Opening(opening)), ..Default::default() };
    let partition = TopicPartition { topic_id_high: 1, topic_id_low: 2, partition: 0 };
    let records = crate::records::batch(&["one", "two"], &[]);
    let produce = ProduceRequest {
        acks: 3,
        timeout_ms: 100,
        partitions: vec![ProducePartition { partition: Some(partition), records }],
        ..Default::default()
    };
    let produce = ExchangeRequest {
        correlation_id: 1,
        context: Some(context()),
        request: Some(Request::Produce(produce)),
    };
    vec![
        method("/ottla.storage.v1.StorageService/Exchange", &[&opening, &produce]),
        method("/ottla.storage.v1.ReplicationService/Replicate", &[&opening]),
    ]
}

fn context() -> call::v1::RequestContext {
    call::v1::RequestContext {
        principal: "User:ANONYMOUS".to_owned(),
        listener: "PLAINTEXT".to_owned(),
        timeout_ms: 1_000,
        ..Default::default()
    }
}

/// What every generated message can do.
trait Encoded {
    fn encoded(&self) -> Vec<u8>;
}

impl<M: prost::Message> Encoded for M {
    fn encoded(&self) -> Vec<u8> {
        self.encode_to_vec()
    }
}

fn method(path: &'static str, seeds: &[&dyn Encoded]) -> Method {
    Method { path, seeds: seeds.iter().map(|seed| seed.encoded()).collect() }
}

/// A hostile client of one gRPC port.
pub struct Caller {
    channel: Channel,
    methods: Vec<Method>,
}

impl Caller {
    /// A client of `host:port`, connected at its first call.
    pub fn new(address: &str, methods: Vec<Method>) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{address}"));
        let endpoint = endpoint.expect("host:port is an address").timeout(CALL_PATIENCE * 4);
        Self { channel: endpoint.connect_lazy(), methods }
    }

    /// One call of one to four messages, the first of which is often a valid one. Closed: it was refused as a whole.
    pub async fn call(&self, dice: &mut Dice) -> Outcome {
        let method = &self.methods[dice.below(self.methods.len())];
        let mut messages = Vec::new();
        if !method.seeds.is_empty() && dice.below(2) == 0 {
            messages.push(Bytes::from(method.seeds[0].clone()));
        }
        for _ in 0..=dice.below(3) {
            messages.push(Bytes::from(method.message(dice)));
        }
        let call = self.exchange(method.path, messages);
        match tokio::time::timeout(CALL_PATIENCE, call).await {
            Ok(Ok(())) => Outcome::Answered,
            Ok(Err(_)) => Outcome::Closed,
            Err(_) => Outcome::Silent,
        }
    }

    async fn exchange(
        &self,
        path: &'static str,
        messages: Vec<Bytes>,
    ) -> Result<(), tonic::Status> {
        let mut grpc = Grpc::new(self.channel.clone());
        grpc.ready().await.map_err(|error| tonic::Status::unavailable(error.to_string()))?;
        let request = tonic::Request::new(futures::stream::iter(messages));
        let path = tonic::codegen::http::uri::PathAndQuery::from_static(path);
        let mut answers = grpc.streaming(request, path, AnyBytes).await?.into_inner();
        for _ in 0..ANSWERS {
            if answers.next().await.transpose()?.is_none() {
                break;
            }
        }
        Ok(())
    }
}

impl Method {
    fn message(&self, dice: &mut Dice) -> Vec<u8> {
        let mut message = match self.seeds.len() {
            0 => made_up(dice, DEEPEST),
            count if dice.below(3) > 0 => self.seeds[dice.below(count)].clone(),
            _ => made_up(dice, DEEPEST),
        };
        if dice.below(4) > 0 {
            mutate(&mut message, dice);
        }
        message
    }
}

/// Random fields in the wire format of protobuf, nested.
fn made_up(dice: &mut Dice, depth: usize) -> Vec<u8> {
    let mut message = Vec::new();
    for _ in 0..dice.below(6) {
        let number = (1 + dice.below(9)) as u8;
        match dice.below(4) {
            0 => {
                message.push(number << 3);
                varint(&mut message, dice.bits() >> dice.below(64));
            }
            1 => {
                message.push(number << 3 | 1);
                message.extend_from_slice(&dice.bits().to_le_bytes());
            }
            2 => {
                message.push(number << 3 | 5);
                message.extend_from_slice(&dice.bits().to_le_bytes()[..4]);
            }
            _ => {
                let field = if depth > 0 && dice.below(2) == 0 {
                    made_up(dice, depth - 1)
                } else {
                    (0..dice.below(LONGEST_FIELD)).map(|_| dice.bits() as u8).collect()
                };
                message.push(number << 3 | 2);
                varint(&mut message, field.len() as u64);
                message.extend_from_slice(&field);
            }
        }
    }
    message
}

fn varint(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push(value as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

/// A codec that leaves bytes as they are.
#[derive(Clone, Copy, Debug, Default)]
struct AnyBytes;

impl Codec for AnyBytes {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for AnyBytes {
    type Item = Bytes;
    type Error = tonic::Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), tonic::Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for AnyBytes {
    type Item = Bytes;
    type Error = tonic::Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, tonic::Status> {
        let length = buffer.remaining();
        Ok(Some(buffer.copy_to_bytes(length)))
    }
}
