//! Every key with its value and the reason for it: what `ottla config explain` prints.
//!
//! Invariant: no password is ever in a row.

use serde::Serialize;

use crate::config::caveats::caveat_of;
use crate::config::deviations::DEVIATIONS;
use crate::config::key::{KeyDef, Kind, Meaning};
use crate::config::settings::Settings;

/// One key, explained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExplainRow {
    /// The key.
    pub key: String,
    /// Its value; `None` is null.
    pub value: Option<String>,
    /// Where the value comes from.
    pub source: String,
    /// Kafka's name of its type: INT, LONG, SHORT, DOUBLE, BOOLEAN, STRING, LIST, CLASS or PASSWORD.
    pub kind: &'static str,
    /// Whether it is a secret, which is never shown.
    pub is_sensitive: bool,
    /// Whether somebody set it.
    pub is_set: bool,
    /// Our default; `None` is null.
    pub default: Option<String>,
    /// Kafka's default and the reason why ours is another; `None` where they are the same.
    pub why_different: Option<String>,
    /// `obeyed`, `not obeyed: ` and what happens with this value, `no effect yet`, or `no effect: ` and the reason.
    pub effect: String,
    /// One sentence, for Ottla's own keys.
    pub doc: String,
}

impl Settings {
    /// All keys, in the order of the table; keys that a pattern stands for only where they are set.
    pub fn explain(&self) -> Vec<ExplainRow> {
        let mut rows = Vec::new();
        for key in self.table().keys() {
            if key.name.ends_with('*') {
                let named = self.names_set().filter(|name| key.is_named(name));
                rows.extend(named.map(|name| self.row(key, name)));
            } else {
                rows.push(self.row(key, key.name));
            }
        }
        rows
    }

    /// Variables of the environment that look like keys and are none. Their values may be anybody's secrets, and are not shown.
    pub fn explain_unknown_variables(&self) -> Vec<ExplainRow> {
        let row = |variable: &String| ExplainRow {
            key: variable.clone(),
            value: Some("(hidden)".to_owned()),
            source: "environment".to_owned(),
            kind: Kind::String.kafka_name(),
            is_sensitive: true,
            is_set: true,
            default: None,
            why_different: None,
            effect: format!("no effect: {}", self.why_unknown(variable)),
            doc: String::new(),
        };
        self.unknown_variables().iter().map(row).collect()
    }

    fn row(&self, key: &KeyDef, name: &str) -> ExplainRow {
        let is_secret = key.kind == Kind::Password;
        let shown = |text: &str| if is_secret { "(hidden)".to_owned() } else { text.to_owned() };
        let deviation = DEVIATIONS.iter().find(|deviation| deviation.key == name);
        ExplainRow {
            key: name.to_owned(),
            value: self.text(name).map(shown),
            source: self.source(name).to_string(),
            kind: key.kind.kafka_name(),
            is_sensitive: is_secret,
            is_set: self.is_set(name),
            default: self.default(name).map(str::to_owned),
            why_different: deviation.map(|deviation| {
                format!("Kafka: {}; {}", key.default.unwrap_or("null"), deviation.why)
            }),
            effect: match key.meaning {
                Meaning::Obeyed => match caveat_of(name, self.text(name)) {
                    Some(told) => format!("not obeyed: {told}"),
                    None => "obeyed".into(),
                },
                Meaning::Later => "no effect yet".into(),
                Meaning::None(reason) => format!("no effect: {reason}"),
            },
            doc: key.doc.to_owned(),
        }
    }
}
