//! What goes on beside the services: health, the cluster's id, and the end.
//!
//! Invariant: at the end followers are sent away first, then leadership is handed over while members can still be reached, and
//! only then the ports close and the directory is released.

use std::path::PathBuf;

use ottla_runtime::Seams;
use ottla_runtime::http::RoleHealth;
use ottla_runtime::seams::DiskLock;
use ottla_runtime::shutdown::Shutdown;
use ottla_types::{ClusterId, NodeId};
use tokio::sync::watch;

use super::ports::{Servers, Serving};
use crate::identity::{self, Identity};
use crate::quorum::member::{Member, MemberTask};

/// Keeps the role's health: it is ready while there is an active controller and the cluster is formatted.
pub(super) fn tell_health(seams: &Seams, role: RoleHealth, member: Member) {
    let watch = async move {
        let mut leader = member.published.leader.clone();
        let mut committed = member.published.committed.clone();
        loop {
            let is_formatted = committed.borrow_and_update().image.cluster_id.is_some();
            match leader.borrow_and_update().node {
                Some(_) if is_formatted => role.ready(),
                Some(_) => role.not_ready("the cluster is being formatted"),
                None => role.not_ready(
                    "the quorum has no active controller; check that a majority of the voters runs",
                ),
            }
            let changed = tokio::select! {
                biased;
                changed = leader.changed() => changed,
                changed = committed.changed(), if !is_formatted => changed,
            };
            if changed.is_err() {
                return role.not_ready("the controller has stopped");
            }
        }
    };
    seams.tasks.spawn("controller-health", Box::pin(watch));
}

/// Writes the cluster's id into `meta.properties` once it is committed; a directory of another cluster stops the member.
pub(super) fn note_cluster_id(
    seams: &Seams,
    place: (PathBuf, NodeId),
    mut identity: Identity,
    member: &Member,
) -> watch::Receiver<Option<Identity>> {
    let (tell, told) = watch::channel(None);
    let (seams_here, member) = (seams.clone(), member.clone());
    let note = async move {
        let Some(cluster_id) = cluster_id(&member).await else { return };
        let (dir, node) = place;
        let seams = seams_here.clone();
        let write = Box::new(move || {
            match identity::write(&seams, &dir, node, &mut identity, &cluster_id) {
                Ok(()) => _ = tell.send(Some(identity)),
                Err(error) => member.fail(error.to_string()),
            }
        });
        seams_here.tasks.run_blocking(write).await;
    };
    seams.tasks.spawn("controller-identity", Box::pin(note));
    told
}

async fn cluster_id(member: &Member) -> Option<ClusterId> {
    let mut committed = member.published.committed.clone();
    let formatted = committed.wait_for(|committed| committed.image.cluster_id.is_some()).await;
    formatted.ok()?.image.cluster_id.clone()
}

/// All that ends with the role.
pub(super) struct Life {
    pub(super) member: Member,
    pub(super) task: MemberTask,
    pub(super) servers: Servers,
    pub(super) serving: Serving,
    pub(super) lock: Box<dyn DiskLock>,
    pub(super) shutdown: Shutdown,
}

impl Life {
    /// Waits for the shutdown or for the member's own end, and then ends everything in order.
    pub(super) fn follow(self, seams: &Seams) -> watch::Receiver<Option<Result<(), String>>> {
        let (tell, told) = watch::channel(None);
        let Self { member, task, servers, serving, lock, shutdown } = self;
        let follow = async move {
            let asked = async {
                shutdown.wait().await;
                servers.controller.drain();
                servers.admin.drain();
                member.stop().await;
                std::future::pending::<()>().await;
            };
            let outcome = tokio::select! {
                biased;
                outcome = task.join() => outcome,
                () = asked => Ok(()),
                () = shutdown.stopped() => Ok(()),
            };
            servers.controller.drain();
            servers.admin.drain();
            servers.raft.drain();
            serving.end().await;
            drop(lock);
            // Nobody may be waiting.
            _ = tell.send(Some(outcome));
        };
        seams.tasks.spawn("controller-life", Box::pin(follow));
        told
    }
}
