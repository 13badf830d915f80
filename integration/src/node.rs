//! One process of Ottla: its properties file, its data, its ports, and how it is started, killed and asked.
//!
//! Invariant: a restart is the same command with the same file. Deliberately does not know what else is in the cluster.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::process::{Process, ottla, wait_until};

/// How long a process may take until it says that it is ready; a busy machine of two cores starts eight at a time.
pub const START_PATIENCE: Duration = Duration::from_secs(120);
/// How long an HTTP answer may take.
const HTTP_PATIENCE: Duration = Duration::from_secs(10);
/// Lines of a log that a failed test prints.
const LOG_TAIL_LINES: usize = 40;

/// One process of Ottla.
pub struct Node {
    /// For messages, and the name of its files.
    pub name: String,
    /// Its `node.id`.
    pub id: i32,
    /// Its properties, which may be changed before it is started again.
    pub properties: Vec<(String, String)>,
    /// Its data.
    pub data: PathBuf,
    /// What is added to its environment.
    pub environment: Vec<(String, String)>,
    dir: PathBuf,
    process: Option<Process>,
}

impl Node {
    /// A node that was not started yet; its files are below `dir`.
    pub fn new(name: &str, id: i32, dir: &Path, properties: Vec<(String, String)>) -> Self {
        let mut node = Self {
            name: name.to_owned(),
            id,
            properties,
            data: dir.join(name),
            environment: Vec::new(),
            dir: dir.to_owned(),
            process: None,
        };
        node.set("node.id", &id.to_string());
        node
    }

    /// Sets a property; the next start obeys it.
    pub fn set(&mut self, key: &str, value: &str) {
        self.properties.retain(|(existing, _)| existing != key);
        self.properties.push((key.to_owned(), value.to_owned()));
    }

    /// A property.
    pub fn property(&self, key: &str) -> &str {
        let found = self.properties.iter().find(|(existing, _)| existing == key);
        found.map_or("", |(_, value)| value)
    }

    /// Where its health and metrics are.
    pub fn http(&self) -> &str {
        self.property("ottla.http.listener")
    }

    /// Where its admin service is.
    pub fn admin(&self) -> &str {
        self.property("ottla.admin.listener")
    }

    /// Where its output goes.
    pub fn log(&self) -> PathBuf {
        self.dir.join(format!("{}.log", self.name))
    }

    /// What it said so far, over all its starts.
    pub fn output(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// The command that starts it.
    pub fn command(&self) -> io::Result<Command> {
        std::fs::create_dir_all(&self.dir)?;
        let lines: String =
            self.properties.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
        let file = self.dir.join(format!("{}.properties", self.name));
        std::fs::write(&file, lines)?;
        let mut command = Command::new(ottla());
        command.arg("server").arg(&file).env("RUST_BACKTRACE", "1");
        for (key, _) in std::env::vars().filter(|(key, _)| is_setting(key)) {
            command.env_remove(key);
        }
        command.envs(self.environment.iter().map(|(key, value)| (key, value)));
        Ok(command)
    }

    /// Starts it, without waiting until it is ready.
    pub fn start(&mut self) {
        let mut command = self.command().expect("a properties file can be written");
        let process = Process::start(&self.name, &mut command, &self.log());
        self.process = Some(process.expect("ottla starts"));
    }

    /// Whether its process runs.
    pub fn runs(&mut self) -> bool {
        self.process.as_mut().is_some_and(Process::runs)
    }

    /// Its process; it was started.
    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("the node was started")
    }

    /// Kills it (SIGKILL) and waits for its end.
    pub fn kill(&mut self) {
        self.process().kill();
    }

    /// Whether it says that it is ready.
    pub fn is_ready(&self) -> bool {
        http_get(self.http(), "/health/ready").is_ok_and(|(status, _)| status == 200)
    }

    /// Waits until it is ready; panics with the end of its log when it ends or takes too long.
    pub fn wait_ready(&mut self) {
        let what = format!("{} is ready", self.name);
        wait_until(&what, START_PATIENCE, || {
            assert!(self.runs(), "{} ended:\n{}", self.name, self.log_tail());
            self.is_ready()
        });
    }

    /// The last lines of its log.
    pub fn log_tail(&self) -> String {
        let output = self.output();
        let lines: Vec<_> = output.lines().collect();
        lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("== end of the log of {}\n{}\n", self.name, self.log_tail());
        }
    }
}

/// Status and body of a GET.
pub fn http_get(address: &str, path: &str) -> io::Result<(u16, String)> {
    http_get_as(address, path, "*/*")
}

/// Status and body of a GET that accepts these media types.
pub fn http_get_as(address: &str, path: &str, accept: &str) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(HTTP_PATIENCE))?;
    let head = format!("Host: {address}\r\nConnection: close\r\nAccept: {accept}");
    write!(stream, "GET {path} HTTP/1.1\r\n{head}\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split_whitespace().nth(1).and_then(|code| code.parse().ok());
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let status = status.ok_or_else(|| io::Error::other("not an HTTP answer"))?;
    Ok((status, body.to_owned()))
}

/// Whether a variable would configure the process.
fn is_setting(variable: &str) -> bool {
    variable.starts_with("OTEL_") || variable.starts_with("OTTLA_")
}
