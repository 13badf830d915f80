//! scratch
#![allow(clippy::all, clippy::unwrap_used, dead_code, missing_docs, clippy::disallowed_methods)]
#[path = "../src/service/tests/controller.rs"]
mod controller;
use std::sync::Arc;
use std::time::{Duration, Instant};
use futures::StreamExt;
use ottla_api::storage::*;
use ottla_api::*;
use ottla_log_format::BatchBuilder;
use ottla_runtime::Seams;
use ottla_storage_node::*;
use ottla_types::*;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let dir = std::path::PathBuf::from(std::env::args().nth(1).unwrap());
    _ = std::fs::remove_dir_all(&dir);
    let seams = Seams::real();
    let ctl = Arc::new(controller::TestController::new(&seams));
    let line = controller::Line::new(&ctl);
    let follower = MetadataFollower::start(line.clone(), &seams);
    let mut config = StorageConfig::new(NodeId(1), dir);
    config.io_threads = 2;
    let t = Instant::now();
    let node = start(config, seams.clone(), line, follower).await.unwrap();
    println!("start {:?}", t.elapsed());
    let storage = node.storage();
    for (flush, n) in [("1", 1), ("1", 100), ("1000000", 1), ("1000000", 100)] {
        let id = ctl.create_topic(&format!("t{flush}-{n}"), n, &[("flush.messages", flush)]);
        tokio::time::sleep(Duration::from_millis(200)).await;
        let now = seams.clock.wall();
        let value = vec![b'x'; 1000];
        let make = |records: usize| { let mut b = BatchBuilder::new(Offset(0)); for _ in 0..records { b = b.record(now, None, Some(&value)); } b.build() };
        let one = make(1);
        let big = make(16);
        let send = |records: bytes::Bytes, p: i32| {
            let storage = storage.clone();
            async move {
                let r = storage.produce(RequestContext::internal(Duration::from_secs(30)), ProduceRequest { acks: Acks::All, timeout_ms: 30000, transactional_id: None, partitions: vec![ProducePartition { partition: topic_partition(id, p), records }] }).await.unwrap();
                assert_eq!(r.partitions[0].error, ErrorCode::None);
            }
        };
        let t = Instant::now();
        let k = 1000;
        for i in 0..k { send(one.clone(), i % n).await; }
        println!("flush={flush} parts={n}: sequential 1KB {:?} each", t.elapsed() / k as u32);
        let t = Instant::now();
        let k = 20_000;
        futures::stream::iter((0..k).map(|i| send(big.clone(), i % n))).buffer_unordered(64).for_each(|()| async {}).await;
        let e = t.elapsed();
        println!("flush={flush} parts={n}: 64 in flight x 16KB: {:.0} MB/s, {:.0} req/s", k as f64 * big.len() as f64 / 1e6 / e.as_secs_f64(), k as f64 / e.as_secs_f64());
        let t = Instant::now();
        let k = 50_000;
        futures::stream::iter((0..k).map(|i| send(one.clone(), i % n))).buffer_unordered(256).for_each(|()| async {}).await;
        println!("flush={flush} parts={n}: 256 in flight x 1KB: {:.0} req/s", k as f64 / t.elapsed().as_secs_f64());
        let t = Instant::now();
        let (mut next, mut bytes, mut calls) = (0i64, 0usize, 0);
        let mut buf = vec![0u8; 2 << 20];
        loop {
            let r = storage.fetch(RequestContext::internal(Duration::from_secs(30)), FetchRequest { max_wait_ms: 0, min_bytes: 1, max_bytes: 50 << 20, isolation: IsolationLevel::ReadUncommitted, rack: String::new(), partitions: vec![FetchPartition { partition: topic_partition(id, 0), current_leader_epoch: LeaderEpoch::NONE, fetch_offset: Offset(next), last_fetched_epoch: LeaderEpoch::NONE, max_bytes: 1 << 20 }] }).await.unwrap();
            calls += 1;
            match &r.partitions[0].records {
                FetchedRecords::Region { file, position, len } => {
                    file.read_exact_at(&mut buf[..*len], *position).unwrap();
                    bytes += len;
                    let last = ottla_log_format::batches(&buf[..*len]).last().unwrap().unwrap();
                    next = last.header.next_offset().0;
                }
                _ => break,
            }
        }
        println!("flush={flush} parts={n}: fetch {:.0} MB/s in {calls} calls", bytes as f64 / 1e6 / t.elapsed().as_secs_f64());
    }
    println!("clean {}", node.shutdown().await);
}
