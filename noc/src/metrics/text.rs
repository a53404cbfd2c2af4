//! The text format of Prometheus, version 0.0.4.

use std::fmt::{Display, Write};

/// What a family of samples is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// A page that is being written.
#[derive(Default)]
pub(super) struct Text(String);

impl Text {
    /// Begins a family; its samples follow.
    pub(super) fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.0 += &format!("# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// A family of one sample.
    pub(super) fn one(&mut self, name: &str, kind: Kind, help: &str, value: u64) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    pub(super) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0 += name;
        for (n, (label, value)) in labels.iter().enumerate() {
            let before = if n == 0 { '{' } else { ',' };
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            // A `String` takes everything.
            let _ = write!(self.0, "{before}{label}=\"{value}\"");
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{end} {value}");
    }

    /// `counts`: one for each class, and one for what is beyond the last; not summed up.
    pub(super) fn histogram(&mut self, name: &str, label: (&str, &str), classes: &[f64], counts: &[u64], sum: f64) {
        let mut so_far = 0;
        let ends = classes.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
        for (end, count) in ends.zip(counts) {
            so_far += count;
            self.sample(&format!("{name}_bucket"), &[label, ("le", &end)], so_far);
        }
        self.sample(&format!("{name}_sum"), &[label], sum);
        self.sample(&format!("{name}_count"), &[label], so_far);
    }

    pub(super) fn finish(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_and_classes_summed_up() {
        let mut text = Text::default();
        text.family("a_total", Kind::Counter, "Some");
        text.sample("a_total", &[("x", "q\"\\\n"), ("y", "")], 3);
        text.family("b", Kind::Histogram, "Long");
        text.histogram("b", ("route", "/v1"), &[0.5, 1.0], &[2, 0, 1], 4.25);
        let expected = "# HELP a_total Some\n# TYPE a_total counter\na_total{x=\"q\\\"\\\\\\n\",y=\"\"} 3\n\
                        # HELP b Long\n# TYPE b histogram\nb_bucket{route=\"/v1\",le=\"0.5\"} 2\n\
                        b_bucket{route=\"/v1\",le=\"1\"} 2\nb_bucket{route=\"/v1\",le=\"+Inf\"} 3\n\
                        b_sum{route=\"/v1\"} 4.25\nb_count{route=\"/v1\"} 3\n";
        assert_eq!(text.finish(), expected);
    }
}
