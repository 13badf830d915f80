//! Opens such a stream as a client, answers one as a server.

use futures::stream::BoxStream;
use http::uri::PathAndQuery;
use http::{HeaderValue, Uri, Version, header};
use prost::Message;
use tonic::body::Body;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tower::{Service, ServiceExt};

use super::FrameReader;
use super::sending::Sending;

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");

/// Calls a method with a stream of messages, none longer than `most_bytes`; returns once the server has begun to answer.
pub(crate) async fn open<Q, R>(
    mut channel: Channel,
    path: PathAndQuery,
    messages: BoxStream<'static, Q>,
    most_bytes: usize,
) -> Result<FrameReader<R>, Status>
where
    Q: Message + 'static,
    R: Message + Default,
{
    let messages = Box::pin(futures::StreamExt::map(messages, Ok));
    let mut request = http::Request::new(Body::new(Sending::request(messages, most_bytes)));
    *request.method_mut() = http::Method::POST;
    *request.version_mut() = Version::HTTP_2;
    // The channel puts its own scheme and authority in front.
    *request.uri_mut() = Uri::from(path);
    request.headers_mut().insert(header::CONTENT_TYPE, GRPC);
    request.headers_mut().insert(header::TE, TRAILERS);

    let ready = channel.ready().await.map_err(|error| Status::from_error(error.into()))?;
    let response = ready.call(request).await.map_err(|error| Status::from_error(error.into()))?;
    if let Some(status) = Status::from_header_map(response.headers())
        && status.code() != Code::Ok
    {
        return Err(status);
    }
    if response.status() != http::StatusCode::OK {
        return Err(Status::unknown(format!("it answered HTTP status {}", response.status())));
    }
    Ok(FrameReader::new(response.into_body(), most_bytes))
}

/// The messages that a request brings.
pub(crate) fn receive<M: Message + Default>(
    request: http::Request<Body>,
    most_bytes: usize,
) -> FrameReader<M> {
    FrameReader::new(request.into_body(), most_bytes)
}

/// A response of these messages, none longer than `most_bytes`.
pub(crate) fn respond<M: Message + 'static>(
    messages: BoxStream<'static, Result<M, Status>>,
    most_bytes: usize,
) -> http::Response<Body> {
    let mut response = http::Response::new(Body::new(Sending::response(messages, most_bytes)));
    response.headers_mut().insert(header::CONTENT_TYPE, GRPC);
    response
}
