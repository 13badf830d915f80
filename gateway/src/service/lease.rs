//! Tells the cluster that this gateway lives, where it is, and when it goes.
//!
//! Invariant: one life has one incarnation; a lease that the controller does not know (any more) is answered by a new
//! registration. Deliberately does not know who serves the connections.

use std::sync::Arc;
use std::time::Duration;

use ottla_api::RequestContext;
use ottla_metadata::event::GatewayRegistration;
use ottla_metadata::{Command, Reply};
use ottla_types::MetadataOffset;
use tokio::sync::watch;
use tracing::{debug, info, warn};

use crate::gateway::Gateway;

/// Between two signs of life; a lease lasts four of them.
const HEARTBEAT: Duration = Duration::from_millis(500);
/// How long one sign of life may take.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_millis(1_500);
/// How long a gateway that stops waits for the cluster to take note.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(2);

/// The lease of a gateway.
pub(super) struct Lease {
    gateway: Arc<Gateway>,
    stage: Arc<watch::Sender<Stage>>,
    registered: Registered,
}

/// Becomes true with the first registration that this gateway has replayed.
#[derive(Clone)]
pub(super) struct Registered(watch::Receiver<bool>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Serving,
    Draining,
    Gone,
}

impl Registered {
    /// Completes when it is registered.
    pub(super) async fn wait(mut self) {
        // Without a sender the gateway is gone, and nobody waits any more.
        _ = self.0.wait_for(|registered| *registered).await;
    }
}

impl Lease {
    /// Registers, and goes on renewing.
    pub(super) fn start(gateway: &Arc<Gateway>, registration: GatewayRegistration) -> Self {
        let (tell, registered) = watch::channel(false);
        let stage = Arc::new(watch::Sender::new(Stage::Serving));
        let renewal = Renewal {
            gateway: gateway.clone(),
            registration,
            stage: stage.subscribe(),
            tell,
            is_known: false,
        };
        drop(gateway.seams.tasks.spawn("gateway lease", Box::pin(renewal.run())));
        Self { gateway: gateway.clone(), stage, registered: Registered(registered) }
    }

    /// When the gateway is registered.
    pub(super) fn registered(&self) -> Registered {
        self.registered.clone()
    }

    /// Has others leave this gateway out of their answers; returns when this gateway sees it so, or after a while.
    pub(super) async fn drain(&self) {
        self.stage.send_replace(Stage::Draining);
        let node = self.gateway.config.node;
        let is_left_out = move |image: &ottla_metadata::Image| {
            image.gateways.get(&node).is_none_or(|gateway| gateway.draining)
        };
        if self.gateway.wait_until(FAREWELL_TIMEOUT, is_left_out).await.is_err() {
            warn!(
                "the cluster took no note that this gateway stops; clients learn it when their connections close"
            );
        }
    }

    /// The last word.
    pub(super) async fn say_goodbye(&self) {
        self.stage.send_replace(Stage::Gone);
        let goodbye = heartbeat(&self.gateway, Stage::Gone);
        let context = RequestContext::internal(FAREWELL_TIMEOUT);
        tokio::select! {
            biased;
            _ = self.gateway.controller.submit(context, goodbye) => {}
            () = self.gateway.seams.clock.sleep(FAREWELL_TIMEOUT) => {}
        }
    }
}

/// The task that renews the lease.
struct Renewal {
    gateway: Arc<Gateway>,
    registration: GatewayRegistration,
    stage: watch::Receiver<Stage>,
    tell: watch::Sender<bool>,
    is_known: bool,
}

impl Renewal {
    async fn run(mut self) {
        loop {
            let stage = *self.stage.borrow_and_update();
            match stage {
                Stage::Gone => return,
                _ if !self.is_known => self.register().await,
                stage => self.renew(stage).await,
            }
            tokio::select! {
                biased;
                changed = self.stage.changed() => if changed.is_err() { return },
                () = self.gateway.seams.clock.sleep(HEARTBEAT) => {}
            }
        }
    }

    async fn register(&mut self) {
        let command = Command::RegisterGateway(self.registration.clone());
        let context = RequestContext::internal(HEARTBEAT_TIMEOUT);
        match self.gateway.controller.submit(context, command).await {
            Ok(submitted) => match submitted.reply {
                Reply::Refused(refusal) => warn!(%refusal, "this gateway may not register"),
                _ => self.be_known(submitted.offset).await,
            },
            Err(error) => debug!(%error, "registration is tried again"),
        }
    }

    async fn be_known(&mut self, offset: MetadataOffset) {
        self.is_known = true;
        let is_replayed = move |image: &ottla_metadata::Image| image.offset >= offset;
        if self.gateway.wait_until(HEARTBEAT_TIMEOUT, is_replayed).await.is_ok()
            && !self.tell.send_replace(true)
        {
            info!(node = %self.gateway.config.node, "the gateway is registered");
        }
    }

    async fn renew(&mut self, stage: Stage) {
        let context = RequestContext::internal(HEARTBEAT_TIMEOUT);
        let command = heartbeat(&self.gateway, stage);
        match self.gateway.controller.submit(context, command).await {
            Ok(submitted) => match submitted.reply {
                Reply::Refused(refusal) => {
                    info!(%refusal, "the lease is gone; registering again");
                    self.is_known = false;
                }
                _ if !*self.tell.borrow() => self.be_known(submitted.offset).await,
                _ => {}
            },
            Err(error) => debug!(%error, "the lease could not be renewed"),
        }
    }
}

fn heartbeat(gateway: &Gateway, stage: Stage) -> Command {
    Command::GatewayHeartbeat {
        node: gateway.config.node,
        incarnation: gateway.incarnation,
        draining: stage != Stage::Serving,
        goodbye: stage == Stage::Gone,
    }
}
