//! Hook: every packet into and out of a link. Two programs for links with an Ethernet header, two for those without.

use aya_ebpf::{bindings::__sk_buff, helpers::generated::bpf_get_prandom_u32, macros::classifier, programs::TcContext};
use ebpf_abi::{counter, direction};

use crate::{
    dns, flows,
    maps::{count, setting},
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
    if let Some(place) = ip_header(&skb, LINK_HEADER)
        && let Some(mut packet) = headers(skb, &place)
    {
        packet.key.ifindex = skb.ifindex();
        packet.key.vlan = place.vlan;
        packet.key.direction = direction;
        spread(&mut packet);
        flows::account(skb, &mut packet);
        if dns::is_dns(&packet) {
            dns::send(skb, &packet);
        }
    }
    NEXT
}

/// Makes one packet stand for many flows in a measurement. Otherwise the mask is 0, frozen, and so this is not even
/// translated to machine code.
#[inline(always)]
fn spread(packet: &mut Packet) {
    let mask = setting!(bench_port_mask);
    if mask != 0 {
        // SAFETY: the helper has no conditions.
        packet.key.source_port = (unsafe { bpf_get_prandom_u32() } & mask) as u16;
    }
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
    hidden_headers(skb, place.at, place.ethertype)
}

/// Headers that are not in the linear part, cut off, or behind extension headers. A function of its own, so that the
/// verifier need not follow its many ways through what comes after.
#[inline(never)]
fn hidden_headers(skb: Skb, at: u32, ethertype: u16) -> Option<Packet> {
    let packet = packet::parse(&skb, at, ethertype);
    if packet.is_none() {
        count(counter::PACKETS_CUT);
    }
    packet
}
