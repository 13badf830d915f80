//! Requests over real sockets.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::metrics::{Metrics, Scrape, Source};
use crate::seams::{HostPort, Seams};
use crate::shutdown::Shutdown;

struct Running {
    seams: Seams,
    address: HostPort,
    health: Health,
    shutdown: Shutdown,
}

async fn start() -> Running {
    start_with(Metrics::new()).await
}

async fn start_with(metrics: Metrics) -> Running {
    let seams = Seams::real();
    let listener = seams.net.bind(&HostPort::new("127.0.0.1", 0)).await.unwrap();
    let address = HostPort::new("127.0.0.1", listener.local_addr().unwrap().port());
    let (health, shutdown) = (Health::new(), Shutdown::new());
    let server = HttpServer { metrics, health: health.clone() };
    server.start(&seams, listener, shutdown.clone());
    Running { seams, address, health, shutdown }
}

impl Running {
    /// Sends these bytes and reads until the server closes.
    async fn send(&self, bytes: &[u8]) -> String {
        let mut stream = self.seams.net.connect(&self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        // A refused request may end in a reset; what was answered before it counts.
        _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }

    async fn get(&self, path: &str) -> String {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes())
            .await
    }
}

#[tokio::test]
async fn health_is_told_per_role() {
    assert!(!Health::new().is_ready());
    let server = start().await;
    assert!(
        server.get("/health/ready").await.starts_with("HTTP/1.1 503"),
        "no role is no readiness"
    );
    let gateway = server.health.role("gateway");
    let storage = server.health.role("storage");
    storage.not_ready("recovering 12 of 40 partitions");
    gateway.ready();
    let answer = server.get("/health/ready").await;
    assert!(
        answer.starts_with("HTTP/1.1 503") && answer.contains("recovering 12 of 40"),
        "{answer}"
    );
    assert!(server.get("/health/ready/gateway").await.starts_with("HTTP/1.1 200"));
    assert!(server.get("/health/ready/nobody").await.starts_with("HTTP/1.1 503"));
    storage.ready();
    server.health.wait_until_ready().await;
    let answer = server.get("/health/ready").await;
    let body = answer.split("\r\n\r\n").nth(1).unwrap();
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(
        (body["status"].as_str(), body["roles"][1]["role"].as_str()),
        (Some("ready"), Some("storage"))
    );
    assert!(server.get("/health/live").await.contains("{\"status\":\"live\"}"));
}

#[tokio::test]
async fn metrics_are_in_the_format_that_is_asked_for_and_the_rest_is_refused() {
    let server = start().await;
    let plain = server.get("/metrics").await;
    assert!(plain.contains("content-type: text/plain; version=0.0.4"), "{plain}");
    let asked = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
        Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n\r\n";
    let answer = server.send(asked.as_bytes()).await;
    assert!(
        answer.contains("application/openmetrics-text") && answer.ends_with("# EOF\n"),
        "{answer}"
    );
    assert!(server.get("/").await.starts_with("HTTP/1.1 404"));
    assert!(
        server
            .send(b"DELETE /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .await
            .starts_with("HTTP/1.1 405")
    );
    let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    assert!(server.send(long.as_bytes()).await.starts_with("HTTP/1.1 431"));
    assert!(server.send(b"\x00\x01\x02\xff\r\n\r\n").await.starts_with("HTTP/1.1 400"));
}

#[tokio::test]
async fn probes_are_answered_while_the_process_drains_and_not_after() {
    let server = start().await;
    server.shutdown.trigger();
    assert!(server.get("/health/live").await.starts_with("HTTP/1.1 200"));
    let mut idle = server.seams.net.connect(&server.address).await.unwrap();
    server.shutdown.stop();
    // The idle connection is closed.
    while !matches!(idle.read(&mut [0; 16]).await, Ok(0) | Err(_)) {}
    while server.seams.net.connect(&server.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

/// More than sockets take that nobody reads from.
struct Long;

impl Source for Long {
    fn write(&self, scrape: &mut Scrape) {
        scrape.gauge("long", "Long", "1".repeat(20 << 20));
    }
}

#[tokio::test]
async fn scrapes_that_nobody_reads_are_few_and_health_is_told_beside_them() {
    let metrics = Metrics::new();
    metrics.add(std::sync::Arc::new(Long));
    let server = start_with(metrics).await;
    let mut unread = Vec::new();
    for _ in 0..MAX_SCRAPES {
        let mut stream = server.seams.net.connect(&server.address).await.unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        // Its answer began.
        stream.read_exact(&mut [0; 12]).await.unwrap();
        unread.push(stream);
    }
    assert!(server.get("/metrics").await.starts_with("HTTP/1.1 503"));
    assert!(server.get("/health/live").await.starts_with("HTTP/1.1 200"));
    unread.pop();
    while !server.get("/metrics").await.starts_with("HTTP/1.1 200") {
        tokio::task::yield_now().await;
    }
}
