//! What the arguments of `reset` come to.

#![allow(clippy::disallowed_methods, reason = "a test may write a file")]

use super::*;
use crate::cli::tests::parse;

fn asked(line: &str) -> Result<proto::ResetGroupOffsetsRequest, String> {
    let cli = parse(&format!("ottla group reset g {line}")).map_err(|error| error.to_string())?;
    let crate::cli::Command::Group(super::super::GroupCommand::Reset(args)) = cli.command else {
        panic!("{line}")
    };
    request(args).map_err(|failure| failure.to_string())
}

#[test]
fn each_way_of_kafkas_tool_has_its_target() {
    let target = |line: &str| asked(&format!("--all-topics {line}")).unwrap().target.unwrap();
    let position = |position: proto::ResetPosition| Target::Position(position.into());
    assert_eq!(target("--to-earliest"), position(proto::ResetPosition::Earliest));
    assert_eq!(target("--to-latest"), position(proto::ResetPosition::Latest));
    assert_eq!(target("--to-current"), position(proto::ResetPosition::Current));
    assert_eq!(target("--to-offset 7"), Target::Offset(7));
    assert_eq!(target("--shift-by -7"), Target::Shift(-7));
    let Target::Time(time) = target("--to-datetime 2026-11-24T17:00:00.250") else { panic!() };
    assert_eq!((time.seconds, time.nanos), (1_795_539_600, 250_000_000));
    let Target::Age(age) = target("--by-duration PT1M") else { panic!() };
    assert_eq!(age.seconds, 60);
}

#[test]
fn topics_are_named_with_or_without_partitions() {
    let asked = asked("--topic a --topic b:0,3 --to-earliest --dry-run").unwrap();
    assert!(asked.validate_only);
    let scope: Vec<_> = asked.scope.into_iter().map(|one| (one.topic, one.partitions)).collect();
    assert_eq!(scope, [("a".to_owned(), vec![]), ("b".to_owned(), vec![0, 3])]);
}

#[test]
fn it_is_not_guessed_what_is_to_be_reset_nor_where_to() {
    for line in [
        "--to-earliest",
        "--topic a",
        "--all-topics --to-earliest --to-latest",
        "--all-topics --topic a --to-earliest",
        "--topic a: --to-earliest",
        "--topic :1 --to-earliest",
        "--topic a:x --to-earliest",
        "--topic a:-1 --to-earliest",
        "--all-topics --to-offset -1",
        "--all-topics --from-file f",
        "--from-file f --to-earliest",
    ] {
        assert!(asked(line).is_err(), "{line}");
    }
}

#[test]
fn a_file_lists_partitions_with_their_offsets() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("offsets.csv");
    let from = |text: &str| {
        std::fs::write(&file, text).unwrap();
        asked(&format!("--from-file {}", file.display()))
    };
    let Some(Target::Listed(listed)) = from("a,0,5\n\"b\", 1, 7\n\n").unwrap().target else {
        panic!("not listed")
    };
    assert_eq!((listed.offsets[0].topic.as_str(), listed.offsets[0].offset), ("a", 5));
    assert_eq!((listed.offsets[1].topic.as_str(), listed.offsets[1].partition), ("b", 1));
    let refused = from("a,0,5\na,0\n").unwrap_err();
    assert!(refused.contains("line 2") && refused.contains("TOPIC,PARTITION,OFFSET"), "{refused}");
}
