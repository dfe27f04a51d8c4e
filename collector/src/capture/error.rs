//! Why capture cannot start.

use std::io;

use aya::EbpfError;
use aya::programs::ProgramError;

use super::btf::{BtfError, KERNEL_BTF};
use super::map::MapError;

/// Why capture cannot start. The text names the remedy.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// Rights are missing.
    #[error(
        "capturing from the kernel needs {missing}: run as root, or give the process these capabilities (flows can also \
         be read from a file with --replay or --pcap)"
    )]
    NotPermitted {
        /// Capabilities the process lacks.
        missing: String,
    },
    /// The kernel is older than anything that can work.
    #[error("kernel {release} is too old: 5.15 is the least, from 6.6 on everything works")]
    OldKernel {
        /// What `uname -r` says.
        release: String,
    },
    /// The kernel does not describe its types.
    #[error(
        "the kernel does not describe its types in {KERNEL_BTF}: it must be built with CONFIG_DEBUG_INFO_BTF=y, as the \
         kernels of distributions are"
    )]
    NoBtf(#[source] BtfError),
    /// The kernel's types lack what nothing works without.
    #[error("the kernel's types lack {missing}: this kernel is unlike any that is supported")]
    UnknownTypes {
        /// Fields that were looked for, as `structure.field`.
        missing: String,
    },
    /// `bpf(2)` was refused in spite of the rights.
    #[error(
        "the kernel refused {doing}: a seccomp filter or a container may forbid bpf(2), or the kernel is locked down \
         (see /sys/kernel/security/lockdown)"
    )]
    Refused {
        /// What was tried.
        doing: &'static str,
        /// What the kernel said.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The programs could not be prepared.
    #[error("the kernel programs in this binary could not be prepared")]
    Object(#[source] Box<EbpfError>),
    /// A program nothing works without was not taken.
    #[error("the kernel did not take the program {program}, which sees the packets on links")]
    Program {
        /// Name of the program.
        program: &'static str,
        /// What the kernel said.
        #[source]
        cause: Box<ProgramError>,
    },
    /// A map is not as expected.
    #[error("preparing the kernel's tables failed")]
    Map(#[source] MapError),
    /// Links could not be listed.
    #[error("listing the network links of this namespace failed")]
    Links(#[source] io::Error),
}

impl CaptureError {
    /// Sorts out what aya says when the object is loaded.
    pub(super) fn from_load(error: EbpfError) -> Self {
        match permission_in(&error) {
            true => Self::Refused { doing: "to make a table", cause: Box::new(error) },
            false => Self::Object(Box::new(error)),
        }
    }
}

/// Whether EPERM or EACCES is at the bottom of an error.
pub(super) fn permission_in(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let io = error.downcast_ref::<io::Error>();
        if io.is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied) {
            return true;
        }
        next = error.source();
    }
    false
}
