//! The syntax of Java's properties files: comments, continued lines, three kinds of separators, escapes.
//!
//! Invariant: reads every file that `java.util.Properties` reads, to the same keys and values; text is UTF-8.

use std::iter::Peekable;
use std::str::Chars;

/// One key with its value, as it stands in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// The key, escapes resolved.
    pub key: String,
    /// The value, escapes resolved; trailing blanks are part of it.
    pub value: String,
    /// The line on which it begins, from 1.
    pub line: usize,
}

/// A `\u` that is not followed by four hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "line {line}: \\u is not followed by four hexadecimal digits; write \\\\u for a backslash and a u"
)]
pub struct ParsePropertiesError {
    /// The line on which the entry begins, from 1.
    pub line: usize,
}

/// The entries of a file, in their order; a key that stands twice comes twice.
///
/// # Errors
/// A malformed `\u` escape.
pub fn parse_properties(text: &str) -> Result<Vec<Property>, ParsePropertiesError> {
    logical_lines(text)
        .into_iter()
        .map(|(line, entry)| {
            let (key, value) = split(&entry);
            let error = ParsePropertiesError { line };
            let key = unescape(key).ok_or_else(|| error.clone())?;
            Ok(Property { key, value: unescape(value).ok_or(error)?, line })
        })
        .collect()
}

const fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\u{c}')
}

/// Lines without comments and empty ones, continued lines joined, each with its number.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut lines = text.split('\n').enumerate();
    let mut entries = Vec::new();
    while let Some((index, line)) = lines.next() {
        let line = line.trim_start_matches(is_blank);
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        let mut entry = line.to_owned();
        while has_open_end(&entry) {
            entry.pop();
            let Some((_, more)) = lines.next() else { break };
            entry.push_str(more.trim_start_matches(is_blank));
        }
        entries.push((index + 1, entry));
    }
    entries
}

/// An odd number of backslashes at the end continues on the next line.
fn has_open_end(line: &str) -> bool {
    line.bytes().rev().take_while(|&byte| byte == b'\\').count() % 2 == 1
}

fn split(entry: &str) -> (&str, &str) {
    let mut is_escaped = false;
    let end = entry.find(|character| {
        let ends = !is_escaped && (matches!(character, '=' | ':') || is_blank(character));
        is_escaped = !is_escaped && character == '\\';
        ends
    });
    let Some(end) = end else { return (entry, "") };
    let rest = entry[end..].trim_start_matches(is_blank);
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (&entry[..end], value.trim_start_matches(is_blank))
}

fn unescape(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    // Java's escapes are UTF-16: a character beyond the first plane is two of them.
    let mut units: Vec<u16> = Vec::new();
    while let Some(character) = characters.next() {
        if character == '\\' && characters.peek() == Some(&'u') {
            characters.next();
            units.push(hex_unit(&mut characters)?);
            continue;
        }
        plain.push_str(&String::from_utf16_lossy(&std::mem::take(&mut units)));
        match (character, characters.peek()) {
            ('\\', Some(_)) => plain.push(escaped(characters.next()?)),
            ('\\', None) => {}
            _ => plain.push(character),
        }
    }
    plain.push_str(&String::from_utf16_lossy(&units));
    Some(plain)
}

fn hex_unit(characters: &mut Peekable<Chars<'_>>) -> Option<u16> {
    (0..4).try_fold(0, |unit, _| Some(unit * 16 + characters.next()?.to_digit(16)? as u16))
}

const fn escaped(character: char) -> char {
    match character {
        't' => '\t',
        'n' => '\n',
        'r' => '\r',
        'f' => '\u{c}',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse_properties(text).unwrap().into_iter().map(|p| (p.key, p.value)).collect()
    }

    #[test]
    fn it_reads_what_java_reads() {
        // Each left side was read by java.util.Properties of JDK 17 as the right side.
        for (text, key, value) in [
            ("a=b", "a", "b"),
            ("  a  =  b  ", "a", "b  "),
            ("a:b", "a", "b"),
            ("a b", "a", "b"),
            ("a = = b", "a", "= b"),
            ("a", "a", ""),
            ("a\\=b=c", "a=b", "c"),
            ("a\\ b c", "a b", "c"),
            ("a=b\\\n   c", "a", "bc"),
            ("a=b\\\\", "a", "b\\"),
            ("a=\\t\\n\\x", "a", "\t\nx"),
            ("a=gr\\u00f6\\u00DFer", "a", "größer"),
            ("a=\\ud83d\\ude00!", "a", "😀!"),
            ("a=b#c", "a", "b#c"),
            ("a=b\\\n#c", "a", "b#c"),
            ("a=\\", "a", ""),
            ("=x", "", "x"),
        ] {
            assert_eq!(pairs(text), [(key.to_owned(), value.to_owned())], "{text:?}");
        }
    }

    #[test]
    fn comments_and_line_ends_do_not_shift_the_line_numbers() {
        let text = "# one\r\n! two\n\n  \t\na=1\\\n\\\n2\rb=3";
        let lines: Vec<_> =
            parse_properties(text).unwrap().into_iter().map(|p| (p.value, p.line)).collect();
        assert_eq!(lines, [("12".to_owned(), 5), ("3".to_owned(), 8)]);
    }

    #[test]
    fn a_broken_escape_is_told_with_its_line() {
        assert_eq!(parse_properties("a=1\nb=\\u12g4"), Err(ParsePropertiesError { line: 2 }));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a=: \\\\\\n\\r#u0d\u{e9}]{0,60}") {
            _ = parse_properties(&text);
        }
    }
}
