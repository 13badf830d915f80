//! One key of a configuration: its type, its default, the values that it may have, and what it means here.
//!
//! Invariant: `KeyDef::check` accepts exactly what Kafka's `ConfigDef` accepts for a key of this type and range.

use std::fmt;

/// The type of a value, named as Kafka names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 32 bits, signed.
    Int,
    /// 64 bits, signed.
    Long,
    /// 16 bits, signed.
    Short,
    /// A floating-point number.
    Double,
    /// `true` or `false`.
    Boolean,
    /// Any text.
    String,
    /// Texts with commas between them.
    List,
    /// A Java class: never loaded.
    Class,
    /// A text that is never shown.
    Password,
}

/// The values that a key may have, beyond its type.
#[derive(Clone, Debug, PartialEq)]
pub enum Range {
    /// All of the type.
    Any,
    /// From this number on.
    AtLeast(f64),
    /// Between these, both included.
    Between(f64, f64),
    /// One of these texts; for a list, each of its items.
    OneOf(Vec<&'static str>),
}

/// What a key does here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// It is obeyed.
    Obeyed,
    /// It is known and checked, and has no effect yet.
    Later,
    /// It means nothing here, for this reason.
    None(&'static str),
}

/// A key.
#[derive(Clone, Debug)]
pub struct KeyDef {
    /// The name; one that ends in `*` stands for all that begin so.
    pub name: &'static str,
    /// The type.
    pub kind: Kind,
    /// The default; `None` is Kafka's null.
    pub default: Option<&'static str>,
    /// The values that it may have.
    pub range: Range,
    /// What it does here.
    pub meaning: Meaning,
    /// One sentence about it; empty for Kafka's own keys, which Kafka documents.
    pub doc: &'static str,
}

impl KeyDef {
    /// Why this text cannot be the key's value, and what can; `Ok` if it can.
    ///
    /// # Errors
    /// Cause and cure.
    pub fn check(&self, text: &str) -> Result<(), (String, String)> {
        let is_typed = match self.kind {
            Kind::Int => text.parse::<i32>().is_ok(),
            Kind::Long => text.parse::<i64>().is_ok(),
            Kind::Short => text.parse::<i16>().is_ok(),
            Kind::Double => text.parse::<f64>().is_ok(),
            Kind::Boolean => ["true", "false"].iter().any(|word| text.eq_ignore_ascii_case(word)),
            Kind::String | Kind::List | Kind::Class | Kind::Password => true,
        };
        if !is_typed {
            return Err((format!("not {}", self.kind), format!("set {}", self.cure())));
        }
        let is_in_range = match &self.range {
            Range::Any => true,
            Range::AtLeast(least) => text.parse::<f64>().is_ok_and(|value| value >= *least),
            Range::Between(least, most) => {
                text.parse::<f64>().is_ok_and(|value| (*least..=*most).contains(&value))
            }
            Range::OneOf(texts) => items(text).all(|item| texts.contains(&item)),
        };
        if is_in_range {
            Ok(())
        } else {
            Err(("out of range".into(), format!("set {}", self.cure())))
        }
    }

    fn cure(&self) -> String {
        match &self.range {
            Range::Any => self.kind.to_string(),
            Range::AtLeast(least) => format!("{} from {least}", self.kind),
            Range::Between(least, most) => format!("{} from {least} to {most}", self.kind),
            Range::OneOf(texts) => format!("one of {}", texts.join(", ")),
        }
    }

    /// Whether this key's name is `name`, or begins it.
    pub fn is_named(&self, name: &str) -> bool {
        match self.name.strip_suffix('*') {
            Some(prefix) => name.len() > prefix.len() && name.starts_with(prefix),
            None => self.name == name,
        }
    }
}

/// The items of a list value.
pub(super) fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

impl Kind {
    /// Kafka's name of the type, as `DescribeConfigs` tells it.
    pub const fn kafka_name(self) -> &'static str {
        match self {
            Self::Int => "INT",
            Self::Long => "LONG",
            Self::Short => "SHORT",
            Self::Double => "DOUBLE",
            Self::Boolean => "BOOLEAN",
            Self::String => "STRING",
            Self::List => "LIST",
            Self::Class => "CLASS",
            Self::Password => "PASSWORD",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Int => "a whole number of 32 bits",
            Self::Long => "a whole number of 64 bits",
            Self::Short => "a whole number of 16 bits",
            Self::Double => "a number",
            Self::Boolean => "true or false",
            Self::String | Self::Password => "a text",
            Self::List => "a list with commas",
            Self::Class => "a class name",
        })
    }
}
