//! A server and a channel of the house, over real TCP and over turmoil.

use std::convert::Infallible;
use std::sync::Arc;

use http::{Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::transport::Channel;
use tower::{Service, ServiceExt};

use crate::grpc::{HANDSHAKE_LIMIT, PeerInfo, channel, incoming, server};
use crate::seams::{HostPort, ManualClock, Seams};

/// Answers every call with status 0 and the address of whoever asked.
#[derive(Clone)]
struct WhoAmI;

impl NamedService for WhoAmI {
    const NAME: &'static str = "test.WhoAmI";
}

impl Service<Request<Body>> for WhoAmI {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let peer = request.extensions().get::<PeerInfo>().expect("incoming sets it");
        let response = Response::builder()
            .header("grpc-status", "0")
            .header("content-type", "application/grpc")
            .header("x-peer", peer.remote.ip().to_string())
            .body(Body::empty());
        std::future::ready(Ok(response.expect("these headers are valid")))
    }
}

async fn ask(mut channel: Channel) -> Result<String, tonic::transport::Error> {
    let request = Request::post("http://any/test.WhoAmI/Ask").body(Body::empty()).unwrap();
    let response = channel.ready().await?.call(request).await?;
    Ok(response.headers()["x-peer"].to_str().unwrap().to_owned())
}

async fn serve(seams: &Seams, address: HostPort) -> (u16, tokio::task::JoinHandle<()>) {
    let listener = seams.net.bind(&address).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let connections = incoming(listener, Arc::clone(&seams.clock));
    let serving = server().add_service(WhoAmI).serve_with_incoming(connections);
    (port, tokio::spawn(async move { serving.await.unwrap() }))
}

#[tokio::test]
async fn a_channel_connects_late_and_connects_again() {
    let seams = Seams::real();
    let (port, serving) = serve(&seams, HostPort::new("127.0.0.1", 0)).await;
    serving.abort();
    _ = serving.await;
    let address = HostPort::new("127.0.0.1", port);
    let channel = channel(&seams.net, &address);
    // A connection of the first server may still be up when it is told to stop; a call fails once nobody listens.
    assert!(ask(channel.clone()).await.is_err());
    let (_, serving) = serve(&seams, address).await;
    assert_eq!(ask(channel).await.unwrap(), "127.0.0.1");
    serving.abort();
}

#[tokio::test]
async fn a_connection_that_does_not_speak_is_closed() {
    let clock = ManualClock::new();
    let seams = Seams { clock: Arc::new(clock.clone()), ..Seams::real() };
    let (port, serving) = serve(&seams, HostPort::new("127.0.0.1", 0)).await;
    let address = HostPort::new("127.0.0.1", port);
    let mut silent = seams.net.connect(&address).await.unwrap();
    silent.write_all(b"PRI * HTTP/2").await.unwrap();
    let answered = ask(channel(&seams.net, &address)).await.unwrap();
    // What came later was accepted, so the silent connection was, too.
    clock.advance(HANDSHAKE_LIMIT);
    let mut rest = Vec::new();
    _ = silent.read_to_end(&mut rest).await;
    assert_eq!(answered, "127.0.0.1");
    serving.abort();
}

#[cfg(feature = "sim")]
mod simulated {
    use super::*;
    use crate::seams::{Clock, SimDisk};
    use std::time::Duration;

    #[test]
    fn a_partitioned_connection_dies_and_the_healed_one_answers() {
        let mut sim = turmoil::Builder::new().simulation_duration(Duration::from_secs(60)).build();
        sim.host("server", || async {
            let seams = Seams::simulated(1, SimDisk::new(1));
            let (_, serving) = serve(&seams, HostPort::new("", 9093)).await;
            Ok(serving.await?)
        });
        sim.client("client", async {
            let seams = Seams::simulated(2, SimDisk::new(2));
            let channel = channel(&seams.net, &HostPort::new("server", 9093));
            assert_eq!(ask(channel.clone()).await?, turmoil::lookup("client").to_string());
            turmoil::partition("client", "server");
            let before = seams.clock.monotonic();
            assert!(ask(channel.clone()).await.is_err());
            assert!(seams.clock.monotonic() - before < Duration::from_secs(6));
            // The server is told nothing, and lets go as well.
            seams.clock.sleep(Duration::from_secs(6)).await;
            assert_eq!(turmoil::established_tcp_stream_count_on("server"), 0);
            turmoil::repair("client", "server");
            while ask(channel.clone()).await.is_err() {
                seams.clock.sleep(Duration::from_millis(100)).await;
            }
            Ok(())
        });
        sim.run().unwrap();
    }

    #[test]
    fn the_wall_clock_of_a_host_that_starts_again_goes_on() {
        let walls: Arc<std::sync::Mutex<Vec<i64>>> = Arc::default();
        let seen = Arc::clone(&walls);
        let mut sim = turmoil::Builder::new().simulation_duration(Duration::from_secs(60)).build();
        sim.host("server", move || {
            let seen = Arc::clone(&seen);
            async move {
                let clock = crate::seams::SimClock::new();
                clock.sleep(Duration::from_secs(1)).await;
                seen.lock().unwrap().push(clock.wall().0);
                std::future::pending().await
            }
        });
        for _ in 0..2000 {
            sim.step().unwrap();
        }
        sim.bounce("server");
        for _ in 0..2000 {
            sim.step().unwrap();
        }
        let walls = walls.lock().unwrap();
        assert_eq!(walls.len(), 2);
        assert!(walls[1] > walls[0], "{walls:?}");
    }
}
