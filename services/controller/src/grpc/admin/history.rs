//! `HistoryService`: what happened last night.

use ottla_api::controller::{HistoryEntry, HistoryQuery};
use ottla_proto::admin::v1 as wire;
use ottla_proto::admin::v1::history_service_server::HistoryService;
use ottla_types::{MetadataOffset, NodeId};
use tonic::{Request, Response, Status};

use super::errors::AdminError;
use super::{AdminServices, pages, respond};

#[tonic::async_trait]
impl HistoryService for AdminServices {
    async fn list_history(
        &self,
        request: Request<wire::ListHistoryRequest>,
    ) -> Result<Response<wire::ListHistoryResponse>, Status> {
        respond(self.history(request.into_inner()).await)
    }
}

impl AdminServices {
    async fn history(
        &self,
        request: wire::ListHistoryRequest,
    ) -> Result<wire::ListHistoryResponse, AdminError> {
        if request.partition.is_some() && request.topic.is_empty() {
            return Err(AdminError::invalid("partition without topic; name the topic as well"));
        }
        let query = HistoryQuery {
            topic: Some(request.topic).filter(|topic| !topic.is_empty()),
            partition: request.partition,
            node: request.node_id.map(NodeId),
            before: pages::number(&request.page_token)?.map(MetadataOffset),
            limit: pages::size(request.page_size)?,
        };
        let page = self.read_store(move |store| store.history(&query)).await?;
        Ok(wire::ListHistoryResponse {
            request_id: request.request_id,
            entries: page.entries.into_iter().map(entry).collect(),
            next_page_token: page.next.map(|next| next.to_string()).unwrap_or_default(),
        })
    }
}

fn entry(entry: HistoryEntry) -> wire::HistoryEntry {
    let partition = entry.partition.as_ref().map(|(_, partition)| *partition);
    wire::HistoryEntry {
        metadata_offset: entry.offset.0,
        decided_at: timestamp(entry.at.0),
        kind: entry.kind,
        node_id: entry.node.map(|node| node.0),
        topic: entry.partition.map(|(topic, _)| topic).unwrap_or_default(),
        // -1 stands for the topic itself.
        partition: partition.filter(|partition| *partition >= 0),
        detail: entry.detail,
    }
}

fn timestamp(ms: i64) -> Option<prost_types::Timestamp> {
    let nanos = i32::try_from(ms.rem_euclid(1_000) * 1_000_000).ok()?;
    (ms >= 0).then_some(prost_types::Timestamp { seconds: ms.div_euclid(1_000), nanos })
}
