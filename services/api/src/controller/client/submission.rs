//! One command on its way to the active member, wherever that is.
//!
//! Invariant: a command that changes the cluster each time it is decided is sent again only where the last attempt is known
//! not to have begun: the member said that it is not active, or no connection came about. Where its answer was lost the
//! caller is told [`CallError::Unreachable`] or [`CallError::TimedOut`]: it may have been done. Commands that may be decided
//! twice (heartbeats, registrations, settings) are tried until the context's time is over.
//! Deliberately does not interpret replies.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ottla_metadata::Command;
use ottla_metadata::codec::{decode_reply, encode_command};
use ottla_proto::controller::v1 as wire;
use ottla_proto::controller::v1::submit_response::Outcome;
use ottla_runtime::child_span;
use ottla_runtime::telemetry::trace_parent_of;
use ottla_types::MetadataOffset;

use super::members::Member;
use super::{ATTEMPT_MOST, ControllerClient, members};
use crate::backoff::Backoff;
use crate::context::wire::{
    context_to_wire, failure_from_wire, never_connected, required, status_to_failure,
};
use crate::context::{CallError, RequestContext};
use crate::controller::Submitted;
use crate::controller::convert::undecodable;

/// The pause after all members were asked once in vain.
const ROUND_PAUSE_FIRST: Duration = Duration::from_millis(20);
/// The longest pause between two rounds.
const ROUND_PAUSE_MOST: Duration = Duration::from_millis(500);

pub(super) struct Submission<'a> {
    client: &'a ControllerClient,
    context: RequestContext,
    command: Bytes,
    may_repeat: bool,
    /// The context's whole time.
    allowance: Duration,
    /// Point of the monotonic clock at which the context's time is over.
    until: Duration,
    /// What the last attempt said.
    last: CallError,
}

/// How a round through the members ended without an answer.
enum Round {
    /// One of them knows the active member, and it is asked first from now on.
    Redirected,
    /// None of them is active.
    InVain,
}

/// Why an attempt gave nothing, and whether it may have been begun.
enum Failed {
    NotBegun(CallError),
    InDoubt(CallError),
    /// Trying again would not help.
    Final(CallError),
}

impl<'a> Submission<'a> {
    pub(super) fn new(
        client: &'a ControllerClient,
        mut context: RequestContext,
        command: &Command,
    ) -> Self {
        context.span = child_span!(context.span, "controller.submit", otel.kind = "client");
        let allowance = context.timeout;
        let until = client.seams.clock.monotonic() + allowance;
        Self {
            client,
            context,
            command: encode_command(command).into(),
            may_repeat: may_be_decided_twice(command),
            allowance,
            until,
            last: members::nobody(),
        }
    }

    /// Tries until there is an answer, or no more may be tried.
    pub(super) async fn run(self) -> Result<Submitted, CallError> {
        let allowance = self.allowance;
        self.rounds().await.map_err(|error| match error {
            // What an attempt was given tells nobody anything.
            CallError::TimedOut(_) => CallError::TimedOut(allowance),
            error => error,
        })
    }

    async fn rounds(mut self) -> Result<Submitted, CallError> {
        let mut backoff = Backoff::new(&self.client.seams, ROUND_PAUSE_FIRST, ROUND_PAUSE_MOST);
        let mut redirected = false;
        loop {
            match self.round().await {
                Ok(submitted) => return submitted,
                // Members that point at each other are not followed without a pause.
                Err(Round::Redirected) if !redirected => redirected = true,
                Err(_) if backoff.pause_within(self.left()).await => redirected = false,
                Err(_) => return Err(self.last),
            }
        }
    }

    fn left(&self) -> Duration {
        self.until.saturating_sub(self.client.seams.clock.monotonic())
    }

    /// Asks each member once; `Ok` is the end of it.
    async fn round(&mut self) -> Result<Result<Submitted, CallError>, Round> {
        for member in self.client.members.in_turn() {
            let left = self.left();
            if left.is_zero() {
                break;
            }
            self.context.timeout = if self.may_repeat { left.min(ATTEMPT_MOST) } else { left };
            match self.attempt(&member).await {
                Ok(submitted) => {
                    self.client.members.prefer(&member);
                    return Ok(Ok(submitted));
                }
                Err(Failed::Final(error)) => return Ok(Err(error)),
                Err(Failed::InDoubt(error)) if !self.may_repeat => return Ok(Err(error)),
                Err(Failed::InDoubt(error) | Failed::NotBegun(error)) => self.last = error,
            }
            if self.redirected_by(&member).await {
                return Err(Round::Redirected);
            }
        }
        Err(Round::InVain)
    }

    /// Whether what the member said makes another one the first to ask.
    async fn redirected_by(&self, member: &Arc<Member>) -> bool {
        let CallError::NotActive { active: Some(active) } = self.last else { return false };
        if !self.client.members.knows(active) {
            // Whether the member helped shows in what is known afterwards.
            _ = self.client.status_of(member).await;
        }
        self.client.members.prefer_node(active)
    }

    async fn attempt(&self, member: &Member) -> Result<Submitted, Failed> {
        let request = wire::SubmitRequest {
            context: Some(context_to_wire(&self.context, trace_parent_of(&self.context.span))),
            command: self.command.clone(),
        };
        let allowance = self.context.timeout;
        let mut client = member.client();
        let response = tokio::select! {
            biased;
            response = client.submit(request) => response,
            () = self.client.seams.clock.sleep(allowance) => {
                return Err(Failed::InDoubt(CallError::TimedOut(allowance)));
            }
        };
        let response = response.map_err(|status| {
            let error = status_to_failure(&member.peer, &status, allowance);
            if never_connected(&status) { Failed::NotBegun(error) } else { Failed::InDoubt(error) }
        })?;
        submitted(response.into_inner(), &member.peer, allowance)
    }
}

fn submitted(
    response: wire::SubmitResponse,
    peer: &str,
    allowance: Duration,
) -> Result<Submitted, Failed> {
    let outcome = required(response.outcome, "the outcome is of a kind that is not known");
    match outcome.map_err(|malformed| Failed::Final(malformed.into()))? {
        Outcome::Submitted(submitted) => {
            let reply = decode_reply(&submitted.reply);
            Ok(Submitted {
                reply: reply.map_err(|error| Failed::Final(undecodable(error)))?,
                offset: MetadataOffset(submitted.offset),
            })
        }
        Outcome::Failure(failure) => Err(match failure_from_wire(failure, peer, allowance) {
            error @ CallError::NotActive { .. } => Failed::NotBegun(error),
            error @ (CallError::Overloaded(_) | CallError::Malformed(_)) => Failed::Final(error),
            error => Failed::InDoubt(error),
        }),
    }
}

/// Whether it does no harm to decide the command once more.
fn may_be_decided_twice(command: &Command) -> bool {
    match command {
        // The same incarnation or lease again; time that passed; a block of ids lost; the same setting again.
        Command::RegisterBroker { .. }
        | Command::BrokerHeartbeat { .. }
        | Command::ControlStreamBroken { .. }
        | Command::RegisterGateway(_)
        | Command::GatewayHeartbeat { .. }
        | Command::Tick
        | Command::AlterTopicConfigs { .. }
        | Command::AllocateProducerIds { .. }
        | Command::AlterConfigs { .. } => true,
        // The second decision would say that the first was never made: "exists already", "unknown topic".
        Command::CreateTopics { validate_only, .. }
        | Command::CreatePartitions { validate_only, .. } => *validate_only,
        Command::DeleteTopics { .. } | Command::UnregisterBroker { .. } => false,
    }
}
