//! The two text forms that scrapers read.

/// Form of an answer to a scraper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// The older form of Prometheus, which `promtool check metrics` and `curl` without headers get.
    Text,
}

impl Format {
    /// Picks by the `Accept` header.
    pub(crate) fn negotiate(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Text }
    }

    /// Content type of the answer.
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// Turns OpenMetrics into the older form: there a counter's family has the name of its samples, with `_total`.
pub(super) fn to_text_format(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len() + 1024);
    let mut help: Option<&str> = None;
    for line in open_metrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = Some(rest);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.rsplit_once(' ').unwrap_or((rest, "untyped"));
            let suffix = if kind == "counter" { "_total" } else { "" };
            if let Some(words) = help.take().and_then(|h| h.strip_prefix(name)) {
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
    fn counters_are_named_as_their_samples() {
        let open_metrics = "# HELP a_b Words.\n# TYPE a_b counter\na_b_total{x=\"1\"} 2\n# HELP c More.\n\
                            # TYPE c gauge\nc 1\n# EOF\n";
        assert_eq!(
            to_text_format(open_metrics),
            "# HELP a_b_total Words.\n# TYPE a_b_total counter\na_b_total{x=\"1\"} 2\n# HELP c More.\n# TYPE c gauge\nc 1\n"
        );
    }

    #[test]
    fn prometheus_gets_openmetrics_and_curl_the_older_form() {
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                          text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(Format::negotiate(prometheus), Format::OpenMetrics);
        assert_eq!(Format::negotiate("*/*"), Format::Text);
    }
}
