//! `ottla config describe|set|unset`: configs of topics and of storage nodes, which Kafka calls brokers.

use ottla_proto::admin::v1 as proto;
use ottla_proto::admin::v1::cluster_service_client::ClusterServiceClient;
use ottla_proto::admin::v1::topic_service_client::TopicServiceClient;
use serde::Serialize;

use crate::cli::admin::Admin;
use crate::cli::failure::Failure;
use crate::cli::output::{Format, Rows};
use crate::cli::topic::configs::alter;

/// Whose configs are shown.
#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum Shown {
    /// A topic's.
    Topic {
        /// Its name.
        name: String,
        /// Only those that are not the default.
        #[arg(long)]
        changed: bool,
    },
    /// A storage node's, which Kafka calls a broker.
    Broker {
        /// Its node.id.
        node: i32,
        /// Only those that are not the default.
        #[arg(long)]
        changed: bool,
    },
}

/// What is set.
#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum Set {
    /// Configs of a topic.
    Topic {
        /// Its name.
        name: String,
        /// By Kafka's names.
        #[arg(required = true, value_name = "NAME=VALUE", value_parser = crate::cli::assignment)]
        configs: Vec<(String, String)>,
    },
}

/// What is taken back to its default.
#[derive(Debug, clap::Subcommand)]
pub(in crate::cli) enum Unset {
    /// Configs of a topic.
    Topic {
        /// Its name.
        name: String,
        /// By Kafka's names.
        #[arg(required = true, value_name = "NAME")]
        configs: Vec<String>,
    },
}

#[derive(Serialize)]
struct Config {
    name: String,
    value: Option<String>,
    source: &'static str,
    effect: String,
    #[serde(skip)]
    is_default: bool,
}

#[derive(Serialize)]
#[serde(transparent)]
struct Configs(Vec<Config>);

/// Shows configs.
pub(super) async fn describe(admin: &str, shown: Shown, format: Format) -> Result<(), Failure> {
    let admin = Admin::connect(admin).await?;
    let (mut configs, changed) = match shown {
        Shown::Topic { name, changed } => (of_topic(&admin, name).await?, changed),
        Shown::Broker { node, changed } => (of_broker(&admin, node).await?, changed),
    };
    if changed {
        configs.retain(|config| !config.is_default);
    }
    Ok(format.print(&Configs(configs))?)
}

/// Sets configs.
pub(super) async fn set(admin: &str, set: Set, format: Format) -> Result<(), Failure> {
    let Set::Topic { name, configs } = set;
    alter(&Admin::connect(admin).await?, name, (configs, Vec::new()), format).await
}

/// Takes configs back to their defaults.
pub(super) async fn unset(admin: &str, unset: Unset, format: Format) -> Result<(), Failure> {
    let Unset::Topic { name, configs } = unset;
    alter(&Admin::connect(admin).await?, name, (Vec::new(), configs), format).await
}

async fn of_topic(admin: &Admin, name: String) -> Result<Vec<Config>, Failure> {
    let mut client = TopicServiceClient::new(admin.channel.clone());
    let request = proto::DescribeTopicConfigsRequest { name, ..Default::default() };
    let described = admin.answer(client.describe_topic_configs(request).await)?;
    Ok(described.configs.into_iter().map(topic_config).collect())
}

async fn of_broker(admin: &Admin, node_id: i32) -> Result<Vec<Config>, Failure> {
    let mut client = ClusterServiceClient::new(admin.channel.clone());
    let request = proto::DescribeStorageNodeConfigsRequest { node_id, ..Default::default() };
    let described = admin.answer(client.describe_storage_node_configs(request).await)?;
    Ok(described.configs.into_iter().map(broker_config).collect())
}

fn topic_config(config: proto::TopicConfig) -> Config {
    let source = config.source();
    Config {
        source: match source {
            proto::ConfigSource::Topic => "topic",
            proto::ConfigSource::Node => "broker",
            proto::ConfigSource::Default => "default",
            proto::ConfigSource::Unspecified => "unknown",
        },
        effect: if config.is_not_obeyed { "stored, not obeyed yet" } else { "obeyed" }.to_owned(),
        is_default: source == proto::ConfigSource::Default,
        name: config.name,
        value: Some(config.value),
    }
}

fn broker_config(config: proto::StorageNodeConfig) -> Config {
    let hidden = config.is_sensitive.then(|| "(secret)".to_owned());
    Config {
        source: if config.is_set { "broker" } else { "default" },
        is_default: !config.is_set,
        name: config.name,
        value: config.value.or(hidden.filter(|_| config.is_set)),
        effect: config.effect,
    }
}

impl Rows for Configs {
    fn heads(&self) -> Vec<&'static str> {
        vec!["CONFIG", "VALUE", "SOURCE", "EFFECT"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let row = |config: &Config| {
            vec![
                config.name.clone(),
                config.value.clone().unwrap_or_else(|| "null".to_owned()),
                config.source.to_owned(),
                config.effect.clone(),
            ]
        };
        self.0.iter().map(row).collect()
    }
}
