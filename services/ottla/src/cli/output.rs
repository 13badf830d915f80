//! One way to print: a table for people, JSON or YAML for programs, from the same value.
//!
//! Invariant: with `-o json` or `-o yaml`, standard output holds nothing but documents; whatever else is said goes to
//! standard error.

use std::io::Write as _;

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// Columns for people.
    #[default]
    Table,
    /// One JSON document; a line each where results stream.
    Json,
    /// One YAML document.
    Yaml,
}

/// A result that people read as rows.
pub trait Rows: Serialize {
    /// The heads of the columns.
    fn heads(&self) -> Vec<&'static str>;
    /// The cells, row by row.
    fn rows(&self) -> Vec<Vec<String>>;
}

impl Format {
    /// Prints one result.
    pub(super) fn print(self, value: &impl Rows) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        match self {
            Self::Table => writeln!(out, "{}", table(value)),
            Self::Json => {
                serde_json::to_writer_pretty(&mut out, value)?;
                writeln!(out)
            }
            Self::Yaml => {
                let text = serde_yaml_ng::to_string(value).map_err(std::io::Error::other)?;
                out.write_all(text.as_bytes())
            }
        }
    }

    /// Prints one element of a stream: `text` for people, else one JSON line or one YAML document.
    pub(super) fn print_element(self, text: &[u8], value: &impl Serialize) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        match self {
            Self::Table => {
                out.write_all(text)?;
                out.write_all(b"\n")
            }
            Self::Json => {
                serde_json::to_writer(&mut out, value)?;
                writeln!(out)
            }
            Self::Yaml => {
                let text = serde_yaml_ng::to_string(value).map_err(std::io::Error::other)?;
                write!(out, "---\n{text}")
            }
        }
    }
}

/// A number of things: `1 topic`, `2 topics`; `one` is their name in the singular.
pub(super) fn counted(count: impl Into<i128>, one: &str) -> String {
    match (count.into(), one.strip_suffix('y')) {
        (1, _) => format!("1 {one}"),
        (count, Some(stem)) => format!("{count} {stem}ies"),
        (count, None) => format!("{count} {one}s"),
    }
}

fn table(value: &impl Rows) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(value.heads());
    for row in value.rows() {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Two {
        name: &'static str,
    }

    impl Rows for Two {
        fn heads(&self) -> Vec<&'static str> {
            vec!["NAME", "LENGTH"]
        }

        fn rows(&self) -> Vec<Vec<String>> {
            vec![vec![self.name.to_owned(), self.name.len().to_string()]]
        }
    }

    #[test]
    fn one_is_no_plural() {
        assert_eq!(counted(1, "topic"), "1 topic");
        assert_eq!(counted(0, "topic"), "0 topics");
        assert_eq!(counted(2_u64, "entry"), "2 entries");
    }

    #[test]
    fn a_table_has_its_heads_and_its_cells() {
        let text = table(&Two { name: "orders" }).to_string();
        let mut lines = text.lines();
        assert_eq!(
            lines.next().unwrap().split_whitespace().collect::<Vec<_>>(),
            ["NAME", "LENGTH"]
        );
        assert_eq!(lines.next().unwrap().split_whitespace().collect::<Vec<_>>(), ["orders", "6"]);
    }
}
