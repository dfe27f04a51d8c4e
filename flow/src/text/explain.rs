//! Drop reasons explained.

/// What a drop reason (the kernel's name without its prefix, or Hubble's) means and what to check, in plain words;
/// empty where there is nothing to say.
#[must_use]
pub fn explain_drop(reason: &str) -> &'static str {
    match EXPLANATIONS.binary_search_by_key(&reason, |(name, _)| name) {
        Ok(at) => EXPLANATIONS[at].1,
        Err(_) => "",
    }
}

/// By name, in order. Kernel names are those of `enum skb_drop_reason` in `include/net/dropreason-core.h`.
#[rustfmt::skip]
const EXPLANATIONS: [(&str, &str); 66] = [
    ("AUTH_REQUIRED", "A policy asks for mutual authentication and there is none yet for this pair. Normal for the first packets; if it lasts, check the SPIRE server and agent."),
    ("BPF_CGROUP_EGRESS", "A BPF program on the sender's cgroup refused the packet. Look at systemd's IPAddressDeny= of the unit and at `bpftool cgroup tree`."),
    ("CPU_BACKLOG", "The processor's queue of received packets was full. Raise net.core.netdev_max_backlog or spread the load over more processors (RPS, RSS)."),
    ("CT_MAP_INSERTION_FAILED", "Cilium's connection table is full. Raise bpf-ct-global-*-max or find who opens so many connections."),
    ("DEV_HDR", "The packet could not be read at the driver's entry: its link header is damaged or missing."),
    ("DEV_READY", "The device was down or had no carrier. Check `ip link`."),
    ("DUP_FRAG", "A fragment arrived twice. Harmless when rare; otherwise look for a loop or a duplicating path."),
    ("FIB_LOOKUP_FAILED", "No route or no neighbour was found for the destination. Check `ip route get` and `ip neigh` on the node."),
    ("FRAG_REASM_TIMEOUT", "Not all fragments of a packet arrived in time. Some were lost on the way: check the MTU along the path."),
    ("FULL_RING", "The queue of a tun, tap or veth device was full: the reader is too slow for the traffic."),
    ("HDR_TRUNC", "The packet is shorter than its headers say. The sender or a device on the way cuts packets off."),
    ("ICMP_CSUM", "An ICMP message has a wrong checksum: it was damaged on the way, or an offload is broken."),
    ("INVALID_PROTO", "The packet is of a protocol that its socket or tunnel does not take."),
    ("INVALID_SOURCE_IP", "The sender used an address that is not its own. Normal for IPv6 router solicitations; otherwise the pod spoofs or is misconfigured."),
    ("IPV6DISABLED", "IPv6 is switched off on this device. Set net.ipv6.conf.<device>.disable_ipv6=0, or do not publish IPv6 addresses."),
    ("IP_CSUM", "The IP header has a wrong checksum: damaged on the way, or an offload is broken."),
    ("IP_INADDRERRORS", "The packet is for an address that is neither local nor may be forwarded. Check whether forwarding is on (net.ipv4.ip_forward) and the destination address."),
    ("IP_INHDR", "The IP header is malformed: wrong version, length or options."),
    ("IP_INNOROUTES", "There is no route for the received packet. Check `ip route get <destination> from <source> iif <device>` on the node that dropped it."),
    ("IP_NOPROTO", "Nobody on this machine handles this IP protocol."),
    ("IP_OUTNOROUTES", "There is no route to the destination. Check `ip route get <destination>` where the packet was sent."),
    ("IP_RPFILTER", "The reply to the source address would leave through another device, so the packet is taken for spoofed. Check asymmetric routes and net.ipv4.conf.*.rp_filter."),
    ("MISSED_TAIL_CALL", "A part of Cilium's datapath was not loaded. It happens for moments while the agent restarts; if it lasts, restart the agent."),
    ("NEIGH_CREATEFAIL", "No entry could be made in the neighbour (ARP) table: it is full. Raise net.ipv4.neigh.default.gc_thresh1..3."),
    ("NEIGH_DEAD", "The neighbour's entry was being removed while the packet was sent. Harmless when rare."),
    ("NEIGH_FAILED", "The next hop did not answer ARP or neighbour discovery. It is down, in another network, or filtered: check `ip neigh`."),
    ("NEIGH_QUEUEFULL", "Too many packets waited for the next hop to answer ARP or neighbour discovery. It is slow or down: check `ip neigh`."),
    ("NETFILTER_DROP", "A firewall rule (nftables or iptables) dropped the packet. Look at the rules of the namespace named here with `nft list ruleset` or `iptables-save -c`; counters show which one."),
    ("NOMEM", "The kernel had no memory for the packet. Check memory pressure on the node."),
    ("NOT_SPECIFIED", "The kernel gave no reason. The function that dropped the packet tells where to look."),
    ("NO_SOCKET", "Nothing listens on this address and port. The service is down, listens elsewhere, or the port is wrong: check `ss -ltnup` there."),
    ("NO_TUNNEL_OR_ENCAPSULATION_ENDPOINT", "Cilium knows no tunnel endpoint for the destination. The node list may be stale: check `cilium status` on both nodes."),
    ("OTHERHOST", "The packet is addressed to another machine's MAC address. Normal on bridges and promiscuous devices; otherwise a neighbour entry is stale."),
    ("PKT_TOO_BIG", "The packet is larger than the device's MTU and must not be fragmented. Check MTUs along the path and that ICMP \"fragmentation needed\" passes."),
    ("PKT_TOO_SMALL", "The packet is shorter than its protocol allows."),
    ("POLICY_DENIED", "No policy allows this connection (or a firewall rule forbids it). If it should pass, allow it in a policy of the side that dropped it."),
    ("POLICY_DENY", "A policy denies this connection explicitly. Deny rules win over allow rules."),
    ("PROTO_MEM", "The protocol's memory limit is reached. Check net.ipv4.tcp_mem or udp_mem and who holds so much buffered data."),
    ("QDISC_DROP", "The device's queue was full or its traffic shaper dropped the packet. Check `tc -s qdisc`; the link is overloaded or limited."),
    ("QUEUE_PURGE", "The queue was thrown away with its device or socket. Normal when they are removed."),
    ("SERVICE_BACKEND_NOT_FOUND", "The service has no backend that is ready. Check its endpoints and their readiness."),
    ("SKB_CSUM", "The checksum of the packet is wrong: damaged on the way, or an offload is broken."),
    ("SKB_GSO_SEG", "A large packet could not be cut into segments: a driver or offload problem. Try switching GSO or TSO off."),
    ("SOCKET_BACKLOG", "The socket was busy and its backlog was full: the program reads too slowly. Raise its receive buffer or net.core.rmem_max."),
    ("SOCKET_FILTER", "A BPF filter that the program put on its own socket refused the packet. Usually on purpose."),
    ("SOCKET_RCVBUFF", "The socket's receive buffer was full: the program reads too slowly. Raise its buffer (SO_RCVBUF, net.core.rmem_max) or make it faster."),
    ("STALE_OR_UNROUTABLE_IP", "The address belongs to a pod that is gone. Clients hold on to an old address: check their DNS and connection pools."),
    ("TCP_ABORT_ON_DATA", "Data arrived after the program had closed the connection, so it was reset. The client still sends when the server has hung up."),
    ("TCP_CLOSE", "A segment arrived for a connection that is already closed. Harmless when rare."),
    ("TCP_CSUM", "The TCP checksum is wrong: damaged on the way, or an offload is broken."),
    ("TCP_FLAGS", "The TCP flags make no sense in this state, such as a SYN in the middle of a connection. A scan, or a middlebox that has lost its state."),
    ("TCP_INVALID_ACK_SEQUENCE", "The segment acknowledges what was never sent. Mostly left over from an older connection on the same ports."),
    ("TCP_INVALID_SEQUENCE", "The sequence number is outside of the window. Late repeats, or a middlebox that rewrites numbers."),
    ("TCP_OFOMERGE", "The out-of-order segment was already there. A harmless repeat after loss."),
    ("TCP_OLD_ACK", "The acknowledgment is older than what is known. Harmless: packets overtook each other."),
    ("TCP_OLD_DATA", "The data had already arrived. A harmless repeat; many of them mean lost acknowledgments or a too eager sender."),
    ("TCP_OVERWINDOW", "The sender sent more than the receiver had room for. The receiving program reads too slowly, or the sender ignores the window."),
    ("TCP_RESET", "The connection was reset by the other side."),
    ("TCP_RFC7323_PAWS", "The segment's timestamp is older than one seen before. Late repeats, or several clients behind one address without timestamps in step."),
    ("TCP_ZEROWINDOW", "The receiver had closed its window. The receiving program reads too slowly."),
    ("TC_EGRESS", "A traffic control filter (often a BPF program) dropped the packet on its way out. Check `tc filter show dev <device> egress` and `bpftool net`."),
    ("TC_INGRESS", "A traffic control filter (often a BPF program) dropped the packet on its way in. Check `tc filter show dev <device> ingress` and `bpftool net`."),
    ("UDP_CSUM", "The UDP checksum is wrong: damaged on the way, or an offload is broken."),
    ("UNHANDLED_PROTO", "Nothing on this machine handles this link protocol, such as LLDP or a VLAN without a device. Usually harmless."),
    ("XDP", "An XDP program dropped the packet at the driver. Check `bpftool net` for what is attached."),
    ("XFRM_POLICY", "An IPsec policy forbids the packet: it should have been encrypted, or the other way round. Check `ip xfrm policy`."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_order_and_texts_are_sentences() {
        assert!(EXPLANATIONS.is_sorted_by(|a, b| a.0 < b.0));
        for (name, text) in EXPLANATIONS {
            assert_eq!(explain_drop(name), text);
            assert!(text.ends_with('.') && text.starts_with(|c: char| c.is_uppercase()), "{name}");
        }
        assert_eq!(explain_drop("NO_SUCH_REASON"), "");
    }
}
