//! Connections as a seam. The simulated form is turmoil's network.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::str::FromStr;

use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};

/// A host name or address, and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostPort {
    /// Name or address; an IPv6 address without brackets; empty means every interface where a listener is meant.
    pub host: String,
    /// The port; 0 lets the machine choose where a listener is meant.
    pub port: u16,
}

/// A text that is not `host:port`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not HOST:PORT (an IPv6 address stands in brackets: [::1]:9092)")]
pub struct ParseHostPortError(String);

impl HostPort {
    /// A host and a port.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for HostPort {
    type Err = ParseHostPortError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseHostPortError(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(error)?;
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        if bare.is_none() && host.contains(':') {
            return Err(error());
        }
        let port = port.parse().map_err(|_| error())?;
        Ok(Self::new(bare.unwrap_or(host), port))
    }
}

/// A network.
pub trait Net: Send + Sync + 'static {
    /// Listens. `AddrInUse` if the port is taken.
    fn bind(&self, address: &HostPort) -> BoxFuture<'static, io::Result<Box<dyn Listener>>>;

    /// Connects; names are resolved, every address is tried.
    fn connect(&self, address: &HostPort) -> BoxFuture<'static, io::Result<Box<dyn NetStream>>>;
}

/// A listening socket.
pub trait Listener: Send + 'static {
    /// The next connection, and where it comes from.
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(Box<dyn NetStream>, SocketAddr)>>;

    /// Where this listens, with the port that the machine chose.
    fn local_addr(&self) -> io::Result<SocketAddr>;
}

/// A connection. Delays of small writes (Nagle) are off.
pub trait NetStream: AsyncRead + AsyncWrite + Send + Unpin + 'static {
    /// Asks the kernel for these socket buffers (`socket.send.buffer.bytes`, `socket.receive.buffer.bytes`); `None` leaves its choice.
    fn set_buffers(
        &self,
        send_bytes: Option<usize>,
        receive_bytes: Option<usize>,
    ) -> io::Result<()>;

    /// The same connection, from now on driven by the runtime that this is called in: whoever hands a stream to another
    /// thread's runtime settles it there, or each of its events would wake the thread that it came from first.
    fn settle(self: Box<Self>) -> io::Result<Box<dyn NetStream>>;

    /// The descriptor, where there is one: for `sendfile`.
    fn as_fd(&self) -> Option<BorrowedFd<'_>>;

    /// Waits until the descriptor can be written, then calls `write` (a non-blocking system call on the descriptor) once;
    /// where it says `WouldBlock`, waits again. `Unsupported` where there is no descriptor.
    fn write_with<'a>(
        &'a self,
        write: &'a mut (dyn FnMut(BorrowedFd<'_>) -> io::Result<usize> + Send),
    ) -> BoxFuture<'a, io::Result<usize>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_port_survive_their_text_form() {
        for text in ["localhost:9092", "[::1]:9092", ":9092", "10.0.0.1:0"] {
            assert_eq!(text.parse::<HostPort>().unwrap().to_string(), text);
        }
        for text in ["localhost", "::1:9092", "a:b", "a:70000"] {
            assert!(text.parse::<HostPort>().is_err(), "{text}");
        }
    }
}
