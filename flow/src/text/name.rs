//! Names of the two sides.

use std::borrow::Cow;

use crate::{Flow, Side};

/// Whether addresses are shown by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Names {
    /// Pod, service, DNS name, else the address.
    #[default]
    Resolved,
    /// The address only.
    Numeric,
}

/// Name of one side, with its port. Its text form is `name:port`, with IPv6 addresses in brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name<'a> {
    /// `namespace/pod`, `namespace/service`, DNS names joined by commas, address, or MAC address; empty where nothing
    /// is known.
    pub host: Cow<'a, str>,
    /// Port, 0 for none.
    pub port: u16,
}

impl std::fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.port {
            0 => f.write_str(&self.host),
            port if self.host.contains(':') => write!(f, "[{}]:{port}", self.host),
            port => write!(f, "{}:{port}", self.host),
        }
    }
}

/// Name of one side as compact output shows it. What is not IP has MAC addresses for names.
#[must_use]
pub fn name_of(flow: &Flow, side: Side, names: Names) -> Name<'_> {
    let Some(ip) = &flow.ip else {
        let host = flow.ethernet.map_or(String::new(), |e| side.of(&e.source, &e.destination).to_string());
        return Name { host: Cow::Owned(host), port: 0 };
    };
    let port = flow.l4.and_then(|l4| l4.ports()).map_or(0, |(source, destination)| *side.of(&source, &destination));
    let resolved = if names == Names::Resolved { resolved(flow, side) } else { None };
    let host = resolved.unwrap_or_else(|| Cow::Owned(side.of(&ip.source, &ip.destination).to_string()));
    Name { host, port }
}

/// Pod before service before DNS names. The namespace is that of the service where there is one, as in Hubble.
fn resolved(flow: &Flow, side: Side) -> Option<Cow<'_, str>> {
    let endpoint = flow.endpoint(side);
    let service = side.of(&flow.source_service, &flow.destination_service).as_deref();
    let namespace = service.map(|s| &s.namespace).or(endpoint.map(|e| &e.namespace)).map_or("", String::as_str);
    let pod = endpoint.map_or("", |e| e.pod_name.as_str());
    let name = if pod.is_empty() { service.map_or("", |s| s.name.as_str()) } else { pod };
    if !name.is_empty() {
        let bare = namespace.is_empty();
        return Some(if bare { Cow::Borrowed(name) } else { Cow::Owned(format!("{namespace}/{name}")) });
    }
    match side.of(&flow.source_names, &flow.destination_names).as_slice() {
        [] => None,
        [one] => Some(Cow::Borrowed(one)),
        many => Some(Cow::Owned(many.join(","))),
    }
}
