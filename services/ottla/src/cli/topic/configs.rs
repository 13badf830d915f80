//! Configs of a topic, as commands change them.

use ottla_proto::admin::v1 as proto;
use ottla_proto::admin::v1::topic_service_client::TopicServiceClient;
use ottla_types::ErrorCode;
use serde::Serialize;

use crate::cli::admin::Admin;
use crate::cli::failure::Failure;
use crate::cli::output::{Format, Rows};

/// What was changed.
#[derive(Serialize)]
struct Altered {
    topic: String,
    set: std::collections::BTreeMap<String, String>,
    unset: Vec<String>,
}

/// Sets configs of a topic, and takes others back to their defaults; prints what it did.
pub(in crate::cli) async fn alter(
    admin: &Admin,
    topic: String,
    (set, unset): (Vec<(String, String)>, Vec<String>),
    format: Format,
) -> Result<(), Failure> {
    let request = proto::AlterTopicConfigsRequest {
        name: topic.clone(),
        set: set.iter().cloned().collect(),
        reset: unset.clone(),
        ..Default::default()
    };
    let mut client = TopicServiceClient::new(admin.channel.clone());
    let altered = admin.answer(client.alter_topic_configs(request).await);
    altered.map_err(|failure| with_cure(failure, &topic))?;
    Ok(format.print(&Altered { topic, set: set.into_iter().collect(), unset })?)
}

/// What Kafka says of a wrong config is a cause alone.
fn with_cure(failure: Failure, topic: &str) -> Failure {
    match failure {
        Failure::Refused { reason, message } if reason == ErrorCode::InvalidConfig.name() => {
            let cause = message.trim_end_matches('.');
            let message = format!(
                "{cause}; `ottla config describe topic {topic}` shows what can be set, with the values that count now"
            );
            Failure::Refused { reason, message }
        }
        other => other,
    }
}

impl Rows for Altered {
    fn heads(&self) -> Vec<&'static str> {
        vec!["TOPIC", "CONFIG", "VALUE"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let row =
            |name: &String, value: &str| vec![self.topic.clone(), name.clone(), value.to_owned()];
        let set = self.set.iter().map(|(name, value)| row(name, value));
        let unset = self.unset.iter().map(|name| row(name, "(its default)"));
        set.chain(unset).collect()
    }
}
