//! A gateway that does not read costs the storage node no more memory than was promised.

use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::StreamExt;
use ottla_proto::storage::v1 as wire;
use ottla_proto::storage::v1::exchange_request::Request;
use ottla_proto::storage::v1::exchange_response::Response;
use ottla_proto::storage::v1::storage_service_client::StorageServiceClient;
use ottla_runtime::grpc::{STREAM_WINDOW_BYTES, channel};
use ottla_runtime::seams::DiskFile;

use super::fake::fetch;
use super::{NODE, Setup, patient};
use crate::context::wire::context_to_wire;
use crate::storage::{FetchedRecords, MAX_READY_BYTES};

const RECORDS_BYTES: usize = 8 << 20;
const FETCHES: usize = 40;

/// A file of zeros that counts what is read.
#[derive(Default)]
struct Zeros(AtomicUsize);

impl DiskFile for Zeros {
    fn len(&self) -> io::Result<u64> {
        Ok(RECORDS_BYTES as u64)
    }

    fn read_at(&self, buf: &mut [u8], _: u64) -> io::Result<usize> {
        self.0.fetch_add(buf.len(), Ordering::SeqCst);
        Ok(buf.len())
    }

    fn write_all_at(&self, _: &[IoSlice<'_>], _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn allocate(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync_data(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

fn opening() -> wire::ExchangeRequest {
    let opening = wire::ExchangeOpening { to_node_id: NODE.0, traffic_class: 2 };
    let request = Some(Request::Opening(opening));
    wire::ExchangeRequest { correlation_id: 0, context: None, request }
}

fn asking(correlation_id: u64) -> wire::ExchangeRequest {
    wire::ExchangeRequest {
        correlation_id,
        context: Some(context_to_wire(&patient(), None)),
        request: Some(Request::Fetch(fetch(0).into())),
    }
}

#[tokio::test]
async fn only_so_many_records_are_read_ahead_of_the_gateway() {
    let setup = Setup::new().await;
    let file = Arc::new(Zeros::default());
    let region =
        FetchedRecords::Region { file: Arc::clone(&file) as _, position: 0, len: RECORDS_BYTES };
    *setup.fake.fetched.lock().unwrap() = Some(region);

    let asked = futures::stream::iter([opening()])
        .chain(futures::stream::iter((1..=FETCHES as u64).map(asking)))
        .chain(futures::stream::pending());
    let channel = channel(&setup.seams.net, &setup.loopback.address);
    let mut client =
        StorageServiceClient::new(channel).max_decoding_message_size(2 * RECORDS_BYTES);
    let mut answers = client.exchange(asked).await.unwrap().into_inner();
    // The answer that is being sent and the one that was taken are not counted as waiting any more.
    let bound = MAX_READY_BYTES + STREAM_WINDOW_BYTES as usize + 3 * RECORDS_BYTES;
    for taken in 0..FETCHES {
        let read = file.0.load(Ordering::SeqCst);
        let ahead = read - taken * RECORDS_BYTES;
        assert!(ahead <= bound, "{} MiB ahead", ahead >> 20);
        let answer = answers.message().await.unwrap().unwrap();
        let Some(Response::Fetch(fetched)) = answer.response else { panic!("a fetch") };
        let records = &fetched.partitions[0].records;
        assert_eq!(records.iter().map(bytes::Bytes::len).sum::<usize>(), RECORDS_BYTES);
    }
    assert_eq!(file.0.load(Ordering::SeqCst), FETCHES * RECORDS_BYTES);
}
