//! The codec against Kafka's own bytes, against bytes of strangers, and against a second implementation.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod by_hand;
mod counting_allocator;
mod golden;
mod golden_file;
mod hostile;
mod second_opinion;
