//! P12: which messages of a peer may be given to raft.
//!
//! Invariant: a message that passes cannot make raft panic, whatever its sender meant.

use ottla_metadata::codec;
use protobuf::Message as _;
use raft::eraftpb::{ConfChangeV2, Entry, EntryType, Message, MessageType};

/// Longest message, bytes: entries for 1 MiB, or one long entry, and some.
pub(crate) const MAX_MESSAGE_BYTES: usize = 32 << 20;

/// A member's term may be ahead by this many elections; more would be used up in no time.
const MAX_TERM_LEAP: u64 = 1 << 40;

/// What is wrong with a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MessageFault {
    /// Not a raft message.
    #[error("the bytes are not a message of the quorum")]
    Unreadable,
    /// A type that members do not send each other.
    #[error("members do not send each other {0}")]
    Type(&'static str),
    /// A term of zero is how raft marks its own.
    #[error("its term is zero")]
    NoTerm,
    /// Entries that do not follow one another.
    #[error("its entries do not follow one another")]
    Entries,
    /// It speaks of entries that this member does not have.
    #[error("it speaks of index {named}, but this member's log ends at {last}")]
    BeyondLog {
        /// The index.
        named: u64,
        /// The last that we have.
        last: u64,
    },
    /// Entries that no version writes, or this one does not know.
    #[error("an entry of it cannot be read: {0}")]
    Content(String),
    /// A term that no election can have reached since.
    #[error("its term {theirs} is far beyond this member's {ours}")]
    TermLeap {
        /// The sender's.
        theirs: u64,
        /// Ours.
        ours: u64,
    },
    /// Only the leader hands over leadership.
    #[error("it hands over a leadership that its sender does not have")]
    NotTheLeader,
}

/// What a message is checked against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogBounds {
    /// Index of our last entry.
    pub(crate) last_index: u64,
    /// The leader that we follow; 0: none.
    pub(crate) leader: u64,
    /// Our term.
    pub(crate) term: u64,
}

/// Reads a message.
pub(super) fn parse_message(bytes: &[u8]) -> Result<Message, MessageFault> {
    if bytes.len() > MAX_MESSAGE_BYTES {
        return Err(MessageFault::Unreadable);
    }
    let message = Message::parse_from_bytes(bytes).map_err(|_| MessageFault::Unreadable)?;
    if message.term == 0 {
        return Err(MessageFault::NoTerm);
    }
    Ok(message)
}

/// Checks a message against our log.
pub(crate) fn p12_check_message(message: &Message, log: LogBounds) -> Result<(), MessageFault> {
    if message.term > log.term.saturating_add(MAX_TERM_LEAP) {
        return Err(MessageFault::TermLeap { theirs: message.term, ours: log.term });
    }
    // Members never ask for snapshots by themselves: the leader sees when one is needed.
    if message.request_snapshot != 0 {
        return Err(MessageFault::Type("requests for snapshots"));
    }
    let beyond = |named| MessageFault::BeyondLog { named, last: log.last_index };
    match message.get_msg_type() {
        MessageType::MsgAppend => check_entries(message),
        MessageType::MsgHeartbeat if message.commit > log.last_index => Err(beyond(message.commit)),
        MessageType::MsgAppendResponse if message.index > log.last_index => {
            Err(beyond(message.index))
        }
        MessageType::MsgTimeoutNow if message.from != log.leader => Err(MessageFault::NotTheLeader),
        MessageType::MsgSnapshot => {
            let metadata = message.get_snapshot().get_metadata();
            let is_sane = metadata.index > 0 && metadata.has_conf_state();
            if is_sane { Ok(()) } else { Err(MessageFault::Unreadable) }
        }
        MessageType::MsgHeartbeat
        | MessageType::MsgAppendResponse
        | MessageType::MsgTimeoutNow
        | MessageType::MsgHeartbeatResponse
        | MessageType::MsgRequestVote
        | MessageType::MsgRequestVoteResponse
        | MessageType::MsgRequestPreVote
        | MessageType::MsgRequestPreVoteResponse => Ok(()),
        MessageType::MsgReadIndex | MessageType::MsgReadIndexResp => p10_refuse_read(),
        other => Err(MessageFault::Type(name(other))),
    }
}

fn check_entries(message: &Message) -> Result<(), MessageFault> {
    let mut index = message.index;
    let mut term = message.log_term;
    for entry in message.get_entries() {
        let follows = index.checked_add(1) == Some(entry.index);
        if !follows || entry.term < term || entry.term > message.term {
            return Err(MessageFault::Entries);
        }
        check_content(entry)?;
        (index, term) = (entry.index, entry.term);
    }
    Ok(())
}

/// P10: nobody reads through the consensus, where a read can be lost silently: followers of the metadata wait for the offset that
/// they need, for as long as their own request allows.
fn p10_refuse_read() -> Result<(), MessageFault> {
    Err(MessageFault::Type("reads"))
}

fn check_content(entry: &Entry) -> Result<(), MessageFault> {
    let content = |error: String| MessageFault::Content(error);
    match entry.get_entry_type() {
        // A new leader's first entry has none.
        EntryType::EntryNormal if entry.data.is_empty() => Ok(()),
        EntryType::EntryNormal => codec::decode_events(&entry.data)
            .map(|_| ())
            .map_err(|error| content(error.to_string())),
        EntryType::EntryConfChangeV2 => ConfChangeV2::parse_from_bytes(&entry.data)
            .map(|_| ())
            .map_err(|error| content(error.to_string())),
        EntryType::EntryConfChange => Err(content("an old form of membership change".into())),
    }
}

fn name(kind: MessageType) -> &'static str {
    match kind {
        MessageType::MsgPropose => "proposals",
        MessageType::MsgTransferLeader => "requests for leadership",
        _ => "local messages",
    }
}
