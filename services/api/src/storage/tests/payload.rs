//! Records arrive as they were sent, from memory and from files.

use std::io::IoSlice;

use bytes::Bytes;
use ottla_runtime::seams::{Disk, OpenMode, SimDisk};
use ottla_types::ErrorCode;

use super::fake::{fetch, produce};
use super::{Setup, patient};
use crate::storage::{FetchedRecords, Storage};

fn noise(len: usize) -> Bytes {
    (0..len).map(|n| ((n * 2_654_435_761) >> 13) as u8).collect()
}

#[tokio::test]
async fn a_large_produce_arrives_whole() {
    let setup = Setup::new().await;
    let records = noise(40 << 20);
    let answer = setup.remote.produce(patient(), produce(0, records)).await.unwrap();
    assert_eq!(answer.partitions[0].base_offset.0, 40 << 20);
}

#[tokio::test]
async fn fetched_bytes_arrive_in_their_pieces() {
    let setup = Setup::new().await;
    let pieces = vec![noise(30 << 20), noise(1), noise(100)];
    *setup.fake.fetched.lock().unwrap() = Some(FetchedRecords::Bytes(pieces.clone()));
    let answer = setup.remote.fetch(patient(), fetch(0)).await.unwrap();
    let FetchedRecords::Bytes(arrived) = &answer.partitions[0].records else { panic!("bytes") };
    assert_eq!(*arrived, pieces);
}

#[tokio::test]
async fn a_region_of_a_file_arrives_as_bytes() {
    let setup = Setup::new().await;
    let disk = SimDisk::new(1);
    let file = disk.open("/log".as_ref(), OpenMode::CreateNew).unwrap();
    let content = noise(3 << 20);
    file.write_all_at(&[IoSlice::new(&content)], 0).unwrap();
    let region = FetchedRecords::Region { file, position: 1000, len: 2 << 20 };
    *setup.fake.fetched.lock().unwrap() = Some(region);
    let answer = setup.remote.fetch(patient(), fetch(0)).await.unwrap();
    let FetchedRecords::Bytes(arrived) = &answer.partitions[0].records else { panic!("bytes") };
    assert_eq!(arrived.concat(), content[1000..1000 + (2 << 20)]);
}

#[tokio::test]
async fn a_region_that_cannot_be_read_is_a_storage_error_of_its_partition() {
    let setup = Setup::new().await;
    let disk = SimDisk::new(1);
    let file = disk.open("/log".as_ref(), OpenMode::CreateNew).unwrap();
    let region = FetchedRecords::Region { file, position: 0, len: 10 };
    *setup.fake.fetched.lock().unwrap() = Some(region);
    let answer = setup.remote.fetch(patient(), fetch(0)).await.unwrap();
    assert_eq!(answer.partitions[0].error, ErrorCode::KafkaStorageError);
    assert!(answer.partitions[0].records.is_empty());
}
