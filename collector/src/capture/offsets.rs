//! Where the running kernel keeps what the programs read.

use ebpf_abi::{MISSING, Offsets};

use super::btf::Btf;

/// Names of the registers that hold a system call, as BTF has them, with the bytes to add to the first.
#[cfg(target_arch = "x86_64")]
const REGISTERS: [(&str, u32); 3] = [("orig_ax", 0), ("si", 0), ("dx", 0)];
#[cfg(target_arch = "aarch64")]
const REGISTERS: [(&str, u32); 3] = [("syscallno", 0), ("regs", 8), ("regs", 16)];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const REGISTERS: [(&str, u32); 3] = [("", 0), ("", 0), ("", 0)];

/// Offsets of a kernel, and what it does not have.
#[derive(Debug)]
pub(super) struct Found {
    /// To be frozen into the programs; a field the kernel lacks is [`MISSING`], which reads as 0 there.
    pub(super) offsets: Offsets,
    /// Fields that were not found, as `structure.field`.
    pub(super) missing: Vec<String>,
}

/// Looks every field up.
pub(super) fn find(btf: &Btf) -> Found {
    let mut missing = Vec::new();
    let mut at = |structure: &str, path: &str| {
        btf.offset(structure, path).unwrap_or_else(|| {
            missing.push(format!("{structure}.{path}"));
            MISSING
        })
    };
    let [syscall, arg1, arg2] = REGISTERS.map(|(name, add)| at("pt_regs", name).saturating_add(add));
    let offsets = Offsets {
        skc_daddr: at("sock_common", "skc_daddr"),
        skc_rcv_saddr: at("sock_common", "skc_rcv_saddr"),
        skc_dport_be: at("sock_common", "skc_dport"),
        skc_num: at("sock_common", "skc_num"),
        skc_family: at("sock_common", "skc_family"),
        skc_state: at("sock_common", "skc_state"),
        skc_cookie: at("sock_common", "skc_cookie"),
        skc_net: at("sock_common", "skc_net.net"),
        skc_v6_daddr: at("sock_common", "skc_v6_daddr"),
        skc_v6_rcv_saddr: at("sock_common", "skc_v6_rcv_saddr"),
        sk_protocol: at("sock", "sk_protocol"),
        sk_uid: at("sock", "sk_uid"),
        inet_sport_be: at("inet_sock", "inet_sport"),
        net_cookie: at("net", "net_cookie"),
        skb_head: at("sk_buff", "head"),
        skb_network_header: at("sk_buff", "network_header"),
        skb_len: at("sk_buff", "len"),
        skb_dev: at("sk_buff", "dev"),
        skb_sk: at("sk_buff", "sk"),
        dev_ifindex: at("net_device", "ifindex"),
        dev_net: at("net_device", "nd_net.net"),
        tcp_srtt: at("tcp_sock", "srtt_us"),
        tcp_retrans: at("tcp_sock", "total_retrans"),
        tcp_acked: at("tcp_sock", "bytes_acked"),
        tcp_received: at("tcp_sock", "bytes_received"),
        task_tgid: at("task_struct", "tgid"),
        task_comm: at("task_struct", "comm"),
        task_parent: at("task_struct", "real_parent"),
        task_exit_code: at("task_struct", "exit_code"),
        task_nsproxy: at("task_struct", "nsproxy"),
        nsproxy_net: at("nsproxy", "net_ns"),
        task_cgroups: at("task_struct", "cgroups"),
        css_cgroup: at("css_set", "dfl_cgrp"),
        cgroup_kn: at("cgroup", "kn"),
        kn_id: at("kernfs_node", "id"),
        socket_sk: at("socket", "sk"),
        bprm_filename: at("linux_binprm", "filename"),
        regs_syscall: syscall,
        regs_arg1: arg1,
        regs_arg2: arg2,
    };
    Found { offsets, missing }
}
