//! Telemetry from `start` to `shutdown`, against a collector that speaks OTLP. A process of its own: logging is set once.

use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use ottla_runtime::seams::HostPort;
use ottla_runtime::telemetry::{SpanKind, Telemetry, TelemetryOptions, root_span, sampled};
use ottla_runtime::{Seams, child_span, grpc};
use tonic::{Request, Response, Status};

#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.lock().expect("no test panics with it").push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_spans_leave_at_shutdown_under_the_name_of_the_service() {
    let seams = Seams::real();
    let listener = seams.net.bind(&HostPort::new("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let collector = Collector::default();
    let service = TraceServiceServer::new(collector.clone());
    let incoming = grpc::incoming(listener, Arc::clone(&seams.clock));
    let serve = async move {
        grpc::server().add_service(service).serve_with_incoming(incoming).await.unwrap();
    };
    seams.tasks.spawn("collector", Box::pin(serve));

    let telemetry = Telemetry::start(&TelemetryOptions {
        service_name: "ottla-gateway".into(),
        attributes: vec![("service.instance.id".into(), "7".into())],
        default_endpoint: Some(format!("http://127.0.0.1:{port}")),
    });
    assert!(telemetry.is_tracing());
    let root = root_span("gateway", "Produce", SpanKind::Server, None, &[]);
    assert!(sampled(&root));
    drop(child_span!(root, "append"));
    drop(root);
    telemetry.shutdown(&seams).await;

    let requests = collector.0.lock().unwrap();
    let resources: Vec<_> = requests.iter().flat_map(|request| &request.resource_spans).collect();
    let spans =
        resources.iter().flat_map(|resource| &resource.scope_spans).flat_map(|scope| &scope.spans);
    let mut names: Vec<_> = spans.map(|span| span.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["Produce", "append"]);
    let attributes = format!("{:?}", resources[0].resource);
    assert!(
        attributes.contains("ottla-gateway") && attributes.contains("service.instance.id"),
        "{attributes}"
    );
    assert!(!sampled(&root_span("gateway", "Produce", SpanKind::Server, None, &[])));
}
