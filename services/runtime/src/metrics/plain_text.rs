//! What `prometheus-client` wrote as OpenMetrics, in Prometheus' older text format.
//!
//! Invariant: a counter's head carries the name of its samples, and there is no end mark. Knows only counters and gauges: the
//! other kinds are written by [`super::Scrape`].

/// The same metrics in the older format.
pub(super) fn from_open_metrics(text: &str) -> String {
    let mut plain = String::with_capacity(text.len() + 1024);
    let mut help = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            // Its name depends on the type, which comes next.
            help = rest.split_once(' ');
        } else if let Some((name, kind)) =
            line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            let suffix = if kind == "counter" { "_total" } else { "" };
            if let Some((_, text)) = help.take() {
                plain.push_str(&format!("# HELP {name}{suffix} {text}\n"));
            }
            plain.push_str(&format!("# TYPE {name}{suffix} {kind}\n"));
        } else if !line.starts_with('#') {
            plain.push_str(line);
            plain.push('\n');
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_get_their_samples_name_and_the_end_mark_goes() {
        let open = "# HELP a Things.\n# TYPE a counter\na_total{x=\"# TYPE\"} 3\n# HELP b Room.\n# TYPE b gauge\nb 4\n# EOF\n";
        let plain = "# HELP a_total Things.\n# TYPE a_total counter\na_total{x=\"# TYPE\"} 3\n# HELP b Room.\n# TYPE b gauge\nb 4\n";
        assert_eq!(from_open_metrics(open), plain);
    }
}
