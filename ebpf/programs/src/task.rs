//! Processes: who runs now, or who holds a socket.

use aya_ebpf::helpers::generated::{
    bpf_get_current_cgroup_id, bpf_get_current_comm, bpf_get_current_pid_tgid, bpf_get_current_uid_gid,
};

use crate::{
    maps::offset,
    memory::{kernel, kernel_or_zero},
};

/// A process.
#[derive(Clone, Copy)]
pub enum Task {
    /// The one in whose context the hook runs.
    Current,
    /// A `task_struct` by address, and the user that shall stand for it.
    Other {
        /// Address of the structure.
        address: u64,
        /// User id.
        uid: u32,
    },
}

impl Task {
    /// Process id in the host's numbering.
    #[inline(always)]
    pub fn tgid(self) -> u32 {
        match self {
            Self::Current => (current_ids() >> 32) as u32,
            Self::Other { address, .. } => kernel_or_zero(address, offset!(task_tgid)),
        }
    }

    /// Thread id in the host's numbering; of another process its process id.
    #[inline(always)]
    pub fn tid(self) -> u32 {
        match self {
            Self::Current => current_ids() as u32,
            Self::Other { .. } => self.tgid(),
        }
    }

    /// User.
    #[inline(always)]
    pub fn uid(self) -> u32 {
        match self {
            // SAFETY: the helper has no conditions.
            Self::Current => unsafe { bpf_get_current_uid_gid() as u32 },
            Self::Other { uid, .. } => uid,
        }
    }

    /// Id of its cgroup in the v2 tree.
    #[inline(always)]
    pub fn cgroup(self) -> u64 {
        match self {
            // SAFETY: the helper has no conditions.
            Self::Current => unsafe { bpf_get_current_cgroup_id() },
            Self::Other { address, .. } => cgroup_of(address),
        }
    }

    /// Name, zero-filled.
    #[inline(always)]
    pub fn comm(self) -> [u8; 16] {
        match self {
            Self::Current => {
                let mut comm = [0; 16];
                // SAFETY: the helper writes at most the 16 bytes it is told of.
                let _zero_on_failure = unsafe { bpf_get_current_comm(comm.as_mut_ptr().cast(), 16) };
                comm
            }
            Self::Other { address, .. } => kernel_or_zero(address, offset!(task_comm)),
        }
    }
}

#[inline(always)]
fn current_ids() -> u64 {
    // SAFETY: the helper has no conditions.
    unsafe { bpf_get_current_pid_tgid() }
}

/// Id of the v2 cgroup of a `task_struct`.
#[inline(always)]
pub fn cgroup_of(task: u64) -> u64 {
    kernel::<u64>(task, offset!(task_cgroups))
        .and_then(|set| kernel::<u64>(set, offset!(css_cgroup)))
        .and_then(|cgroup| kernel::<u64>(cgroup, offset!(cgroup_kn)))
        .map_or(0, |node| kernel_or_zero(node, offset!(kn_id)))
}

/// Cookie of the network namespace of a `task_struct`; 0 for one that has left it already.
#[inline(always)]
pub fn netns_of(task: u64) -> u64 {
    kernel::<u64>(task, offset!(task_nsproxy))
        .filter(|proxy| *proxy != 0)
        .and_then(|proxy| kernel::<u64>(proxy, offset!(nsproxy_net)))
        .map_or(0, |net| kernel_or_zero(net, offset!(net_cookie)))
}
