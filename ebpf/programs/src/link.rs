//! Hook: every packet into and out of a link. Two programs for links with an Ethernet header, two for those without.

use aya_ebpf::{bindings::__sk_buff, macros::classifier, programs::TcContext};
use ebpf_abi::{counter, direction};

use crate::{
    dns, flows,
    maps::count,
    packet::{self, Bytes, Packet, ethertype},
    skb::Skb,
};

/// `TCX_NEXT`, and `TC_ACT_UNSPEC` of clsact: whoever comes after us decides. Any other answer would hide the packet
/// from the programs of a network plugin.
const NEXT: i32 = -1;

const ETHERNET_HEADER: u32 = 14;

/// In from an Ethernet link.
#[classifier]
pub fn link_in(context: TcContext) -> i32 {
    see::<ETHERNET_HEADER>(context.skb.skb, direction::IN)
}

/// Out to an Ethernet link.
#[classifier]
pub fn link_out(context: TcContext) -> i32 {
    see::<ETHERNET_HEADER>(context.skb.skb, direction::OUT)
}

/// In from a link whose packets begin with the IP header, such as a tunnel.
#[classifier]
pub fn raw_in(context: TcContext) -> i32 {
    see::<0>(context.skb.skb, direction::IN)
}

/// Out to a link whose packets begin with the IP header.
#[classifier]
pub fn raw_out(context: TcContext) -> i32 {
    see::<0>(context.skb.skb, direction::OUT)
}

#[inline(always)]
fn see<const LINK_HEADER: u32>(context: *mut __sk_buff, direction: u8) -> i32 {
    // SAFETY: the kernel called the program with this context.
    let skb = unsafe { Skb::new(context) };
    let seen = ip_header(&skb, LINK_HEADER).and_then(|place| Some((place, headers(skb, &place)?)));
    if let Some((place, mut packet)) = seen {
        let link = flows::Link { ifindex: skb.ifindex(), vlan: place.vlan, direction };
        flows::account(skb, &mut packet, link);
        dns::send(skb, &packet, link);
    }
    NEXT
}

/// Where the IP header is.
#[derive(Clone, Copy)]
struct Place {
    at: u32,
    ethertype: u16,
    vlan: u16,
}

/// Finds the IP header behind at most two VLAN tags; `None` for what is not IP.
#[inline(always)]
fn ip_header(skb: &Skb, link_header: u32) -> Option<Place> {
    let mut place = Place { at: link_header, ethertype: skb.ethertype(), vlan: skb.vlan() };
    // The kernel has taken the tag out unless there are two of them or the link is not a usual one.
    for _ in 0..2 {
        if link_header == 0 || !matches!(place.ethertype, ethertype::VLAN | ethertype::VLAN_OUTER) {
            break;
        }
        let Some([tag_be, next_be]) = skb.read::<[u16; 2]>(place.at) else { break };
        if place.vlan == 0 {
            place.vlan = u16::from_be(tag_be) & 0xfff;
        }
        place.ethertype = u16::from_be(next_be);
        place.at += 4;
    }
    if matches!(place.ethertype, ethertype::IPV4 | ethertype::IPV6) {
        return Some(place);
    }
    count(counter::PACKETS_NOT_IP);
    None
}

#[inline(always)]
fn headers(skb: Skb, place: &Place) -> Option<Packet> {
    if let Some(packet) = packet::parse(&skb.linear(), place.at, place.ethertype) {
        return Some(packet);
    }
    let packet = packet::parse(&skb, place.at, place.ethertype);
    if packet.is_none() {
        count(counter::PACKETS_CUT);
    }
    packet
}
