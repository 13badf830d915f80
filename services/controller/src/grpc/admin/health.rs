//! `grpc.health.v1`: the process as a whole under the empty name, each role under its own.

use ottla_runtime::Seams;
use ottla_runtime::http::Health;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

/// The health service, which follows the process's health.
pub(super) fn service(seams: &Seams, health: &Health) -> HealthServer<HealthService> {
    let reporter = HealthReporter::new();
    let service = HealthService::from_health_reporter(reporter.clone());
    let health = health.clone();
    let mut roles = health.subscribe();
    let follow = async move {
        loop {
            let states = roles.borrow_and_update().clone();
            for (role, state) in states {
                reporter.set_service_status(role, status(state.ready)).await;
            }
            reporter.set_service_status("", status(health.is_ready())).await;
            if roles.changed().await.is_err() {
                return;
            }
        }
    };
    seams.tasks.spawn("admin-health", Box::pin(follow));
    HealthServer::new(service)
}

fn status(is_ready: bool) -> ServingStatus {
    if is_ready { ServingStatus::Serving } else { ServingStatus::NotServing }
}
