//! What IncrementalAlterConfigs and AlterConfigs have in common: each resource is judged by itself, the active controller decides
//! what is well-formed, and the client is answered when this gateway has replayed the decision.
//!
//! Invariant: one outcome for each resource of the request, in its order. Messages are Kafka's (`ConfigAdminManager`).
//! Deliberately does not know which names and values are right.

use std::collections::{BTreeMap, BTreeSet};

use ottla_metadata::command::{ConfigAlteration, ConfigOp};
use ottla_metadata::{Command, Refusal, Reply};
use ottla_types::ErrorCode;

use super::{BACKEND_TIME, config_resources};
use crate::errors;
use crate::request::Call;

/// What a client wants of one resource.
pub(super) struct Wish {
    /// Kafka's number of its kind.
    pub(super) kind: i8,
    /// Its name.
    pub(super) name: String,
    /// Whether configs that are not named are reset.
    pub(super) replaces: bool,
    /// What is done to its configs, or why that is nonsense.
    pub(super) changes: Result<Changes, Refusal>,
}

/// Config and what is done to it; `None` for a null where a value belongs.
pub(super) type Changes = Vec<(String, Option<ConfigOp>)>;

/// What became of one resource.
type Outcome = Result<(), Refusal>;

/// A resource as the answer tells of it.
pub(super) struct Altered {
    /// Kafka's number of its kind.
    pub(super) kind: i8,
    /// Its name.
    pub(super) name: String,
    /// Kafka's code.
    pub(super) code: i16,
    /// What goes with it.
    pub(super) message: Option<String>,
}

/// Alters what is well-formed.
pub(super) async fn alter(call: &Call, wishes: Vec<Wish>, validate_only: bool) -> Vec<Altered> {
    let named: Vec<_> = wishes.iter().map(|wish| (wish.kind, wish.name.clone())).collect();
    let outcomes = alter_all(call, wishes, validate_only).await;
    let altered = named.into_iter().zip(outcomes).map(|((kind, name), outcome)| {
        let (code, message) = errors::code_and_message(outcome);
        Altered { kind, name, code, message }
    });
    altered.collect()
}

async fn alter_all(call: &Call, wishes: Vec<Wish>, validate_only: bool) -> Vec<Outcome> {
    let twice = named_twice(&wishes);
    let mut outcomes = Vec::with_capacity(wishes.len());
    let (mut asked, mut resources) = (Vec::new(), Vec::new());
    for (at, wish) in wishes.into_iter().enumerate() {
        let is_twice = twice.contains(&(wish.kind, wish.name.clone()));
        outcomes.push(match alteration(wish, is_twice) {
            Ok(resource) => {
                resources.push(resource);
                asked.push(at);
                Ok(())
            }
            Err(refusal) => Err(refusal),
        });
    }
    if !resources.is_empty() {
        let command = Command::AlterConfigs { resources, validate_only };
        let decided = submit(call, command, asked.len()).await;
        for (at, outcome) in asked.into_iter().zip(decided) {
            outcomes[at] = outcome;
        }
    }
    outcomes
}

fn named_twice(wishes: &[Wish]) -> BTreeSet<(i8, String)> {
    let mut times: BTreeMap<(i8, &str), usize> = BTreeMap::new();
    for wish in wishes {
        *times.entry((wish.kind, &wish.name)).or_default() += 1;
    }
    let twice = times.into_iter().filter(|(_, count)| *count > 1);
    twice.map(|((kind, name), _)| (kind, name.to_owned())).collect()
}

fn alteration(wish: Wish, is_twice: bool) -> Result<ConfigAlteration, Refusal> {
    let invalid = |message: String| Refusal::new(ErrorCode::InvalidRequest, message);
    if is_twice {
        return Err(invalid("Each resource must appear at most once.".to_owned()));
    }
    let changes = well_formed(wish.changes?)?;
    let resource = config_resources::of(wish.kind, &wish.name)?
        .ok_or_else(|| invalid(format!("Unknown resource type {}", wish.kind)))?;
    Ok(ConfigAlteration { resource, replaces: wish.replaces, changes })
}

/// No config twice, and each with a value.
fn well_formed(changes: Changes) -> Result<Vec<(String, ConfigOp)>, Refusal> {
    let invalid = |message: String| Err(Refusal::new(ErrorCode::InvalidRequest, message));
    let mut named = BTreeSet::new();
    if !changes.iter().all(|(name, _)| named.insert(name.as_str())) {
        return invalid("Error due to duplicate config keys".to_owned());
    }
    let nulls = changes.iter().filter(|(_, op)| op.is_none());
    let nulls: Vec<&str> = nulls.map(|(name, _)| name.as_str()).collect();
    if !nulls.is_empty() {
        return invalid(format!("Null value not supported for : {}", nulls.join(", ")));
    }
    Ok(changes.into_iter().filter_map(|(name, op)| Some((name, op?))).collect())
}

async fn submit(call: &Call, command: Command, count: usize) -> Vec<Outcome> {
    let all = |refusal: Refusal| vec![Err(refusal); count];
    let submitted = match call.gateway.controller.submit(call.context(BACKEND_TIME), command).await
    {
        Ok(submitted) => submitted,
        Err(error) => return all(Refusal::new(errors::for_controller(&error), error.to_string())),
    };
    let outcomes = match submitted.reply {
        Reply::Configs(outcomes) if outcomes.len() == count => outcomes,
        Reply::Refused(refusal) => return all(refusal),
        _ => {
            let message = "the controller's answer is none of these resources";
            return all(Refusal::new(ErrorCode::UnknownServerError, message));
        }
    };
    let offset = submitted.offset;
    match call.gateway.wait_until(BACKEND_TIME, |image| image.offset >= offset).await {
        Ok(_) => outcomes,
        Err(error) => {
            let message = format!("decided, but not known to this gateway in time: {error}");
            let late = Refusal::new(ErrorCode::RequestTimedOut, message);
            outcomes.into_iter().map(|outcome| outcome.and(Err(late.clone()))).collect()
        }
    }
}
