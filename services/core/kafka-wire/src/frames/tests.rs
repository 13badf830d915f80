//! Tests of frames: header versions, both directions, hostile prefixes.

use super::*;
use crate::messages::api_versions_request::ApiVersionsRequest;
use crate::messages::api_versions_response::ApiVersionsResponse;
use crate::messages::metadata_request::MetadataRequest;
use crate::messages::metadata_response::MetadataResponse;

fn whole(list: ChunkList) -> Bytes {
    let bytes = list.into_contiguous().unwrap();
    let length = frame_length(bytes[..4].try_into().unwrap(), usize::MAX).unwrap();
    assert_eq!(length, bytes.len() - 4);
    bytes.slice(4..)
}

#[test]
fn a_request_is_read_back_in_old_and_flexible_versions() {
    for version in 0..=13 {
        let request = MetadataRequest { topics: Some(Vec::new()), ..Default::default() };
        let frame = whole(encode_request(version, 7, Some("kcat"), &request).unwrap());
        let mut reader = Reader::new(frame);
        let header = decode_request_header(&mut reader).unwrap();
        assert_eq!((header.api_key, header.api_version, header.correlation_id), (3, version, 7));
        assert_eq!(header.client_id.as_deref(), Some("kcat"));
        assert_eq!(MetadataRequest::decode(&mut reader, version).unwrap(), request);
        reader.expect_end().unwrap();
    }
}

#[test]
fn a_response_is_read_back_in_old_and_flexible_versions() {
    for version in 0..=13 {
        let response = MetadataResponse { controller_id: -1, ..Default::default() };
        let frame = whole(encode_response(version, 9, &response).unwrap());
        let (correlation_id, read) = decode_response::<MetadataRequest>(frame, version).unwrap();
        assert_eq!((correlation_id, read), (9, response));
    }
}

#[test]
fn the_header_of_an_api_versions_response_is_always_the_oldest() {
    for version in 0..=4 {
        let frame = whole(encode_response(version, 1, &ApiVersionsResponse::default()).unwrap());
        assert_eq!(frame[..6], [0, 0, 0, 1, 0, 0]);
    }
    assert_eq!(response_header_version(ApiKey::ApiVersions, 77), 0);
    assert_eq!(response_header_version(ApiKey::Metadata, 9), 1);
    assert_eq!(response_header_version(ApiKey::Metadata, 8), 0);
}

#[test]
fn an_unknown_version_still_has_a_readable_header() {
    let bytes = Bytes::from_static(b"\x00\x12\x00\x63\x00\x00\x00\x05\x00\x01x\x00");
    let header = decode_request_header(&mut Reader::new(bytes)).unwrap();
    assert_eq!((header.api_key, header.api_version, header.correlation_id), (18, 99, 5));
    assert!(ApiVersionsRequest::decode(&mut Reader::new(Bytes::new()), 99).is_err());
}

#[test]
fn the_oldest_header_has_no_client_id() {
    assert_eq!(request_header_version(ApiKey::ControlledShutdown, 0), 0);
    let bytes = Bytes::from_static(b"\x00\x07\x00\x00\x00\x00\x00\x05");
    assert_eq!(decode_request_header(&mut Reader::new(bytes)).unwrap().client_id, None);
}

#[test]
fn an_unknown_key_and_a_cut_header_are_refused() {
    let unknown = Bytes::from_static(b"\x7f\x00\x00\x00\x00\x00\x00\x05\x00\x00");
    let error = decode_request_header(&mut Reader::new(unknown)).unwrap_err();
    assert_eq!(error, FrameError::UnknownApiKey { api_key: 0x7f00, api_version: 0 });
    let cut = Bytes::from_static(b"\x00\x03\x00\x00\x00\x00\x00\x05\x00\x09x");
    assert!(matches!(decode_request_header(&mut Reader::new(cut)), Err(FrameError::Header(_))));
}

#[test]
fn a_frame_length_is_checked_before_anything_is_kept() {
    assert_eq!(frame_length([0, 0, 1, 0], 256).unwrap(), 256);
    for prefix in [[0, 0, 1, 1], [0x7f, 0xff, 0xff, 0xff], [0x80, 0, 0, 0], [0xff; 4]] {
        assert!(frame_length(prefix, 256).is_err());
    }
}
