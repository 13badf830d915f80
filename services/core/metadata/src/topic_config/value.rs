//! Values of configs: how Kafka reads and checks them (`ConfigDef.parseType`, its validators).
//!
//! Invariant: a value is judged by its text alone. Spaces around it do not count.

use super::{ConfigError, ConfigKey, MAX_CONFIG_VALUE_BYTES};

/// The type of a config's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `BOOLEAN`
    Boolean,
    /// `STRING`
    String,
    /// `INT`: 32 bits
    Int,
    /// `LONG`: 64 bits
    Long,
    /// `DOUBLE`
    Double,
    /// `LIST`: comma-separated
    List,
}

/// Which values of the type are right.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Check {
    Any,
    AtLeast(i64),
    Between(i64, i64),
    /// Between the two, or -1 for the codec's own default.
    BetweenOrDefault(i64, i64),
    /// A fraction between 0 and 1.
    Ratio,
    OneOf(&'static [&'static str]),
    /// Each item is one of these.
    Subset(&'static [&'static str]),
    /// `*`, or items of the form partition:broker.
    ThrottledReplicas,
}

/// Checks the text of a value.
pub(crate) fn check(name: &str, kind: Kind, check: Check, text: &str) -> Result<(), ConfigError> {
    let wrong =
        |value: String, why: String| ConfigError::Invalid { name: name.to_owned(), value, why };
    if text.len() > MAX_CONFIG_VALUE_BYTES {
        let why = format!("longer than {MAX_CONFIG_VALUE_BYTES} bytes");
        return Err(wrong(text.chars().take(64).collect(), why));
    }
    let text = text.trim();
    match kind {
        Kind::Boolean => match boolean(text) {
            Some(_) => Ok(()),
            None => {
                let why = "Expected value to be either true or false";
                Err(wrong(text.to_owned(), why.to_owned()))
            }
        },
        Kind::Int | Kind::Long => {
            let number = integer(kind, text);
            let number = number.ok_or_else(|| wrong(text.to_owned(), not_a_number(kind)))?;
            range_flaw(check, number).map_or(Ok(()), |why| Err(wrong(number.to_string(), why)))
        }
        Kind::Double => {
            let number = double(text).ok_or_else(|| wrong(text.to_owned(), not_a_number(kind)))?;
            ratio_flaw(check, number).map_or(Ok(()), |why| Err(wrong(format!("{number:?}"), why)))
        }
        Kind::String => match check {
            Check::OneOf(allowed) if !allowed.contains(&text) => {
                Err(wrong(text.to_owned(), one_of(allowed)))
            }
            _ => Ok(()),
        },
        Kind::List => check_list(name, check, &list(text)),
    }
}

/// A value of type `LONG` or `INT`, or the config's default, or 0.
pub(crate) fn long_or(text: Option<&str>, key: Option<&ConfigKey>) -> i64 {
    let parsed = |text: &str| text.trim().parse().ok();
    let default = || key.and_then(|key| key.default).and_then(parsed);
    text.and_then(parsed).or_else(default).unwrap_or(0)
}

/// A value of type `BOOLEAN`.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Some(true),
        _ if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// The items of a value of type `LIST`.
pub(crate) fn list(text: &str) -> Vec<&str> {
    if text.trim().is_empty() { Vec::new() } else { text.split(',').map(str::trim).collect() }
}

fn integer(kind: Kind, text: &str) -> Option<i64> {
    match kind {
        Kind::Int => text.parse::<i32>().ok().map(i64::from),
        _ => text.parse().ok(),
    }
}

pub(super) fn double(text: &str) -> Option<f64> {
    let digits = text.strip_suffix(['f', 'F', 'd', 'D']).unwrap_or(text);
    digits.parse().ok().filter(|number: &f64| number.is_finite())
}

fn not_a_number(kind: Kind) -> String {
    let kind = match kind {
        Kind::Int => "INT",
        Kind::Long => "LONG",
        _ => "DOUBLE",
    };
    format!("Not a number of type {kind}")
}

fn range_flaw(check: Check, number: i64) -> Option<String> {
    match check {
        Check::AtLeast(least) | Check::Between(least, _) if number < least => {
            Some(format!("Value must be at least {least}"))
        }
        Check::Between(_, most) if number > most => {
            Some(format!("Value must be no more than {most}"))
        }
        Check::BetweenOrDefault(least, most)
            if number != -1 && !(least..=most).contains(&number) =>
        {
            Some(format!("Value must be between {least} and {most} or equal to -1"))
        }
        _ => None,
    }
}

fn ratio_flaw(check: Check, number: f64) -> Option<String> {
    match check {
        Check::Ratio if number < 0.0 => Some("Value must be at least 0".to_owned()),
        Check::Ratio if number > 1.0 => Some("Value must be no more than 1".to_owned()),
        _ => None,
    }
}

fn check_list(name: &str, check: Check, items: &[&str]) -> Result<(), ConfigError> {
    let wrong =
        |value: String, why| Err(ConfigError::Invalid { name: name.to_owned(), value, why });
    match check {
        Check::Subset(_) if items.contains(&"") => Err(ConfigError::EmptyItem(name.to_owned())),
        Check::Subset(allowed) => match items.iter().find(|item| !allowed.contains(item)) {
            Some(item) => wrong((*item).to_owned(), one_of(allowed)),
            None => Ok(()),
        },
        Check::ThrottledReplicas
            if items != ["*"] && !items.iter().all(|item| is_replica(item)) =>
        {
            let why = format!(
                "{name} must be the literal '*' or a list of replicas in the following format: \
                 [partitionId]:[brokerId],[partitionId]:[brokerId],..."
            );
            wrong(format!("[{}]", items.join(", ")), why)
        }
        _ => Ok(()),
    }
}

/// `partition:broker`, or nothing.
fn is_replica(item: &str) -> bool {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    item.is_empty() || item.split_once(':').is_some_and(|(a, b)| number(a) && number(b))
}

fn one_of(allowed: &[&str]) -> String {
    format!("String must be one of: {}", allowed.join(", "))
}
