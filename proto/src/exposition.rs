//! The two text forms in which Prometheus and its kin read metrics.

/// Form of an answer to a scraper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposition {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// The older form of Prometheus, which `promtool check metrics` and `curl` without headers get.
    Text,
}

impl Exposition {
    /// Picks by the `Accept` header.
    #[must_use]
    pub fn negotiate(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Text }
    }

    /// Content type of the answer.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// Brings metrics in OpenMetrics' form into this one.
    #[must_use]
    pub fn of_open_metrics(self, open_metrics: String) -> String {
        match self {
            Self::OpenMetrics => open_metrics,
            Self::Text => to_text(&open_metrics),
        }
    }
}

/// In the older form the type of a counter stands under the name of its samples, which ends in `_total`.
fn to_text(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len() + 1024);
    // HELP comes before TYPE, and only TYPE tells that it is a counter.
    let mut help: Option<&str> = None;
    for line in open_metrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = Some(rest);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.rsplit_once(' ').unwrap_or((rest, "untyped"));
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                kind => ("", kind),
            };
            if let Some(words) = help.take().and_then(|help| help.strip_prefix(name)) {
                text.push_str(&format!("# HELP {name}{suffix}{words}\n"));
            }
            text.push_str(&format!("# TYPE {name}{suffix} {kind}\n"));
        } else if !line.starts_with('#') {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_form_names_metrics_as_their_samples() {
        let open_metrics = "# HELP a_b Words.\n# TYPE a_b counter\na_b_total{x=\"1\"} 2\n# HELP c More.\n\
                            # TYPE c gauge\nc 1\n# HELP d It.\n# TYPE d info\nd_info{v=\"1\"} 1\n# TYPE e unknown\ne 3\n\
                            # EOF\n";
        let text = "# HELP a_b_total Words.\n# TYPE a_b_total counter\na_b_total{x=\"1\"} 2\n# HELP c More.\n\
                    # TYPE c gauge\nc 1\n# HELP d_info It.\n# TYPE d_info gauge\nd_info{v=\"1\"} 1\n\
                    # TYPE e untyped\ne 3\n";
        assert_eq!(Exposition::Text.of_open_metrics(open_metrics.to_owned()), text);
        assert_eq!(Exposition::OpenMetrics.of_open_metrics(open_metrics.to_owned()), open_metrics);
    }

    #[test]
    fn prometheus_gets_openmetrics_and_curl_the_older_form() {
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                          text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(Exposition::negotiate(prometheus), Exposition::OpenMetrics);
        assert_eq!(Exposition::negotiate("*/*"), Exposition::Text);
    }
}
