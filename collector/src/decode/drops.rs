//! Why the kernel dropped a packet: its own reason, and the nearest in Hubble's numbering.

use std::sync::Arc;

use flow::{DropReason, KernelDrop};

use crate::source::KernelNames;

/// Hubble's reason for each of the kernel's that has a counterpart. Names are those of `enum skb_drop_reason` without
/// the prefix, because the numbers differ from kernel to kernel. Source: `include/net/dropreason-core.h`.
const COUNTERPARTS: [(&str, DropReason); 30] = [
    ("NETFILTER_DROP", DropReason::POLICY_DENIED),
    ("BPF_CGROUP_EGRESS", DropReason::POLICY_DENIED),
    ("SECURITY_HOOK", DropReason::POLICY_DENIED),
    ("XFRM_POLICY", DropReason::POLICY_DENIED),
    ("MAC_INVALID_SOURCE", DropReason::INVALID_SOURCE_MAC),
    ("OTHERHOST", DropReason::INVALID_DESTINATION_MAC),
    ("IP_RPFILTER", DropReason::INVALID_SOURCE_IP),
    ("IP_INVALID_SOURCE", DropReason::INVALID_SOURCE_IP),
    ("IP_LOCAL_SOURCE", DropReason::INVALID_SOURCE_IP),
    ("IP_INHDR", DropReason::INVALID_PACKET_DROPPED),
    ("PKT_TOO_SMALL", DropReason::INVALID_PACKET_DROPPED),
    ("HDR_TRUNC", DropReason::INVALID_PACKET_DROPPED),
    ("IP_NOPROTO", DropReason::UNKNOWN_L4_PROTOCOL),
    ("INVALID_PROTO", DropReason::UNKNOWN_L4_PROTOCOL),
    ("UNHANDLED_PROTO", DropReason::UNSUPPORTED_L3_PROTOCOL),
    ("IP_INVALID_DEST", DropReason::UNKNOWN_L3_TARGET_ADDRESS),
    ("IP_INADDRERRORS", DropReason::STALE_OR_UNROUTABLE_IP),
    ("IP_INNOROUTES", DropReason::FIB_LOOKUP_FAILED),
    ("IP_OUTNOROUTES", DropReason::FIB_LOOKUP_FAILED),
    ("IPV6_BAD_EXTHDR", DropReason::INVALID_IPV6_EXTENSION_HEADER),
    ("IPV6DISABLED", DropReason::UNSUPPORTED_L3_PROTOCOL),
    ("NO_SOCKET", DropReason::SOCKET_LOOKUP_FAILED),
    ("FRAG_REASM_TIMEOUT", DropReason::FIRST_LOGICAL_DATAGRAM_FRAGMENT_NOT_FOUND),
    ("VXLAN_VNI_NOT_FOUND", DropReason::INVALID_VNI),
    ("NO_TX_TARGET", DropReason::NO_TUNNEL_OR_ENCAPSULATION_ENDPOINT),
    ("TUNNEL_TXINFO", DropReason::NO_TUNNEL_OR_ENCAPSULATION_ENDPOINT),
    ("QDISC_DROP", DropReason::DROP_RATE_LIMITED),
    ("QDISC_OVERLIMIT", DropReason::DROP_RATE_LIMITED),
    ("FQ_HORIZON_LIMIT", DropReason::REACHED_EDT_RATE_LIMITING_DROP_HORIZON),
    ("DEV_READY", DropReason::DROP_EP_NOT_READY),
];

/// Hubble's reason for one of the kernel's. `ttl` is the packet's time to live, which tells an expired packet from a
/// damaged one: the kernel names both `IP_INHDR`.
pub(crate) fn counterpart(kernel_reason: &str, ttl: u8) -> DropReason {
    if kernel_reason == "IP_INHDR" && ttl <= 1 {
        return DropReason::TTL_EXCEEDED;
    }
    let found = COUNTERPARTS.iter().find(|(name, _)| *name == kernel_reason);
    found.map_or(DropReason::DROP_REASON_UNKNOWN, |(_, reason)| *reason)
}

/// The kernel's account of a drop in names. A reason without a name is shown by its number.
pub(crate) fn kernel_drop(names: Option<&dyn KernelNames>, reason: u32, location: u64, netns: String) -> KernelDrop {
    let text = |name: Option<Arc<str>>| name.map(|name| name.to_string());
    KernelDrop {
        reason: text(names.and_then(|n| n.drop_reason(reason))).unwrap_or_else(|| format!("REASON_{reason}")),
        function: text(names.and_then(|n| n.function(location))).unwrap_or_default(),
        netns,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_have_counterparts_where_hubble_has_one() {
        assert_eq!(counterpart("NETFILTER_DROP", 64), DropReason::POLICY_DENIED);
        assert_eq!(counterpart("IP_INHDR", 1), DropReason::TTL_EXCEEDED);
        assert_eq!(counterpart("IP_INHDR", 64), DropReason::INVALID_PACKET_DROPPED);
        assert_eq!(counterpart("TCP_OLD_DATA", 64), DropReason::DROP_REASON_UNKNOWN);
    }

    #[test]
    fn names_that_are_hidden_leave_the_number() {
        struct Names;
        impl KernelNames for Names {
            fn drop_reason(&self, reason: u32) -> Option<Arc<str>> {
                (reason == 8).then(|| "NETFILTER_DROP".into())
            }
            fn function(&self, _: u64) -> Option<Arc<str>> {
                Some("nf_hook_slow".into())
            }
        }
        let known = kernel_drop(Some(&Names), 8, 1, "web".to_owned());
        assert_eq!(
            (known.reason.as_str(), known.function.as_str(), known.netns.as_str()),
            ("NETFILTER_DROP", "nf_hook_slow", "web")
        );
        assert_eq!(kernel_drop(None, 77, 1, String::new()).reason, "REASON_77");
    }
}
