//! ottla-proto
