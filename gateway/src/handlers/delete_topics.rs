//! DeleteTopics: by name, and from version 6 on by id as well.

use ottla_kafka_wire::messages::delete_topics_request::DeleteTopicsRequest;
use ottla_kafka_wire::messages::delete_topics_response::{
    DeletableTopicResult, DeleteTopicsResponse,
};
use ottla_metadata::command::TopicRef;
use ottla_metadata::{Command, Refusal};
use ottla_types::{ErrorCode, TopicId, Uuid};

use super::topic_command::{Outcome, Until, submit};
use super::wait_of;
use crate::answer::Answer;
use crate::request::Call;
use crate::router::Handle;

/// First version in which topics may go by id.
const FIRST_WITH_TOPIC_IDS: i16 = 6;
/// First version that knows TOPIC_DELETION_DISABLED.
const FIRST_WITH_DISABLED: i16 = 3;

/// The handler.
pub(crate) struct DeleteTopics;

impl Handle for DeleteTopics {
    type Request = DeleteTopicsRequest;

    async fn handle(call: Call, request: DeleteTopicsRequest) -> Answer {
        let timeout = wait_of(request.timeout_ms);
        let references = references(&call, request);
        let accepted = references.iter().filter_map(|reference| reference.as_ref().ok().cloned());
        let outcomes = if call.gateway.config.delete_topics {
            let topics: Vec<TopicRef> = accepted.collect();
            let count = topics.len();
            submit(&call, (Command::DeleteTopics { topics }, count), Until::Replayed, timeout).await
        } else {
            vec![Err(disabled(&call)); accepted.count()]
        };
        let mut outcomes = outcomes.into_iter();
        let responses = references.into_iter().map(|reference| match reference {
            Ok(reference) => result(reference, outcomes.next()),
            Err((name, refusal)) => {
                DeletableTopicResult { name, ..refused(refusal, Default::default()) }
            }
        });
        let responses = responses.collect();
        call.answer(&DeleteTopicsResponse { responses, ..Default::default() })
    }
}

/// What is to be deleted; one that names a topic twice over, or not at all, is refused.
fn references(
    call: &Call,
    request: DeleteTopicsRequest,
) -> Vec<Result<TopicRef, (Option<String>, Refusal)>> {
    if call.version < FIRST_WITH_TOPIC_IDS {
        return request.topic_names.into_iter().map(|name| Ok(TopicRef::Name(name))).collect();
    }
    let topics = request.topics.into_iter();
    topics
        .map(|topic| match (topic.name, topic.topic_id) {
            (Some(name), Uuid::ZERO) => Ok(TopicRef::Name(name)),
            (None, id) if !id.is_zero() => Ok(TopicRef::Id(TopicId(id))),
            (name, _) => {
                let message = "A topic is named either by its name or by its id.";
                Err((name, Refusal::new(ErrorCode::InvalidRequest, message)))
            }
        })
        .collect()
}

fn disabled(call: &Call) -> Refusal {
    let code = match call.version {
        FIRST_WITH_DISABLED.. => ErrorCode::TopicDeletionDisabled,
        _ => ErrorCode::InvalidRequest,
    };
    Refusal::new(code, "Topic deletion is disabled (delete.topic.enable).")
}

fn result(reference: TopicRef, outcome: Option<Outcome>) -> DeletableTopicResult {
    let named = match reference {
        TopicRef::Name(name) => DeletableTopicResult { name: Some(name), ..Default::default() },
        TopicRef::Id(id) => {
            DeletableTopicResult { name: None, topic_id: id.0, ..Default::default() }
        }
    };
    match outcome {
        Some(Ok(outcome)) => DeletableTopicResult {
            name: Some(outcome.name),
            topic_id: outcome.id.0,
            ..Default::default()
        },
        Some(Err(refusal)) => refused(refusal, named),
        None => refused(Refusal::new(ErrorCode::UnknownServerError, "no answer"), named),
    }
}

fn refused(refusal: Refusal, named: DeletableTopicResult) -> DeletableTopicResult {
    DeletableTopicResult {
        error_code: refusal.code.code(),
        error_message: Some(refusal.message),
        ..named
    }
}
