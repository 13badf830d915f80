//! GroupMetadataKey and GroupMetadataValue.
//!
//! Invariant: version 3 is written, as Kafka 4.3 does; versions 0 to 4 are read.

use ottla_types::TimestampMs;

use super::{GROUP_KEY, Reader, RecordError, Writer};
use crate::event::{StoredGroup, StoredMember};
use crate::names::{Generation, GroupId, InstanceId, MemberId, Text, TextTooLong};

const KIND: &str = "GroupMetadataValue";
const VERSION_WITH_REBALANCE_TIMEOUT: i16 = 1;
const VERSION_WITH_STATE_TIMESTAMP: i16 = 2;
const VERSION_WITH_INSTANCE: i16 = 3;
const VERSION_FLEXIBLE: i16 = 4;
/// Bytes of a member at least, in its smallest version (4, without texts or blobs).
const MIN_MEMBER_BYTES: usize = 15;

pub(super) fn encode_key(group: &GroupId) -> Vec<u8> {
    let mut out = Writer::new(GROUP_KEY, 4 + group.as_str().len());
    out.text(group.as_str());
    out.finish()
}

pub(super) fn decode_key(key: &mut Reader<'_>) -> Result<GroupId, RecordError> {
    GroupId::new(key.text("group")?).map_err(|_| RecordError::Length("group"))
}

pub(super) fn encode_value(stored: &StoredGroup) -> Vec<u8> {
    let blobs = stored.members.iter().map(|m| m.subscription.len() + m.assignment.len());
    let mut out = Writer::new(VERSION_WITH_INSTANCE, 64 + blobs.sum::<usize>());
    out.text(stored.protocol_type.as_ref().map_or("", Text::as_str));
    out.i32(stored.generation.0);
    out.nullable_text(stored.protocol.as_ref().map(Text::as_str));
    out.nullable_text(stored.leader.as_ref().map(MemberId::as_str));
    out.i64(stored.state_timestamp.0);
    out.length(stored.members.len());
    for member in &stored.members {
        out.text(member.id.as_str());
        out.nullable_text(member.instance.as_ref().map(InstanceId::as_str));
        out.text(member.client_id.as_str());
        out.text(member.client_host.as_str());
        out.i32(member.rebalance_timeout_ms);
        out.i32(member.session_timeout_ms);
        out.blob(&member.subscription);
        out.blob(&member.assignment);
    }
    out.finish()
}

pub(super) fn decode_value(value: &[u8]) -> Result<StoredGroup, RecordError> {
    let mut value = Reader::new(value);
    let version = value.i16("the value's version")?;
    if !(0..=VERSION_FLEXIBLE).contains(&version) {
        return Err(RecordError::Version { kind: KIND, version });
    }
    value.flexible = version >= VERSION_FLEXIBLE;
    let protocol_type = text(value.text("protocolType")?, "protocolType")?;
    let generation = Generation(value.i32("generation")?);
    let protocol = value.nullable_text("protocol")?;
    let protocol = protocol.map(|name| text(name, "protocol")).transpose()?;
    let leader = value.nullable_text("leader")?.map(MemberId::new).transpose();
    let leader = leader.map_err(long("leader"))?;
    let state_timestamp = match version {
        ..VERSION_WITH_STATE_TIMESTAMP => TimestampMs::NONE,
        _ => TimestampMs(value.i64("currentStateTimestamp")?),
    };
    let count = value.count("members", MIN_MEMBER_BYTES)?;
    let members =
        (0..count).map(|_| decode_member(&mut value, version)).collect::<Result<_, _>>()?;
    value.tagged_fields(|_, _| Ok(()))?;
    Ok(StoredGroup {
        protocol_type: Some(protocol_type).filter(|name| !name.is_empty()),
        generation,
        protocol,
        leader,
        state_timestamp,
        members,
    })
}

fn decode_member(value: &mut Reader<'_>, version: i16) -> Result<StoredMember, RecordError> {
    let id = MemberId::new(value.text("memberId")?).map_err(long("memberId"))?;
    let instance = match version {
        ..VERSION_WITH_INSTANCE => None,
        _ => value.nullable_text("groupInstanceId")?,
    };
    let instance = instance.map(InstanceId::new).transpose().map_err(long("groupInstanceId"))?;
    let client_id = text(value.text("clientId")?, "clientId")?;
    let client_host = text(value.text("clientHost")?, "clientHost")?;
    let rebalance_timeout_ms = match version {
        ..VERSION_WITH_REBALANCE_TIMEOUT => -1,
        _ => value.i32("rebalanceTimeout")?,
    };
    let session_timeout_ms = value.i32("sessionTimeout")?;
    let subscription = value.blob("subscription")?;
    let assignment = value.blob("assignment")?;
    value.tagged_fields(|_, _| Ok(()))?;
    Ok(StoredMember {
        id,
        instance,
        client_id,
        client_host,
        rebalance_timeout_ms,
        session_timeout_ms,
        subscription,
        assignment,
    })
}

fn text(text: &str, what: &'static str) -> Result<Text, RecordError> {
    Text::new(text).map_err(long(what))
}

fn long(what: &'static str) -> impl FnOnce(TextTooLong) -> RecordError {
    move |_| RecordError::Length(what)
}
