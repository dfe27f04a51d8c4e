//! Application records.

use flow::{Dns, Http, L7, L7Record};

use super::group::Group;
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

impl Application {
    #[inline]
    pub(crate) fn push(&mut self, l7: Option<&L7>) {
        self.latency_ns.push_value(l7.map_or(0, |l7| l7.latency_ns.cast_signed()));
        let (mut http, mut dns, mut kafka) = (None, None, String::new());
        match l7.map(|l7| &l7.record) {
            Some(L7Record::Http(record)) => http = Some(record),
            Some(L7Record::Dns(record)) => dns = Some(record),
            Some(L7Record::Kafka(record)) => kafka = json::write_kafka(record),
            Some(L7Record::None) | None => {}
        }
        self.http_code.push_value(http.map_or(0, |http| http.code.into()));
        self.http.push(
            &http.map(|h| (&h.method, &h.url, &h.protocol, &h.headers)),
            |entry| match (entry, http) {
                (Some(a), Some(b)) => {
                    a.url == b.url && a.method == b.method && a.protocol == b.protocol && a.headers == b.headers
                }
                (None, None) => true,
                _ => false,
            },
            || http.cloned(),
        );
        self.dns_ttl.push_value(dns.map_or(0, |dns| dns.ttl_seconds.into()));
        self.dns.push(
            &dns.map(|d| (&d.query, &d.ips, d.rcode, &d.cnames, &d.qtypes)),
            |entry| match (entry, dns) {
                (Some(a), Some(b)) => same_but_ttl(a, b),
                (None, None) => true,
                _ => false,
            },
            || dns.cloned(),
        );
        self.kafka.push_text(&kafka);
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
    a.query == b.query
        && a.ips == b.ips
        && a.rcode == b.rcode
        && a.cnames == b.cnames
        && a.qtypes == b.qtypes
        && a.rrtypes == b.rrtypes
        && a.observation_source == b.observation_source
}
