//! The rows of the comparison, as Markdown for the README and as JSON.

use serde::Serialize;

/// One figure of one system.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What was done.
    pub work: String,
    /// By which system.
    pub system: String,
    /// What is measured, with its unit.
    pub unit: &'static str,
    /// The figure.
    pub value: f64,
    /// Server CPU-seconds per GB, where bytes moved.
    pub cpu_seconds_per_gb: Option<f64>,
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
        let cpu =
            row.cpu_seconds_per_gb.map_or(String::new(), |cpu| format!(", {cpu:.2} CPU-s/GB"));
        eprintln!("{}: {}: {:.1} {}{cpu}", row.work, row.system, row.value, row.unit);
        self.rows.push(row);
    }

    /// One line a work, one column a system; ratios against the first system of the line.
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
        let mut text =
            format!("| work | {} |\n|---|{}\n", systems.join(" | "), "---|".repeat(systems.len()));
        for work in works {
            let cells: Vec<_> = systems.iter().map(|system| self.cell(work, system)).collect();
            text.push_str(&format!("| {work} | {} |\n", cells.join(" | ")));
        }
        text
    }

    fn cell(&self, work: &str, system: &str) -> String {
        let of_work = || self.rows.iter().filter(|row| row.work == work);
        let Some(row) = of_work().find(|row| row.system == system) else { return "–".to_owned() };
        let mut cell = format!("{} {}", round(row.value), row.unit);
        let first = of_work().next().filter(|first| first.system != system && first.value > 0.0);
        if let Some(first) = first {
            cell.push_str(&format!(" ({} ×)", round(row.value / first.value)));
        }
        if let Some(cpu) = row.cpu_seconds_per_gb {
            cell.push_str(&format!(", {} CPU-s/GB", round(cpu)));
        }
        cell
    }
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

    #[test]
    fn a_work_is_a_line_with_ratios_against_its_first_system() {
        let row = |system: &str, value| Row {
            work: "produce".to_owned(),
            system: system.to_owned(),
            unit: "MB/s",
            value,
            cpu_seconds_per_gb: None,
        };
        let table = Table { rows: vec![row("A", 100.0), row("B", 250.0)] };
        assert_eq!(
            table.markdown(),
            "| work | A | B |\n|---|---|---|\n| produce | 100 MB/s | 250 MB/s (2.50 ×) |\n"
        );
    }
}
