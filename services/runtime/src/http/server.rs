//! The HTTP server: `/metrics`, `/health/live`, `/health/ready`, `/health/ready/ROLE`.
//!
//! Invariant: at most [`MAX_HTTP_CONNECTIONS`] at once, none that says nothing for long or reads nothing for ever, and at most
//! [`MAX_SCRAPES`] long answers in memory; bodies of requests are not read.

use std::convert::Infallible;
use std::pin::pin;
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
/// Scrapes at once, each until its last byte is sent; who comes then is told to come again.
pub const MAX_SCRAPES: usize = 4;
/// How long a connection lives; it ends after the answer that is being sent then.
const CONNECTION_LIFE: Duration = Duration::from_secs(300);
/// How long that answer may take.
const LAST_ANSWER_LIMIT: Duration = Duration::from_secs(30);
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

/// What the connections of one port share.
struct Served {
    server: HttpServer,
    seams: Seams,
    scrapes: Arc<Semaphore>,
}

/// The text of a scrape, and its place; given back with the last byte.
struct Scraped {
    text: String,
    _place: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Scraped {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
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
        let scrapes = Arc::new(Semaphore::new(MAX_SCRAPES));
        let served = Arc::new(Served { server: self.clone(), seams: seams.clone(), scrapes });
        loop {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let (served, shutdown) = (Arc::clone(&served), shutdown.clone());
                    let connection = async move {
                        tokio::select! {
                            biased;
                            () = served.connection(stream, slot) => {}
                            () = shutdown.stopped() => {}
                        }
                    };
                    seams.tasks.spawn("http connection", Box::pin(connection));
                }
                Err(error) => {
                    warn!(%error, "cannot accept an HTTP connection; trying again");
                    seams.clock.sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return respond(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "only GET and HEAD\n");
        }
        match path {
            "/health/live" => respond_json(StatusCode::OK, &Status { status: "live" }),
            "/health/ready" => self.readiness(|_| true),
            _ => match path.strip_prefix("/health/ready/") {
                Some(role) => self.readiness(|name| name == role),
                None => respond(
                    StatusCode::NOT_FOUND,
                    "text/plain",
                    "there are /metrics, /health/live, /health/ready and /health/ready/ROLE\n",
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

impl Served {
    async fn connection(&self, stream: Box<dyn NetStream>, _slot: OwnedSemaphorePermit) {
        let service = service_fn(|request: Request<Incoming>| async move {
            let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
            let response = match request.uri().path() {
                "/metrics" if is_read => self.scrape(&request).await,
                path => self.server.answer(request.method(), path),
            };
            Ok::<_, Infallible>(response)
        });
        let serving = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_LIMIT)
            .max_buf_size(MAX_HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), service);
        let mut serving = pin!(serving);
        let served = tokio::select! {
            biased;
            served = serving.as_mut() => served,
            () = self.seams.clock.sleep(CONNECTION_LIFE) => {
                serving.as_mut().graceful_shutdown();
                tokio::select! {
                    biased;
                    served = serving => served,
                    () = self.seams.clock.sleep(LAST_ANSWER_LIMIT) => Ok(()),
                }
            }
        };
        if let Err(error) = served {
            debug!(%error, "an HTTP connection ended early");
        }
    }

    /// All metrics, in the format that is asked for; written aside, because it may be long.
    async fn scrape(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let Ok(place) = Arc::clone(&self.scrapes).try_acquire_owned() else {
            let told = format!("{MAX_SCRAPES} scrapes are being answered; come again\n");
            return respond(StatusCode::SERVICE_UNAVAILABLE, "text/plain", told);
        };
        let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
        let format = Format::accepted(accept.unwrap_or_default());
        let metrics = self.server.metrics.clone();
        tokio::select! {
            biased;
            () = metrics.refresh() => {}
            () = self.seams.clock.sleep(REFRESH_LIMIT) => {}
        }
        let (written, text) = oneshot::channel();
        // Whoever asked may be gone.
        let write = move || _ = written.send(metrics.write(format));
        self.seams.tasks.run_blocking(Box::new(write)).await;
        match text.await {
            Ok(text) => {
                let body = Bytes::from_owner(Scraped { text, _place: place });
                respond(StatusCode::OK, format.content_type(), body)
            }
            Err(_) => respond(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", Bytes::new()),
        }
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

fn respond(
    code: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = code;
    let content_type = header::HeaderValue::from_static(content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}
