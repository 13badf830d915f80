//! `ottla group lag`: what a group has committed, and how much is behind it.

use ottla_proto::admin::v1 as proto;
use ottla_proto::admin::v1::group_service_client::GroupServiceClient;
use serde::Serialize;
use tonic::transport::Channel;

use super::PAGE_SIZE;
use crate::cli::admin::Admin;
use crate::cli::failure::Failure;
use crate::cli::output::{Format, Rows, counted};

#[derive(Serialize)]
struct Lag {
    group: String,
    /// Of the partitions whose lag is known.
    total_lag: i64,
    partitions: Vec<PartitionLag>,
}

#[derive(Serialize)]
struct PartitionLag {
    topic: String,
    partition: i32,
    offset: Option<i64>,
    end: Option<i64>,
    lag: Option<i64>,
    member: Option<String>,
    client: Option<String>,
    host: Option<String>,
}

/// Prints it.
pub(super) async fn run(
    admin: &Admin,
    client: &mut GroupServiceClient<Channel>,
    group: String,
    format: Format,
) -> Result<(), Failure> {
    let (mut partitions, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = proto::ListGroupOffsetsRequest {
            id: group.clone(),
            page_size: PAGE_SIZE,
            page_token,
            ..Default::default()
        };
        let page = admin.answer(client.list_group_offsets(request).await)?;
        partitions.extend(page.offsets.into_iter().map(PartitionLag::from));
        if page.next_page_token.is_empty() {
            break;
        }
        page_token = page.next_page_token;
    }
    let total_lag = partitions.iter().filter_map(|one| one.lag).sum();
    if format == Format::Table {
        println!("group {group}: {}\n", summary(total_lag, &partitions));
        if partitions.is_empty() {
            return Ok(());
        }
    }
    Ok(format.print(&Lag { group, total_lag, partitions })?)
}

fn summary(total_lag: i64, partitions: &[PartitionLag]) -> String {
    let unknown = partitions.iter().filter(|one| one.lag.is_none()).count() as u64;
    let known = partitions.len() as u64 - unknown;
    let behind =
        format!("{} behind in {}", counted(total_lag, "record"), counted(known, "partition"));
    match unknown {
        0 => behind,
        _ => format!("{behind}; not known of {}", counted(unknown, "partition")),
    }
}

impl From<proto::GroupOffset> for PartitionLag {
    fn from(offset: proto::GroupOffset) -> Self {
        let known = |text: String| Some(text).filter(|text| !text.is_empty());
        Self {
            topic: offset.topic,
            partition: offset.partition,
            offset: offset.committed_offset,
            end: offset.log_end_offset,
            lag: offset.lag,
            member: known(offset.member_id),
            client: known(offset.client_id),
            host: known(offset.client_host.trim_start_matches('/').to_owned()),
        }
    }
}

impl Rows for Lag {
    fn heads(&self) -> Vec<&'static str> {
        vec!["TOPIC", "PARTITION", "OFFSET", "END", "LAG", "MEMBER", "CLIENT", "HOST"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let number =
            |number: Option<i64>| number.map_or_else(|| "-".to_owned(), |known| known.to_string());
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let row = |one: &PartitionLag| {
            vec![
                one.topic.clone(),
                one.partition.to_string(),
                number(one.offset),
                number(one.end),
                number(one.lag),
                text(&one.member),
                text(&one.client),
                text(&one.host),
            ]
        };
        self.partitions.iter().map(row).collect()
    }
}
