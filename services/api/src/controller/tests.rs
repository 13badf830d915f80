//! A quorum behind gRPC behaves as one that is called directly.

mod fake;
mod finding;
mod trace;
mod watching;

use std::sync::Arc;
use std::time::Duration;

use ottla_runtime::Seams;
use ottla_types::NodeId;
use tonic::service::{Routes, RoutesBuilder};

use crate::context::RequestContext;
use crate::controller::{ControllerClient, ControllerEndpoint, ControllerServer};
use crate::loopback::Loopback;
use fake::Fake;

/// One member: what it does, and its server.
struct Served {
    fake: Arc<Fake>,
    server: ControllerServer,
    loopback: Loopback,
}

/// Some members, numbered from 1, and a client that knows them all.
struct Quorum {
    seams: Seams,
    members: Vec<Served>,
}

impl Quorum {
    async fn new(count: i32) -> Self {
        let seams = Seams::real();
        let mut members = Vec::new();
        for node in 1..=count {
            let fake = Arc::new(Fake::new(NodeId(node)));
            let server =
                ControllerServer::new(&seams, Arc::clone(&fake) as _, Arc::clone(&fake) as _);
            let mut routes: RoutesBuilder = Routes::builder();
            server.add_to(&mut routes);
            let loopback = Loopback::serve(&seams, routes).await;
            members.push(Served { fake, server, loopback });
        }
        let endpoints = members
            .iter()
            .enumerate()
            .map(|(index, member)| (NodeId(index as i32 + 1), member.loopback.address.to_string()));
        let endpoints: Vec<_> = endpoints.collect();
        for member in &members {
            *member.fake.endpoints.lock().unwrap() = endpoints.clone();
        }
        Self { seams, members }
    }

    /// A client that knows these members, by number.
    fn client(&self, known: &[i32], with_ids: bool) -> ControllerClient {
        let endpoint = |node: &i32| ControllerEndpoint {
            node: with_ids.then_some(NodeId(*node)),
            address: self.members[*node as usize - 1].loopback.address.clone(),
        };
        ControllerClient::new(&self.seams, known.iter().map(endpoint).collect())
    }

    fn fake(&self, node: i32) -> &Fake {
        &self.members[node as usize - 1].fake
    }

    /// Makes one member the active one; 0: none.
    fn activate(&self, node: i32) {
        for member in &self.members {
            member.fake.active.send_replace((node > 0).then_some(NodeId(node)));
        }
    }
}

/// A context with plenty of time.
fn patient() -> RequestContext {
    RequestContext::internal(Duration::from_secs(30))
}
