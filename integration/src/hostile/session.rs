//! One hostile client of a byte-stream port: sends bytes, waits a moment for an answer, and goes on with a new connection
//! whenever the old one was closed.
//!
//! Invariant: it never has more than one connection.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;

use crate::wire;

/// How long an answer is waited for: many frames are never answered, or only after a long poll.
const ANSWER_PATIENCE: Duration = Duration::from_millis(30);
/// How long a server may refuse connections, as under a limit per second.
const CONNECT_PATIENCE: Duration = Duration::from_secs(60);
/// Bytes of an answer that are looked at.
const ANSWER_BYTES: usize = 64 * 1024;

/// What came of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Bytes came back.
    Answered,
    /// The server closed the connection.
    Closed,
    /// Neither, within the patience.
    Silent,
}

/// How often what came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// [`Outcome::Answered`].
    pub answered: u64,
    /// [`Outcome::Closed`].
    pub closed: u64,
    /// [`Outcome::Silent`].
    pub silent: u64,
}

impl Tally {
    /// Counts one more.
    pub fn count(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Answered => self.answered += 1,
            Outcome::Closed => self.closed += 1,
            Outcome::Silent => self.silent += 1,
        }
    }

    /// All of them.
    pub fn sent(self) -> u64 {
        self.answered + self.closed + self.silent
    }
}

impl std::iter::Sum for Tally {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            answered: sum.answered + one.answered,
            closed: sum.closed + one.closed,
            silent: sum.silent + one.silent,
        })
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { answered, closed, silent } = self;
        write!(f, "{} sent: {answered} answered, {closed} closed, {silent} silent", self.sent())
    }
}

/// A hostile client of one port.
pub struct Session {
    address: String,
    stream: Option<TcpStream>,
    /// What came of everything so far.
    pub tally: Tally,
}

impl Session {
    /// A client of `host:port`, not connected yet.
    pub fn new(address: &str) -> Self {
        Self { address: address.to_owned(), stream: None, tally: Tally::default() }
    }

    /// Sends bytes and waits a moment. With `ends`, says that no more will follow, so that an unfinished frame is one.
    pub fn send(&mut self, bytes: &[u8], ends: bool) -> io::Result<()> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.connect()?,
        };
        // A server that closed already is what the read below finds.
        let sent = stream.write_all(bytes);
        if ends {
            let _ = stream.shutdown(std::net::Shutdown::Write);
        }
        let outcome = if sent.is_err() { Outcome::Closed } else { wait(&mut stream) };
        if outcome == Outcome::Answered && !ends {
            self.stream = Some(stream);
        }
        self.tally.count(outcome);
        Ok(())
    }

    /// Sends a frame with its length in front.
    pub fn send_frame(&mut self, frame: &[u8]) -> io::Result<()> {
        let length = u32::try_from(frame.len()).map_err(io::Error::other)?;
        let mut bytes = length.to_be_bytes().to_vec();
        bytes.extend_from_slice(frame);
        self.send(&bytes, false)
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let stream = wire::retry(CONNECT_PATIENCE, || TcpStream::connect(&self.address))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_PATIENCE))?;
        // A million connections must not wait a minute each after their end.
        set_socket_linger(&stream, Some(Duration::ZERO))?;
        Ok(stream)
    }
}

fn wait(stream: &mut TcpStream) -> Outcome {
    let mut answer = [0; ANSWER_BYTES];
    match stream.read(&mut answer) {
        Ok(0) => Outcome::Closed,
        Ok(_) => Outcome::Answered,
        Err(error) if is_timeout(&error) => Outcome::Silent,
        Err(_) => Outcome::Closed,
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
