//! Records and tables that the kernel programs and the collector agree on.
//!
//! Everything is `repr(C)`, little endian in memory (the only byte order BPF objects of this project are built for),
//! made of fixed-size integers, without implicit padding, and 8-byte aligned. There is no `bool`, no enum and no
//! `Option`: a number another version does not know must stay a number. Sizes are asserted at compile time.
//!
//! | kind | record | bytes | ring | sent |
//! |---|---|---|---|---|
//! | 1 | [`FlowRecord`] | 136 | CTRL | first packet, new TCP flag, close |
//! | 2 | [`DropRecord`] | 96 | CTRL | first drop, reset, retransmission or ICMP error of a kind on a tuple |
//! | 3 | [`SockRecord`] | 136 | CTRL | first use of a socket, change of its owner, connect, establish, listen, close |
//! | 4 | [`DataHead`] and payload | 64 + 256, 1024 or 4096 | DATA | bytes a process sent or received |
//! | 5 | [`DnsHead`] and payload | 80 + 512 | CTRL | UDP datagram from or to port 53 |
//! | 6 | [`ProcRecord`] | 192 | CTRL | exec and exit |
//!
//! Addresses are 16 bytes, IPv4 as `::ffff:a.b.c.d`; ports, lengths and ids are in host byte order. Time is
//! nanoseconds of `CLOCK_BOOTTIME`. Bytes of user space become records through [`Record::parse`], which is total.

#![no_std]

mod drops;
mod flow;
mod frozen;
mod header;
mod payload;
mod process;
#[cfg(feature = "user")]
mod record;
mod sock;
mod stats;

pub use drops::{DropKey, DropRecord, DropVal, drop_source};
pub use flow::{FlowKey, FlowRecord, FlowVal, cause, direction, fragment};
pub use frozen::{Live, MISSING, Offsets, Settings, Syscalls, feature};
pub use header::{ABI_VERSION, Header, Tuple, kind, protocol, tcp};
pub use payload::{DATA_CLASSES, DNS_PAYLOAD_BYTES, DataHead, DnsHead, data_direction, data_source};
pub use process::{ProcRecord, process_event};
#[cfg(feature = "user")]
pub use record::{ParseError, Record};
pub use sock::{SockRecord, role, tcp_state};
pub use stats::{Stat, counter};

/// Declares a record: layout, checked conversion in user space, and the size it must have.
macro_rules! abi_struct {
    ($bytes:literal, $(#[$doc:meta])* pub struct $name:ident { $($(#[$field_doc:meta])* pub $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[repr(C)]
        #[derive(Clone, Copy)]
        #[cfg_attr(
            feature = "user",
            derive(
                Debug, PartialEq, Eq, Hash,
                zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout,
            )
        )]
        pub struct $name { $($(#[$field_doc])* pub $field: $type,)* }
        const _: () = assert!(core::mem::size_of::<$name>() == $bytes, "size is part of the contract");
        impl $name {
            /// Value whose bytes are all zero.
            pub const ZERO: Self = Self { $($field: crate::Zero::ZERO,)* };
        }
        impl crate::Zero for $name { const ZERO: Self = Self::ZERO; }
    };
}
pub(crate) use abi_struct;

/// Types that have an all-zero value, so that records can be made in a `const`.
pub(crate) trait Zero {
    /// The all-zero value.
    const ZERO: Self;
}

macro_rules! zero_of_numbers {
    ($($type:ty)*) => { $(impl Zero for $type { const ZERO: Self = 0; })* };
}
zero_of_numbers!(u8 u16 u32 u64 i32);

impl<T: Zero, const N: usize> Zero for [T; N] {
    const ZERO: Self = [T::ZERO; N];
}
