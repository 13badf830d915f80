//! For the tests of this crate: a gRPC server on this machine, reached through a wire that can be cut.

use std::sync::{Arc, OnceLock};

use ottla_runtime::Seams;
use ottla_runtime::grpc::{incoming, server};
use ottla_runtime::seams::{HostPort, NetStream};
use ottla_runtime::telemetry::{SpanKind, Telemetry, TelemetryOptions, root_span, trace_parent_of};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tonic::service::RoutesBuilder;

/// A server, and the address at which clients reach it.
pub(crate) struct Loopback {
    pub(crate) address: HostPort,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
    cuts: watch::Sender<u64>,
    accepting: JoinHandle<()>,
}

impl Loopback {
    /// Serves these routes.
    pub(crate) async fn serve(seams: &Seams, routes: RoutesBuilder) -> Self {
        let listener = seams.net.bind(&HostPort::new("127.0.0.1", 0)).await.unwrap();
        let behind = HostPort::new("127.0.0.1", listener.local_addr().unwrap().port());
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = server().add_routes(routes.routes()).serve_with_incoming_shutdown(
            incoming(listener, Arc::clone(&seams.clock)),
            async move { _ = stopped.await },
        );
        let serving = spawn(async move { serving.await.unwrap() });
        let (address, cuts, accepting) = wire(seams, behind).await;
        Self { address, stop: Some(stop), serving, cuts, accepting }
    }

    /// Cuts every connection; new ones work.
    pub(crate) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Cuts every connection and refuses new ones.
    pub(crate) async fn vanish(&mut self) {
        self.accepting.abort();
        // It ends as aborted, with its listener closed.
        _ = (&mut self.accepting).await;
        self.cut();
    }

    /// Stops the server in order, and waits until it has ended.
    pub(crate) async fn stop(&mut self) {
        drop(self.stop.take());
        (&mut self.serving).await.unwrap();
    }
}

/// A wire in front of the server.
async fn wire(seams: &Seams, behind: HostPort) -> (HostPort, watch::Sender<u64>, JoinHandle<()>) {
    let mut listener = seams.net.bind(&HostPort::new("127.0.0.1", 0)).await.unwrap();
    let address = HostPort::new("127.0.0.1", listener.local_addr().unwrap().port());
    let cuts = watch::Sender::new(0);
    let (net, cut) = (Arc::clone(&seams.net), cuts.subscribe());
    let accepting = spawn(async move {
        while let Ok((front, _)) = listener.accept().await {
            if let Ok(back) = net.connect(&behind).await {
                spawn(carry(front, back, cut.clone()));
            }
        }
    });
    (address, cuts, accepting)
}

async fn carry(
    mut front: Box<dyn NetStream>,
    mut back: Box<dyn NetStream>,
    mut cut: watch::Receiver<u64>,
) {
    cut.mark_unchanged();
    tokio::select! {
        biased;
        _ = tokio::io::copy_bidirectional(&mut front, &mut back) => {}
        _ = cut.changed() => {}
    }
}

#[allow(clippy::disallowed_methods, reason = "the machinery of a test is outside the seams")]
fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(future)
}

/// From here on every request of this process is traced, if its caller says so; nobody collects the spans.
pub(crate) fn trace_everything() {
    static TELEMETRY: OnceLock<Telemetry> = OnceLock::new();
    TELEMETRY.get_or_init(|| {
        Telemetry::start(&TelemetryOptions {
            service_name: "test".to_owned(),
            attributes: Vec::new(),
            default_endpoint: Some("http://127.0.0.1:1".to_owned()),
        })
    });
}

/// The root span of a request that is sampled.
pub(crate) fn sampled_request() -> tracing::Span {
    trace_everything();
    let span = root_span("gateway", "Request", SpanKind::Server, None, &[]);
    assert!(trace_parent_of(&span).is_some(), "the span is recorded");
    span
}
