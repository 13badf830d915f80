//! Writes `messages.rs`: one module per message, and the catalogue of all.
//!
//! Invariant: a module holds exactly the structures of one table, the message first. Deliberately knows nothing of how a
//! field is read or written.

use super::emit_decode::read_body;
use super::emit_encode::write_body;
use super::rust_form::{default_value, field_name, field_type, snake_case};
use super::schema::{Field, Kind, Message, Struct, Type, Versions};

pub(crate) fn emit(messages: &[Message]) -> String {
    let mut out = String::new();
    for message in messages {
        out.push_str(&emit_module(message, messages));
    }
    out.push_str(&emit_catalogue(messages));
    out
}

fn emit_module(message: &Message, all: &[Message]) -> String {
    let module = snake_case(&message.name);
    let mut out = format!(
        "/// {}\npub mod {module} {{\nuse crate::messages::parts::*;\n\n",
        describe(message)
    );
    for s in &message.structs {
        out.push_str(&emit_struct(message, s));
    }
    out.push_str(&emit_message_impl(message));
    if message.kind == Kind::Request {
        out.push_str(&emit_request_impl(message, all));
    }
    out.push_str("}\n\n");
    out
}

fn describe(message: &Message) -> String {
    let versions = show(message.versions);
    let flexible = message.flexible_from.map_or("never".to_owned(), |from| format!("from {from}"));
    let what = match (message.kind, message.api_key) {
        (Kind::Request, Some(key)) => format!("the request of api {key}"),
        (Kind::Response, Some(key)) => format!("the response of api {key}"),
        (Kind::Header, _) => "a frame's header".to_owned(),
        _ => "a structure inside other messages or records".to_owned(),
    };
    format!("`{}`: {what}; versions {versions}, flexible {flexible}.", message.name)
}

fn show(versions: Versions) -> String {
    match versions {
        v if v.is_empty() => "none (the key is reserved)".to_owned(),
        v if v.to == i16::MAX => format!("{}+", v.from),
        v if v.from == v.to => v.from.to_string(),
        v => format!("{}–{}", v.from, v.to),
    }
}

fn emit_struct(message: &Message, s: &Struct) -> String {
    let name = &s.name;
    let mut out = format!("/// `{name}` of `{}`.\n", message.name);
    out.push_str("#[derive(Clone, Debug, PartialEq)]\n");
    out.push_str(&format!("pub struct {name} {{\n"));
    for field in &s.fields {
        out.push_str(&format!("/// {}\n", describe_field(s, field)));
        out.push_str(&format!("pub {}: {},\n", field_name(field), field_type(s, field)));
    }
    out.push_str("}\n\n");
    out.push_str(&format!("impl Default for {name} {{\nfn default() -> Self {{\nSelf {{\n"));
    for field in &s.fields {
        out.push_str(&format!("{}: {},\n", field_name(field), default_value(s, field)));
    }
    out.push_str("}\n}\n}\n\n");
    out.push_str(&emit_structure_impl(message, s));
    out.push_str(&emit_expansion_proof(message, s));
    out
}

fn describe_field(s: &Struct, field: &Field) -> String {
    let mut out = format!("`{}`, versions {}", field.name, show(field.versions));
    if !field.nullable.is_empty() {
        out.push_str(&format!("; null in {}", show(field.nullable)));
    }
    if let Some(tag) = field.tag {
        out.push_str(&format!("; tag {tag}"));
    }
    if field.default.is_some() {
        out.push_str(&format!("; default `{}`", default_value(s, field)));
    }
    if field.ignorable {
        out.push_str("; dropped where absent");
    }
    out.push('.');
    out
}

fn emit_structure_impl(message: &Message, s: &Struct) -> String {
    let min_size = message.min_size(s);
    let name = &s.name;
    if message.versions.is_empty() {
        return format!(
            "impl Structure for {name} {{\nconst MIN_SIZE: usize = 0;\nfn read(_: &mut Reader, _: i16) -> Result<Self, DecodeError> {{ Ok(Self::default()) }}\nfn write(&self, _: &mut Writer, _: i16) -> Result<(), EncodeError> {{ Ok(()) }}\n}}\n\n"
        );
    }
    format!(
        "impl Structure for {name} {{\nconst MIN_SIZE: usize = {min_size};\n\nfn read(reader: &mut Reader, version: i16) -> Result<Self, DecodeError> {{\nlet _ = version;\n{}}}\n\nfn write(&self, writer: &mut Writer, version: i16) -> Result<(), EncodeError> {{\nlet _ = version;\n{}}}\n}}\n\n",
        read_body(message, s),
        write_body(message, s)
    )
}

/// Structures that occur in arrays: what one takes in memory is bounded by what it takes on the wire.
fn emit_expansion_proof(message: &Message, s: &Struct) -> String {
    let of_this = Type::Array(Box::new(Type::Struct(s.name.clone())));
    let in_array =
        message.structs.iter().any(|parent| parent.fields.iter().any(|f| f.ty == of_this));
    if !in_array {
        return String::new();
    }
    format!(
        "const _: () = assert!(size_of::<{0}>() <= MAX_EXPANSION * <{0} as Structure>::MIN_SIZE);\n\n",
        s.name
    )
}

fn emit_message_impl(message: &Message) -> String {
    let name = &message.name;
    let key = message.api_key.map_or("None".to_owned(), |key| format!("Some({key})"));
    let Versions { from, to } = message.versions;
    format!(
        "impl Message for {name} {{
    const API_KEY: Option<i16> = {key};
    const NAME: &'static str = \"{name}\";
    const KNOWN_VERSIONS: RangeInclusive<i16> = {from}..={to};

    fn decode(reader: &mut Reader, version: i16) -> Result<Self, DecodeError> {{
        if !Self::KNOWN_VERSIONS.contains(&version) {{
            return Err(DecodeError::UnsupportedVersion {{ message: Self::NAME, version }});
        }}
        Self::read(reader, version)
    }}

    fn encode(&self, writer: &mut Writer, version: i16) -> Result<(), EncodeError> {{
        if !Self::KNOWN_VERSIONS.contains(&version) {{
            return Err(EncodeError::UnsupportedVersion {{ message: Self::NAME, version }});
        }}
        self.write(writer, version)
    }}
}}

"
    )
}

fn emit_request_impl(message: &Message, all: &[Message]) -> String {
    let name = &message.name;
    let response = all
        .iter()
        .find(|other| other.kind == Kind::Response && other.api_key == message.api_key)
        .unwrap_or_else(|| panic!("{name} has no response"));
    let key = message.api_key.expect("a request has a key");
    let Versions { from, to } = message.stable();
    let flexible = match message.flexible_from {
        None => "let _ = version;\nfalse".to_owned(),
        Some(from) => format!("version >= {from}"),
    };
    format!(
        "impl Request for {name} {{
    type Response = super::{}::{};
    const KEY: i16 = {key};
    const VERSIONS: RangeInclusive<i16> = {from}..={to};

    fn flexible(version: i16) -> bool {{
        {flexible}
    }}
}}

",
        snake_case(&response.name),
        response.name
    )
}

fn emit_catalogue(messages: &[Message]) -> String {
    let mut out = format!(
        "/// Every message, in the order of the names of their tables.\npub static CATALOGUE: [Entry; {}] = [\n",
        messages.len()
    );
    for message in messages {
        out.push_str(&format!("Entry::of::<{}::{}>(),\n", snake_case(&message.name), message.name));
    }
    out.push_str("];\n");
    out
}
