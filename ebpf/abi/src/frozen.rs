//! What the loader tells the programs: offsets and settings frozen at load, and the few values that change later.

use crate::abi_struct;

/// Offset of a field the running kernel does not have.
pub const MISSING: u32 = u32::MAX;

/// Bits of [`Settings::features`].
pub mod feature {
    /// `bpf_get_netns_cookie` may be called from a link program.
    pub const NETNS_COOKIE: u32 = 1;
    /// Datagrams of port 53 are sent as records.
    pub const DNS: u32 = 2;
    /// Payload of TCP sockets is captured.
    pub const PAYLOAD: u32 = 4;
    /// `bpf_ktime_get_coarse_ns` may be called from a link program.
    pub const COARSE_CLOCK: u32 = 8;
}

abi_struct! { 160,
    /// Byte offsets in structures of the running kernel, or [`MISSING`]; named structure by structure.
    pub struct Offsets {
        /// `sock_common.skc_daddr`.
        pub skc_daddr: u32,
        /// `sock_common.skc_rcv_saddr`.
        pub skc_rcv_saddr: u32,
        /// `sock_common.skc_dport`, network byte order.
        pub skc_dport_be: u32,
        /// `sock_common.skc_num`.
        pub skc_num: u32,
        /// `sock_common.skc_family`.
        pub skc_family: u32,
        /// `sock_common.skc_state`.
        pub skc_state: u32,
        /// `sock_common.skc_cookie`.
        pub skc_cookie: u32,
        /// `sock_common.skc_net.net`.
        pub skc_net: u32,
        /// `sock_common.skc_v6_daddr`.
        pub skc_v6_daddr: u32,
        /// `sock_common.skc_v6_rcv_saddr`.
        pub skc_v6_rcv_saddr: u32,
        /// `sock.sk_protocol`.
        pub sk_protocol: u32,
        /// `sock.sk_uid`.
        pub sk_uid: u32,
        /// `inet_sock.inet_sport`, network byte order; survives the unhashing that clears `skc_num`.
        pub inet_sport_be: u32,
        /// `net.net_cookie`.
        pub net_cookie: u32,
        /// `sk_buff.head`.
        pub skb_head: u32,
        /// `sk_buff.network_header`.
        pub skb_network_header: u32,
        /// `sk_buff.len`.
        pub skb_len: u32,
        /// `sk_buff.dev`.
        pub skb_dev: u32,
        /// `sk_buff.sk`.
        pub skb_sk: u32,
        /// `net_device.ifindex`.
        pub dev_ifindex: u32,
        /// `net_device.nd_net.net`.
        pub dev_net: u32,
        /// `tcp_sock.srtt_us`, in eighths of a microsecond.
        pub tcp_srtt: u32,
        /// `tcp_sock.total_retrans`.
        pub tcp_retrans: u32,
        /// `tcp_sock.bytes_acked`.
        pub tcp_acked: u32,
        /// `tcp_sock.bytes_received`.
        pub tcp_received: u32,
        /// `task_struct.tgid`.
        pub task_tgid: u32,
        /// `task_struct.comm`.
        pub task_comm: u32,
        /// `task_struct.real_parent`.
        pub task_parent: u32,
        /// `task_struct.exit_code`.
        pub task_exit_code: u32,
        /// `task_struct.nsproxy`.
        pub task_nsproxy: u32,
        /// `nsproxy.net_ns`.
        pub nsproxy_net: u32,
        /// `task_struct.cgroups`.
        pub task_cgroups: u32,
        /// `css_set.dfl_cgrp`.
        pub css_cgroup: u32,
        /// `cgroup.kn`.
        pub cgroup_kn: u32,
        /// `kernfs_node.id`.
        pub kn_id: u32,
        /// `socket.sk`.
        pub socket_sk: u32,
        /// `linux_binprm.filename`.
        pub bprm_filename: u32,
        /// Number of the system call in `pt_regs`.
        pub regs_syscall: u32,
        /// Second argument of the system call in `pt_regs`.
        pub regs_arg1: u32,
        /// Third argument of the system call in `pt_regs`.
        pub regs_arg2: u32,
    }
}

abi_struct! { 40,
    /// Numbers of the system calls that send and receive, as the machine's architecture has them.
    pub struct Syscalls {
        /// `read`.
        pub read: u32,
        /// `write`.
        pub write: u32,
        /// `recvfrom`.
        pub recvfrom: u32,
        /// `sendto`.
        pub sendto: u32,
        /// `readv`.
        pub readv: u32,
        /// `writev`.
        pub writev: u32,
        /// `recvmsg`.
        pub recvmsg: u32,
        /// `sendmsg`.
        pub sendmsg: u32,
        /// `recvmmsg`.
        pub recvmmsg: u32,
        /// `sendmmsg`.
        pub sendmmsg: u32,
    }
}

abi_struct! { 84,
    /// Settings fixed at load; the verifier prunes what they switch off.
    pub struct Settings {
        /// Bits of [`feature`].
        pub features: u32,
        /// Most payload bytes a data record may carry: 256, 1024 or 4096.
        pub payload_cap: u32,
        /// For measuring only, else 0: the source port of each packet becomes a random number under this mask, so that one
        /// packet run again and again stands for the packets of many flows.
        pub bench_port_mask: u32,
        /// Reasons below 256 that are no drop, as a bitmap.
        pub ignored_reasons: [u32; 8],
        /// System calls that send and receive.
        pub syscalls: Syscalls,
    }
}

abi_struct! { 16,
    /// Values that user space changes while the programs run; the only entry of the map LIVE.
    pub struct Live {
        /// What to add to `CLOCK_MONOTONIC` for `CLOCK_BOOTTIME`, nanoseconds.
        pub monotonic_to_boot_ns: u64,
        /// The collector's own process, whose payload is not captured; 0 for none.
        pub own_tgid: u32,
        /// Payload bytes to capture now: 0 for none, else 256, 1024 or 4096.
        pub payload_cap: u32,
    }
}
