//! ottla-partition
