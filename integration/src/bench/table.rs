//! The rows of the comparison, as Markdown for the README and as JSON.

use serde::Serialize;

use crate::bench::plan::Work;

/// The column of the load generator against a null sink: what a row can show at most. It takes part in no ratio.
pub const GENERATOR: &str = "the generator alone";

/// One measurement of one system.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What was done.
    pub work: String,
    /// By which system.
    pub system: String,
    /// What is measured, with its unit.
    pub unit: &'static str,
    /// One figure, or p50, p99 and p99.9.
    pub figures: Vec<f64>,
    /// Millions of records a second, where that says more than bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub million_records_per_second: Option<f64>,
    /// The server's CPU-seconds per GB (the generator's own in its column), where bytes moved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_seconds_per_gb: Option<f64>,
    /// The server's CPU-seconds for all of it, where no bytes are counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_seconds: Option<f64>,
    /// The server's CPU-seconds a second, at a fixed rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cores: Option<f64>,
    /// The part of the CPU time that compilers of a JVM took: how cold it still was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compiler_share: Option<f64>,
    /// What Ottla means to reach.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aim: Option<&'static str>,
}

impl Row {
    /// A row with nothing but its figures.
    pub fn new(work: &Work, system: &str, unit: &'static str, figures: Vec<f64>) -> Self {
        Self {
            work: work.name.clone(),
            system: system.to_owned(),
            unit,
            figures,
            million_records_per_second: None,
            cpu_seconds_per_gb: None,
            cpu_seconds: None,
            cores: None,
            compiler_share: None,
            aim: work.aim,
        }
    }

    /// The figures, and the ratios to `first`.
    fn cell(&self, first: Option<&Self>) -> String {
        let mut cell = format!("{} {}", joined(self.figures.iter().copied()), self.unit);
        if let Some(first) = first {
            let ratios = self.figures.iter().zip(&first.figures).map(|(own, of)| own / of);
            cell.push_str(&format!(" ({} ×)", joined(ratios)));
        }
        let more = [
            (self.million_records_per_second, "M records/s"),
            (self.cpu_seconds_per_gb, "CPU-s/GB"),
            (self.cpu_seconds, "CPU-s"),
            (self.cores, "cores"),
        ];
        for (value, unit) in more {
            if let Some(value) = value {
                cell.push_str(&format!(", {} {unit}", round(value)));
            }
        }
        cell
    }
}

/// All rows of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Table {
    /// In the order in which they were measured.
    pub rows: Vec<Row>,
}

impl Table {
    /// Adds a row and says it on standard error.
    pub fn push(&mut self, row: Row) {
        let compilers =
            row.compiler_share.map_or(String::new(), |s| format!(", compilers {:.0} %", s * 100.0));
        eprintln!("{}: {}: {}{compilers}", row.work, row.system, row.cell(None));
        self.rows.push(row);
    }

    /// One line a work, one column a system, the aims last; ratios against the first system of the line.
    pub fn markdown(&self) -> String {
        let mut systems: Vec<&str> = Vec::new();
        let mut works: Vec<&str> = Vec::new();
        for row in &self.rows {
            if !systems.contains(&row.system.as_str()) {
                systems.push(&row.system);
            }
            if !works.contains(&row.work.as_str()) {
                works.push(&row.work);
            }
        }
        let columns = systems.len() + 1;
        let mut text =
            format!("| work | {} | aim |\n|---|{}\n", systems.join(" | "), "---|".repeat(columns));
        for work in works {
            let of_work: Vec<_> = self.rows.iter().filter(|row| row.work == work).collect();
            let cells: Vec<_> = systems.iter().map(|at| cell(&of_work, &systems, at)).collect();
            let aim = of_work.iter().find_map(|row| row.aim).unwrap_or("–");
            text.push_str(&format!("| {work} | {} | {aim} |\n", cells.join(" | ")));
        }
        text
    }
}

fn cell(of_work: &[&Row], systems: &[&str], system: &str) -> String {
    let row_of = |system: &str| of_work.iter().find(|row| row.system == system).copied();
    let Some(row) = row_of(system) else { return "–".to_owned() };
    let first = systems.iter().filter(|name| **name != GENERATOR).find_map(|name| row_of(name));
    let compared = first.filter(|first| {
        system != GENERATOR && first.system != system && first.figures.iter().all(|f| *f > 0.0)
    });
    row.cell(compared)
}

fn joined(values: impl Iterator<Item = f64>) -> String {
    values.map(round).collect::<Vec<_>>().join(" / ")
}

/// Three significant digits are more than these machines repeat.
fn round(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v if v >= 0.1 => format!("{v:.2}"),
        v => format!("{v:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::plan::Task;

    fn row(system: &str, figures: &[f64], aim: Option<&'static str>) -> Row {
        let work = Work { name: "produce".to_owned(), task: Task::Memory, aim };
        Row::new(&work, system, "MB/s", figures.to_vec())
    }

    #[test]
    fn a_work_is_a_line_with_ratios_against_its_first_system_and_the_aim_last() {
        let rows = vec![row("A", &[100.0], None), row("B", &[250.0], Some("≥ 2 ×"))];
        assert_eq!(
            Table { rows }.markdown(),
            "| work | A | B | aim |\n|---|---|---|---|\n\
             | produce | 100 MB/s | 250 MB/s (2.50 ×) | ≥ 2 × |\n"
        );
    }

    #[test]
    fn the_first_column_is_the_measure_even_where_it_ran_last() {
        let other = |row: Row| Row { work: "other".to_owned(), ..row };
        let (first, second) = (row("A", &[100.0], None), row("B", &[50.0], None));
        let rows = vec![first.clone(), second.clone(), other(second), other(first)];
        let line = "| other | 100 MB/s | 50.0 MB/s (0.50 ×) | – |\n";
        assert!(Table { rows }.markdown().ends_with(line));
    }

    #[test]
    fn every_percentile_has_its_ratio() {
        let first = row("A", &[0.5, 4.0, 10.0], None);
        let second = row("B", &[0.25, 1.0, 1.0], None);
        assert_eq!(second.cell(Some(&first)), "0.25 / 1.00 / 1.00 MB/s (0.50 / 0.25 / 0.10 ×)");
    }

    #[test]
    fn the_generator_is_compared_with_nobody() {
        let rows = vec![row(GENERATOR, &[400.0], None), row("A", &[100.0], None)];
        let line = "| produce | 400 MB/s | 100 MB/s | – |\n";
        assert!(Table { rows }.markdown().ends_with(line));
    }

    #[test]
    fn the_json_of_a_row_has_its_aim() {
        let json = serde_json::to_value(row("A", &[1.0], Some("≥ 2 ×"))).unwrap();
        assert_eq!(json["aim"], "≥ 2 ×");
    }
}
