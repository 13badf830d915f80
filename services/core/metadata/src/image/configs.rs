//! Configs of brokers, groups and client metrics: their replay, and what holds for a storage node in the end.
//!
//! Invariant: a resource without configs is not in the image. Deliberately does not know which names and values are right.

use std::collections::BTreeMap;
use std::sync::Arc;

use ottla_types::NodeId;

use super::{Changes, Image};
use crate::event::ConfigResource;
use crate::topic_config::{ClusterDefaults, ConfigSource};

impl Image {
    pub(super) fn replay_resource_configs_changed(
        &mut self,
        resource: &ConfigResource,
        configs: &[(String, Option<String>)],
        changes: &mut Changes,
    ) {
        if matches!(resource, ConfigResource::Topic(_)) {
            return;
        }
        let before = self.configs.get(resource).cloned();
        let mut after = before.as_deref().cloned().unwrap_or_default();
        for (name, value) in configs {
            match value {
                Some(value) => after.insert(name.clone(), value.clone()),
                None => after.remove(name),
            };
        }
        let after = (!after.is_empty()).then(|| Arc::new(after));
        if before == after {
            return;
        }
        self.sum.configs(resource, before.as_deref(), after.as_deref());
        match after {
            Some(after) => self.configs.insert(resource.clone(), after),
            None => self.configs.remove(resource),
        };
        changes.configs.insert(resource.clone());
    }

    /// The configs of a resource that is no topic; none for what has none.
    pub fn configs_of(&self, resource: &ConfigResource) -> Option<&BTreeMap<String, String>> {
        self.configs.get(resource).map(Arc::as_ref)
    }

    /// What was set dynamically for a storage node, the layer of the highest priority first. `None`: what holds for all.
    pub fn broker_layers(
        &self,
        node: Option<NodeId>,
    ) -> impl Iterator<Item = (ConfigSource, &BTreeMap<String, String>)> {
        let layer = |resource, source| Some((source, self.configs_of(&resource)?));
        let own =
            node.map(|node| (ConfigResource::Broker(Some(node)), ConfigSource::DynamicBroker));
        let own = own.and_then(|(resource, source)| layer(resource, source));
        let all = layer(ConfigResource::Broker(None), ConfigSource::DynamicDefaultBroker);
        own.into_iter().chain(all)
    }

    /// The value that was set dynamically for a storage node, if one was.
    pub fn broker_config(&self, node: NodeId, name: &str) -> Option<&str> {
        self.broker_layers(Some(node)).find_map(|(_, layer)| layer.get(name)).map(String::as_str)
    }

    /// What topics have on a storage node where they say nothing themselves: `fixed` is from its configuration file.
    pub fn topic_defaults(&self, fixed: &ClusterDefaults, node: Option<NodeId>) -> ClusterDefaults {
        fixed.with_dynamic(self.broker_layers(node))
    }
}
