//! Application records.

use flow::{L7, L7Record};

use super::writer::Writer;

pub(super) fn l7(l7: &L7, w: &mut Writer<'_>) {
    w.int32(1, l7.kind.0);
    w.uint64(2, l7.latency_ns);
    match &l7.record {
        L7Record::None => {}
        L7Record::Dns(dns) => w.message(100, |w| {
            w.text(1, &dns.query);
            w.texts(2, &dns.ips);
            w.uint32(3, dns.ttl_seconds);
            w.texts(4, &dns.cnames);
            w.text(5, &dns.observation_source);
            w.uint32(6, dns.rcode);
            w.texts(7, &dns.qtypes);
            w.texts(8, &dns.rrtypes);
        }),
        L7Record::Http(http) => w.message(101, |w| {
            w.uint32(1, http.code);
            w.text(2, &http.method);
            w.text(3, &http.url);
            w.text(4, &http.protocol);
            for (key, value) in &http.headers {
                w.message(5, |w| {
                    w.text(1, key);
                    w.text(2, value);
                });
            }
        }),
        L7Record::Kafka(kafka) => w.message(102, |w| {
            w.int32(1, kafka.error_code);
            w.int32(2, kafka.api_version);
            w.text(3, &kafka.api_key);
            w.int32(4, kafka.correlation_id);
            w.text(5, &kafka.topic);
        }),
    }
}
