//! How a field looks in Rust: its name, type, default, and the conditions on the version.
//!
//! Invariant: the name follows Kafka's own snake-case rule (`KRaftVersion` is `kraft_version`). Deliberately knows nothing
//! of readers and writers.

use super::schema::{Field, Message, Scalar, Struct, Type, Versions};

const KEYWORDS: [&str; 5] = ["type", "match", "move", "ref", "use"];

pub(crate) fn snake_case(name: &str) -> String {
    let mut out = String::new();
    let mut after_capital = true;
    for c in name.chars() {
        if c.is_ascii_uppercase() && !after_capital {
            out.push('_');
        }
        after_capital = c.is_ascii_uppercase();
        out.push(c.to_ascii_lowercase());
    }
    out
}

pub(crate) fn field_name(field: &Field) -> String {
    let name = snake_case(&field.name);
    if KEYWORDS.contains(&name.as_str()) { format!("{name}_") } else { name }
}

pub(crate) fn scalar_type(scalar: Scalar) -> &'static str {
    match scalar {
        Scalar::Bool => "bool",
        Scalar::Int8 => "i8",
        Scalar::Int16 => "i16",
        Scalar::Uint16 => "u16",
        Scalar::Int32 => "i32",
        Scalar::Uint32 => "u32",
        Scalar::Int64 => "i64",
        Scalar::Float64 => "f64",
        Scalar::Uuid => "Uuid",
    }
}

fn bare_type(ty: &Type) -> String {
    match ty {
        Type::Scalar(scalar) => scalar_type(*scalar).to_owned(),
        Type::Text => "String".to_owned(),
        Type::Bytes { .. } => "Bytes".to_owned(),
        Type::Struct(name) => name.clone(),
        Type::Array(element) => format!("Vec<{}>", bare_type(element)),
    }
}

/// Versions of this field in this structure that can be met at all.
pub(crate) fn met(s: &Struct, field: &Field) -> Versions {
    field.versions.intersect(s.reachable)
}

/// Whether the field may be null in some version that can be met.
pub(crate) fn is_nullable(s: &Struct, field: &Field) -> bool {
    !field.nullable.intersect(met(s, field)).is_empty()
}

pub(crate) fn field_type(s: &Struct, field: &Field) -> String {
    let bare = bare_type(&field.ty);
    if is_nullable(s, field) { format!("Option<{bare}>") } else { bare }
}

/// Whether the default is null: said so in the table, or always so for nullable records.
fn defaults_to_null(s: &Struct, field: &Field) -> bool {
    let records = field.ty == Type::Bytes { records: true };
    is_nullable(s, field) && (records || field.default.as_deref() == Some("null"))
}

pub(crate) fn default_value(s: &Struct, field: &Field) -> String {
    if defaults_to_null(s, field) {
        return "None".to_owned();
    }
    let bare = match &field.ty {
        Type::Scalar(scalar) => scalar_default(*scalar, field.default.as_deref()),
        Type::Text => "String::new()".to_owned(),
        Type::Bytes { .. } => "Bytes::new()".to_owned(),
        Type::Struct(name) => format!("{name}::default()"),
        Type::Array(_) => "Vec::new()".to_owned(),
    };
    if is_nullable(s, field) { format!("Some({bare})") } else { bare }
}

fn scalar_default(scalar: Scalar, default: Option<&str>) -> String {
    match scalar {
        Scalar::Bool => default.unwrap_or("false").to_owned(),
        Scalar::Uuid => "Uuid::ZERO".to_owned(),
        Scalar::Float64 => "0.0".to_owned(),
        _ => {
            let value: i64 = default.map_or(Ok(0), str::parse).expect("a default is a number");
            value.to_string()
        }
    }
}

/// An expression that is true if the field differs from its default.
pub(crate) fn differs_from_default(s: &Struct, field: &Field) -> String {
    let value = format!("self.{}", field_name(field));
    let nullable = is_nullable(s, field);
    if defaults_to_null(s, field) {
        return format!("{value}.is_some()");
    }
    match &field.ty {
        Type::Text | Type::Bytes { .. } | Type::Array(_) if nullable => {
            format!("{value}.as_ref().is_none_or(|x| !x.is_empty())")
        }
        Type::Text | Type::Bytes { .. } | Type::Array(_) => format!("!{value}.is_empty()"),
        Type::Scalar(Scalar::Bool) if default_value(s, field) == "true" => format!("!{value}"),
        Type::Scalar(Scalar::Bool) => value,
        _ => format!("{value} != {}", default_value(s, field)),
    }
}

/// When something holds, given the versions that can be met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum When {
    Always,
    Never,
    If(String),
}

impl When {
    pub(crate) fn expression(&self) -> &str {
        match self {
            Self::Always => "true",
            Self::Never => "false",
            Self::If(condition) => condition,
        }
    }
}

/// The condition on `version` that it is in `wanted`, where it is known to be in `given`.
pub(crate) fn when(wanted: Versions, given: Versions) -> When {
    let both = wanted.intersect(given);
    if both.is_empty() {
        return When::Never;
    }
    match (both.from > given.from, both.to < given.to) {
        (false, false) => When::Always,
        (true, false) => When::If(format!("version >= {}", both.from)),
        (false, true) => When::If(format!("version <= {}", both.to)),
        (true, true) if both.from == both.to => When::If(format!("version == {}", both.from)),
        (true, true) => When::If(format!("({}..={}).contains(&version)", both.from, both.to)),
    }
}

/// When the structure is in its compact encoding with tagged fields.
pub(crate) fn flexible(message: &Message, s: &Struct) -> When {
    match message.flexible_from {
        None => When::Never,
        Some(from) => when(Versions { from, to: i16::MAX }, s.reachable),
    }
}
