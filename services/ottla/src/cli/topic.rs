//! `ottla topic create|list|describe|alter|add-partitions|tail|delete`.

pub(super) mod configs;
mod tail;

use std::collections::BTreeMap;

use ottla_proto::admin::v1 as proto;
use ottla_proto::admin::v1::topic_service_client::TopicServiceClient;
use serde::Serialize;

use crate::cli::admin::Admin;
use crate::cli::failure::Failure;
use crate::cli::output::{Format, Rows};
use crate::cli::patience::patient;

/// Topics of one page.
const PAGE_SIZE: i32 = 1_000;

/// What can be done with topics.
#[derive(Debug, clap::Subcommand)]
pub(super) enum TopicCommand {
    /// Create a topic.
    Create {
        /// Its name.
        name: String,
        /// How many partitions; without it the cluster's `num.partitions`.
        #[arg(
            long,
            short,
            value_name = "N",
            allow_negative_numbers = true,
            value_parser = clap::value_parser!(i32).range(1..)
        )]
        partitions: Option<i32>,
        /// How many replicas; without it the cluster's `default.replication.factor`.
        #[arg(
            long,
            short,
            value_name = "N",
            allow_negative_numbers = true,
            value_parser = clap::value_parser!(i32).range(1..=32_767)
        )]
        replication_factor: Option<i32>,
        /// A topic config by Kafka's name.
        #[arg(long = "config", value_name = "NAME=VALUE", value_parser = crate::cli::assignment)]
        configs: Vec<(String, String)>,
    },
    /// List all topics.
    List,
    /// Show one topic's partitions.
    Describe {
        /// Its name.
        name: String,
    },
    /// Change a topic's configs.
    Alter {
        /// Its name.
        name: String,
        /// Set a config, by Kafka's name.
        #[arg(
            long,
            value_name = "NAME=VALUE",
            required_unless_present = "unset",
            value_parser = crate::cli::assignment
        )]
        set: Vec<(String, String)>,
        /// Take a config back to its default.
        #[arg(long, value_name = "NAME")]
        unset: Vec<String>,
    },
    /// Give a topic more partitions; it cannot have fewer again.
    AddPartitions {
        /// Its name.
        name: String,
        /// How many it has from then on, in all.
        #[arg(
            long = "to",
            value_name = "N",
            allow_negative_numbers = true,
            value_parser = clap::value_parser!(i32).range(1..)
        )]
        total: i32,
    },
    /// Print new records of all partitions, as they come.
    Tail(tail::TailArgs),
    /// Delete a topic and its records.
    Delete {
        /// Its name.
        name: String,
    },
}

#[derive(Serialize)]
struct Topic {
    name: String,
    id: String,
    partitions: i32,
    replication_factor: i32,
    offline_partitions: i32,
    configs: BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(transparent)]
struct Topics(Vec<Topic>);

#[derive(Serialize)]
struct Described {
    topic: Topic,
    partitions: Vec<Partition>,
}

#[derive(Serialize)]
struct Partition {
    partition: i32,
    leader: Option<i32>,
    leader_epoch: i32,
    replicas: Vec<i32>,
    isr: Vec<i32>,
}

#[derive(Serialize)]
struct Grown {
    name: String,
    partitions: i32,
}

#[derive(Serialize)]
struct Deleted {
    name: String,
    id: String,
}

/// Runs one of the commands.
pub(super) async fn run(
    (bootstrap, admin): (&str, &str),
    command: TopicCommand,
    format: Format,
) -> Result<(), Failure> {
    match command {
        TopicCommand::Tail(args) => tail::run(bootstrap, args, format).await,
        command => patient(admin, manage(admin, command, format)).await,
    }
}

async fn manage(admin: &str, command: TopicCommand, format: Format) -> Result<(), Failure> {
    let admin = Admin::connect(admin).await?;
    let mut client = TopicServiceClient::new(admin.channel.clone());
    match command {
        TopicCommand::Create { name, partitions, replication_factor, configs } => {
            let request = proto::CreateTopicRequest {
                name,
                partitions,
                replication_factor,
                configs: configs.into_iter().collect(),
                ..Default::default()
            };
            let created = admin.answer(client.create_topic(request).await)?;
            format.print(&Topics(created.topic.into_iter().map(Topic::from).collect()))?;
        }
        TopicCommand::List => format.print(&Topics(list(&admin, &mut client).await?))?,
        TopicCommand::Describe { name } => {
            let request = proto::GetTopicRequest { name, ..Default::default() };
            let found = admin.answer(client.get_topic(request).await)?;
            format.print(&Described {
                topic: found.topic.unwrap_or_default().into(),
                partitions: found.partitions.into_iter().map(Partition::from).collect(),
            })?;
        }
        TopicCommand::Alter { name, set, unset } => {
            configs::alter(&admin, name, (set, unset), format).await?;
        }
        TopicCommand::AddPartitions { name, total } => {
            let request = proto::CreatePartitionsRequest {
                name: name.clone(),
                partition_count: total,
                ..Default::default()
            };
            let grown = admin.answer(client.create_partitions(request).await)?;
            format.print(&Grown { name, partitions: grown.partition_count })?;
        }
        // Run by itself: it asks no controller.
        TopicCommand::Tail(_) => {}
        TopicCommand::Delete { name } => {
            let request = proto::DeleteTopicRequest { name: name.clone(), ..Default::default() };
            let deleted = admin.answer(client.delete_topic(request).await)?;
            format.print(&Deleted { name, id: deleted.id })?;
        }
    }
    Ok(())
}

async fn list(
    admin: &Admin,
    client: &mut TopicServiceClient<tonic::transport::Channel>,
) -> Result<Vec<Topic>, Failure> {
    let mut topics = Vec::new();
    let mut page_token = String::new();
    loop {
        let request =
            proto::ListTopicsRequest { page_size: PAGE_SIZE, page_token, ..Default::default() };
        let page = admin.answer(client.list_topics(request).await)?;
        topics.extend(page.topics.into_iter().map(Topic::from));
        if page.next_page_token.is_empty() {
            return Ok(topics);
        }
        page_token = page.next_page_token;
    }
}

impl From<proto::Topic> for Topic {
    fn from(topic: proto::Topic) -> Self {
        Self {
            name: topic.name,
            id: topic.id,
            partitions: topic.partition_count,
            replication_factor: topic.replication_factor,
            offline_partitions: topic.offline_partition_count,
            configs: topic.configs.into_iter().collect(),
        }
    }
}

impl From<proto::Partition> for Partition {
    fn from(partition: proto::Partition) -> Self {
        Self {
            partition: partition.index,
            leader: partition.leader_node_id,
            leader_epoch: partition.leader_epoch,
            replicas: partition.replica_node_ids,
            isr: partition.isr_node_ids,
        }
    }
}

impl Rows for Topics {
    fn heads(&self) -> Vec<&'static str> {
        vec!["NAME", "PARTITIONS", "REPLICAS", "OFFLINE", "CONFIGS", "ID"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let row = |topic: &Topic| {
            let configs: Vec<_> = topic.configs.iter().map(|(k, v)| format!("{k}={v}")).collect();
            vec![
                topic.name.clone(),
                topic.partitions.to_string(),
                topic.replication_factor.to_string(),
                topic.offline_partitions.to_string(),
                configs.join(","),
                topic.id.clone(),
            ]
        };
        self.0.iter().map(row).collect()
    }
}

impl Rows for Described {
    fn heads(&self) -> Vec<&'static str> {
        vec!["TOPIC", "PARTITION", "LEADER", "EPOCH", "REPLICAS", "ISR"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let ids = |ids: &[i32]| ids.iter().map(i32::to_string).collect::<Vec<_>>().join(",");
        let row = |p: &Partition| {
            vec![
                self.topic.name.clone(),
                p.partition.to_string(),
                p.leader.map_or_else(|| "none".to_owned(), |node| node.to_string()),
                p.leader_epoch.to_string(),
                ids(&p.replicas),
                ids(&p.isr),
            ]
        };
        self.partitions.iter().map(row).collect()
    }
}

impl Rows for Grown {
    fn heads(&self) -> Vec<&'static str> {
        vec!["NAME", "PARTITIONS"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        vec![vec![self.name.clone(), self.partitions.to_string()]]
    }
}

impl Rows for Deleted {
    fn heads(&self) -> Vec<&'static str> {
        vec!["DELETED", "ID"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        vec![vec![self.name.clone(), self.id.clone()]]
    }
}
