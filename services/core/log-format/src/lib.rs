//! ottla-log-format
