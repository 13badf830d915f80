//! ottla-api
