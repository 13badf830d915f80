//! What a table says, as values: a message, its structures and their fields.
//!
//! Invariant: the first structure is the message itself; every structure that a field names is in the list.
//! Deliberately knows neither the text form nor Rust.

/// A range of versions, both ends included; empty if `from > to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Versions {
    pub(crate) from: i16,
    pub(crate) to: i16,
}

impl Versions {
    pub(crate) const NONE: Self = Self { from: 0, to: -1 };

    pub(crate) fn is_empty(self) -> bool {
        self.from > self.to
    }

    pub(crate) fn intersect(self, other: Self) -> Self {
        let both = Self { from: self.from.max(other.from), to: self.to.min(other.to) };
        if both.is_empty() { Self::NONE } else { both }
    }

    /// The least range that holds both.
    pub(crate) fn hull(self, other: Self) -> Self {
        match (self.is_empty(), other.is_empty()) {
            (true, _) => other,
            (_, true) => self,
            _ => Self { from: self.from.min(other.from), to: self.to.max(other.to) },
        }
    }

    pub(crate) fn contains(self, version: i16) -> bool {
        self.from <= version && version <= self.to
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Request,
    Response,
    Header,
    Data,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scalar {
    Bool,
    Int8,
    Int16,
    Uint16,
    Int32,
    Uint32,
    Int64,
    Float64,
    Uuid,
}

impl Scalar {
    /// Bytes on the wire.
    pub(crate) fn size(self) -> usize {
        match self {
            Self::Bool | Self::Int8 => 1,
            Self::Int16 | Self::Uint16 => 2,
            Self::Int32 | Self::Uint32 => 4,
            Self::Int64 | Self::Float64 => 8,
            Self::Uuid => 16,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Scalar(Scalar),
    Text,
    /// `bytes` and `records`: the same on the wire; only their default differs.
    Bytes {
        records: bool,
    },
    Struct(String),
    Array(Box<Type>),
}

#[derive(Clone, Debug)]
pub(crate) struct Field {
    /// Kafka's name, in Kafka's case.
    pub(crate) name: String,
    /// Versions that have the field.
    pub(crate) versions: Versions,
    pub(crate) ty: Type,
    /// Versions in which it may be null.
    pub(crate) nullable: Versions,
    pub(crate) tag: Option<u32>,
    pub(crate) default: Option<String>,
    /// A value may be dropped silently in a version without the field.
    pub(crate) ignorable: bool,
    /// Keeps the old encoding in flexible versions too.
    pub(crate) plain: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Struct {
    pub(crate) name: String,
    pub(crate) fields: Vec<Field>,
    /// Versions of the message in which the structure can occur.
    pub(crate) reachable: Versions,
}

#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) kind: Kind,
    pub(crate) api_key: Option<i16>,
    pub(crate) name: String,
    /// All versions that Kafka's code can write; the newest may be unstable.
    pub(crate) versions: Versions,
    pub(crate) unstable_latest: bool,
    /// First flexible version.
    pub(crate) flexible_from: Option<i16>,
    /// Whether Kafka serves the request on a broker's listener (else only between controllers).
    pub(crate) on_broker: bool,
    pub(crate) structs: Vec<Struct>,
}

impl Message {
    /// Versions that are promised to stay as they are.
    pub(crate) fn stable(&self) -> Versions {
        let to = self.versions.to - i16::from(self.unstable_latest);
        Versions { from: self.versions.from, to }
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Struct> {
        self.structs.iter().find(|s| s.name == name)
    }

    /// Fewest bytes that the structure takes in any version in which it occurs.
    pub(crate) fn min_size(&self, s: &Struct) -> usize {
        let versions = s.reachable.from..=s.reachable.to;
        versions.map(|version| self.size_at(s, version)).min().unwrap_or(0)
    }

    fn size_at(&self, s: &Struct, version: i16) -> usize {
        let flexible = self.flexible_from.is_some_and(|from| version >= from);
        let present = |f: &&Field| f.tag.is_none() && f.versions.contains(version);
        let fields: usize =
            s.fields.iter().filter(present).map(|f| self.field_size_at(f, version, flexible)).sum();
        fields + usize::from(flexible)
    }

    fn field_size_at(&self, field: &Field, version: i16, flexible: bool) -> usize {
        let compact = flexible && !field.plain;
        match &field.ty {
            Type::Scalar(scalar) => scalar.size(),
            Type::Struct(_) if field.nullable.contains(version) => 1,
            Type::Struct(name) => {
                self.size_at(self.find(name).expect("the parser checked that it exists"), version)
            }
            _ if compact => 1,
            Type::Text => 2,
            Type::Bytes { .. } | Type::Array(_) => 4,
        }
    }
}
