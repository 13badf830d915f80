//! The Kafka client of the command line: a kept library, so that these commands see what any client sees.

use std::collections::BTreeMap;

use ottla_runtime::seams::{Clock as _, RealClock};
use rskafka::BackoffConfig;
use rskafka::chrono::DateTime;
use rskafka::client::partition::{PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder};
use rskafka::record::Record;

use crate::cli::failure::Failure;
use crate::cli::wire::Wire;

/// How long a command tries before it says that the cluster does not answer.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

/// A connection to a cluster.
pub(super) struct Kafka {
    client: Client,
    bootstrap: String,
}

impl Kafka {
    /// Connects; tries for ten seconds.
    pub(super) async fn connect(bootstrap: &str) -> Result<Self, Failure> {
        let backoff = BackoffConfig { deadline: Some(PATIENCE), ..BackoffConfig::default() };
        let client = ClientBuilder::new(vec![bootstrap.to_owned()])
            .client_id("ottla-cli")
            .backoff_config(backoff)
            .build()
            .await
            .map_err(|error| Failure::from_bootstrap(bootstrap, &error))?;
        Ok(Self { client, bootstrap: bootstrap.to_owned() })
    }

    /// The partitions of a topic, in order.
    pub(super) async fn partitions(&self, topic: &str) -> Result<Vec<i32>, Failure> {
        // Not asked of the library: it hides internal topics.
        Wire::connect(&self.bootstrap).await?.partitions(topic).await
    }

    /// The same; makes the topic where there is none and the cluster allows it.
    pub(super) async fn partitions_made(&self, topic: &str) -> Result<Vec<i32>, Failure> {
        match self.partitions(topic).await {
            Err(Failure::Refused { .. }) => {
                self.partition(topic, 0).await?;
                self.partitions(topic).await
            }
            outcome => outcome,
        }
    }

    /// One partition.
    pub(super) async fn partition(
        &self,
        topic: &str,
        index: i32,
    ) -> Result<PartitionClient, Failure> {
        self.client
            .partition_client(topic, index, UnknownTopicHandling::Retry)
            .await
            .map_err(|error| self.failure(&error))
    }

    /// An error of the client, as this command line says it.
    pub(super) fn failure(&self, error: &rskafka::client::error::Error) -> Failure {
        Failure::from_kafka(&self.bootstrap, error)
    }
}

/// A record of now.
pub(super) fn record(
    key: Option<Vec<u8>>,
    value: Vec<u8>,
    headers: BTreeMap<String, Vec<u8>>,
) -> Record {
    let now = RealClock::new().wall().0;
    let timestamp = DateTime::from_timestamp_millis(now).unwrap_or_default();
    Record { key, value: Some(value), headers, timestamp }
}
