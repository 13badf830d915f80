//! Writes the body of `Structure::write` for one structure.
//!
//! Invariant: the same order as in `emit_decode`; a value that the version cannot say is an error unless the table calls
//! it ignorable; tagged fields are written in ascending order and only if they differ from their default.

use super::emit_decode::{compact, scalar_method};
use super::rust_form::{When, differs_from_default, field_name, flexible, is_nullable, met, when};
use super::schema::{Field, Message, Scalar, Struct, Type};

pub(crate) fn write_body(message: &Message, s: &Struct) -> String {
    let mut out = String::new();
    let flexible = flexible(message, s);
    for field in s.fields.iter().filter(|f| f.tag.is_none()) {
        let statement = write_field(s, field, compact(&flexible, field));
        out.push_str(&either(s, field, &statement));
    }
    for field in s.fields.iter().filter(|f| f.tag.is_some()) {
        out.push_str(&either(s, field, ""));
    }
    let tags = write_tags(s);
    match &flexible {
        When::Always => out.push_str(&tags),
        When::Never => {}
        When::If(condition) => out.push_str(&format!("if {condition} {{\n{tags}}}\n")),
    }
    out.push_str("Ok(())\n");
    out
}

/// The statement in versions that have the field; in others the check that nothing is lost.
fn either(s: &Struct, field: &Field, statement: &str) -> String {
    let lost = if field.ignorable {
        String::new()
    } else {
        let label = format!("{}.{}", s.name, field_name(field));
        let differs = differs_from_default(s, field);
        format!(
            "if {differs} {{\nreturn Err(EncodeError::FieldNotInVersion {{ field: \"{label}\", version }});\n}}\n"
        )
    };
    match (when(field.versions, s.reachable), statement.is_empty(), lost.is_empty()) {
        (When::Always, ..) => statement.to_owned(),
        (When::Never, ..) => lost,
        (When::If(_), true, true) => String::new(),
        (When::If(condition), true, false) => format!("if !({condition}) {{\n{lost}}}\n"),
        (When::If(condition), false, true) => format!("if {condition} {{\n{statement}}}\n"),
        (When::If(condition), false, false) => {
            format!("if {condition} {{\n{statement}}} else {{\n{lost}}}\n")
        }
    }
}

fn write_tags(s: &Struct) -> String {
    let mut tagged: Vec<(u32, &Field)> = s
        .fields
        .iter()
        .filter(|f| !met(s, f).is_empty())
        .filter_map(|f| f.tag.map(|tag| (tag, f)))
        .collect();
    tagged.sort_by_key(|(tag, _)| *tag);
    if tagged.is_empty() {
        return "writer.uvarint(0);\n".to_owned();
    }
    let mut out = String::new();
    for (tag, field) in &tagged {
        let differs = differs_from_default(s, field);
        let present = match when(field.versions, s.reachable) {
            When::If(condition) => format!("{condition} && {differs}"),
            _ => differs,
        };
        out.push_str(&format!("let tag_{tag} = {present};\n"));
    }
    let sum: Vec<String> = tagged.iter().map(|(tag, _)| format!("u32::from(tag_{tag})")).collect();
    out.push_str(&format!("writer.uvarint({});\n", sum.join(" + ")));
    for (tag, field) in &tagged {
        let statement = write_field(s, field, "true");
        out.push_str(&format!(
            "if tag_{tag} {{\nwriter.tagged_field({tag}, |writer| {{\n{statement}Ok(())\n}})?;\n}}\n"
        ));
    }
    out
}

fn write_field(s: &Struct, field: &Field, compact: &str) -> String {
    let name = field_name(field);
    let label = format!("{}.{}", s.name, name);
    let mut out = String::new();
    if let When::If(may_be_null) = when(field.nullable, met(s, field)) {
        out.push_str(&format!(
            "if self.{name}.is_none() && !({may_be_null}) {{\nreturn Err(EncodeError::Null {{ field: \"{label}\", version }});\n}}\n"
        ));
    }
    out.push_str(&write_value(&name, &field.ty, compact, is_nullable(s, field)));
    out
}

fn write_value(name: &str, ty: &Type, compact: &str, nullable: bool) -> String {
    match ty {
        // Counted while it is written.
        Type::Scalar(Scalar::Int16) if name == "error_code" => {
            "writer.error_code(self.error_code);\n".to_owned()
        }
        Type::Scalar(scalar) => format!("writer.{}(self.{name});\n", scalar_method(*scalar)),
        Type::Text if nullable => {
            format!("writer.nullable_string({compact}, self.{name}.as_deref())?;\n")
        }
        Type::Text => format!("writer.string({compact}, &self.{name})?;\n"),
        Type::Bytes { .. } if nullable => {
            format!("writer.nullable_bytes({compact}, self.{name}.as_ref())?;\n")
        }
        Type::Bytes { .. } => format!("writer.bytes({compact}, &self.{name})?;\n"),
        Type::Struct(_) if nullable => format!(
            "match &self.{name} {{\nNone => writer.i8(-1),\nSome(inner) => {{\nwriter.i8(1);\ninner.write(writer, version)?;\n}}\n}}\n"
        ),
        Type::Struct(_) => format!("self.{name}.write(writer, version)?;\n"),
        Type::Array(element) => {
            let write = write_element(element, compact);
            if nullable {
                format!("writer.nullable_array({compact}, self.{name}.as_deref(), {write})?;\n")
            } else {
                format!("writer.array({compact}, &self.{name}, {write})?;\n")
            }
        }
    }
}

fn write_element(element: &Type, compact: &str) -> String {
    match element {
        Type::Scalar(scalar) => {
            let method = scalar_method(*scalar);
            format!("|writer, item| {{\nwriter.{method}(*item);\nOk(())\n}}")
        }
        Type::Text => format!("|writer, item| writer.string({compact}, item)"),
        _ => "|writer, item| item.write(writer, version)".to_owned(),
    }
}
