//! Bytes taken off a socket without copying them to this process, so that a reader costs the machine little.

use std::io;
use std::net::TcpStream;
use std::os::fd::AsFd as _;

/// Most bytes dropped by one system call.
const CHUNK_BYTES: usize = 1 << 20;

/// Drops what a socket brings. The kernel wants to see a buffer, and leaves it as it is.
#[derive(Debug)]
pub struct Discard {
    untouched: Vec<u8>,
}

impl Default for Discard {
    fn default() -> Self {
        Self { untouched: vec![0; CHUNK_BYTES] }
    }
}

impl Discard {
    /// Drops the next `left` bytes.
    pub fn bytes(&mut self, stream: &TcpStream, mut left: usize) -> io::Result<()> {
        while left > 0 {
            let want = left.min(CHUNK_BYTES);
            let flags = rustix::net::RecvFlags::TRUNC;
            let buffer = &mut self.untouched[..want];
            let (_, dropped) = rustix::net::recv(stream.as_fd(), buffer, flags)?;
            if dropped == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            left -= dropped;
        }
        Ok(())
    }
}
