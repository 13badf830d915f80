//! ottla-controller
