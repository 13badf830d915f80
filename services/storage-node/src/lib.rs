//! ottla-storage-node
