//! Application records.

use flow::{Dns, Http, L7, L7Record};

use super::group::{Group, same_text};
use super::output::Output;
use crate::json;
use crate::schema::Col;

/// Columns of the application record under construction. Numbers that vary within one kind of request (latency, code,
/// time to live) have keys of their own, so that the texts are kept once.
#[derive(Debug, Default)]
pub(crate) struct Application {
    latency_ns: Group<i64>,
    http_code: Group<i64>,
    http: Group<Option<Http>>,
    dns_ttl: Group<i64>,
    dns: Group<Option<Dns>>,
    kafka: Group<Box<str>>,
}

/// Keys of one application record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ApplicationKeys {
    http_code: u16,
    http: u16,
    dns_ttl: u16,
    dns: u16,
    kafka: u16,
}

impl Application {
    #[inline]
    pub(crate) fn push(&mut self, latency_ns: u64, keys: ApplicationKeys) {
        self.latency_ns.push_value(latency_ns.cast_signed());
        self.http_code.push_key(keys.http_code);
        self.http.push_key(keys.http);
        self.dns_ttl.push_key(keys.dns_ttl);
        self.dns.push_key(keys.dns);
        self.kafka.push_key(keys.kafka);
    }

    /// Keys of a record, without adding a row.
    #[inline]
    pub(crate) fn keys(&mut self, l7: Option<&L7>) -> ApplicationKeys {
        let (mut http, mut dns, mut kafka) = (None, None, String::new());
        match l7.map(|l7| &l7.record) {
            Some(L7Record::Http(record)) => http = Some(record),
            Some(L7Record::Dns(record)) => dns = Some(record),
            Some(L7Record::Kafka(record)) => kafka = json::write_kafka(record),
            Some(L7Record::None) | None => {}
        }
        ApplicationKeys {
            http_code: self.http_code.value_key(http.map_or(0, |http| http.code.into())),
            http: self.http.key(
                &http.map(|h| (&h.method, &h.url, &h.protocol, &h.headers)),
                |entry| match (entry, http) {
                    (Some(a), Some(b)) => {
                        same_text(&a.url, &b.url)
                            && same_text(&a.method, &b.method)
                            && same_text(&a.protocol, &b.protocol)
                            && a.headers == b.headers
                    }
                    (None, None) => true,
                    _ => false,
                },
                || http.cloned(),
            ),
            dns_ttl: self.dns_ttl.value_key(dns.map_or(0, |dns| dns.ttl_seconds.into())),
            dns: self.dns.key(
                &dns.map(|d| (&d.query, &d.ips, d.rcode, &d.cnames, &d.qtypes)),
                |entry| match (entry, dns) {
                    (Some(a), Some(b)) => same_but_ttl(a, b),
                    (None, None) => true,
                    _ => false,
                },
                || dns.cloned(),
            ),
            kafka: self.kafka.text_key(&kafka),
        }
    }

    pub(crate) fn write(&self, output: &mut Output) {
        for (col, group) in
            [(Col::L7LatencyNs, &self.latency_ns), (Col::HttpCode, &self.http_code), (Col::DnsTtl, &self.dns_ttl)]
        {
            let keys = output.keys(group.keys());
            output.number(col, &keys, group.entries().iter().copied());
        }
        let keys = output.keys(self.kafka.keys());
        output.text(Col::Kafka, &keys, self.kafka.entries());
        self.write_http(output);
        self.write_dns(output);
    }

    fn write_http(&self, output: &mut Output) {
        let keys = output.keys(self.http.keys());
        let entries = self.http.entries();
        let text = |of: fn(&Http) -> &str| entries.iter().map(move |e| e.as_ref().map_or("", of));
        output.text(Col::HttpMethod, &keys, text(|h| &h.method));
        output.text(Col::HttpUrl, &keys, text(|h| &h.url));
        output.text(Col::HttpProtocol, &keys, text(|h| &h.protocol));
        let headers = |e: &Option<Http>| match e {
            Some(http) if !http.headers.is_empty() => json::write(&http.headers),
            _ => String::new(),
        };
        output.text(Col::HttpHeaders, &keys, entries.iter().map(headers));
    }

    fn write_dns(&self, output: &mut Output) {
        let keys = output.keys(self.dns.keys());
        let entries = self.dns.entries();
        let text = |of: fn(&Dns) -> &str| entries.iter().map(move |e| e.as_ref().map_or("", of));
        let list =
            |of: fn(&Dns) -> &[String]| entries.iter().map(move |e| json::write(e.as_ref().map_or(&[] as &[_], of)));
        output.text(Col::DnsQuery, &keys, text(|d| &d.query));
        output.text(Col::DnsSource, &keys, text(|d| &d.observation_source));
        output.text(Col::DnsIps, &keys, list(|d| &d.ips));
        output.text(Col::DnsCnames, &keys, list(|d| &d.cnames));
        output.text(Col::DnsQtypes, &keys, list(|d| &d.qtypes));
        output.text(Col::DnsRrtypes, &keys, list(|d| &d.rrtypes));
        output.number(Col::DnsRcode, &keys, entries.iter().map(|e| e.as_ref().map_or(0, |d| d.rcode.into())));
    }

    pub(crate) fn clear(&mut self) {
        self.latency_ns.clear();
        self.http_code.clear();
        self.http.clear();
        self.dns_ttl.clear();
        self.dns.clear();
        self.kafka.clear();
    }
}

fn same_but_ttl(a: &Dns, b: &Dns) -> bool {
    same_text(&a.query, &b.query)
        && a.ips == b.ips
        && a.rcode == b.rcode
        && a.cnames == b.cnames
        && a.qtypes == b.qtypes
        && a.rrtypes == b.rrtypes
        && same_text(&a.observation_source, &b.observation_source)
}
