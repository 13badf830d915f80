//! ApiVersions: what this gateway serves, derived from the table of routes.
//!
//! Features: none is finalized here (no `transaction.version`, no share groups), so clients use what every version offers.

use ottla_kafka_wire::ApiKey;
use ottla_kafka_wire::messages::api_versions_request::ApiVersionsRequest;
use ottla_kafka_wire::messages::api_versions_response::{ApiVersion, ApiVersionsResponse};
use ottla_types::ErrorCode;

use crate::answer::Answer;
use crate::request::Call;
use crate::router::{Handle, Route, TABLE};

/// First version in which clients name their software.
const FIRST_WITH_SOFTWARE: i16 = 3;

/// The handler.
pub(crate) struct ApiVersions;

impl Handle for ApiVersions {
    type Request = ApiVersionsRequest;

    async fn handle(call: Call, request: ApiVersionsRequest) -> Answer {
        let is_valid = call.version < FIRST_WITH_SOFTWARE
            || (is_software(&request.client_software_name)
                && is_software(&request.client_software_version));
        let error = if is_valid { ErrorCode::None } else { ErrorCode::InvalidRequest };
        call.answer(&ApiVersionsResponse {
            error_code: error.code(),
            api_keys: if is_valid { TABLE.iter().map(advertised).collect() } else { Vec::new() },
            finalized_features_epoch: finalized_epoch(&call),
            ..Default::default()
        })
    }
}

/// The answer to a version that does not exist here: in version 0, which every client can read, with the versions of
/// ApiVersions itself, so that the client can ask again.
pub(crate) fn unsupported_api_versions(call: &Call) -> Answer {
    let row = Route::find(ApiKey::ApiVersions);
    let response = ApiVersionsResponse {
        error_code: ErrorCode::UnsupportedVersion.code(),
        api_keys: row.into_iter().map(advertised).collect(),
        ..Default::default()
    };
    call.answer_in(0, &response)
}

fn advertised(route: &Route) -> ApiVersion {
    let versions = route.advertised();
    ApiVersion {
        api_key: route.key(),
        min_version: *versions.start(),
        max_version: *versions.end(),
    }
}

fn finalized_epoch(call: &Call) -> i64 {
    i64::try_from(call.gateway.image().offset.0).unwrap_or(i64::MAX)
}

/// Kafka's pattern: letters, digits, dots and dashes, the first and last a letter or digit.
fn is_software(name: &str) -> bool {
    let is_edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    is_edge(bytes.first())
        && is_edge(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::is_software;

    #[test]
    fn the_name_of_a_software_follows_kafkas_pattern() {
        assert!(["a", "apache-kafka-java", "4.3.1", "librdkafka"].into_iter().all(is_software));
        assert!(!["", "-a", "a-", "a b", "a\n"].into_iter().any(is_software));
    }
}
