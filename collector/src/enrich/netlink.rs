//! Network devices and addresses of the current network namespace, from the kernel's route netlink socket.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send, setsockopt, socket,
    sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

/// Kernel's `struct nlmsghdr`.
const HEADER_BYTES: usize = 16;
/// Kernel's `struct ifinfomsg`.
const LINK_BYTES: usize = 16;
/// Kernel's `struct ifaddrmsg`.
const ADDRESS_BYTES: usize = 8;
/// Answers of a dump come in parts of at most this size.
const BUFFER_BYTES: usize = 64 * 1024;
/// Devices and addresses taken from one namespace at most.
const ITEMS_MAX: usize = 65_536;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const NLM_F_REQUEST: u16 = 0x001;
const NLM_F_DUMP: u16 = 0x300;
const IFLA_IFNAME: u16 = 3;
const IFLA_LINK: u16 = 5;
const IFLA_LINKINFO: u16 = 18;
const IFLA_LINK_NETNSID: u16 = 37;
const IFLA_INFO_KIND: u16 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
/// Bits of an attribute's type that are no part of the number.
const ATTRIBUTE_FLAGS: u16 = 0xc000;
/// `RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR`.
const CHANGE_GROUPS: u32 = 0x1 | 0x10 | 0x100;

/// A network device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Device {
    pub(crate) index: u32,
    pub(crate) name: String,
    /// What made it, such as `veth`, `vxlan` or `bridge`; empty for physical devices.
    pub(crate) kind: String,
    /// Index of the device it is tied to: of a veth the other end, in the namespace `peer_netns_id`.
    pub(crate) peer: Option<u32>,
    /// Whether that other device is in another namespace.
    pub(crate) peer_elsewhere: bool,
}

/// Devices and addresses of a network namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Devices {
    pub(crate) devices: Vec<Device>,
    pub(crate) addresses: Vec<IpAddr>,
}

/// Reads all devices and addresses of the namespace the calling thread is in.
///
/// # Errors
/// The kernel refuses, or does not answer within a second.
pub(crate) fn read_devices() -> Result<Devices, Errno> {
    let mut found = Devices::default();
    for (request, body) in [(RTM_GETLINK, LINK_BYTES), (RTM_GETADDR, ADDRESS_BYTES)] {
        dump(request, body, &mut |kind, message| match kind {
            RTM_NEWLINK => found.devices.extend(parse_link(message)),
            RTM_NEWADDR => found.addresses.extend(parse_address(message)),
            _ => {}
        })?;
        if found.devices.len() + found.addresses.len() > ITEMS_MAX {
            return Err(Errno::E2BIG);
        }
    }
    Ok(found)
}

/// Tells when devices or addresses of the namespace it was made in change.
#[derive(Debug)]
pub(crate) struct Changes {
    socket: OwnedFd,
}

impl Changes {
    /// Begins to listen.
    ///
    /// # Errors
    /// The kernel gives no such socket.
    pub(crate) fn listen() -> Result<Self, Errno> {
        let socket = route_socket()?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, CHANGE_GROUPS))?;
        Ok(Self { socket })
    }

    /// Waits at most `timeout_ms` for a change and says whether there was one. Losing messages is a change too.
    pub(crate) fn wait(&self, timeout_ms: i64) -> bool {
        // A timeout of zero would mean to wait forever.
        let timeout = TimeVal::milliseconds(timeout_ms.max(1));
        if setsockopt(&self.socket, sockopt::ReceiveTimeout, &timeout).is_err() {
            return false;
        }
        let mut buffer = [0u8; 8192];
        match recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
            Ok(_) | Err(Errno::ENOBUFS) => true,
            Err(_) => false,
        }
    }
}

fn route_socket() -> Result<OwnedFd, Errno> {
    socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute)
}

fn dump(request: u16, body_bytes: usize, each: &mut dyn FnMut(u16, &[u8])) -> Result<(), Errno> {
    let socket = route_socket()?;
    bind(socket.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
    setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::seconds(1))?;
    send(socket.as_raw_fd(), &dump_request(request, body_bytes), MsgFlags::empty())?;
    let mut buffer = vec![0u8; BUFFER_BYTES];
    loop {
        let len = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
        match each_message(buffer.get(..len).unwrap_or_default(), each) {
            Part::More if len > 0 => {}
            Part::Error(errno) => return Err(errno),
            Part::More | Part::Done => return Ok(()),
        }
    }
}

fn dump_request(request: u16, body_bytes: usize) -> Vec<u8> {
    let mut message = Vec::with_capacity(HEADER_BYTES + body_bytes);
    let len = u32::try_from(HEADER_BYTES + body_bytes).expect("two small constants");
    message.extend(len.to_ne_bytes());
    message.extend(request.to_ne_bytes());
    message.extend((NLM_F_REQUEST | NLM_F_DUMP).to_ne_bytes());
    message.extend(1u32.to_ne_bytes());
    message.extend(0u32.to_ne_bytes());
    message.resize(HEADER_BYTES + body_bytes, 0);
    message
}

#[derive(Debug, PartialEq, Eq)]
enum Part {
    More,
    Done,
    Error(Errno),
}

/// Walks the messages of one part of an answer. Damaged lengths end the walk.
fn each_message(mut bytes: &[u8], each: &mut dyn FnMut(u16, &[u8])) -> Part {
    while let (Some(len), Some(kind)) = (u32_at(bytes, 0), u16_at(bytes, 4)) {
        let len = len as usize;
        let Some(body) = bytes.get(HEADER_BYTES..len) else { return Part::Done };
        match kind {
            NLMSG_DONE => return Part::Done,
            NLMSG_ERROR => {
                let code = u32_at(body, 0).map_or(0, u32::cast_signed);
                return if code == 0 { Part::Done } else { Part::Error(Errno::from_raw(code.saturating_neg())) };
            }
            kind => each(kind, body),
        }
        bytes = bytes.get(align(len)..).unwrap_or_default();
    }
    Part::More
}

fn parse_link(message: &[u8]) -> Option<Device> {
    let mut device = Device { index: u32_at(message, 4)?, ..Device::default() };
    for (kind, value) in attributes(message.get(LINK_BYTES..)?) {
        match kind {
            IFLA_IFNAME => device.name = text(value),
            IFLA_LINK => device.peer = u32_at(value, 0),
            IFLA_LINK_NETNSID => device.peer_elsewhere = true,
            IFLA_LINKINFO => {
                let info = attributes(value).find(|(kind, _)| *kind == IFLA_INFO_KIND);
                device.kind = info.map_or_else(String::new, |(_, value)| text(value));
            }
            _ => {}
        }
    }
    Some(device)
}

fn parse_address(message: &[u8]) -> Option<IpAddr> {
    let mut found = None;
    for (kind, value) in attributes(message.get(ADDRESS_BYTES..)?) {
        match kind {
            // On point-to-point links IFA_ADDRESS is the other side, and IFA_LOCAL is there too.
            IFA_LOCAL => return address(value),
            IFA_ADDRESS => found = address(value),
            _ => {}
        }
    }
    found
}

fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let len = usize::from(u16_at(bytes, 0)?);
        let kind = u16_at(bytes, 2)? & !ATTRIBUTE_FLAGS;
        let value = bytes.get(4..len)?;
        bytes = bytes.get(align(len)..).unwrap_or_default();
        Some((kind, value))
    })
}

fn address(value: &[u8]) -> Option<IpAddr> {
    if let Ok(octets) = <[u8; 4]>::try_from(value) {
        return Some(Ipv4Addr::from(octets).into());
    }
    <[u8; 16]>::try_from(value).ok().map(|octets| Ipv6Addr::from(octets).into())
}

fn text(value: &[u8]) -> String {
    let end = value.iter().position(|b| *b == 0).unwrap_or(value.len());
    String::from_utf8_lossy(&value[..end]).into_owned()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// Messages and attributes begin at multiples of four.
const fn align(len: usize) -> usize {
    len.saturating_add(3) & !3
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::hostile;

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = u16::try_from(4 + value.len()).unwrap().to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(align(bytes.len()), 0);
        bytes
    }

    #[test]
    fn a_veth_tells_its_other_end() {
        let mut message = vec![0; LINK_BYTES];
        message[4..8].copy_from_slice(&7u32.to_ne_bytes());
        message.extend(attribute(IFLA_IFNAME, b"va\0"));
        message.extend(attribute(IFLA_LINK, &2u32.to_ne_bytes()));
        message.extend(attribute(IFLA_LINK_NETNSID, &0u32.to_ne_bytes()));
        message.extend(attribute(IFLA_LINKINFO | 0x8000, &attribute(IFLA_INFO_KIND, b"veth\0")));
        let expected = Device { index: 7, name: "va".into(), kind: "veth".into(), peer: Some(2), peer_elsewhere: true };
        assert_eq!(parse_link(&message), Some(expected));
    }

    #[test]
    fn the_local_side_of_an_address_counts() {
        let mut message = vec![0; ADDRESS_BYTES];
        message.extend(attribute(IFA_ADDRESS, &[10, 0, 0, 2]));
        message.extend(attribute(IFA_LOCAL, &[10, 0, 0, 1]));
        assert_eq!(parse_address(&message), Some(IpAddr::from([10, 0, 0, 1])));
    }

    #[test]
    fn the_loopback_device_is_found_without_privilege() {
        let found = read_devices().unwrap();
        assert!(found.devices.iter().any(|d| d.name == "lo" && d.index == 1), "{found:?}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut messages = 0;
            each_message(&bytes, &mut |_, body| messages += usize::from(body.len() < bytes.len()));
            prop_assert!(messages <= bytes.len() / HEADER_BYTES);
            let small = Device { index: u32_at(&bytes, 4).unwrap_or_default(), ..Device::default() };
            prop_assert!(parse_link(&bytes).is_none_or(|d| d.index == small.index));
            parse_address(&bytes);
        }
    }

    proptest! {
        #![proptest_config(hostile::config(2_000))]

        #[test]
        fn hostile_devices_are_read_in_bounds(bytes in hostile::damaged(vec![[
            vec![0; LINK_BYTES],
            attribute(IFLA_IFNAME, b"va\0"),
            attribute(IFLA_LINKINFO | 0x8000, &attribute(IFLA_INFO_KIND, b"veth\0")),
            attribute(IFA_LOCAL, &[10, 0, 0, 1]),
        ].concat()])) {
            let name = parse_link(&bytes).map(|device| device.name.len()).unwrap_or_default();
            prop_assert!(name <= bytes.len());
            parse_address(&bytes);
            each_message(&bytes, &mut |_, body| assert!(body.len() < bytes.len()));
        }
    }
}
