//! Values in layers: preset < file < environment < `--override`; each value knows where it comes from.
//!
//! Invariant: every value that is held passed its key's check, and every key is in the table.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::Path;

use crate::config::caveats::caveat_of;
use crate::config::deviations::DEVIATIONS;
use crate::config::key::{KeyDef, Kind, Meaning, items};
use crate::config::problem::{ConfigErrors, Problem};
use crate::config::properties::parse_properties;
use crate::config::table::{KeyTable, nearest_of};
use crate::seams::{Disk, OpenMode};

/// The longest configuration file.
pub const MAX_CONFIG_FILE_BYTES: u64 = 1 << 20;
/// What an environment variable that sets a key begins with.
const ENVIRONMENT_PREFIX: &str = "OTTLA_";
/// Variables with our prefix that are no keys of a server.
const OTHER_VARIABLES: &[&str] = &["OTTLA_ADMIN", "OTTLA_BOOTSTRAP", "OTTLA_JAEGER", "OTTLA_LOG"];

/// A configuration file, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFile {
    /// Its name, for messages.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// All that a configuration is made of.
#[derive(Clone, Debug, Default)]
pub struct ConfigSources {
    /// What the command itself sets (`ottla dev`): below everything the user says.
    pub preset: Vec<(String, String)>,
    /// The file, if there is one.
    pub file: Option<ConfigFile>,
    /// The environment's variables, all of them.
    pub environment: Vec<(String, String)>,
    /// The `--override`s: `key=value`.
    pub overrides: Vec<String>,
}

/// The variables of this process that are UTF-8.
pub fn process_environment() -> Vec<(String, String)> {
    let text = |(key, value): (OsString, OsString)| {
        Some((key.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).collect()
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nobody set it.
    Default,
    /// The command.
    Preset,
    /// A line of the file.
    File {
        /// The file's name.
        name: String,
        /// The line, from 1.
        line: usize,
    },
    /// A variable.
    Environment(String),
    /// The command line.
    Override,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Preset => f.write_str("command"),
            Self::File { name, line } => write!(f, "{name}:{line}"),
            Self::Environment(variable) => f.write_str(variable),
            Self::Override => f.write_str("--override"),
        }
    }
}

/// Reads a configuration file.
///
/// # Errors
/// The file cannot be read, is longer than [`MAX_CONFIG_FILE_BYTES`], or is not UTF-8.
pub fn read_config_file(disk: &dyn Disk, path: &Path) -> io::Result<ConfigFile> {
    let file = disk.open(path, OpenMode::Read)?;
    let len = file.len()?;
    if len > MAX_CONFIG_FILE_BYTES {
        let error =
            format!("longer than {MAX_CONFIG_FILE_BYTES} bytes: is it a configuration file?");
        return Err(io::Error::new(io::ErrorKind::InvalidData, error));
    }
    let mut bytes = vec![0; usize::try_from(len).expect("checked above")];
    file.read_exact_at(&mut bytes, 0)?;
    let text = String::from_utf8(bytes)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not UTF-8 text"))?;
    Ok(ConfigFile { name: path.display().to_string(), text })
}

#[derive(Clone, Debug)]
struct Setting {
    text: String,
    source: Source,
}

/// The values of one configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    table: &'static KeyTable,
    set: BTreeMap<String, Setting>,
    notices: Vec<String>,
    /// Variables that look like ours and name no key.
    unknown_variables: Vec<String>,
}

impl Settings {
    /// Puts the layers together.
    ///
    /// # Errors
    /// Everything that is wrong with the single values.
    pub fn load(table: &'static KeyTable, sources: &ConfigSources) -> Result<Self, ConfigErrors> {
        let mut settings = Self {
            table,
            set: BTreeMap::new(),
            notices: Vec::new(),
            unknown_variables: Vec::new(),
        };
        let mut problems = Vec::new();
        for (key, text) in &sources.preset {
            settings.put(key, text, Source::Preset, &mut problems);
        }
        settings.load_file(sources, &mut problems);
        settings.load_environment(sources, &mut problems);
        for pair in &sources.overrides {
            match pair.split_once('=') {
                Some((key, text)) => {
                    settings.put(key.trim(), text, Source::Override, &mut problems)
                }
                None => problems.push(Problem {
                    what: pair.clone(),
                    place: Source::Override.to_string(),
                    cause: "no = in it".into(),
                    cure: "write --override key=value".into(),
                }),
            }
        }
        settings.note_what_has_no_effect();
        if problems.is_empty() { Ok(settings) } else { Err(ConfigErrors(problems)) }
    }

    fn load_file(&mut self, sources: &ConfigSources, problems: &mut Vec<Problem>) {
        let Some(ConfigFile { name, text }) = &sources.file else { return };
        match parse_properties(text) {
            Ok(entries) => {
                for entry in entries {
                    let source = Source::File { name: name.clone(), line: entry.line };
                    self.note_a_second_time(&entry.key, &source);
                    self.put(&entry.key, &entry.value, source, problems);
                }
            }
            Err(error) => problems.push(Problem {
                what: name.clone(),
                place: String::new(),
                cause: format!("line {}: a \\u without four hexadecimal digits", error.line),
                cure: "write \\\\u for a backslash and a u".into(),
            }),
        }
    }

    fn note_a_second_time(&mut self, key: &str, source: &Source) {
        if let Some(Setting { source: first @ Source::File { .. }, .. }) = self.set.get(key) {
            self.notices
                .push(format!("{key} stands at {first} and at {source}; the last one counts"));
        }
    }

    fn load_environment(&mut self, sources: &ConfigSources, problems: &mut Vec<Problem>) {
        for (variable, text) in &sources.environment {
            let is_ours = variable.starts_with(ENVIRONMENT_PREFIX);
            if !is_ours || OTHER_VARIABLES.contains(&variable.as_str()) {
                continue;
            }
            match self.table.keys().find(|key| variable_of(key.name) == *variable) {
                Some(key) => {
                    self.put(key.name, text, Source::Environment(variable.clone()), problems);
                }
                // Not an error: Kubernetes sets OTTLA_PORT and the like where a service is named ottla.
                None => self.unknown_variables.push(variable.clone()),
            }
        }
    }

    fn put(&mut self, key: &str, text: &str, source: Source, problems: &mut Vec<Problem>) {
        let text = text.trim();
        let place = source.to_string();
        let Some(known) = self.table.get(key) else {
            let cure = match self.table.nearest(key) {
                Some(nearest) => format!("did you mean {nearest}?"),
                None => "remove it; `ottla config explain` lists all keys".into(),
            };
            problems.push(Problem { what: key.into(), place, cause: "unknown key".into(), cure });
            return;
        };
        // Kafka reads an empty value of a number as an error, and of a text as the text.
        match known.check(text) {
            Ok(()) => {
                _ = self.set.insert(key.to_owned(), Setting { text: text.to_owned(), source })
            }
            Err((cause, cure)) => {
                problems.push(Problem { what: what(known, key, text), place, cause, cure })
            }
        }
    }

    fn note_what_has_no_effect(&mut self) {
        for (key, setting) in &self.set {
            let Some(known) = self.table.get(key) else { continue };
            let notice = match known.meaning {
                Meaning::Obeyed => match caveat_of(key, Some(&setting.text)) {
                    Some(told) => format!("{key}={} ({}): {told}", setting.text, setting.source),
                    None => continue,
                },
                Meaning::Later => format!("{key} ({}) has no effect yet", setting.source),
                Meaning::None(reason) => {
                    format!("{key} ({}) has no effect: {reason}", setting.source)
                }
            };
            self.notices.push(notice);
        }
        for variable in &self.unknown_variables {
            self.notices.push(format!("{variable} has no effect: {}", self.why_unknown(variable)));
        }
    }

    /// The variables that look like ours and name no key.
    pub(super) fn unknown_variables(&self) -> &[String] {
        &self.unknown_variables
    }

    /// Why a variable sets nothing, with the one that was meant, if one looks like it.
    pub(super) fn why_unknown(&self, variable: &str) -> String {
        let single = self.table.keys().filter(|key| !key.name.ends_with('*'));
        let known = single.map(|key| variable_of(key.name));
        let known = known.chain(OTHER_VARIABLES.iter().map(|name| (*name).to_owned()));
        // Every name begins with the prefix, so it says nothing about likeness.
        let bare = |name: &str| name[ENVIRONMENT_PREFIX.len()..].to_owned();
        match nearest_of(&bare(variable), known.map(|name| bare(&name))) {
            Some(meant) => format!("unknown key; did you mean {ENVIRONMENT_PREFIX}{meant}?"),
            None => "unknown key; `ottla config explain` lists all keys".into(),
        }
    }

    /// What the user should know and need not mend, a line each.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// The table.
    pub fn table(&self) -> &'static KeyTable {
        self.table
    }

    /// Every name that was set, known by a pattern or by itself.
    pub(super) fn names_set(&self) -> impl Iterator<Item = &str> {
        self.set.keys().map(String::as_str)
    }

    /// Where the value of a key comes from.
    pub fn source(&self, key: &str) -> Source {
        self.set.get(key).map_or(Source::Default, |setting| setting.source.clone())
    }

    /// Whether somebody set the key.
    pub fn is_set(&self, key: &str) -> bool {
        self.set.contains_key(key)
    }

    /// The value, or our default; `None` for null.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.set.get(key) {
            Some(setting) => Some(&setting.text),
            None => self.default(key),
        }
    }

    /// Our default of a key: Kafka's, unless it is among the deviations.
    pub fn default(&self, key: &str) -> Option<&'static str> {
        let own = DEVIATIONS.iter().find(|deviation| deviation.key == key);
        own.map(|deviation| deviation.default)
            .or_else(|| self.table.get(key).and_then(|known| known.default))
    }

    /// A number, if the key has a value.
    pub(super) fn number<T: std::str::FromStr>(&self, key: &str) -> Option<T> {
        self.text(key).and_then(|text| text.parse().ok())
    }

    /// A number of a key that has a default.
    ///
    /// # Panics
    /// If the table has no number for the key, or one that does not fit `T`: a mistake in this program.
    pub(super) fn required<T: std::str::FromStr>(&self, key: &str) -> T {
        self.number(key).unwrap_or_else(|| panic!("the table has a checked number for {key}"))
    }

    /// Whether a boolean key is true.
    pub(super) fn is_true(&self, key: &str) -> bool {
        self.text(key).is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }

    /// The items of a list; none for null.
    pub(super) fn list(&self, key: &str) -> Vec<String> {
        self.text(key).map(|text| items(text).map(str::to_owned).collect()).unwrap_or_default()
    }

    /// A problem with the value of a key, at the place where it was set.
    pub(super) fn problem(
        &self,
        key: &str,
        cause: impl Into<String>,
        cure: impl Into<String>,
    ) -> Problem {
        let (what, place) = match (self.table.get(key), self.set.get(key)) {
            (Some(known), Some(setting)) => {
                (what(known, key, &setting.text), setting.source.to_string())
            }
            _ => (key.to_owned(), String::new()),
        };
        Problem { what, place, cause: cause.into(), cure: cure.into() }
    }
}

fn what(known: &KeyDef, key: &str, text: &str) -> String {
    let shown = if known.kind == Kind::Password { "(hidden)" } else { text };
    format!("{key}={shown}")
}

/// `node.id` is set by `OTTLA_NODE_ID`, `ottla.http.listener` by `OTTLA_HTTP_LISTENER`.
fn variable_of(key: &str) -> String {
    let bare = key.strip_prefix("ottla.").unwrap_or(key);
    format!("{ENVIRONMENT_PREFIX}{}", bare.to_uppercase().replace('.', "_"))
}
