//! TCP flags, ICMP messages, destination ports, and what leaves for the world.

use flow::{DropReason, Flow, IpVersion, L4, TcpFlags, Verdict};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

use super::Protocol;
use crate::config::FlowsToWorld;
use crate::metrics::series::Series;

/// Flags and pairs of flags that are counted, and what they are called.
const TCP_SIGNS: [(&str, TcpFlags, TcpFlags); 4] = [
    ("FIN", TcpFlags::FIN, TcpFlags(0)),
    ("SYN-ACK", TcpFlags(TcpFlags::SYN.0 | TcpFlags::ACK.0), TcpFlags(0)),
    ("SYN", TcpFlags::SYN, TcpFlags::ACK),
    ("RST", TcpFlags::RST, TcpFlags(0)),
];

/// Labels by which an endpoint is the world.
const WORLD: [&str; 3] = ["reserved:world", "reserved:world-ipv4", "reserved:world-ipv6"];

/// Flows by what their packets are.
#[derive(Debug)]
pub(super) struct Networks {
    tcp_flags: Series<(&'static str, IpVersion), Counter, 2>,
    icmp: Series<(IpVersion, u8, u8), Counter, 2>,
    ports: Series<(Protocol, u16), Counter, 2>,
    world: World,
    rules: FlowsToWorld,
}

/// With or without the label `port`.
#[derive(Debug)]
enum World {
    Plain(Series<(Protocol, Verdict), Counter, 2>),
    ByPort(Series<(Protocol, Verdict, u16), Counter, 3>),
}

impl Networks {
    pub(super) fn new(r: &mut Registry, rules: &FlowsToWorld, max: usize) -> Self {
        let ports = ["protocol", "port"];
        Self {
            tcp_flags: Series::counter(r, "hubble_tcp_flags", "TCP flags seen", ["flag", "family"], max),
            icmp: Series::counter(r, "hubble_icmp", "ICMP messages", ["family", "type"], max),
            ports: Series::counter(r, "hubble_port_distribution", "Flows by destination port", ports, max),
            world: World::new(r, rules.port, max),
            rules: rules.clone(),
        }
    }

    pub(super) fn count(&mut self, flow: &Flow) {
        let Some(l4) = &flow.l4 else { return };
        if self.rules.count(flow, l4) {
            self.world.count(flow.verdict, l4);
        }
        let Some(ip) = &flow.ip else { return };
        let version = ip.version();
        if let L4::Icmpv4 { kind, code } | L4::Icmpv6 { kind, code } = *l4 {
            // The observer's text ends with the name of the message.
            let name = || flow.summary.split(' ').nth(1).unwrap_or_default().to_owned();
            self.icmp.of((version, kind, code), || [version.to_string(), name()]).inc();
        }
        if !matches!(flow.verdict, Verdict::FORWARDED | Verdict::REDIRECTED) {
            return;
        }
        if let Some(flags) = l4.tcp_flags().filter(|flags| flags.0 != 0) {
            for (name, set, clear) in TCP_SIGNS {
                if flags.contains(set) && flags.0 & clear.0 == 0 {
                    self.tcp_flags.of((name, version), || [name.to_owned(), version.to_string()]).inc();
                }
            }
        }
        // Where nobody knows whether it is a reply, its destination may be the port of a client.
        if flow.is_reply == Some(false) {
            let (protocol, port) = destination(l4);
            self.ports.of((protocol, port), || [protocol.0.to_owned(), port.to_string()]).inc();
        }
    }
}

impl World {
    fn new(r: &mut Registry, by_port: bool, max: usize) -> Self {
        let (name, help) = ("hubble_flows_to_world", "Flows whose destination is outside");
        if by_port {
            return Self::ByPort(Series::counter(r, name, help, ["protocol", "verdict", "port"], max));
        }
        Self::Plain(Series::counter(r, name, help, ["protocol", "verdict"], max))
    }

    fn count(&mut self, verdict: Verdict, l4: &L4) {
        let (protocol, port) = destination(l4);
        let names = || (protocol.0.to_owned(), verdict.to_string());
        match self {
            Self::Plain(series) => series.of((protocol, verdict), || <[String; 2]>::from(names())).inc(),
            Self::ByPort(series) => {
                let labels = || {
                    let (protocol, verdict) = names();
                    [protocol, verdict, port.to_string()]
                };
                series.of((protocol, verdict, port), labels).inc()
            }
        };
    }
}

impl FlowsToWorld {
    /// Whether a flow counts as one to the world.
    fn count(&self, flow: &Flow, l4: &L4) -> bool {
        let is_world = |label: &String| WORLD.contains(&label.as_str());
        if flow.event_type.is_none() || !flow.destination.as_ref().is_some_and(|to| to.labels.iter().any(is_world)) {
            return false;
        }
        let (dropped, reply) = (flow.verdict == Verdict::DROPPED, flow.is_reply == Some(true));
        if dropped && !self.any_drop && flow.drop_reason != DropReason::POLICY_DENIED {
            return false;
        }
        // The destination of a reply is the port of a client.
        if !dropped && reply {
            return false;
        }
        let is_syn = || l4.tcp_flags().is_some_and(|flags| flags.contains(TcpFlags::SYN));
        !self.syn_only || (is_syn() && !reply)
    }
}

/// Protocol and destination port; protocols without ports have 0.
fn destination(l4: &L4) -> (Protocol, u16) {
    (Protocol(l4.protocol()), l4.ports().unwrap_or_default().1)
}
