//! The HTTP server: `/metrics`, `/health/live`, `/health/ready`, `/health/ready/ROLE`.
//!
//! Invariant: at most [`MAX_HTTP_CONNECTIONS`] at once, and none that says nothing for long; bodies of requests are not read.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tracing::{debug, warn};

use crate::http::Health;
use crate::metrics::{Format, Metrics};
use crate::seams::{Listener, NetStream, Seams, TaskHandle};
use crate::shutdown::Shutdown;

/// Connections at once; the next one waits.
pub const MAX_HTTP_CONNECTIONS: usize = 256;
/// How long the head of a request may take, the idle time before it included.
const HEAD_LIMIT: Duration = Duration::from_secs(30);
/// The longest head of a request, bytes.
const MAX_HEAD_BYTES: usize = 16 << 10;
/// How long a scrape waits for those who are asked; what they know is left out then, or as old as the last scrape.
const REFRESH_LIMIT: Duration = Duration::from_secs(1);
/// The pause after `accept` failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the server answers from.
#[derive(Clone, Debug)]
pub struct HttpServer {
    /// `/metrics`.
    pub metrics: Metrics,
    /// `/health/…`.
    pub health: Health,
}

impl HttpServer {
    /// Serves until the process stops: probes are answered while it drains, too.
    pub fn start(
        self,
        seams: &Seams,
        listener: Box<dyn Listener>,
        shutdown: Shutdown,
    ) -> TaskHandle {
        let seams_of_task = seams.clone();
        let serve = async move {
            tokio::select! {
                biased;
                () = self.serve(&seams_of_task, listener, &shutdown) => {}
                () = shutdown.stopped() => {}
            }
        };
        seams.tasks.spawn("http", Box::pin(serve))
    }

    async fn serve(&self, seams: &Seams, mut listener: Box<dyn Listener>, shutdown: &Shutdown) {
        let slots = Arc::new(Semaphore::new(MAX_HTTP_CONNECTIONS));
        let tasks = &seams.tasks;
        loop {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let (server, shutdown, seams) = (self.clone(), shutdown.clone(), seams.clone());
                    let connection = async move {
                        tokio::select! {
                            biased;
                            () = server.connection(stream, &seams, slot) => {}
                            () = shutdown.stopped() => {}
                        }
                    };
                    tasks.spawn("http connection", Box::pin(connection));
                }
                Err(error) => {
                    warn!(%error, "cannot accept an HTTP connection; trying again");
                    seams.clock.sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn connection(
        self,
        stream: Box<dyn NetStream>,
        seams: &Seams,
        _slot: OwnedSemaphorePermit,
    ) {
        let service = service_fn(|request: Request<Incoming>| {
            let server = &self;
            async move {
                let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
                let response = match request.uri().path() {
                    "/metrics" if is_read => server.scrape(seams, &request).await,
                    path => server.answer(request.method(), path),
                };
                Ok::<_, Infallible>(response)
            }
        });
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_LIMIT)
            .max_buf_size(MAX_HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), service)
            .await;
        if let Err(error) = served {
            debug!(%error, "an HTTP connection ended early");
        }
    }

    /// All metrics, in the format that is asked for; written aside, because it may be long.
    async fn scrape(&self, seams: &Seams, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
        let format = Format::accepted(accept.unwrap_or_default());
        tokio::select! {
            biased;
            () = self.metrics.refresh() => {}
            () = seams.clock.sleep(REFRESH_LIMIT) => {}
        }
        let (metrics, (written, text)) = (self.metrics.clone(), oneshot::channel());
        // Whoever asked may be gone.
        let write = move || _ = written.send(metrics.write(format));
        seams.tasks.run_blocking(Box::new(write)).await;
        match text.await {
            Ok(text) => respond(StatusCode::OK, format.content_type(), text),
            Err(_) => respond(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", String::new()),
        }
    }

    fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return respond(
                StatusCode::METHOD_NOT_ALLOWED,
                "text/plain",
                "only GET and HEAD\n".into(),
            );
        }
        match path {
            "/health/live" => respond_json(StatusCode::OK, &Status { status: "live" }),
            "/health/ready" => self.readiness(|_| true),
            _ => match path.strip_prefix("/health/ready/") {
                Some(role) => self.readiness(|name| name == role),
                None => respond(
                    StatusCode::NOT_FOUND,
                    "text/plain",
                    "there are /metrics, /health/live, /health/ready and /health/ready/ROLE\n"
                        .into(),
                ),
            },
        }
    }

    fn readiness(&self, wanted: impl Fn(&str) -> bool) -> Response<Full<Bytes>> {
        let states = self.health.subscribe().borrow().clone();
        let roles: Vec<RoleAnswer> = states
            .into_iter()
            .filter(|(name, _)| wanted(name))
            .map(|(role, state)| RoleAnswer { role, ready: state.ready, reason: state.reason })
            .collect();
        let is_ready = !roles.is_empty() && roles.iter().all(|role| role.ready);
        let (code, status) = if is_ready {
            (StatusCode::OK, "ready")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "not ready")
        };
        respond_json(code, &Readiness { status, roles })
    }
}

#[derive(Serialize)]
struct Status {
    status: &'static str,
}

#[derive(Serialize)]
struct Readiness {
    status: &'static str,
    roles: Vec<RoleAnswer>,
}

#[derive(Serialize)]
struct RoleAnswer {
    role: &'static str,
    ready: bool,
    reason: String,
}

fn respond_json(code: StatusCode, body: &impl Serialize) -> Response<Full<Bytes>> {
    let text = serde_json::to_string(body).expect("texts and booleans have a JSON form");
    respond(code, "application/json", text + "\n")
}

fn respond(code: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = code;
    let content_type = header::HeaderValue::from_static(content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}
