//! Writes `api_keys.rs`: the enum `ApiKey` and the facts about each key.
//!
//! Invariant: one variant per request table, in the order of the keys.

use super::schema::{Kind, Message, Versions};

pub(crate) fn emit(messages: &[Message]) -> String {
    let mut requests: Vec<&Message> = messages.iter().filter(|m| m.kind == Kind::Request).collect();
    requests.sort_by_key(|m| m.api_key);
    let mut out = String::from(
        "/// Every api key of Kafka 4.3.\n#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]\n#[repr(i16)]\npub enum ApiKey {\n",
    );
    for m in &requests {
        out.push_str(&format!("/// `{0}`\n{0} = {1},\n", api_name(m), key(m)));
    }
    out.push_str("}\n\n");
    out.push_str(&format!(
        "/// The table, in the order of the keys.\nstatic FACTS: [Facts; {}] = [\n",
        requests.len()
    ));
    for m in &requests {
        out.push_str(&emit_facts(m));
    }
    out.push_str("];\n");
    out
}

fn emit_facts(m: &Message) -> String {
    let Versions { from, to } = m.stable();
    format!(
        "Facts {{ key: ApiKey::{0}, name: \"{0}\", from: {from}, to: {to}, flexible_from: {1:?}, on_broker: {2} }},\n",
        api_name(m),
        m.flexible_from,
        m.on_broker
    )
}

fn api_name(m: &Message) -> &str {
    m.name.strip_suffix("Request").unwrap_or(&m.name)
}

fn key(m: &Message) -> i16 {
    m.api_key.expect("a request has a key")
}
