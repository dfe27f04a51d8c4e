//! Conditions as two filters, one for each side a condition on "either side" may be met by.

use super::conflict;
use super::{SelectionError, names, value};
use crate::filter::FlowFilter;
use crate::{DropReason, Interface, IpVersion, Verdict};

/// What one list (white or black) says so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Sides {
    /// The filter where the source meets the conditions on either side.
    left: FlowFilter,
    /// The filter where the destination does.
    right: FlowFilter,
    /// Namespaces for either side, the source, the destination; applied to pods and services at the end.
    namespaces: [Vec<String>; 3],
    /// Names of the conditions in use.
    in_use: Vec<&'static str>,
}

/// Which side a condition speaks of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    Either,
    From,
    To,
}

impl Sides {
    /// Adds one value of a condition.
    pub(super) fn set(&mut self, name: &'static str, value: &str) -> Result<(), SelectionError> {
        if names::is_switch(name) && !value::switch(name, value)? {
            return Ok(());
        }
        if !self.in_use.contains(&name) {
            self.in_use.push(name);
            conflict::check(&self.in_use)?;
        }
        if !self.set_sided(name, value)? {
            self.set_plain(name, value)?;
        }
        self.check_namespaces()
    }

    /// Conditions that speak of a side; false for any other.
    fn set_sided(&mut self, name: &'static str, value: &str) -> Result<bool, SelectionError> {
        let (scope, base) = match (name.strip_prefix("from-"), name.strip_prefix("to-")) {
            (Some(base), _) => (Scope::From, base),
            (_, Some(base)) => (Scope::To, base),
            _ => (Scope::Either, name),
        };
        let text = || value.to_owned();
        match base {
            "pod" => self.push(scope, text(), |f| &mut f.source_pod, |f| &mut f.destination_pod),
            "service" => self.push(scope, text(), |f| &mut f.source_service, |f| &mut f.destination_service),
            "label" => self.push(scope, text(), |f| &mut f.source_label, |f| &mut f.destination_label),
            "ip" => self.push(scope, text(), |f| &mut f.source_ip, |f| &mut f.destination_ip),
            "fqdn" => self.push(scope, text(), |f| &mut f.source_fqdn, |f| &mut f.destination_fqdn),
            "port" => self.push(scope, text(), |f| &mut f.source_port, |f| &mut f.destination_port),
            "cluster" => {
                self.push(scope, text(), |f| &mut f.source_cluster_name, |f| &mut f.destination_cluster_name);
            }
            "workload" => {
                let workload = value::workload(value);
                self.push(scope, workload, |f| &mut f.source_workload, |f| &mut f.destination_workload);
            }
            "identity" => {
                let identity = value::identity(value)?;
                self.push(scope, identity, |f| &mut f.source_identity, |f| &mut f.destination_identity);
            }
            "namespace" => self.namespaces[scope as usize].push(text()),
            "all-namespaces" => self.namespaces[scope as usize].push(String::new()),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn push<T: Clone>(
        &mut self,
        scope: Scope,
        value: T,
        source: impl Fn(&mut FlowFilter) -> &mut Vec<T>,
        destination: impl Fn(&mut FlowFilter) -> &mut Vec<T>,
    ) {
        if scope == Scope::To {
            destination(&mut self.left).push(value.clone());
        } else {
            source(&mut self.left).push(value.clone());
        }
        if scope == Scope::From {
            source(&mut self.right).push(value);
        } else {
            destination(&mut self.right).push(value);
        }
    }

    /// Conditions on the flow itself.
    fn set_plain(&mut self, name: &'static str, value: &str) -> Result<(), SelectionError> {
        let text = || value.to_owned();
        let bad = || SelectionError::Value { name, value: text() };
        match name {
            "snat-ip" => self.both(text(), |f| &mut f.source_ip_xlated),
            "node-name" => self.both(text(), |f| &mut f.node_name),
            "node-label" => self.both(text(), |f| &mut f.node_labels),
            "interface" => self.both(Interface { index: 0, name: value.into() }, |f| &mut f.interface),
            "protocol" => self.both(text(), |f| &mut f.protocol),
            "tcp-flags" => self.both(value::tcp_flags(value)?, |f| &mut f.tcp_flags),
            "type" => self.both(value::event_type(value)?, |f| &mut f.event_type),
            "verdict" => self.both(Verdict::from_name(value).ok_or_else(bad)?, |f| &mut f.verdict),
            "drop-reason-desc" => {
                self.both(DropReason::from_name(value).ok_or_else(bad)?, |f| &mut f.drop_reason);
            }
            "traffic-direction" => self.both(value::direction(value)?, |f| &mut f.traffic_direction),
            "reply" => self.both(value.parse().map_err(|_| bad())?, |f| &mut f.reply),
            "http-status" => self.both(text(), |f| &mut f.http_status_code),
            "http-method" => self.both(text(), |f| &mut f.http_method),
            "http-path" => self.both(text(), |f| &mut f.http_path),
            "http-url" => self.both(text(), |f| &mut f.http_url),
            "http-header" => self.both(value::header(value)?, |f| &mut f.http_header),
            "dns-query" => self.both(text(), |f| &mut f.dns_query),
            "trace-id" => self.both(text(), |f| &mut f.trace_id),
            "ip-trace-id" => self.both(value::ip_trace_id(value)?, |f| &mut f.ip_trace_id),
            "ip-version" => self.both(value::ip_version(value)?, |f| &mut f.ip_version),
            "ipv4" => self.both(IpVersion::IPv4, |f| &mut f.ip_version),
            "ipv6" => self.both(IpVersion::IPv6, |f| &mut f.ip_version),
            "encrypted" => self.both(true, |f| &mut f.encrypted),
            "unencrypted" => self.both(false, |f| &mut f.encrypted),
            "uuid" => self.both(text(), |f| &mut f.uuid),
            "cel-expression" => self.both(text(), |f| &mut f.cel_expression),
            _ => return Err(SelectionError::UnknownName { name: name.to_owned() }),
        }
        Ok(())
    }

    fn both<T: Clone>(&mut self, value: T, field: impl Fn(&mut FlowFilter) -> &mut Vec<T>) {
        field(&mut self.left).push(value.clone());
        field(&mut self.right).push(value);
    }

    fn check_namespaces(&self) -> Result<(), SelectionError> {
        let [either, from, to] = &self.namespaces;
        for f in [&self.left, &self.right] {
            let sources = [&f.source_pod, &f.source_service];
            let destinations = [&f.destination_pod, &f.destination_service];
            let named = [(either, sources), (either, destinations), (from, sources), (to, destinations)];
            // All that is wrong with a filter is told at once.
            let problems = named
                .into_iter()
                .flat_map(|(namespaces, names)| names.map(|names| conflict::check_namespaces(namespaces, names)))
                .chain(
                    [sources, destinations].map(|[pods, services]| conflict::check_pods_and_services(pods, services)),
                )
                .filter_map(Result::err);
            let all = problems.reduce(|first, more| SelectionError::Several { first: first.into(), more: more.into() });
            if let Some(problem) = all {
                return Err(problem);
            }
        }
        Ok(())
    }

    /// No filter, one, or two where the sides differ.
    pub(super) fn filters(mut self) -> Vec<FlowFilter> {
        if self.in_use.is_empty() {
            return Vec::new();
        }
        let [either, from, to] = &self.namespaces;
        for f in [&mut self.left, &mut self.right] {
            place(to, &mut f.destination_pod, &mut f.destination_service);
            place(from, &mut f.source_pod, &mut f.source_service);
        }
        place(either, &mut self.left.source_pod, &mut self.left.source_service);
        place(either, &mut self.right.destination_pod, &mut self.right.destination_service);
        if self.left == self.right { vec![self.left] } else { vec![self.left, self.right] }
    }
}

/// Puts the namespaces before pods and services that name none; where there are neither, any pod of them is meant.
fn place(namespaces: &[String], pods: &mut Vec<String>, services: &mut Vec<String>) {
    if namespaces.is_empty() {
        return;
    }
    if pods.is_empty() && services.is_empty() {
        pods.push(String::new());
    }
    for names in [pods, services] {
        *names = std::mem::take(names)
            .into_iter()
            .flat_map(|name| match name.contains('/') {
                true => vec![name],
                false => namespaces.iter().map(|namespace| format!("{namespace}/{name}")).collect(),
            })
            .collect();
    }
}
