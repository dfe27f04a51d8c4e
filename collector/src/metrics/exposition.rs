//! The text that `/metrics` answers, in the two forms Prometheus reads.

use prometheus_client::registry::Registry;

/// Content type of OpenMetrics.
pub(crate) const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Content type of Prometheus' older text form.
pub(crate) const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Writes all metrics, in OpenMetrics where `accept` asks for it, and says which content type it is.
///
/// The older form is what a person with `curl` and tools such as `promtool` get: there the type of a counter stands
/// under its full name, ending in `_total`.
pub(crate) fn write(registry: &Registry, accept: &str) -> (&'static str, String) {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry).expect("a String takes any text");
    if accept.contains("application/openmetrics-text") {
        return (OPEN_METRICS, text);
    }
    (PLAIN, to_plain(&text))
}

fn to_plain(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    // HELP comes before TYPE, and only TYPE tells that it is a counter.
    let mut help = "";
    for line in open_metrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest;
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap_or((rest, "untyped"));
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                kind => ("", kind),
            };
            let words = help.strip_prefix(name).unwrap_or_default();
            text.push_str(&format!("# HELP {name}{suffix}{words}\n# TYPE {name}{suffix} {kind}\n"));
        } else if !line.starts_with('#') {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::gauge::Gauge;

    use super::*;

    #[test]
    fn the_plain_form_names_counters_in_full() {
        let mut registry = Registry::default();
        registry.register("things", "Things seen", Counter::<u64>::default());
        registry.register("level", "Level now", Gauge::<i64>::default());
        let plain = "# HELP things_total Things seen.\n# TYPE things_total counter\nthings_total 0\n\
                     # HELP level Level now.\n# TYPE level gauge\nlevel 0\n";
        assert_eq!(write(&registry, "*/*"), (PLAIN, plain.to_owned()));
        let (kind, text) = write(&registry, "application/openmetrics-text;version=1.0.0,text/plain;q=0.5");
        assert_eq!(kind, OPEN_METRICS);
        assert!(text.contains("# TYPE things counter\n") && text.ends_with("# EOF\n"), "{text}");
    }
}
