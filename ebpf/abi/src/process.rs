//! Processes that begin and end.

use crate::{Header, abi_struct};

/// What happened, in [`ProcRecord::event`].
pub mod process_event {
    /// A program was executed.
    pub const EXEC: u8 = 1;
    /// The process ended.
    pub const EXIT: u8 = 2;
}

abi_struct! { 192,
    /// A process that began or ended.
    pub struct ProcRecord {
        /// What every record begins with; kind [`crate::kind::PROC`].
        pub header: Header,
        /// Process, in the host's numbering.
        pub tgid: u32,
        /// Its parent.
        pub parent_tgid: u32,
        /// User.
        pub uid: u32,
        /// Status as `wait` reports it; 0 at exec.
        pub exit: i32,
        /// Id of its cgroup in the v2 tree.
        pub cgroup: u64,
        /// Cookie of its network namespace, 0 where it is not known.
        pub netns: u64,
        /// One of [`process_event`].
        pub event: u8,
        /// Always 0.
        pub reserved: [u8; 7],
        /// Name, zero-filled.
        pub comm: [u8; 16],
        /// Path given to exec, cut at 111 bytes and zero-filled; empty at exit.
        pub path: [u8; 112],
    }
}
