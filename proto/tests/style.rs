//! The protos keep buf's STANDARD style, and everything in them is commented. Checked without buf.

use std::collections::BTreeSet;

use prost::Message;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet,
    ServiceDescriptorProto,
};

const ALL: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/all.bin"));

fn ours() -> Vec<FileDescriptorProto> {
    let all = FileDescriptorSet::decode(ALL).expect("the build script wrote it");
    all.file.into_iter().filter(|file| file.name().starts_with("ottla/")).collect()
}

/// `QuorumRole` as `QUORUM_ROLE`.
fn upper_snake(name: &str) -> String {
    let mut snake = String::new();
    for (index, letter) in name.chars().enumerate() {
        if letter.is_uppercase() && index > 0 {
            snake.push('_');
        }
        snake.push(letter.to_ascii_uppercase());
    }
    snake
}

fn is_lower_snake(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

#[test]
fn a_file_lies_where_its_package_says_and_the_package_has_a_version() {
    for file in ours() {
        let folder = file.name().rsplit_once('/').unwrap().0;
        assert_eq!(folder.replace('/', "."), file.package(), "{}", file.name());
        assert!(file.package().ends_with(".v1"), "{}", file.package());
        assert_eq!(file.syntax(), "proto3");
    }
}

#[test]
fn enum_values_carry_the_name_of_their_enum_and_begin_with_unspecified() {
    for value in ours().iter().flat_map(|file| file.enum_type.clone()) {
        let EnumDescriptorProto { value: values, .. } = &value;
        let prefix = upper_snake(value.name());
        assert_eq!(values[0].name(), format!("{prefix}_UNSPECIFIED"));
        assert_eq!(values[0].number(), 0);
        for value in values {
            assert!(value.name().starts_with(&format!("{prefix}_")), "{}", value.name());
        }
    }
}

#[test]
fn every_rpc_has_a_request_and_a_response_of_its_own() {
    let mut seen = BTreeSet::new();
    for file in ours() {
        for service in &file.service {
            assert!(service.name().ends_with("Service"), "{}", service.name());
            for rpc in &service.method {
                let named = |suffix| format!(".{}.{}{suffix}", file.package(), rpc.name());
                assert_eq!(rpc.input_type(), named("Request"));
                assert_eq!(rpc.output_type(), named("Response"));
                assert!(
                    seen.insert(rpc.input_type().to_owned()),
                    "{} is used twice",
                    rpc.input_type()
                );
            }
        }
    }
}

#[test]
fn fields_are_lower_snake() {
    for message in ours().iter().flat_map(|file| file.message_type.clone()) {
        for field in &message.field {
            assert!(is_lower_snake(field.name()), "{}.{}", message.name(), field.name());
        }
    }
}

/// Paths of everything in a file that must have a comment, as `SourceCodeInfo` writes them.
fn paths(file: &FileDescriptorProto) -> Vec<(Vec<i32>, String)> {
    let mut paths = vec![(vec![2], format!("package of {}", file.name()))];
    for (index, message) in file.message_type.iter().enumerate() {
        message_paths(&[4, index as i32], message, &mut paths);
    }
    for (index, value) in file.enum_type.iter().enumerate() {
        let at = vec![5, index as i32];
        for (number, one) in value.value.iter().enumerate() {
            paths.push(([&at[..], &[2, number as i32]].concat(), one.name().to_owned()));
        }
        paths.push((at, value.name().to_owned()));
    }
    for (index, service) in file.service.iter().enumerate() {
        service_paths(&[6, index as i32], service, &mut paths);
    }
    paths
}

fn message_paths(at: &[i32], message: &DescriptorProto, paths: &mut Vec<(Vec<i32>, String)>) {
    if message.options.as_ref().is_some_and(|options| options.map_entry()) {
        return;
    }
    paths.push((at.to_vec(), message.name().to_owned()));
    for (index, field) in message.field.iter().enumerate() {
        let name = format!("{}.{}", message.name(), field.name());
        paths.push(([at, &[2, index as i32]].concat(), name));
    }
    for (index, nested) in message.nested_type.iter().enumerate() {
        message_paths(&[at, &[3, index as i32]].concat(), nested, paths);
    }
    for (index, oneof) in message.oneof_decl.iter().enumerate() {
        // `optional` fields make a oneof that nobody wrote.
        if !oneof.name().starts_with('_') {
            paths.push(([at, &[8, index as i32]].concat(), oneof.name().to_owned()));
        }
    }
}

fn service_paths(
    at: &[i32],
    service: &ServiceDescriptorProto,
    paths: &mut Vec<(Vec<i32>, String)>,
) {
    paths.push((at.to_vec(), service.name().to_owned()));
    for (index, rpc) in service.method.iter().enumerate() {
        paths.push(([at, &[2, index as i32]].concat(), rpc.name().to_owned()));
    }
}

#[test]
fn everything_has_a_comment() {
    for file in ours() {
        let locations = &file.source_code_info.as_ref().unwrap().location;
        for (path, name) in paths(&file) {
            let commented = locations.iter().any(|location| {
                location.path == path && !location.leading_comments().trim().is_empty()
            });
            assert!(commented, "{name} in {} has no comment", file.name());
        }
    }
}

#[test]
fn only_the_admin_package_is_in_the_set_for_reflection() {
    let set = FileDescriptorSet::decode(ottla_proto::ADMIN_DESCRIPTOR_SET).unwrap();
    let packages: BTreeSet<_> = set.file.iter().map(|file| file.package().to_owned()).collect();
    let expected = ["google.protobuf", "ottla.admin.v1"].map(str::to_owned);
    assert_eq!(packages, BTreeSet::from(expected));
}
