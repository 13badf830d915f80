//! Writes the body of `Structure::read` for one structure.
//!
//! Invariant: fields are read in the table's order, tagged ones after all others. A field that a version lacks keeps its
//! default. Deliberately leaves every bound to the reader.

use super::rust_form::{When, field_name, flexible, is_nullable, met, scalar_type, when};
use super::schema::{Field, Message, Scalar, Struct, Type};

pub(crate) fn read_body(message: &Message, s: &Struct) -> String {
    let mut out = String::new();
    let flexible = flexible(message, s);
    out.push_str("let mut value = Self::default();\n");
    for field in s.fields.iter().filter(|f| f.tag.is_none()) {
        let statement = read_field(message, s, field, compact(&flexible, field));
        out.push_str(&guarded(&when(field.versions, s.reachable), &statement));
    }
    let tags =
        format!("reader.tagged_fields(|{}, tag| {})?;\n", tag_reader(s), read_tags(message, s));
    out.push_str(&guarded(&flexible, &tags));
    out.push_str("Ok(value)\n");
    out
}

fn guarded(when: &When, statement: &str) -> String {
    match when {
        When::Always => statement.to_owned(),
        When::Never => String::new(),
        When::If(condition) => format!("if {condition} {{\n{statement}}}\n"),
    }
}

fn tag_reader(s: &Struct) -> &'static str {
    let any = s.fields.iter().any(|f| f.tag.is_some() && !met(s, f).is_empty());
    if any { "reader" } else { "_" }
}

fn read_tags(message: &Message, s: &Struct) -> String {
    let mut arms = String::new();
    for field in &s.fields {
        let Some(tag) = field.tag else { continue };
        let guard = match when(field.versions, s.reachable) {
            When::Never => continue,
            When::Always => String::new(),
            When::If(condition) => format!(" if {condition}"),
        };
        let statement = read_field(message, s, field, "true");
        arms.push_str(&format!("{tag}{guard} => {{\n{statement}Ok(true)\n}}\n"));
    }
    if arms.is_empty() {
        return "{ let _ = tag; Ok(false) }".to_owned();
    }
    format!("match tag {{\n{arms}_ => Ok(false),\n}}")
}

/// The expression for "in compact encoding", for this field.
pub(crate) fn compact<'a>(flexible: &'a When, field: &Field) -> &'a str {
    if field.plain { "false" } else { flexible.expression() }
}

fn read_field(message: &Message, s: &Struct, field: &Field, compact: &str) -> String {
    let name = field_name(field);
    let label = format!("\"{}.{}\"", s.name, name);
    let expression = read_value(message, field, compact, &label, is_nullable(s, field));
    let mut out = format!("value.{name} = {expression};\n");
    let given = met(s, field);
    if let When::If(may_be_null) = when(field.nullable, given) {
        out.push_str(&format!(
            "if value.{name}.is_none() && !({may_be_null}) {{\nreturn Err(DecodeError::Null {{ field: {label} }});\n}}\n"
        ));
    }
    out
}

fn read_value(
    message: &Message,
    field: &Field,
    compact: &str,
    label: &str,
    nullable: bool,
) -> String {
    match &field.ty {
        Type::Scalar(scalar) => format!("reader.{}()?", scalar_method(*scalar)),
        Type::Text if nullable => format!("reader.nullable_string({compact})?"),
        Type::Text => format!("reader.string({compact}, {label})?"),
        Type::Bytes { .. } if nullable => format!("reader.nullable_bytes({compact})?"),
        Type::Bytes { .. } => format!("reader.bytes({compact}, {label})?"),
        Type::Struct(name) if nullable => {
            format!("reader.nullable_struct(|reader| {name}::read(reader, version))?")
        }
        Type::Struct(name) => format!("{name}::read(reader, version)?"),
        Type::Array(element) => {
            let (least, read) = read_element(message, element, compact, label);
            if nullable {
                format!("reader.nullable_array({compact}, {least}, {read})?")
            } else {
                format!("reader.array({compact}, {label}, {least}, {read})?")
            }
        }
    }
}

/// The least size of an element, and the function that reads one.
fn read_element(message: &Message, element: &Type, compact: &str, label: &str) -> (String, String) {
    let least_text = if message.flexible_from.is_some() { 1 } else { 2 };
    match element {
        Type::Scalar(scalar) => {
            (scalar.size().to_string(), format!("Reader::{}", scalar_method(*scalar)))
        }
        Type::Text => {
            (least_text.to_string(), format!("|reader| reader.string({compact}, {label})"))
        }
        Type::Struct(name) => {
            (format!("{name}::MIN_SIZE"), format!("|reader| {name}::read(reader, version)"))
        }
        Type::Bytes { .. } | Type::Array(_) => {
            panic!("{}: arrays of bytes or of arrays are not written yet", message.name)
        }
    }
}

/// The name of the method that reads or writes the type.
pub(crate) fn scalar_method(scalar: Scalar) -> &'static str {
    match scalar {
        Scalar::Uuid => "uuid",
        other => scalar_type(other),
    }
}
