//! Why bytes are not a message, or a value not sayable in a version.
//!
//! Invariant: every error names its cause in one line and holds nothing of the client's bytes but numbers.

/// The bytes are not a message of the version asked for. Kafka's answer is to close the connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Something was announced that is longer than what is there.
    #[error("{needed} bytes announced, {remaining} left")]
    Truncated {
        /// Bytes that should follow.
        needed: usize,
        /// Bytes that do.
        remaining: usize,
    },
    /// An array's count could not fit into the bytes left, however small its elements are.
    #[error("an array of {count} elements cannot be in {remaining} bytes")]
    CountTooLarge {
        /// The count on the wire.
        count: usize,
        /// Bytes left.
        remaining: usize,
    },
    /// A length or count below -1.
    #[error("a length of {length}")]
    NegativeLength {
        /// The length on the wire.
        length: i32,
    },
    /// Null where the version has no null.
    #[error("{field} is null")]
    Null {
        /// Structure and field.
        field: &'static str,
    },
    /// A string longer than Kafka's limit of 32,767 bytes.
    #[error("a string of {length} bytes")]
    StringTooLong {
        /// The length on the wire.
        length: usize,
    },
    /// A string that is not UTF-8.
    #[error("a string is not UTF-8")]
    InvalidUtf8,
    /// A varint of more than 32 bits.
    #[error("a varint is longer than 32 bits")]
    VarintTooLong,
    /// More tagged fields in one structure than any sane peer sends.
    #[error("{count} tagged fields in one structure")]
    TooManyTaggedFields {
        /// The count on the wire.
        count: u32,
    },
    /// Tags must ascend.
    #[error("tag {tag} does not ascend")]
    TagOrder {
        /// The tag out of order.
        tag: u32,
    },
    /// A known tagged field is shorter than its announced size.
    #[error("tagged field {tag} leaves {left} of its bytes over")]
    TagSize {
        /// The tag.
        tag: u32,
        /// Bytes that nobody read.
        left: usize,
    },
    /// The decoded form would take more memory than the reader may use.
    #[error("the decoded form would exceed its memory budget")]
    HeapBudget,
    /// Bytes follow where the end was expected.
    #[error("{remaining} bytes follow the end")]
    TrailingBytes {
        /// How many.
        remaining: usize,
    },
    /// A version that the message never had.
    #[error("{message} has no version {version}")]
    UnsupportedVersion {
        /// Kafka's name of the message.
        message: &'static str,
        /// The version asked for.
        version: i16,
    },
}

/// A value that the version cannot say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A field that the version lacks has a value that would be lost.
    #[error("{field} is set, but version {version} has no such field")]
    FieldNotInVersion {
        /// Structure and field.
        field: &'static str,
        /// The version asked for.
        version: i16,
    },
    /// Null where the version has no null.
    #[error("{field} is null, which version {version} cannot say")]
    Null {
        /// Structure and field.
        field: &'static str,
        /// The version asked for.
        version: i16,
    },
    /// A string longer than Kafka's limit of 32,767 bytes.
    #[error("a string of {length} bytes is too long")]
    StringTooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// A length that does not fit into the wire's 31 bits.
    #[error("a length of {length} does not fit into 31 bits")]
    TooLarge {
        /// The length: bytes or elements.
        length: usize,
    },
    /// A version that the message never had.
    #[error("{message} has no version {version}")]
    UnsupportedVersion {
        /// Kafka's name of the message.
        message: &'static str,
        /// The version asked for.
        version: i16,
    },
}
