//! Heartbeats: the node says that it lives and how far it came; the controller says whether it is fenced.
//!
//! Invariant: `caught_up_to` is the offset up to which the node *acted*, not only what it heard (R2). A registration that is not the
//! present one any more is replaced by a new one of the same incarnation.

use std::sync::Arc;
use std::time::Duration;

use ottla_api::RequestContext;
use ottla_metadata::{Command, Reply};
use ottla_types::{BrokerEpoch, MetadataOffset};
use tokio::sync::watch;
use tracing::{info, warn};

use super::CALL_TIMEOUT;
use super::registration::Registrar;

/// While it is fenced, or shuts down, a node asks this often.
const EAGER_INTERVAL: Duration = Duration::from_millis(100);

/// How the controller sees this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The present registration.
    pub broker_epoch: BrokerEpoch,
    /// Whether it is fenced.
    pub fenced: bool,
    /// Whether it may end now (controlled shutdown).
    pub may_shut_down: bool,
}

/// The heartbeats of a node; clones are the same.
#[derive(Clone)]
pub(crate) struct Membership {
    standing: Arc<watch::Sender<Standing>>,
    wants_shutdown: Arc<watch::Sender<bool>>,
}

impl Membership {
    /// Begins to send heartbeats for a registration; `acted` tells how far the node acted on the metadata.
    pub(crate) fn start(
        registrar: Registrar,
        broker_epoch: BrokerEpoch,
        acted: watch::Receiver<MetadataOffset>,
        interval: Duration,
    ) -> Self {
        let first = Standing { broker_epoch, fenced: true, may_shut_down: false };
        let membership = Self {
            standing: Arc::new(watch::Sender::new(first)),
            wants_shutdown: Arc::new(watch::Sender::new(false)),
        };
        let tasks = Arc::clone(&registrar.seams.tasks);
        let beating = beat(membership.clone(), registrar, acted, interval);
        drop(tasks.spawn("broker-heartbeats", Box::pin(beating)));
        membership
    }

    pub(crate) fn standing(&self) -> Standing {
        *self.standing.borrow()
    }

    /// The standing now and each later one.
    pub(crate) fn standings(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// Waits until the controller sees the node so.
    pub(crate) async fn wait_until(&self, holds: impl Fn(&Standing) -> bool) -> Standing {
        let mut standing = self.standing.subscribe();
        let found = standing.wait_for(|standing| holds(standing)).await;
        *found.expect("`self` holds the sender")
    }

    /// Asks for a controlled shutdown from the next heartbeat on, which is sent at once.
    pub(crate) fn want_shutdown(&self) {
        self.wants_shutdown.send_replace(true);
    }
}

async fn beat(
    membership: Membership,
    registrar: Registrar,
    mut acted: watch::Receiver<MetadataOffset>,
    interval: Duration,
) {
    let mut wants_shutdown = membership.wants_shutdown.subscribe();
    let mut is_silent = false;
    loop {
        let (caught_up_to, leaving) =
            (*acted.borrow_and_update(), *wants_shutdown.borrow_and_update());
        match beat_once(&membership, &registrar, caught_up_to, leaving).await {
            Ok(()) => is_silent = false,
            Err(cause) if !std::mem::replace(&mut is_silent, true) => {
                warn!("heartbeats do not reach the controller: {cause}");
            }
            Err(_) => {}
        }
        let standing = membership.standing();
        if standing.may_shut_down {
            return;
        }
        let eager = standing.fenced || leaving || is_silent;
        let pause = if eager { interval.min(EAGER_INTERVAL) } else { interval };
        tokio::select! {
            biased;
            Ok(()) = wants_shutdown.changed() => {}
            Ok(()) = acted.changed(), if standing.fenced => {}
            () = registrar.seams.clock.sleep(pause) => {}
        }
    }
}

async fn beat_once(
    membership: &Membership,
    registrar: &Registrar,
    caught_up_to: MetadataOffset,
    leaving: bool,
) -> Result<(), String> {
    let before = membership.standing();
    let command = Command::BrokerHeartbeat {
        node: registrar.registration.node,
        broker_epoch: before.broker_epoch,
        caught_up_to,
        want_fence: false,
        want_shutdown: leaving,
    };
    let context = RequestContext::internal(CALL_TIMEOUT);
    let submitted = registrar.controller.submit(context, command).await;
    let after = match submitted.map_err(|error| error.to_string())?.reply {
        Reply::BrokerHeartbeat { fenced, may_shut_down } => {
            Standing { fenced, may_shut_down: leaving && may_shut_down, ..before }
        }
        Reply::Refused(refusal) => {
            info!("registering anew: {}", refusal.message);
            let epoch = registrar.register(Some(CALL_TIMEOUT)).await;
            let broker_epoch = epoch.map_err(|error| error.to_string())?;
            Standing { broker_epoch, fenced: true, may_shut_down: false }
        }
        other => return Err(format!("{other:?} answers no heartbeat")),
    };
    if after != before {
        membership.standing.send_replace(after);
        if after.fenced != before.fenced {
            info!(fenced = after.fenced, "the controller sees this node anew");
        }
    }
    Ok(())
}
