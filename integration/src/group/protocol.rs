//! What members of a `consumer` group tell each other through the coordinator, and the leader's sharing out.
//!
//! Invariant: every partition is given to exactly one member. Deliberately knows groups of one topic only.

use std::io;

use bytes::Bytes;
use ottla_kafka_wire::messages::consumer_protocol_assignment::{
    ConsumerProtocolAssignment, TopicPartition,
};
use ottla_kafka_wire::messages::consumer_protocol_subscription::ConsumerProtocolSubscription;
use ottla_kafka_wire::{Message, Reader, Writer};

/// The type of the protocol.
pub const TYPE: &str = "consumer";
/// The one protocol that members offer.
pub const NAME: &str = "range";
/// The version of both messages.
const VERSION: i16 = 0;

/// With what a member joins: the topic that it wants.
pub fn subscription(topic: &str) -> Bytes {
    let topics = vec![topic.to_owned()];
    versioned(&ConsumerProtocolSubscription { topics, ..Default::default() })
}

/// What a member is given.
pub fn assignment(topic: &str, partitions: &[i32]) -> Bytes {
    let given = TopicPartition { topic: topic.to_owned(), partitions: partitions.to_vec() };
    let assigned_partitions = if partitions.is_empty() { Vec::new() } else { vec![given] };
    versioned(&ConsumerProtocolAssignment { assigned_partitions, ..Default::default() })
}

/// The partitions of an assignment; empty bytes are none.
///
/// # Errors
/// It is not one.
pub fn partitions(assignment: &Bytes) -> io::Result<Vec<i32>> {
    if assignment.is_empty() {
        return Ok(Vec::new());
    }
    let mut reader = Reader::new(assignment.clone());
    let version = reader.i16().map_err(io::Error::other)?;
    let read =
        ConsumerProtocolAssignment::decode(&mut reader, version).map_err(io::Error::other)?;
    Ok(read.assigned_partitions.into_iter().flat_map(|topic| topic.partitions).collect())
}

/// Shares partitions out as Kafka's range assignor does: members in the order of their ids, runs of nearly equal length.
pub fn share_out(members: &[String], partitions: i32) -> Vec<(String, Vec<i32>)> {
    let mut members = members.to_vec();
    members.sort_unstable();
    let (all, count) = (partitions as usize, members.len());
    let (least, with_one_more) = (all / count.max(1), all % count.max(1));
    let mut next = 0;
    let give = |(at, member): (usize, String)| {
        let first = next;
        next += (least + usize::from(at < with_one_more)) as i32;
        (member, (first..next).collect())
    };
    members.into_iter().enumerate().map(give).collect()
}

fn versioned(message: &impl Message) -> Bytes {
    let mut writer = Writer::new();
    writer.i16(VERSION);
    message.encode(&mut writer, VERSION).expect("the message can be said in this version");
    writer.finish().into_contiguous().expect("such a message has no file regions")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_is_read_as_it_was_written() {
        assert_eq!(partitions(&assignment("t", &[3, 1])).unwrap(), [3, 1]);
        assert_eq!(partitions(&assignment("t", &[])).unwrap(), [0_i32; 0]);
        assert_eq!(partitions(&Bytes::new()).unwrap(), [0_i32; 0]);
        assert!(partitions(&Bytes::from_static(b"\0\0\0")).is_err());
    }

    #[test]
    fn every_partition_is_given_once() {
        let members = ["c".to_owned(), "a".to_owned(), "b".to_owned()];
        let expected = [("a", vec![0, 1, 2]), ("b", vec![3, 4, 5]), ("c", vec![6, 7])];
        let expected = expected.map(|(member, given)| (member.to_owned(), given));
        assert_eq!(share_out(&members, 8), expected);
        assert_eq!(share_out(&members, 1).iter().flat_map(|(_, given)| given).count(), 1);
    }
}
