//! Commands in, lines out; see `contract.py`.
//!
//! Invariant: one line for each command, whatever happens to it.

use std::io::{BufRead, Write};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rdkafka::ClientConfig;
use serde_json::{Value, json};

/// A call that takes longer has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What an operation answers: fields beside `ok`, or words for what went wrong.
pub type Answer = Result<Value, Box<dyn std::error::Error>>;

/// A command with the fields that the contract gives it.
pub struct Command(Value);

impl Command {
    pub fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_else(|| panic!("the driver sends {name}"))
    }

    pub fn maybe_text(&self, name: &str) -> Option<&str> {
        self.0[name].as_str()
    }

    pub fn maybe_number(&self, name: &str) -> Option<i64> {
        self.0[name].as_i64()
    }

    pub fn number(&self, name: &str) -> i64 {
        self.maybe_number(name).unwrap_or_else(|| panic!("the driver sends {name}"))
    }

    pub fn truth(&self, name: &str) -> bool {
        self.0[name].as_bool().unwrap_or_else(|| panic!("the driver sends {name}"))
    }

    pub fn configs(&self) -> Vec<(&str, &str)> {
        let configs = self.0["configs"].as_object().expect("the driver sends configs");
        configs.iter().map(|(key, value)| (key.as_str(), value.as_str().expect("a text"))).collect()
    }

    pub fn partition(&self) -> i32 {
        self.number("partition").try_into().expect("a partition is small")
    }

    /// The configuration that all clients begin with.
    pub fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.text("bootstrap"));
        config
    }
}

pub fn tell(line: Value) {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{line}").and_then(|()| output.flush()).expect("the driver listens");
}

/// Answers commands until the end of standard input, or becomes a member.
pub fn serve(operation: &dyn Fn(&Command) -> Answer) {
    while let Some(command) = next_command() {
        if command.text("op") == "member" {
            match crate::member::run(&command, &commands()) {
                Ok(()) => tell(json!({ "event": "closed" })),
                Err(error) => {
                    tell(json!({ "event": "error", "error": error.to_string() }));
                    std::process::exit(1);
                }
            }
            return;
        }
        match operation(&command) {
            Ok(mut answer) => {
                answer["ok"] = true.into();
                tell(answer);
            }
            Err(error) => tell(json!({ "error": error.to_string() })),
        }
    }
}

fn next_command() -> Option<Command> {
    let mut line = String::new();
    let length = std::io::stdin().lock().read_line(&mut line).expect("standard input is readable");
    (length > 0).then(|| Command(serde_json::from_str(&line).expect("the driver sends JSON")))
}

/// The commands to a member, which is busy polling.
fn commands() -> Receiver<String> {
    let (sender, told) = channel();
    std::thread::spawn(move || {
        while let Some(command) = next_command() {
            if sender.send(command.text("op").to_owned()).is_err() {
                return;
            }
        }
        // Nobody listens any more where this fails.
        drop(sender.send("close".to_owned()));
    });
    told
}
