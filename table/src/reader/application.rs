//! Application records.

use flow::{Dns, Http, L7, L7Record};

use super::RowReader;
use super::facts::{Facts, Record};
use crate::json;
use crate::schema::Col;

impl RowReader {
    pub(super) fn l7(&self, facts: &Facts, row: usize) -> Option<Box<L7>> {
        let kind = facts.l7_type?;
        let record = match facts.l7 {
            Record::None => L7Record::None,
            Record::Http => L7Record::Http(self.http(row)),
            Record::Dns => L7Record::Dns(self.dns(row)),
            Record::Kafka => L7Record::Kafka(json::read_kafka(self.text(Col::Kafka, row))),
        };
        Some(Box::new(L7 { kind, latency_ns: self.unsigned(Col::L7LatencyNs, row), record }))
    }

    fn http(&self, row: usize) -> Http {
        Http {
            code: self.narrow(Col::HttpCode, row),
            method: self.string(Col::HttpMethod, row),
            url: self.string(Col::HttpUrl, row),
            protocol: self.string(Col::HttpProtocol, row),
            headers: json::read(self.text(Col::HttpHeaders, row)),
        }
    }

    fn dns(&self, row: usize) -> Dns {
        Dns {
            query: self.string(Col::DnsQuery, row),
            ips: self.list(Col::DnsIps, row),
            ttl_seconds: self.narrow(Col::DnsTtl, row),
            cnames: self.list(Col::DnsCnames, row),
            observation_source: self.string(Col::DnsSource, row),
            rcode: self.narrow(Col::DnsRcode, row),
            qtypes: self.list(Col::DnsQtypes, row),
            rrtypes: self.list(Col::DnsRrtypes, row),
        }
    }
}
