//! What is wrong with a configuration.
//!
//! Invariant: a problem is one line that names the key, the place, the cause and the cure.

use std::fmt;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// `key=value`, or the key alone where it is missing.
    pub what: String,
    /// Where it stands, such as `server.properties:7`; empty where it is missing.
    pub place: String,
    /// Why it cannot be.
    pub cause: String,
    /// What to write instead.
    pub cure: String,
}

impl Problem {
    /// A key that must be set.
    pub fn missing(key: &str, cause: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { what: key.to_owned(), place: String::new(), cause: cause.into(), cure: cure.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if !self.place.is_empty() {
            write!(f, " ({})", self.place)?;
        }
        write!(f, ": {}; {}", self.cause, self.cure)
    }
}

/// Everything that is wrong, a line each.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors(pub Vec<Problem>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let end = if index == 0 { "" } else { "\n" };
            write!(f, "{end}{problem}")?;
        }
        Ok(())
    }
}

impl From<Problem> for ConfigErrors {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}
