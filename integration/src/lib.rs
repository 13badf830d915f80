//! ottla-integration
