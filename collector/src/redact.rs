//! Taking out of flows what may be secret, by Hubble's options, before anybody sees them.

use std::borrow::Cow;

use flow::{Flow, Http, L7Record};
use serde::{Deserialize, Serialize};

/// What stands in the place of what was taken out, as in Hubble.
pub(crate) const REDACTED: &str = "HUBBLE_REDACTED";

/// What is taken out of flows. The names are those of Hubble's options.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RedactConfig {
    /// Whether the options below hold. Default `false`: only passwords in URLs are taken out then.
    pub enabled: bool,
    /// Cuts queries and fragments off URLs. Default `false`.
    pub http_url_query: bool,
    /// Takes passwords out of URLs, those of HTTP that is read from the wire included. Default `true`.
    pub http_user_info: bool,
    /// Header names whose values stay; all others are taken out. Not with `http_headers_deny`. Default none.
    pub http_headers_allow: Vec<String>,
    /// Header names whose values are taken out; all others stay. Without either list no value stays. Default none.
    pub http_headers_deny: Vec<String>,
    /// Takes out the API keys of Kafka. Default `false`.
    pub kafka_api_key: bool,
}

impl Default for RedactConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            http_url_query: false,
            http_user_info: true,
            http_headers_allow: Vec::new(),
            http_headers_deny: Vec::new(),
            kafka_api_key: false,
        }
    }
}

impl RedactConfig {
    /// Takes out of a flow what may not be told, and out of its summary too.
    pub(crate) fn apply(&self, flow: &mut Flow) {
        let Some(l7) = flow.l7.as_deref_mut() else { return };
        match &mut l7.record {
            L7Record::Http(http) => {
                if let Cow::Owned(url) = self.url(&http.url) {
                    flow.summary = flow.summary.replace(&http.url, &url);
                    http.url = url;
                }
                self.headers(http);
            }
            L7Record::Kafka(kafka) if self.enabled && self.kafka_api_key => {
                // The summary reads `Kafka request produce correlation id …`.
                let key = |name: &str| format!(" {name} correlation id ");
                flow.summary = flow.summary.replacen(&key(&kafka.api_key), &key(REDACTED), 1);
                REDACTED.clone_into(&mut kafka.api_key);
            }
            L7Record::Kafka(_) | L7Record::Dns(_) | L7Record::None => {}
        }
    }

    /// Whether passwords are taken out of URLs.
    pub(crate) const fn hides_passwords(&self) -> bool {
        self.http_user_info || !self.enabled
    }

    fn url<'a>(&self, url: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(url);
        if self.hides_passwords() {
            text = without_password(url);
        }
        if self.enabled
            && self.http_url_query
            && let Some(at) = text.find(['?', '#'])
        {
            // A question mark without a query tells nothing, and stays as with Hubble.
            let bare = text[at..].split('#').next() == Some("?");
            text = Cow::Owned(text[..at + usize::from(bare)].to_owned());
        }
        text
    }

    fn headers(&self, http: &mut Http) {
        if !self.enabled {
            return;
        }
        for (name, value) in &mut http.headers {
            if !self.shows(name) {
                REDACTED.clone_into(value);
            }
        }
    }

    fn shows(&self, header: &str) -> bool {
        let has = |list: &[String]| list.iter().any(|name| name.eq_ignore_ascii_case(header));
        let (allow, deny) = (&self.http_headers_allow, &self.http_headers_deny);
        has(allow) || (!has(deny) && allow.is_empty() && !deny.is_empty())
    }
}

/// A URL whose password, if it has one, is replaced.
pub(crate) fn without_password(url: &str) -> Cow<'_, str> {
    // A URL that begins with the host has a user, too.
    let Some((scheme, rest)) = url.strip_prefix("//").map(|rest| ("", rest)).or_else(|| url.split_once("://")) else {
        return Cow::Borrowed(url);
    };
    if scheme.contains(['/', '?', '#']) {
        return Cow::Borrowed(url);
    }
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let Some((user_info, _)) = authority.rsplit_once('@') else { return Cow::Borrowed(url) };
    let Some((user, password)) = user_info.split_once(':') else { return Cow::Borrowed(url) };
    if password == REDACTED {
        return Cow::Borrowed(url);
    }
    let before = &url[..url.len() - rest.len()];
    Cow::Owned(format!("{before}{user}:{REDACTED}{}", &rest[user_info.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flow::{Kafka, L7};

    fn http(url: &str, headers: &[(&str, &str)]) -> Flow {
        let headers = headers.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let http = Http { url: url.to_owned(), headers, ..Http::default() };
        let l7 = L7 { record: L7Record::Http(http), ..L7::default() };
        Flow { l7: Some(Box::new(l7)), summary: format!("HTTP/1.1 GET {url}"), ..Flow::default() }
    }

    #[test]
    fn urls() {
        let off = RedactConfig::default();
        let query = RedactConfig { enabled: true, http_url_query: true, ..off.clone() };
        let keep = RedactConfig { enabled: true, http_user_info: false, ..off.clone() };
        for (config, url, expected) in [
            (&off, "http://u:secret@h/p?q=1#f", "http://u:HUBBLE_REDACTED@h/p?q=1#f"),
            (&off, "http://u@h/p?q=a:b@c", "http://u@h/p?q=a:b@c"),
            (&off, "/p?x=y://a:b@c", "/p?x=y://a:b@c"),
            (&off, "//u:secret@h/p", "//u:HUBBLE_REDACTED@h/p"),
            (&off, "//h/u:p@q", "//h/u:p@q"),
            (&query, "http://u:se@cret@h/p?q=1#f", "http://u:HUBBLE_REDACTED@h/p"),
            (&query, "/p#f?q", "/p"),
            (&query, "/p?#f", "/p?"),
            (&query, "/p??", "/p"),
            (&keep, "http://u:secret@h/p", "http://u:secret@h/p"),
        ] {
            let mut flow = http(url, &[]);
            config.apply(&mut flow);
            let Some(L7Record::Http(http)) = flow.l7.map(|l7| l7.record) else { panic!() };
            assert_eq!(http.url, expected);
            assert_eq!(flow.summary, format!("HTTP/1.1 GET {expected}"));
        }
    }

    #[test]
    fn what_is_taken_out_is_left_alone() {
        let once = without_password("http://u:p@q:r@h/").into_owned();
        assert_eq!(once, "http://u:HUBBLE_REDACTED@h/");
        assert!(matches!(without_password(&once), Cow::Borrowed(_)));
    }

    #[test]
    fn headers() {
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let config = |allow: &[&str], deny: &[&str]| RedactConfig {
            enabled: true,
            http_headers_allow: names(allow),
            http_headers_deny: names(deny),
            ..RedactConfig::default()
        };
        for (config, kept) in [
            (RedactConfig::default(), vec!["Host", "Cookie"]),
            (config(&[], &[]), vec![]),
            (config(&["host"], &[]), vec!["Host"]),
            (config(&[], &["COOKIE"]), vec!["Host"]),
        ] {
            let mut flow = http("/", &[("Host", "a"), ("Cookie", "b")]);
            config.apply(&mut flow);
            let Some(L7Record::Http(http)) = flow.l7.map(|l7| l7.record) else { panic!() };
            let shown = http.headers.iter().filter(|(_, v)| v != REDACTED).map(|(k, _)| k.as_str());
            assert_eq!(shown.collect::<Vec<_>>(), kept, "{config:?}");
        }
    }

    #[test]
    fn kafka_keys() {
        // A key that is missing is told no more than one that is there.
        for (api_key, summary) in [
            ("produce", "Kafka request produce correlation id 42 topic 'produce '"),
            ("request", "Kafka request request correlation id 42 topic 'produce '"),
            ("", "Kafka request  correlation id 42 topic 'produce '"),
        ] {
            let kafka = Kafka { api_key: api_key.to_owned(), ..Kafka::default() };
            let l7 = L7 { record: L7Record::Kafka(kafka), ..L7::default() };
            let mut flow = Flow { l7: Some(Box::new(l7)), summary: summary.to_owned(), ..Flow::default() };
            RedactConfig { enabled: true, kafka_api_key: true, ..RedactConfig::default() }.apply(&mut flow);
            assert_eq!(flow.summary, "Kafka request HUBBLE_REDACTED correlation id 42 topic 'produce '");
        }
    }
}
