//! The kernel's list of network links and its changes. Reading of messages is pure and total.
//!
//! Source: rtnetlink(7), include/uapi/linux/{netlink,rtnetlink,if_link}.h.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, sendto, setsockopt, socket,
    sockopt::RcvBuf,
};

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_DUMP_INTR: u16 = 0x10;
const NLM_F_DUMP: u16 = 0x300;
const RTMGRP_LINK: u32 = 1;

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_LINK_NETNSID: u16 = 37;
const IFLA_INFO_KIND: u16 = 1;

const HEADER_BYTES: usize = 16;
const IFINFO_BYTES: usize = 16;
/// A dump comes in messages of at most 32 KiB.
const RECEIVE_BYTES: usize = 64 << 10;
/// Room for changes that come while we do something else; a thousand containers started at once need 2 MB.
const SOCKET_BYTES: usize = 4 << 20;

/// A link as the kernel describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LinkMessage {
    pub(super) ifindex: u32,
    pub(super) name: String,
    /// `IFLA_INFO_KIND`, empty for hardware.
    pub(super) kind: String,
    /// `ARPHRD_*`.
    pub(super) hardware: u16,
    /// `IFF_*`.
    pub(super) flags: u32,
    pub(super) mac: Option<[u8; 6]>,
    pub(super) mtu: u32,
    pub(super) peer_ifindex: Option<u32>,
    pub(super) peer_netns_id: Option<u32>,
    pub(super) master: Option<u32>,
}

/// One thing the kernel says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// A link exists or has changed.
    New(LinkMessage),
    /// A link is gone from this namespace.
    Gone {
        /// Which.
        ifindex: u32,
    },
    /// The dump has ended; `torn` if links changed while it was made.
    DumpDone {
        /// Whether it must be asked for again.
        torn: bool,
    },
    /// A request was refused with this `errno`.
    Refused(i32),
}

/// A socket that hears of links.
#[derive(Debug)]
pub(super) struct LinkSocket {
    socket: OwnedFd,
    buffer: Vec<u8>,
    sequence: u32,
    /// Whether a part of the dump that runs said that links changed while it was made.
    torn: bool,
}

/// What came of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// Nothing is there.
    Nothing,
    /// Messages were handed over.
    Some,
    /// The kernel had to drop messages: only a new dump tells what is.
    Overrun,
}

impl LinkSocket {
    /// Opens a socket in the namespace of the calling thread.
    pub(super) fn open() -> io::Result<Self> {
        Self::with_room(SOCKET_BYTES)
    }

    fn with_room(bytes: usize) -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
        // The kernel may grant less; an overrun is noticed and repaired.
        let _granted = setsockopt(&socket, RcvBuf, &bytes);
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, RTMGRP_LINK))?;
        Ok(Self { socket, buffer: vec![0; RECEIVE_BYTES], sequence: 0, torn: false })
    }

    /// Asks for all links.
    pub(super) fn request_dump(&mut self) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut request = Vec::with_capacity(HEADER_BYTES + IFINFO_BYTES);
        request.extend_from_slice(&((HEADER_BYTES + IFINFO_BYTES) as u32).to_ne_bytes());
        request.extend_from_slice(&RTM_GETLINK.to_ne_bytes());
        request.extend_from_slice(&(NLM_F_REQUEST | NLM_F_DUMP).to_ne_bytes());
        request.extend_from_slice(&self.sequence.to_ne_bytes());
        request.resize(HEADER_BYTES + IFINFO_BYTES, 0);
        sendto(self.socket.as_raw_fd(), &request, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
        Ok(())
    }

    /// Reads what is there, without waiting.
    pub(super) fn receive(&mut self, take: &mut dyn FnMut(Message)) -> io::Result<Received> {
        match recv(self.socket.as_raw_fd(), &mut self.buffer, MsgFlags::empty()) {
            Ok(len) => {
                messages(self.buffer.get(..len).unwrap_or_default(), &mut self.torn, take);
                Ok(Received::Some)
            }
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(Received::Nothing),
            Err(Errno::ENOBUFS) => Ok(Received::Overrun),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for LinkSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Takes a datagram apart. What is damaged or of no interest is passed over. Any message of a dump may say that it is
/// torn, and only one does.
fn messages(mut bytes: &[u8], torn: &mut bool, take: &mut dyn FnMut(Message)) {
    while let (Some(len), Some(kind), Some(flags)) = (u32_at(bytes, 0), u16_at(bytes, 4), u16_at(bytes, 6)) {
        let len = len as usize;
        let Some(body) = bytes.get(HEADER_BYTES..len) else { return };
        *torn |= flags & NLM_F_DUMP_INTR != 0;
        match kind {
            RTM_NEWLINK => link(body).into_iter().for_each(|link| take(Message::New(link))),
            RTM_DELLINK => link(body).into_iter().for_each(|link| take(Message::Gone { ifindex: link.ifindex })),
            NLMSG_DONE => take(Message::DumpDone { torn: std::mem::take(torn) }),
            NLMSG_ERROR => {
                let errno = u32_at(body, 0).unwrap_or(0).cast_signed().saturating_neg();
                if errno != 0 {
                    take(Message::Refused(errno));
                }
            }
            _ => {}
        }
        bytes = bytes.get(len.next_multiple_of(4).max(HEADER_BYTES)..).unwrap_or_default();
    }
}

/// Reads a `struct ifinfomsg` and its attributes. Bridges tell of their ports in the same messages, with a family of
/// their own: a port that leaves a bridge is not a link that is gone.
fn link(body: &[u8]) -> Option<LinkMessage> {
    if *body.first()? != 0 {
        return None;
    }
    let mut link = LinkMessage {
        hardware: u16_at(body, 2)?,
        ifindex: u32_at(body, 4)?,
        flags: u32_at(body, 8)?,
        ..LinkMessage::default()
    };
    attributes(body.get(IFINFO_BYTES..)?, &mut |kind, value| match kind {
        IFLA_IFNAME => link.name = text(value),
        IFLA_ADDRESS => link.mac = value.try_into().ok(),
        IFLA_MTU => link.mtu = u32_at(value, 0).unwrap_or(0),
        IFLA_LINK => link.peer_ifindex = u32_at(value, 0).filter(|index| *index != 0),
        IFLA_LINK_NETNSID => link.peer_netns_id = u32_at(value, 0),
        IFLA_MASTER => link.master = u32_at(value, 0).filter(|index| *index != 0),
        IFLA_LINKINFO => attributes(value, &mut |kind, value| {
            if kind == IFLA_INFO_KIND {
                link.kind = text(value);
            }
        }),
        _ => {}
    });
    (link.ifindex != 0).then_some(link)
}

fn attributes(mut bytes: &[u8], take: &mut dyn FnMut(u16, &[u8])) {
    const KIND_MASK: u16 = 0x3fff;
    while let (Some(len), Some(kind)) = (u16_at(bytes, 0), u16_at(bytes, 2)) {
        let len = usize::from(len);
        let Some(value) = bytes.get(4..len) else { return };
        take(kind & KIND_MASK, value);
        bytes = bytes.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
}

fn text(value: &[u8]) -> String {
    let len = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    String::from_utf8_lossy(value.get(..len).unwrap_or_default()).into_owned()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::hostile;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = ((value.len() + 4) as u16).to_ne_bytes().to_vec();
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn message(kind: u16, family: u8, attributes: &[Vec<u8>]) -> Vec<u8> {
        let mut body = vec![family, 0, 1, 0, 7, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0];
        body.extend(attributes.concat());
        let mut bytes = ((body.len() + HEADER_BYTES) as u32).to_ne_bytes().to_vec();
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.resize(HEADER_BYTES, 0);
        bytes.extend(body);
        bytes
    }

    fn read(bytes: &[u8]) -> Vec<Message> {
        let mut all = Vec::new();
        messages(bytes, &mut false, &mut |message| all.push(message));
        all
    }

    #[test]
    fn a_veth_is_read_whole() {
        let bytes = message(
            RTM_NEWLINK,
            0,
            &[
                attribute(IFLA_IFNAME, b"va\0"),
                attribute(IFLA_ADDRESS, &[2, 0, 0, 0, 0, 9]),
                attribute(IFLA_LINK, &2u32.to_ne_bytes()),
                attribute(IFLA_LINK_NETNSID, &0u32.to_ne_bytes()),
                attribute(IFLA_MASTER, &4u32.to_ne_bytes()),
                attribute(IFLA_MTU, &1500u32.to_ne_bytes()),
                attribute(IFLA_LINKINFO, &attribute(IFLA_INFO_KIND, b"veth\0")),
            ],
        );
        let expected = LinkMessage {
            ifindex: 7,
            name: "va".to_owned(),
            kind: "veth".to_owned(),
            hardware: 1,
            flags: 3,
            mac: Some([2, 0, 0, 0, 0, 9]),
            mtu: 1500,
            peer_ifindex: Some(2),
            peer_netns_id: Some(0),
            master: Some(4),
        };
        assert_eq!(read(&bytes), [Message::New(expected)]);
    }

    #[test]
    fn several_messages_and_a_bridge_port() {
        let mut bytes = message(RTM_DELLINK, 7, &[]);
        bytes.extend(message(RTM_DELLINK, 0, &[attribute(IFLA_IFNAME, b"x\0")]));
        bytes.extend(message(NLMSG_DONE, 0, &[]));
        assert_eq!(read(&bytes), [Message::Gone { ifindex: 7 }, Message::DumpDone { torn: false }]);
    }

    #[test]
    fn one_part_of_a_dump_says_that_it_is_torn() {
        let mut part = message(RTM_NEWLINK, 0, &[attribute(IFLA_IFNAME, b"x\0")]);
        part[6..8].copy_from_slice(&NLM_F_DUMP_INTR.to_ne_bytes());
        let done = message(NLMSG_DONE, 0, &[]);
        let mut torn = false;
        let mut ends = Vec::new();
        for bytes in [&part, &done, &done] {
            messages(bytes, &mut torn, &mut |message| {
                ends.extend(matches!(message, Message::DumpDone { .. }).then_some(message));
            });
        }
        assert_eq!(
            ends,
            [Message::DumpDone { torn: true }, Message::DumpDone { torn: false }],
            "the next one is whole"
        );
    }

    proptest! {
        #[test]
        fn no_datagram_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut framed = (bytes.len() as u32 + 6).to_ne_bytes().to_vec();
            framed.extend_from_slice(&RTM_NEWLINK.to_ne_bytes());
            framed.extend(&bytes);
            read(&bytes);
            read(&framed);
        }
    }

    proptest! {
        #![proptest_config(hostile::config(2_000))]

        #[test]
        fn hostile_links_are_read_in_bounds(bytes in hostile::damaged(vec![
            message(RTM_NEWLINK, 0, &[
                attribute(IFLA_IFNAME, b"va\0"),
                attribute(IFLA_LINK, &2u32.to_ne_bytes()),
                attribute(IFLA_LINKINFO, &attribute(IFLA_INFO_KIND, b"veth\0")),
            ]),
            [message(RTM_DELLINK, 7, &[]), message(NLMSG_DONE, 0, &[]), message(NLMSG_ERROR, 0, &[])].concat(),
        ])) {
            let messages = read(&bytes);
            prop_assert!(messages.len() <= bytes.len() / HEADER_BYTES);
        }
    }

    #[test]
    fn the_running_kernel_lists_the_loopback_device() {
        let mut socket = LinkSocket::open().unwrap();
        socket.request_dump().unwrap();
        let (mut names, mut done) = (Vec::new(), false);
        // A dump is answered within the request, so the messages are there.
        while !done {
            let received = socket.receive(&mut |message| match message {
                Message::New(link) => names.push(link.name),
                Message::DumpDone { .. } => done = true,
                _ => {}
            });
            assert_eq!(received.unwrap(), Received::Some);
        }
        assert!(names.iter().any(|name| name == "lo"), "{names:?}");
    }
}
