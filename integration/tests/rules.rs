//! The table of rules in ARCHITECTURE.md (R: replication, P: consensus): generated from the names of functions and tests, and checked.
//!
//! Invariant: a rule's function is called `rN_…` or `pN_…` and its test too, so the table cannot promise what is not there.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Around the table.
const BEGIN: &str = "<!-- rules -->\n";
const END: &str = "<!-- /rules -->";

/// Rules of replication that have a function and a test today.
const REPLICATION_RULES: &[u32] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 16, 17];
/// Rules of the consensus.
const CONSENSUS_RULES: std::ops::RangeInclusive<u32> = 1..=17;

/// `R` or `P`, and the number.
type RuleId = (char, u32);

/// A named function and its file.
type Named = (String, String);

#[derive(Default)]
struct Rule {
    functions: Vec<Named>,
    tests: Vec<Named>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("integration/ has a parent").to_owned()
}

/// `rN_…` and `pN_…` functions of all sources, each with whether the line above it makes it a test.
fn rules() -> BTreeMap<RuleId, Rule> {
    let listed = Command::new("git")
        .args(["ls-files", "services/*.rs", "gateway/*.rs"])
        .current_dir(root())
        .output()
        .expect("git runs");
    let mut rules: BTreeMap<RuleId, Rule> = BTreeMap::new();
    for file in String::from_utf8(listed.stdout).expect("paths are UTF-8").lines() {
        let Ok(text) = std::fs::read_to_string(root().join(file)) else { continue };
        let mut above = "";
        for line in text.lines() {
            if let Some((rule, name)) = rule_of(line) {
                let rule = rules.entry(rule).or_default();
                let is_test = above.contains("test");
                let list = if is_test { &mut rule.tests } else { &mut rule.functions };
                list.push((name, file.to_owned()));
            }
            above = line.trim();
        }
    }
    rules
}

fn rule_of(line: &str) -> Option<(RuleId, String)> {
    let (_, rest) = line.split_once("fn ")?;
    let name: String =
        rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    let kind = name.chars().next().filter(|kind| matches!(kind, 'r' | 'p'))?;
    let (number, _) = name[1..].split_once('_')?;
    Some(((kind.to_ascii_uppercase(), number.parse().ok()?), name))
}

fn table(rules: &BTreeMap<RuleId, Rule>) -> String {
    let mut text = "| rule | function | test |\n| --- | --- | --- |\n".to_owned();
    // Replication first, as Kafka's people know it.
    let of_kind = |wanted| rules.iter().filter(move |((kind, _), _)| *kind == wanted);
    for ((kind, number), rule) in of_kind('R').chain(of_kind('P')) {
        let cell = |named: &[Named]| {
            let cells: Vec<_> =
                named.iter().map(|(name, file)| format!("`{name}` ({file})")).collect();
            cells.join("<br>")
        };
        writeln!(text, "| {kind}{number} | {} | {} |", cell(&rule.functions), cell(&rule.tests))
            .expect("a string takes all that is written to it");
    }
    text
}

#[test]
fn the_table_of_rules_says_what_the_code_has() {
    let rules = rules();
    let replication = REPLICATION_RULES.iter().map(|number| ('R', *number));
    for id in replication.chain(CONSENSUS_RULES.map(|number| ('P', number))) {
        let rule = rules.get(&id).unwrap_or_else(|| panic!("{id:?} is nowhere"));
        assert!(!rule.functions.is_empty(), "{id:?} has no function");
        assert!(!rule.tests.is_empty(), "{id:?} has no test");
    }
    let path = root().join("ARCHITECTURE.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (head, rest) = text.split_once(BEGIN).expect("ARCHITECTURE.md has the table's place");
    let (found, tail) = rest.split_once(END).expect("ARCHITECTURE.md has the table's end");
    let wanted = table(&rules);
    if std::env::var_os("OTTLA_WRITE_RULES").is_some() {
        std::fs::write(&path, format!("{head}{BEGIN}{wanted}{END}{tail}")).unwrap();
        return;
    }
    assert_eq!(found, wanted, "stale: run with OTTLA_WRITE_RULES=1");
}
