//! The configuration of a storage node, as it tells others.
//!
//! Invariant: a secret is never in a value. Deliberately does not know where values come from, nor what they mean.

/// One key of a storage node's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeConfig {
    /// Kafka's name, or Ottla's own.
    pub name: String,
    /// The value in force; `None` is null, or a secret.
    pub value: Option<String>,
    /// The default; `None` is null.
    pub default: Option<String>,
    /// Whether the file, the environment or the command line set it.
    pub is_set: bool,
    /// Whether it is a secret: its value is never told.
    pub is_sensitive: bool,
    /// Kafka's name of its type: BOOLEAN, STRING, INT, SHORT, LONG, DOUBLE, LIST, CLASS or PASSWORD.
    pub kind: String,
    /// A sentence for people, if there is one.
    pub documentation: Option<String>,
    /// What it does here: `obeyed`, `no effect yet`, or `no effect: ` and the reason.
    pub effect: String,
}
