//! ottla-kafka-wire
