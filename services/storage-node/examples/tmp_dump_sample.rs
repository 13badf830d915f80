//! Throwaway.
use std::path::Path;
use std::sync::Arc;
use ottla_log_format::*;
use ottla_runtime::seams::*;
use ottla_storage_node::log::*;
use ottla_types::*;
fn main() {
    let dir = Path::new("/tmp/w/dumplog/data");
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let _ = disk.remove_dir_all(dir);
    disk.create_dir_all(dir).unwrap();
    let mut files = Files::new(Arc::clone(&disk), 64);
    let config = Arc::new(LogConfig { segment_bytes: 200_000, ..LogConfig::default() });
    let id = TopicPartition { topic: TopicId(Uuid::from_random(1)), partition: PartitionIndex(0) };
    let mut log = PartitionLog::create(&files, dir, "sample", id, config).unwrap();
    let codecs = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];
    for n in 0..3000_i64 {
        let mut b = BatchBuilder::new(Offset(0)).codec(codecs[n as usize % 5]).producer(ProducerId(7), ProducerEpoch(0), Sequence(n as i32 * 3));
        for k in 0..3 {
            b.push(TimestampMs(1_700_000_000_000 + (n * 7919 + k) % 100_000), Some(format!("key{n}").as_bytes()), Some("värde ".repeat(10).as_bytes()), &[("h", b"x")]);
        }
        let bytes = b.try_build().unwrap();
        let h = validate_produced(&bytes).unwrap();
        let p = if n % 100 == 99 { PlacedBatch::with_append_time(bytes, h, log.end(), LeaderEpoch(n as i32 / 1000), TimestampMs(1_700_000_000_000 + n)) } else { PlacedBatch::new(bytes, h, log.end(), LeaderEpoch(n as i32 / 1000)) };
        log.append(&mut files, &[p], TimestampMs(1)).unwrap();
    }
    let entry = producer_snapshot::ProducerEntry { producer_id: ProducerId(7), producer_epoch: ProducerEpoch(0), last_sequence: Sequence(8999), last_offset: Offset(8999), offset_delta: 2, timestamp: TimestampMs(5), coordinator_epoch: -1, current_txn_first_offset: Offset(-1) };
    log.write_producers(&files, log.end(), &[entry]).unwrap();
    let c = log.begin_final_checkpoint(&mut files).unwrap();
    c.run(&*disk).unwrap();
    RecoveryPoints::load(disk, dir).unwrap().advance([&c]).unwrap();
    for t in [1_700_000_000_000, 1_700_000_050_000, 1_700_000_099_999] { println!("{t}: {:?}", log.find_timestamp(&mut files, TimestampQuery::NotBefore(TimestampMs(t)))); }
    println!("{:?} segments {}", log.find_timestamp(&mut files, TimestampQuery::Latest), log.segment_count());
}
