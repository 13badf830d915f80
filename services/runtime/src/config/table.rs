//! All keys that a server knows: Kafka's, from the table beside this file, and Ottla's own.
//!
//! Invariant: the table is part of the program, so what is malformed in it fails the tests, not a start.

use std::sync::LazyLock;

use crate::config::key::{KeyDef, Kind, Meaning, Range};

const KAFKA_KEYS: &str = include_str!("kafka_keys.tsv");
/// How many typing errors a suggestion forgives.
const MAX_EDIT_DISTANCE: usize = 3;

/// A set of keys.
#[derive(Clone, Debug)]
pub struct KeyTable {
    keys: Vec<KeyDef>,
}

impl KeyTable {
    /// A table of these keys; names are unique.
    pub fn new(keys: Vec<KeyDef>) -> Self {
        Self { keys }
    }

    /// The key of this name.
    pub fn get(&self, name: &str) -> Option<&KeyDef> {
        self.keys.iter().find(|key| key.is_named(name))
    }

    /// All keys, in the order of the table.
    pub fn keys(&self) -> impl Iterator<Item = &KeyDef> {
        self.keys.iter()
    }

    /// The known name that looks most like this one, if one does.
    pub fn nearest(&self, name: &str) -> Option<&'static str> {
        nearest_of(name, self.keys.iter().map(|key| key.name))
    }
}

/// The one of these names that looks most like `name`, if one does.
pub(super) fn nearest_of<N: AsRef<str> + Ord>(
    name: &str,
    names: impl Iterator<Item = N>,
) -> Option<N> {
    let distances = names.map(|known| (edit_distance(name, known.as_ref()), known));
    // A short name is near to everything, so what counts is the share that is wrong.
    let limit = MAX_EDIT_DISTANCE.min(name.chars().count() / 3);
    distances.min().filter(|(distance, _)| *distance <= limit).map(|(_, nearest)| nearest)
}

/// Everything that may stand in a server's configuration.
pub fn server_keys() -> &'static KeyTable {
    static TABLE: LazyLock<KeyTable> = LazyLock::new(|| {
        let kafka = KAFKA_KEYS.lines().filter(|line| !line.starts_with('#'));
        KeyTable::new(own_keys().into_iter().chain(kafka.map(kafka_key)).collect())
    });
    &TABLE
}

fn kafka_key(row: &'static str) -> KeyDef {
    let mut columns = row.split('\t');
    let mut next = || columns.next().expect("each row of the table has five columns");
    let (name, kind, default) = (next(), kind(next()), next());
    let range = range(next());
    let meaning = match next() {
        "obeyed" => Meaning::Obeyed,
        "later" => Meaning::Later,
        reason => Meaning::None(reason),
    };
    let default = (default != "null").then_some(default);
    KeyDef { name, kind, default, range, meaning, doc: "" }
}

fn kind(text: &str) -> Kind {
    match text {
        "int" => Kind::Int,
        "long" => Kind::Long,
        "short" => Kind::Short,
        "double" => Kind::Double,
        "boolean" => Kind::Boolean,
        "list" => Kind::List,
        "class" => Kind::Class,
        "password" => Kind::Password,
        _ => Kind::String,
    }
}

fn range(text: &'static str) -> Range {
    let number = |text: &str| text.parse::<f64>().expect("ranges of the table are numbers");
    if let Some(least) = text.strip_prefix(">=") {
        Range::AtLeast(number(least))
    } else if let Some(texts) = text.strip_prefix("in ") {
        Range::OneOf(texts.split(',').collect())
    } else if let Some((least, most)) = text.split_once("..") {
        Range::Between(number(least), number(most))
    } else {
        Range::Any
    }
}

fn own_keys() -> Vec<KeyDef> {
    let key = |name, kind, default, doc| KeyDef {
        name,
        kind,
        default,
        range: if kind == Kind::Long { Range::AtLeast(0.0) } else { Range::Any },
        meaning: Meaning::Obeyed,
        doc,
    };
    vec![
        key(
            "ottla.storage.listener",
            Kind::String,
            Some(":9094"),
            "Where a storage node takes gRPC from gateways and other storage nodes, HOST:PORT.",
        ),
        key(
            "ottla.storage.listener.advertised",
            Kind::String,
            None,
            "The address of ottla.storage.listener for others; unset, this host's name and the same port.",
        ),
        key(
            "ottla.admin.listener",
            Kind::String,
            Some(":9095"),
            "Where the admin gRPC service listens, HOST:PORT.",
        ),
        key(
            "ottla.admin.listener.advertised",
            Kind::String,
            None,
            "The address of ottla.admin.listener for others; unset, this host's name and the same port.",
        ),
        key(
            "ottla.http.listener",
            Kind::String,
            Some(":9096"),
            "Where metrics and health are served over HTTP, HOST:PORT.",
        ),
        key(
            "ottla.gateway.node.port.first",
            Kind::List,
            None,
            "A gateway listens for node N on this port + N: a port, or LISTENER:PORT for each; unset, the listener's port + 100.",
        ),
        key(
            "ottla.min.free.disk.bytes",
            Kind::Long,
            Some("1073741824"),
            "A log directory with less free space than this stops the start.",
        ),
    ]
}

/// Insertions, removals and replacements that make one text of the other.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_table_is_sound() {
        let names: Vec<_> = server_keys().keys().map(|key| key.name).collect();
        assert!(names.len() > 390);
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "names are unique");
        for key in server_keys().keys() {
            if let Some(default) = key.default {
                assert_eq!(key.check(default), Ok(()), "{}", key.name);
            }
        }
        assert_eq!(
            KAFKA_KEYS.lines().filter(|line| line.split('\t').count() == 5).count() + 7,
            names.len()
        );
    }

    #[test]
    fn the_nearest_name_is_suggested_and_a_far_one_is_not() {
        let nearest = |name| server_keys().nearest(name);
        assert_eq!(nearest("num.partition"), Some("num.partitions"));
        assert_eq!(nearest("log.retention.hour"), Some("log.retention.hours"));
        assert_eq!(nearest("advertized.listeners"), Some("advertised.listeners"));
        assert_eq!(nearest("my.own.key"), None);
        assert_eq!(nearest("x"), None);
    }

    #[test]
    fn values_are_checked_by_type_and_range() {
        let check = |name: &str, text| server_keys().get(name).unwrap().check(text);
        assert!(check("num.io.threads", "0").is_err_and(|(_, cure)| cure.contains("from 1")));
        assert!(
            check("num.io.threads", "many").is_err()
                && check("num.io.threads", "3000000000").is_err()
        );
        assert!(check("log.cleanup.policy", "compact, delete").is_ok());
        assert!(check("log.cleanup.policy", "compact,shred").is_err());
        assert!(
            check("delete.topic.enable", "TRUE").is_ok()
                && check("delete.topic.enable", "yes").is_err()
        );
    }
}
