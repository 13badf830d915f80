//! The network of a turmoil simulation.
//!
//! Invariant: no real socket is ever opened. Has no descriptors: `as_fd` is `None` and `write_with` is `Unsupported`.

use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use turmoil::net::{TcpListener, TcpStream};

use crate::seams::{HostPort, Listener, Net, NetStream};

/// The simulated network of the current turmoil host.
#[derive(Clone, Copy, Debug, Default)]
pub struct SimNet;

impl Net for SimNet {
    fn bind(&self, address: &HostPort) -> BoxFuture<'static, io::Result<Box<dyn Listener>>> {
        // turmoil listens on every interface or on loopback; a host has one name, so the first stands for it.
        let is_loopback = matches!(address.host.as_str(), "localhost" | "127.0.0.1");
        let ip = if is_loopback { Ipv4Addr::LOCALHOST } else { Ipv4Addr::UNSPECIFIED };
        let port = address.port;
        async move {
            let listener = TcpListener::bind((ip, port)).await?;
            Ok(Box::new(SimListener(listener)) as Box<dyn Listener>)
        }
        .boxed()
    }

    fn connect(&self, address: &HostPort) -> BoxFuture<'static, io::Result<Box<dyn NetStream>>> {
        let host = if address.host == "localhost" { "127.0.0.1" } else { &address.host }.to_owned();
        let port = address.port;
        async move {
            let stream = TcpStream::connect((host, port)).await?;
            Ok(Box::new(SimStream(stream)) as Box<dyn NetStream>)
        }
        .boxed()
    }
}

struct SimListener(TcpListener);

impl Listener for SimListener {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(Box<dyn NetStream>, SocketAddr)>> {
        async move {
            let (stream, peer) = self.0.accept().await?;
            Ok((Box::new(SimStream(stream)) as Box<dyn NetStream>, peer))
        }
        .boxed()
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

struct SimStream(TcpStream);

impl AsyncRead for SimStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for SimStream {
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

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl NetStream for SimStream {
    fn set_buffers(&self, _: Option<usize>, _: Option<usize>) -> io::Result<()> {
        Ok(())
    }

    fn settle(self: Box<Self>) -> io::Result<Box<dyn NetStream>> {
        Ok(self)
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn write_with<'a>(
        &'a self,
        _: &'a mut (dyn FnMut(BorrowedFd<'_>) -> io::Result<usize> + Send),
    ) -> BoxFuture<'a, io::Result<usize>> {
        std::future::ready(Err(io::ErrorKind::Unsupported.into())).boxed()
    }
}
