//! The house rules that a compiler does not check: sizes, first lines, names, and who may depend on whom.
//!
//! Invariant: ARCHITECTURE.md's table of rooms and this file's `ROOMS` say the same.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Longest source file in lines.
const MAX_FILE_LINES: usize = 800;
/// Longest `main.rs` in lines.
const MAX_MAIN_LINES: usize = 40;
/// Longest README in lines.
const MAX_README_LINES: usize = 250;

/// Each room, and which rooms it may depend on (dev-dependencies aside).
const ROOMS: &[(&str, &[&str])] = &[
    ("ottla-types", &[]),
    ("ottla-kafka-wire", &["ottla-types"]),
    ("ottla-log-format", &["ottla-types"]),
    ("ottla-metadata", &["ottla-types"]),
    ("ottla-partition", &["ottla-types", "ottla-log-format"]),
    ("ottla-coordinator", &["ottla-types"]),
    ("ottla-proto", &[]),
    ("ottla-runtime", &["ottla-types"]),
    (
        "ottla-api",
        &["ottla-types", "ottla-coordinator", "ottla-metadata", "ottla-proto", "ottla-runtime"],
    ),
    (
        "ottla-controller",
        &[
            "ottla-types",
            "ottla-coordinator",
            "ottla-metadata",
            "ottla-proto",
            "ottla-runtime",
            "ottla-api",
        ],
    ),
    (
        "ottla-storage-node",
        &[
            "ottla-types",
            "ottla-coordinator",
            "ottla-log-format",
            "ottla-metadata",
            "ottla-partition",
            "ottla-runtime",
            "ottla-api",
        ],
    ),
    (
        "ottla-gateway",
        &[
            "ottla-types",
            "ottla-coordinator",
            "ottla-kafka-wire",
            "ottla-log-format",
            "ottla-metadata",
            "ottla-runtime",
            "ottla-api",
        ],
    ),
];

/// May depend on every room.
const COMPOSERS: &[&str] = &["ottla", "ottla-integration"];

/// Names that say nothing.
const EMPTY_NAMES: &[&str] = &["mod", "util", "utils", "common", "helpers", "manager", "misc"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("integration/ has a parent").to_owned()
}

fn tracked(pattern: &str) -> Vec<PathBuf> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", pattern])
        .current_dir(root())
        .output()
        .expect("git runs");
    assert!(output.status.success(), "git ls-files failed");
    let text = String::from_utf8(output.stdout).expect("paths are UTF-8");
    let files: Vec<_> =
        text.lines().map(|line| root().join(line)).filter(|path| path.exists()).collect();
    assert!(!files.is_empty(), "no file matches {pattern}");
    files
}

#[test]
fn every_source_file_is_short_says_what_it_is_and_has_a_telling_name() {
    let mut faults = Vec::new();
    for path in tracked("*.rs") {
        let text = std::fs::read_to_string(&path).unwrap();
        let lines = text.lines().count();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let limit = if name == "main" { MAX_MAIN_LINES } else { MAX_FILE_LINES };
        if lines > limit {
            faults.push(format!("{}: {lines} lines, at most {limit}", path.display()));
        }
        if !text.starts_with("//!") {
            faults.push(format!("{}: does not begin with //!", path.display()));
        }
        if EMPTY_NAMES.contains(&name) {
            faults.push(format!("{}: the name says nothing", path.display()));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_readme_is_short() {
    let lines = std::fs::read_to_string(root().join("README.md")).unwrap().lines().count();
    assert!(lines <= MAX_README_LINES, "README.md has {lines} lines");
}

#[test]
fn the_rooms_depend_on_each_other_as_the_plan_says() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let rooms: BTreeMap<_, _> = ROOMS.iter().copied().collect();
    let mut faults = Vec::new();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        if COMPOSERS.contains(&name) {
            continue;
        }
        let Some(allowed) = rooms.get(name) else {
            faults.push(format!("{name}: not in the table of rooms"));
            continue;
        };
        for dependency in package["dependencies"].as_array().unwrap() {
            let on = dependency["name"].as_str().unwrap();
            let ours = on == "ottla" || on.starts_with("ottla-");
            if ours && dependency["kind"].is_null() && !allowed.contains(&on) {
                faults.push(format!("{name} depends on {on}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
