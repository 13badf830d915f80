//! `TopicService`.

use std::collections::BTreeMap;

use ottla_metadata::Command;
use ottla_metadata::command::TopicRef;
use ottla_metadata::topic_config::describe;
use ottla_proto::admin::v1 as wire;
use ottla_proto::admin::v1::topic_service_server::TopicService;
use tonic::{Request, Response, Status};
use tracing::Span;

use super::errors::AdminError;
use super::watches::{TopicWatch, Watched};
use super::{AdminServices, pages, respond, span, topic_values};

#[tonic::async_trait]
impl TopicService for AdminServices {
    type WatchTopicsStream = Watched<wire::WatchTopicsResponse>;

    async fn create_topic(
        &self,
        request: Request<wire::CreateTopicRequest>,
    ) -> Result<Response<wire::CreateTopicResponse>, Status> {
        let span = span("CreateTopic", &request);
        respond(self.create(span, request.into_inner()).await)
    }

    async fn list_topics(
        &self,
        request: Request<wire::ListTopicsRequest>,
    ) -> Result<Response<wire::ListTopicsResponse>, Status> {
        respond(self.list(request.into_inner()).await)
    }

    async fn get_topic(
        &self,
        request: Request<wire::GetTopicRequest>,
    ) -> Result<Response<wire::GetTopicResponse>, Status> {
        let wire::GetTopicRequest { request_id, name } = request.into_inner();
        let image = self.image();
        respond(image.topic_by_name(&name).ok_or_else(|| AdminError::no_topic(&name)).map(
            |topic| wire::GetTopicResponse {
                request_id,
                topic: Some(topic_values::topic(topic)),
                partitions: topic_values::partitions(topic),
            },
        ))
    }

    async fn delete_topic(
        &self,
        request: Request<wire::DeleteTopicRequest>,
    ) -> Result<Response<wire::DeleteTopicResponse>, Status> {
        let span = span("DeleteTopic", &request);
        respond(self.delete(span, request.into_inner()).await)
    }

    async fn alter_topic_configs(
        &self,
        request: Request<wire::AlterTopicConfigsRequest>,
    ) -> Result<Response<wire::AlterTopicConfigsResponse>, Status> {
        let span = span("AlterTopicConfigs", &request);
        respond(self.alter_configs(span, request.into_inner()).await)
    }

    async fn create_partitions(
        &self,
        request: Request<wire::CreatePartitionsRequest>,
    ) -> Result<Response<wire::CreatePartitionsResponse>, Status> {
        let span = span("CreatePartitions", &request);
        respond(self.add_partitions(span, request.into_inner()).await)
    }

    async fn watch_topics(
        &self,
        request: Request<wire::WatchTopicsRequest>,
    ) -> Result<Response<Self::WatchTopicsStream>, Status> {
        respond(self.watches.watch(TopicWatch::new(&self.member, request.into_inner())))
    }

    async fn describe_topic_configs(
        &self,
        request: Request<wire::DescribeTopicConfigsRequest>,
    ) -> Result<Response<wire::DescribeTopicConfigsResponse>, Status> {
        let wire::DescribeTopicConfigsRequest { request_id, name } = request.into_inner();
        let image = self.image();
        respond(image.topic_by_name(&name).ok_or_else(|| AdminError::no_topic(&name)).map(
            |topic| {
                let defaults = image.topic_defaults(&self.topic_defaults, None);
                let described = describe(&topic.configs, &defaults);
                let configs = described.into_iter().map(topic_values::config).collect();
                wire::DescribeTopicConfigsResponse { request_id, configs }
            },
        ))
    }
}

impl AdminServices {
    async fn create(
        &self,
        span: Span,
        request: wire::CreateTopicRequest,
    ) -> Result<wire::CreateTopicResponse, AdminError> {
        let (request_id, validate_only) = (request.request_id.clone(), request.validate_only);
        let configs = request.configs.clone();
        let topics = vec![topic_values::new_topic(request)?];
        let submitted = self.write(span, Command::CreateTopics { topics, validate_only }).await?;
        let outcome = topic_values::one_topic(submitted.reply)?;
        let image = self.image();
        let shown = image.topics.get(&outcome.id).map(|topic| topic_values::topic(topic));
        Ok(wire::CreateTopicResponse {
            request_id,
            topic: Some(shown.unwrap_or_else(|| topic_values::outcome(&outcome, configs))),
            metadata_offset: submitted.offset.0,
        })
    }

    async fn list(
        &self,
        request: wire::ListTopicsRequest,
    ) -> Result<wire::ListTopicsResponse, AdminError> {
        let wire::ListTopicsRequest { request_id, page_size, page_token, name_prefix } = request;
        let size = pages::size(page_size)?;
        let mut found =
            self.read_store(move |store| store.topics(&name_prefix, &page_token, size + 1)).await?;
        let next_page_token = pages::cut(&mut found, size, |topic| topic.name.clone());
        let topics = found.iter().map(|topic| topic_values::topic(topic)).collect();
        Ok(wire::ListTopicsResponse { request_id, topics, next_page_token })
    }

    async fn delete(
        &self,
        span: Span,
        request: wire::DeleteTopicRequest,
    ) -> Result<wire::DeleteTopicResponse, AdminError> {
        let wire::DeleteTopicRequest { request_id, name } = request;
        let topics = vec![TopicRef::Name(name.clone())];
        let submitted = self.write(span, Command::DeleteTopics { topics }).await?;
        let outcome =
            topic_values::one_topic(submitted.reply).map_err(|error| error.of_topic(&name))?;
        let (id, metadata_offset) = (outcome.id.to_string(), submitted.offset.0);
        Ok(wire::DeleteTopicResponse { request_id, id, metadata_offset })
    }

    async fn add_partitions(
        &self,
        span: Span,
        request: wire::CreatePartitionsRequest,
    ) -> Result<wire::CreatePartitionsResponse, AdminError> {
        let name = request.name.clone();
        let current = self.image().topic_by_name(&name).map(|topic| topic.partitions.len());
        let current = current.ok_or_else(|| AdminError::no_topic(&name))?;
        let topic = topic_values::new_partitions(&request, current)?;
        let validate_only = request.validate_only;
        let command = Command::CreatePartitions { topics: vec![topic], validate_only };
        let submitted = self.write(span, command).await?;
        let outcome =
            topic_values::one_topic(submitted.reply).map_err(|error| error.of_topic(&name))?;
        Ok(wire::CreatePartitionsResponse {
            request_id: request.request_id,
            partition_count: outcome.partitions,
            metadata_offset: submitted.offset.0,
        })
    }

    async fn alter_configs(
        &self,
        span: Span,
        request: wire::AlterTopicConfigsRequest,
    ) -> Result<wire::AlterTopicConfigsResponse, AdminError> {
        let mut changes: BTreeMap<String, Option<String>> =
            request.set.into_iter().map(|(name, value)| (name, Some(value))).collect();
        for name in request.reset {
            if changes.contains_key(&name) {
                let message = format!("{name} is both set and reset; choose one");
                return Err(AdminError::invalid(message));
            }
            changes.insert(name, None);
        }
        let (topic, validate_only) = (TopicRef::Name(request.name.clone()), request.validate_only);
        let command = Command::AlterTopicConfigs { topic, changes, validate_only };
        let submitted = self.write(span, command).await?;
        topic_values::one_topic(submitted.reply).map_err(|error| error.of_topic(&request.name))?;
        let (request_id, metadata_offset) = (request.request_id, submitted.offset.0);
        Ok(wire::AlterTopicConfigsResponse { request_id, metadata_offset })
    }
}
