//! A small part of the simulation: some seeds, each twice, and the mutants. `integration/sim/run` runs more of them, faster.
//!
//! Deliberately builds `ottla-sim` by itself: its feature `sim` must not reach the `ottla` that other tests start.

use std::path::PathBuf;
use std::process::Command;

use ottla_integration::process::root;

/// `ottla-sim`, in the profile of this test.
fn built() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--locked", "-p", "ottla-integration"]);
    build.args(["--features", "sim", "--bin", "ottla-sim"]).current_dir(root());
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    if profile == "release" {
        build.arg("--release");
    }
    assert!(build.status().expect("cargo runs").success(), "ottla-sim does not build");
    let target = std::env::var_os("CARGO_TARGET_DIR");
    target.map_or_else(|| root().join("target"), PathBuf::from).join(profile).join("ottla-sim")
}

#[test]
fn seeds_pass_twice_with_equal_traces_and_all_mutants_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = Command::new(built());
    run.args(["run", "--seeds", "3", "--chaos-seconds", "20", "--mutant-seeds", "40", "--dir"]);
    let output = run.arg(dir.path()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{told}");
    assert_eq!(text.matches("found by seed").count(), 3, "{text}");
}
