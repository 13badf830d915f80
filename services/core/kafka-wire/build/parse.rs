//! Reads a table.
//!
//! ```text
//! request 1 FetchRequest versions 4-18 flexible 12+ on broker        (head: kind, api key, name, versions)
//!
//! ReplicaId     0-14  int32          = -1                            (name, versions, type, attributes)
//! ReplicaState  15+   ReplicaState   tag 1                           (a structure: its fields are indented below)
//!   ReplicaId   15+   int32          = -1
//! Topics        0+    []FetchTopic?3+                                (an array that may be null from version 3 on)
//! ```
//!
//! `?` alone: may be null in all versions. Attributes: `= DEFAULT`, `tag N`, `ignorable`, `plain` (old encoding even in
//! flexible versions). A structure's fields stand at its first use.
//! Invariant: what does not read as above is an error with its line. Deliberately knows nothing of Rust.

use super::schema::{Field, Kind, Message, Scalar, Struct, Type, Versions};

pub(crate) struct ParseError {
    pub(crate) line: usize,
    pub(crate) cause: String,
}

type Parsed<T> = Result<T, String>;

pub(crate) fn parse(text: &str) -> Result<Message, ParseError> {
    let mut lines = text
        .lines()
        .enumerate()
        .map(|(at, line)| (at + 1, line))
        .filter(|(_, l)| !l.trim().is_empty());
    let (first, head) =
        lines.next().ok_or(ParseError { line: 1, cause: "empty table".to_owned() })?;
    let mut message = parse_head(head).map_err(|cause| ParseError { line: first, cause })?;
    // The structure that each level of indentation is filling.
    let mut open: Vec<usize> = vec![0];
    for (line, row) in lines {
        add_row(&mut message, &mut open, row).map_err(|cause| ParseError { line, cause })?;
    }
    check_structs(&message).map_err(|cause| ParseError { line: first, cause })?;
    mark_reachable(&mut message);
    Ok(message)
}

fn parse_head(head: &str) -> Parsed<Message> {
    let mut words = head.split_whitespace();
    let mut next = || words.next().ok_or("the head line ends early");
    let kind = match next()? {
        "request" => Kind::Request,
        "response" => Kind::Response,
        "header" => Kind::Header,
        "data" => Kind::Data,
        other => return Err(format!("unknown kind {other}")),
    };
    let has_key = matches!(kind, Kind::Request | Kind::Response);
    let api_key = if has_key { Some(number(next()?)?) } else { None };
    let name = next()?.to_owned();
    expect(next()?, "versions")?;
    let versions = parse_versions(next()?)?;
    expect(next()?, "flexible")?;
    let flexible = parse_versions(next()?)?;
    let rest: Vec<&str> = words.collect();
    let root = Struct { name: name.clone(), fields: Vec::new(), reachable: versions };
    Ok(Message {
        kind,
        api_key,
        name,
        versions,
        unstable_latest: rest.contains(&"unstable-latest"),
        flexible_from: (!flexible.is_empty()).then_some(flexible.from),
        on_broker: rest.iter().any(|word| word.split(',').any(|on| on == "broker")),
        structs: vec![root],
    })
}

fn add_row(message: &mut Message, open: &mut Vec<usize>, row: &str) -> Parsed<()> {
    let indent = row.len() - row.trim_start().len();
    if !indent.is_multiple_of(2) || indent / 2 >= open.len() {
        return Err("indentation that no structure above opens".to_owned());
    }
    open.truncate(indent / 2 + 1);
    let field = parse_field(row)?;
    if let Some(name) = struct_name(&field.ty) {
        let known = message.structs.iter().position(|s| s.name == name);
        let at = known.unwrap_or_else(|| {
            let opened =
                Struct { name: name.to_owned(), fields: Vec::new(), reachable: Versions::NONE };
            message.structs.push(opened);
            message.structs.len() - 1
        });
        open.push(at);
    }
    message.structs[open[indent / 2]].fields.push(field);
    Ok(())
}

fn parse_field(row: &str) -> Parsed<Field> {
    let mut words = row.split_whitespace();
    let mut next = || words.next().ok_or("a row needs name, versions and type");
    let name = next()?.to_owned();
    let versions = parse_versions(next()?)?;
    let word = next()?;
    let (ty, nullable) = match word.split_once('?') {
        None => (parse_type(word)?, Versions::NONE),
        Some((ty, "")) => (parse_type(ty)?, versions),
        Some((ty, range)) => (parse_type(ty)?, parse_versions(range)?.intersect(versions)),
    };
    let mut field = Field {
        name,
        versions,
        ty,
        nullable,
        tag: None,
        default: None,
        ignorable: false,
        plain: false,
    };
    while let Some(word) = words.next() {
        match word {
            "ignorable" => field.ignorable = true,
            "plain" => field.plain = true,
            "tag" => field.tag = Some(number(words.next().unwrap_or(""))?),
            "=" => field.default = words.next().map(str::to_owned),
            other => return Err(format!("unknown attribute {other}")),
        }
    }
    Ok(field)
}

fn parse_type(word: &str) -> Parsed<Type> {
    if let Some(element) = word.strip_prefix("[]") {
        return Ok(Type::Array(Box::new(parse_type(element)?)));
    }
    Ok(match word {
        "bool" => Type::Scalar(Scalar::Bool),
        "int8" => Type::Scalar(Scalar::Int8),
        "int16" => Type::Scalar(Scalar::Int16),
        "uint16" => Type::Scalar(Scalar::Uint16),
        "int32" => Type::Scalar(Scalar::Int32),
        "uint32" => Type::Scalar(Scalar::Uint32),
        "int64" => Type::Scalar(Scalar::Int64),
        "float64" => Type::Scalar(Scalar::Float64),
        "uuid" => Type::Scalar(Scalar::Uuid),
        "string" => Type::Text,
        "bytes" => Type::Bytes { records: false },
        "records" => Type::Bytes { records: true },
        name if name.starts_with(|c: char| c.is_ascii_uppercase()) => Type::Struct(name.to_owned()),
        other => return Err(format!("unknown type {other}")),
    })
}

fn struct_name(ty: &Type) -> Option<&str> {
    match ty {
        Type::Struct(name) => Some(name),
        Type::Array(element) => struct_name(element),
        _ => None,
    }
}

/// `4-18`, `12+`, `0` or `none`.
fn parse_versions(word: &str) -> Parsed<Versions> {
    if word == "none" {
        return Ok(Versions::NONE);
    }
    if let Some(from) = word.strip_suffix('+') {
        return Ok(Versions { from: number(from)?, to: i16::MAX });
    }
    let (from, to) = word.split_once('-').unwrap_or((word, word));
    Ok(Versions { from: number(from)?, to: number(to)? })
}

fn number<N: std::str::FromStr>(word: &str) -> Parsed<N> {
    word.parse().map_err(|_| format!("expected a number, got {word:?}"))
}

fn expect(word: &str, wanted: &str) -> Parsed<()> {
    if word == wanted { Ok(()) } else { Err(format!("expected {wanted}, got {word}")) }
}

fn check_structs(message: &Message) -> Parsed<()> {
    let hollow = message.structs.iter().skip(1).find(|s| s.fields.is_empty());
    match hollow {
        Some(s) => Err(format!("structure {} has no fields", s.name)),
        None => Ok(()),
    }
}

/// Spreads the versions from parents to children until nothing changes: a structure may be used before its last parent.
fn mark_reachable(message: &mut Message) {
    for _ in 0..message.structs.len() {
        for at in 0..message.structs.len() {
            mark_children(message, at);
        }
    }
}

fn mark_children(message: &mut Message, at: usize) {
    let parent = message.structs[at].clone();
    for field in &parent.fields {
        let Some(name) = struct_name(&field.ty) else { continue };
        let uses = field.versions.intersect(parent.reachable);
        let child = message.structs.iter_mut().find(|s| s.name == name);
        let child = child.expect("add_row opened every structure that a field names");
        child.reachable = child.reachable.hull(uses);
    }
}
