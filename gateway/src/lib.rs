//! ottla-gateway
