//! Replay of what concerns gateways: registration, draining, the end.
//!
//! Invariant: an event of an older life of a gateway changes nothing.

use std::sync::Arc;

use ottla_types::{IncarnationId, NodeId};

use super::{Changes, Gateway, Image};
use crate::event::GatewayRegistration;

impl Image {
    pub(super) fn replay_gateway_registered(
        &mut self,
        registration: &GatewayRegistration,
        changes: &mut Changes,
    ) {
        self.put_gateway(Gateway { registration: registration.clone(), draining: false }, changes);
    }

    pub(super) fn replay_gateway_draining(
        &mut self,
        node: NodeId,
        incarnation: IncarnationId,
        changes: &mut Changes,
    ) {
        let Some(gateway) = self.gateway_of(node, incarnation) else { return };
        if !gateway.draining {
            let gateway = Gateway { draining: true, ..Gateway::clone(gateway) };
            self.put_gateway(gateway, changes);
        }
    }

    pub(super) fn replay_gateway_gone(
        &mut self,
        node: NodeId,
        incarnation: IncarnationId,
        changes: &mut Changes,
    ) {
        let Some(gateway) = self.gateway_of(node, incarnation).cloned() else { return };
        self.sum.gateway(Some(&gateway), None);
        self.gateways.remove(&node);
        changes.gateways.insert(node);
    }

    fn gateway_of(&self, node: NodeId, incarnation: IncarnationId) -> Option<&Arc<Gateway>> {
        self.gateways.get(&node).filter(|gateway| gateway.registration.incarnation == incarnation)
    }

    fn put_gateway(&mut self, gateway: Gateway, changes: &mut Changes) {
        let node = gateway.registration.node;
        let gateway = Arc::new(gateway);
        self.sum.gateway(self.gateways.get(&node).map(Arc::as_ref), Some(&gateway));
        self.gateways.insert(node, gateway);
        changes.gateways.insert(node);
    }
}
