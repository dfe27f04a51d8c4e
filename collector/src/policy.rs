//! Changes of this machine's packet policy, as the kernel tells of them: each transaction of nftables makes a new
//! generation of the rules.
//!
//! Only the network namespace of the collector is listened to. iptables is seen where it is the one on top of nftables.

use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket};

/// Kernel's `struct nlmsghdr`.
const HEADER_BYTES: usize = 16;
/// Kernel's `struct nfgenmsg`.
const NFGEN_BYTES: usize = 4;
/// Bytes of one datagram of the kernel; it puts a transaction into several.
const BUFFER_BYTES: usize = 64 << 10;
/// Changes taken at once; more wait in the socket.
const CHANGES_MAX: usize = 64;
/// Bit of `NFNLGRP_NFTABLES`, group 7.
const NFTABLES_GROUP: u32 = 1 << (7 - 1);
/// `NFNL_SUBSYS_NFTABLES`, the upper byte of a message's type.
const NFTABLES: u8 = 10;
const NFT_MSG_NEWRULE: u8 = 6;
const NFT_MSG_DELRULE: u8 = 8;
const NFT_MSG_NEWGEN: u8 = 15;
const NFTA_GEN_ID: u16 = 1;
const NFTA_GEN_PROC_PID: u16 = 2;
const NFTA_GEN_PROC_NAME: u16 = 3;
/// Bits of an attribute's type that are no part of the number.
const ATTRIBUTE_FLAGS: u16 = 0xc000;

/// A new generation of the rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyChange {
    /// Number of the generation.
    pub generation: u32,
    /// Rules that were added or removed.
    pub rules: u32,
    /// Process that changed them, 0 where the kernel does not say.
    pub pid: u32,
    /// Its name.
    pub process: String,
}

/// Hears of changes.
#[derive(Debug)]
pub(crate) struct PolicyWatch {
    socket: OwnedFd,
    /// Rules of a transaction whose end has not come yet.
    rules: u32,
}

impl PolicyWatch {
    /// Begins to listen in the network namespace of the calling thread.
    ///
    /// # Errors
    /// The kernel has no nftables, or the right to listen is missing.
    pub(crate) fn listen() -> Result<Self, Errno> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkNetFilter)?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, NFTABLES_GROUP))?;
        Ok(Self { socket, rules: 0 })
    }

    /// Changes since the last call, without waiting. Where the kernel had to drop some, the later ones are told.
    pub(crate) fn changes(&mut self) -> Vec<PolicyChange> {
        let (mut changes, mut buffer) = (Vec::new(), vec![0u8; BUFFER_BYTES]);
        while changes.len() < CHANGES_MAX {
            match recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                Ok(length) => read_datagram(&buffer[..length], &mut self.rules, &mut changes),
                Err(Errno::ENOBUFS) => self.rules = 0,
                Err(_) => break,
            }
        }
        changes
    }
}

/// Reads the messages of a datagram; what cannot be read is passed over.
fn read_datagram(mut datagram: &[u8], rules: &mut u32, changes: &mut Vec<PolicyChange>) {
    while let Some((head, _)) = datagram.split_at_checked(HEADER_BYTES) {
        let length = usize::try_from(u32::from_ne_bytes([head[0], head[1], head[2], head[3]])).unwrap_or(usize::MAX);
        let Some(message) = datagram.get(HEADER_BYTES..length) else { return };
        if head[5] == NFTABLES {
            match head[4] {
                NFT_MSG_NEWRULE | NFT_MSG_DELRULE => *rules = rules.saturating_add(1),
                NFT_MSG_NEWGEN => changes.extend(read_generation(message, std::mem::take(rules))),
                _ => {}
            }
        }
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
}

fn read_generation(message: &[u8], rules: u32) -> Option<PolicyChange> {
    let mut change = PolicyChange { rules, ..PolicyChange::default() };
    let mut attributes = message.get(NFGEN_BYTES..)?;
    while let [a, b, c, d, ..] = *attributes {
        let (length, kind) = (usize::from(u16::from_ne_bytes([a, b])), u16::from_ne_bytes([c, d]) & !ATTRIBUTE_FLAGS);
        let value = attributes.get(4..length)?;
        let number = || value.try_into().map_or(0, u32::from_be_bytes);
        match kind {
            NFTA_GEN_ID => change.generation = number(),
            NFTA_GEN_PROC_PID => change.pid = number(),
            NFTA_GEN_PROC_NAME => {
                let name = value.split(|byte| *byte == 0).next().unwrap_or_default();
                change.process = String::from_utf8_lossy(name).into_owned();
            }
            _ => {}
        }
        attributes = attributes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    (change.generation > 0).then_some(change)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::process::Command;
    use std::time::{Duration, Instant};

    proptest! {
        #[test]
        fn no_bytes_make_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), kind in 0u8..20) {
            let (mut rules, mut changes) = (0, Vec::new());
            read_datagram(&bytes, &mut rules, &mut changes);
            // The same behind a head that is good.
            let length = u32::try_from(HEADER_BYTES + bytes.len()).unwrap();
            let mut message = length.to_ne_bytes().to_vec();
            message.extend([kind, NFTABLES]);
            message.resize(HEADER_BYTES, 0);
            message.extend(bytes);
            read_datagram(&message, &mut rules, &mut changes);
        }
    }

    #[test]
    fn a_transaction_of_nft_is_heard() {
        // In a network namespace of this thread alone, so that the machine's rules stay as they are.
        if nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).is_err() {
            return eprintln!("SKIP a_transaction_of_nft_is_heard: not root");
        }
        let mut watch = PolicyWatch::listen().unwrap();
        let rules = "add table ip weir; add chain ip weir c; add rule ip weir c tcp dport 1 drop; \
                     add rule ip weir c tcp dport 2 drop";
        match Command::new("nft").arg(rules).status() {
            Ok(status) => assert!(status.success()),
            Err(_) => return eprintln!("SKIP a_transaction_of_nft_is_heard: nft is not installed"),
        }
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut heard = Vec::new();
        while heard.is_empty() {
            assert!(Instant::now() < deadline, "nothing was heard");
            heard = watch.changes();
            std::thread::yield_now();
        }
        let change = &heard[0];
        assert!(change.generation > 0 && change.pid > 0, "{change:?}");
        assert_eq!((change.process.as_str(), change.rules), ("nft", 2));
    }
}
