//! One answer to a scrape while it is written, in either format.
//!
//! Invariant: a family has one head, followed by all its samples; a family without samples is left out. What a counter is called
//! differs by format and is known here only. Summaries, and histograms whose exemplars were taken without a lock, are what
//! `prometheus-client` cannot write.

use std::fmt::{Display, Write as _};

use super::latency::{Buckets, Exemplar, LatencyHistogram};

/// How metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0, with exemplars.
    OpenMetrics,
    /// Prometheus' text format 0.0.4, which has none.
    PlainText,
}

impl Format {
    /// The format that a client asks for in its `Accept` header.
    pub fn accepted(accept: &str) -> Self {
        let takes = |offer: &str| {
            let mut parts = offer.split(';').map(str::trim);
            let is_open = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case(OPEN_METRICS));
            is_open
                && parts.all(|part| {
                    part.strip_prefix("q=").and_then(|q| q.parse().ok()) != Some(0.0_f32)
                })
        };
        if accept.split(',').any(takes) { Self::OpenMetrics } else { Self::PlainText }
    }

    /// What the answer says of itself.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::PlainText => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// The quantiles of summaries, with the values of their label as exporters of Kafka's figures write them.
const QUANTILES: [(&str, f64); 4] =
    [("0.50", 0.5), ("0.95", 0.95), ("0.99", 0.99), ("0.999", 0.999)];
/// The media type of OpenMetrics.
const OPEN_METRICS: &str = "application/openmetrics-text";

/// What a family holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; its name is given without `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Buckets of seconds.
    Histogram,
    /// Quantiles.
    Summary,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
        }
    }
}

/// Names and values of labels.
pub type Labels<'a> = &'a [(&'a str, &'a str)];

/// An answer that is being written.
#[derive(Debug)]
pub struct Scrape {
    format: Format,
    pub(super) text: String,
}

impl Scrape {
    /// Nothing yet.
    pub fn new(format: Format) -> Self {
        Self { format, text: String::new() }
    }

    /// Begins a family: its samples come next. `help` is one line.
    pub fn family(&mut self, kind: Kind, name: &str, help: &'static str) -> Family<'_> {
        Family { scrape: self, kind, name: name.to_owned(), help, has_head: false }
    }

    /// A family with one sample without labels.
    pub fn gauge(&mut self, name: &str, help: &'static str, value: impl Display) {
        self.family(Kind::Gauge, name, help).add(&[], value);
    }

    /// See [`Self::gauge`].
    pub fn counter(&mut self, name: &str, help: &'static str, value: impl Display) {
        self.family(Kind::Counter, name, help).add(&[], value);
    }
}

/// A family of samples that is being written.
#[derive(Debug)]
pub struct Family<'a> {
    scrape: &'a mut Scrape,
    kind: Kind,
    name: String,
    help: &'static str,
    has_head: bool,
}

impl Family<'_> {
    /// One sample of a counter or a gauge; the value is an integer or a finite number.
    pub fn add(&mut self, labels: Labels<'_>, value: impl Display) {
        self.head();
        let suffix = if self.kind == Kind::Counter { "_total" } else { "" };
        self.sample(suffix, labels, None, value);
    }

    /// All samples of one histogram.
    pub fn histogram(&mut self, labels: Labels<'_>, histogram: &LatencyHistogram) {
        self.head();
        let (buckets, exemplars) = (histogram.read(), histogram.exemplars());
        for (bucket, exemplar) in buckets.buckets().zip(exemplars) {
            let bound = bucket.bound.map_or_else(|| "+Inf".to_owned(), |bound| bound.to_string());
            self.sample("_bucket", labels, Some(("le", &bound)), bucket.count);
            if let Some(exemplar) = exemplar {
                self.exemplar(&exemplar);
            }
        }
        self.totals(labels, buckets.count(), buckets.sum.as_secs_f64());
    }

    /// All samples of one summary of milliseconds, as Kafka's dashboards expect it: quantiles of what is recent, count and sum of all.
    pub fn summary_ms(&mut self, labels: Labels<'_>, recent: &Buckets, all: &Buckets) {
        self.head();
        for (name, part) in QUANTILES {
            let ms = recent.quantile(part).unwrap_or(0.0) * 1e3;
            self.sample("", labels, Some(("quantile", name)), ms);
        }
        self.totals(labels, all.count(), all.sum.as_secs_f64() * 1e3);
    }

    fn totals(&mut self, labels: Labels<'_>, count: u64, sum: f64) {
        self.sample("_sum", labels, None, sum);
        self.sample("_count", labels, None, count);
    }

    fn head(&mut self) {
        if std::mem::replace(&mut self.has_head, true) {
            return;
        }
        let is_plain = self.scrape.format == Format::PlainText;
        let suffix = if is_plain && self.kind == Kind::Counter { "_total" } else { "" };
        let (name, help, kind) = (&self.name, self.help, self.kind.name());
        self.scrape
            .put(format_args!("# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {kind}\n"));
    }

    fn sample(
        &mut self,
        suffix: &str,
        labels: Labels<'_>,
        last: Option<(&str, &str)>,
        value: impl Display,
    ) {
        self.scrape.put(format_args!("{}{suffix}", self.name));
        let mut open = '{';
        for (name, value) in labels.iter().copied().chain(last) {
            self.scrape.put(format_args!("{open}{name}=\"{}\"", Escaped(value)));
            open = ',';
        }
        let close = if open == ',' { "}" } else { "" };
        self.scrape.put(format_args!("{close} {value}\n"));
    }

    /// Goes behind the sample that was written last.
    fn exemplar(&mut self, exemplar: &Exemplar) {
        if self.scrape.format == Format::OpenMetrics {
            self.scrape.text.pop();
            let (trace, seconds) = (exemplar.trace_id, exemplar.duration.as_secs_f64());
            self.scrape.put(format_args!(" # {{trace_id=\"{trace:032x}\"}} {seconds}\n"));
        }
    }
}

impl Scrape {
    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        self.text.write_fmt(text).expect("a string takes all that is written to it");
    }
}

/// A label's value as both formats want it.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for character in self.0.chars() {
            match character {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_metrics_is_given_to_those_who_ask_for_it() {
        let prometheus =
            "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(Format::accepted(prometheus), Format::OpenMetrics);
        for other in ["", "*/*", "text/plain", "application/openmetrics-text;q=0", "text/html"] {
            assert_eq!(Format::accepted(other), Format::PlainText, "{other}");
        }
    }

    #[test]
    fn a_label_cannot_break_out_of_its_quotes() {
        let mut scrape = Scrape::new(Format::PlainText);
        scrape.family(Kind::Gauge, "g", "G").add(&[("group", "a\"b\\c\nd"), ("x", "")], 1);
        assert_eq!(
            scrape.text,
            "# HELP g G\n# TYPE g gauge\ng{group=\"a\\\"b\\\\c\\nd\",x=\"\"} 1\n"
        );
    }

    #[test]
    fn a_family_without_samples_is_left_out_and_a_counter_is_named_as_its_format_wants() {
        for (format, head) in [(Format::OpenMetrics, "c"), (Format::PlainText, "c_total")] {
            let mut scrape = Scrape::new(format);
            scrape.family(Kind::Gauge, "nothing", "Nothing");
            scrape.counter("c", "C", 7);
            let expected = format!("# HELP {head} C\n# TYPE {head} counter\nc_total 7\n");
            assert_eq!(scrape.text, expected);
        }
    }

    #[test]
    fn a_summary_has_quantiles_of_what_is_recent_and_counts_all() {
        let histogram = LatencyHistogram::default();
        histogram.observe(std::time::Duration::from_micros(25), None);
        let mut scrape = Scrape::new(Format::PlainText);
        let mut family = scrape.family(Kind::Summary, "s", "S");
        family.summary_ms(&[("request", "Fetch")], &Buckets::default(), &histogram.read());
        let text = &scrape.text;
        assert!(
            text.starts_with(
                "# HELP s S\n# TYPE s summary\ns{request=\"Fetch\",quantile=\"0.50\"} 0\n"
            ),
            "{text}"
        );
        assert!(
            text.ends_with("s_sum{request=\"Fetch\"} 0.025\ns_count{request=\"Fetch\"} 1\n"),
            "{text}"
        );
    }
}
