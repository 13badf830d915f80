//! TCP of the operating system.
//!
//! Invariant: every stream has Nagle's delay off; an address is never tried for longer than [`CONNECT_TIMEOUT_PER_ADDRESS`].

use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::time::timeout;

use crate::seams::{HostPort, Listener, Net, NetStream};

/// Connections that wait to be accepted.
const LISTEN_BACKLOG: i32 = 1024;
/// How long one address of a name may take to answer.
const CONNECT_TIMEOUT_PER_ADDRESS: Duration = Duration::from_secs(5);
/// Addresses of one name that are tried.
const MAX_ADDRESSES: usize = 16;

/// The machine's network.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealNet;

impl Net for RealNet {
    fn bind(&self, address: &HostPort) -> BoxFuture<'static, io::Result<Box<dyn Listener>>> {
        let address = address.clone();
        Box::pin(async move {
            let candidates = listen_candidates(&address).await?;
            let listener = listen_on_first(&candidates)?.ok_or_else(|| no_address(&address))?;
            Ok(Box::new(RealListener(listener)) as Box<dyn Listener>)
        })
    }

    fn connect(&self, address: &HostPort) -> BoxFuture<'static, io::Result<Box<dyn NetStream>>> {
        let address = address.clone();
        Box::pin(async move {
            let mut last_error = None;
            for candidate in resolve(&address).await? {
                match timeout(CONNECT_TIMEOUT_PER_ADDRESS, TcpStream::connect(candidate)).await {
                    Ok(Ok(stream)) => {
                        stream.set_nodelay(true)?;
                        return Ok(Box::new(RealStream(stream)) as Box<dyn NetStream>);
                    }
                    Ok(Err(error)) => last_error = Some(error),
                    Err(_) => last_error = Some(io::ErrorKind::TimedOut.into()),
                }
            }
            Err(last_error.unwrap_or_else(|| no_address(&address)))
        })
    }
}

/// The machine has no such address, or no IPv6 at all: the next one may do.
fn is_missing_family(error: &io::Error) -> bool {
    let no_family = rustix::io::Errno::AFNOSUPPORT.raw_os_error();
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(no_family)
}

fn no_address(address: &HostPort) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("{address} has no address"))
}

/// IPv4 first, as Kafka's JVM does: what listens on `localhost` is reached by clients that know no IPv6.
async fn resolve(address: &HostPort) -> io::Result<Vec<SocketAddr>> {
    let found = lookup_host((address.host.as_str(), address.port)).await?;
    let mut found: Vec<SocketAddr> = found.take(MAX_ADDRESSES).collect();
    found.sort_by_key(SocketAddr::is_ipv6);
    Ok(found)
}

/// Every interface is the IPv6 wildcard, which takes IPv4 too; where there is no IPv6, the IPv4 wildcard.
async fn listen_candidates(address: &HostPort) -> io::Result<Vec<SocketAddr>> {
    if address.host.is_empty() {
        let wildcards = [IpAddr::V6(Ipv6Addr::UNSPECIFIED), IpAddr::V4(Ipv4Addr::UNSPECIFIED)];
        return Ok(wildcards.map(|ip| SocketAddr::new(ip, address.port)).into());
    }
    resolve(address).await
}

/// Listens on the first address that the machine has; `None` if there is no candidate.
fn listen_on_first(candidates: &[SocketAddr]) -> io::Result<Option<TcpListener>> {
    let mut first_error = None;
    for candidate in candidates {
        match listen(*candidate) {
            Ok(listener) => return Ok(Some(listener)),
            Err(error) if is_missing_family(&error) => _ = first_error.get_or_insert(error),
            // A taken port is taken: the next address would be one that nobody expects.
            Err(error) => return Err(error),
        }
    }
    first_error.map_or(Ok(None), Err)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(LISTEN_BACKLOG)?;
    TcpListener::from_std(socket.into())
}

struct RealListener(TcpListener);

impl Listener for RealListener {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(Box<dyn NetStream>, SocketAddr)>> {
        Box::pin(async move {
            let (stream, peer) = loop {
                match self.0.accept().await {
                    // A client that went away before it was accepted is no fault of ours.
                    Err(error) if is_gone(&error) => {}
                    accepted => break accepted?,
                }
            };
            // Fails only for a connection that is dead already, which the first read will tell.
            _ = stream.set_nodelay(true);
            // An IPv4 client of the IPv6 wildcard is shown as the IPv4 client that it is.
            let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
            Ok((Box::new(RealStream(stream)) as Box<dyn NetStream>, peer))
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

struct RealStream(TcpStream);

impl AsyncRead for RealStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for RealStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl NetStream for RealStream {
    fn set_buffers(
        &self,
        send_bytes: Option<usize>,
        receive_bytes: Option<usize>,
    ) -> io::Result<()> {
        let socket = SockRef::from(&self.0);
        send_bytes.map_or(Ok(()), |bytes| socket.set_send_buffer_size(bytes))?;
        receive_bytes.map_or(Ok(()), |bytes| socket.set_recv_buffer_size(bytes))
    }

    fn settle(self: Box<Self>) -> io::Result<Box<dyn NetStream>> {
        Ok(Box::new(Self(TcpStream::from_std(self.0.into_std()?)?)))
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.0.as_fd())
    }

    fn write_with<'a>(
        &'a self,
        write: &'a mut (dyn FnMut(BorrowedFd<'_>) -> io::Result<usize> + Send),
    ) -> BoxFuture<'a, io::Result<usize>> {
        Box::pin(async move {
            loop {
                self.0.writable().await?;
                match self.0.try_io(Interest::WRITABLE, || write(self.0.as_fd())) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    done => return done,
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn a_stream_carries_bytes_both_ways_and_lends_its_descriptor() {
        let mut listener = RealNet.bind(&HostPort::new("", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut client = RealNet.connect(&HostPort::new("localhost", port)).await.unwrap();
        let (mut server, peer) = listener.accept().await.unwrap();
        assert!(peer.ip().is_loopback());
        server.set_buffers(Some(64 << 10), Some(64 << 10)).unwrap();

        client.write_all(b"ask").await.unwrap();
        let mut asked = [0; 3];
        server.read_exact(&mut asked).await.unwrap();
        let sent =
            server.write_with(&mut |fd| Ok(rustix::io::write(fd, b"answer")?)).await.unwrap();
        assert_eq!((&asked, sent), (b"ask", 6));
        let mut answer = [0; 6];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"answer");
    }

    #[tokio::test]
    async fn a_taken_port_is_told_apart() {
        let listener = RealNet.bind(&HostPort::new("127.0.0.1", 0)).await.unwrap();
        let taken = HostPort::new("127.0.0.1", listener.local_addr().unwrap().port());
        let error = RealNet.bind(&taken).await.err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        let candidates = ["127.0.0.1", "127.0.0.2"];
        let candidates = candidates.map(|ip| SocketAddr::new(ip.parse().unwrap(), taken.port));
        let error = listen_on_first(&candidates).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse, "another address is no way out");
        let elsewhere: SocketAddr = "192.0.2.1:0".parse().unwrap();
        assert!(listen_on_first(&[elsewhere, "127.0.0.1:0".parse().unwrap()]).unwrap().is_some());
        drop(listener);
        assert_eq!(
            RealNet.connect(&taken).await.err().unwrap().kind(),
            io::ErrorKind::ConnectionRefused
        );
    }
}
