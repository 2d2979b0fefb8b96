//! What crosses the lab on every way, in 64 flows each: for what must be measured or counted.

#![allow(dead_code, reason = "each test binary uses its part")]

use thruway::wire::build::{Packet, TcpFields};
use thruway::wire::tcp::flag;

use super::bench::Bench;
use super::lab::*;

/// Bytes of an Ethernet frame beside its payload: header and check sequence, without tags.
const ETHERNET: usize = 18;
/// Bytes of the IPv4 header with TCP's, and with UDP's.
const TCP: usize = 40;
const UDP: usize = 28;

/// Sizes in bytes of untagged frames with their check sequence; flows take them in turn.
pub const SMALL: &[usize] = &[64];
/// Seven small, four middling, one large: the simple mix of the Internet.
pub const IMIX: &[usize] = &[64, 570, 64, 64, 570, 64, 1518, 64, 570, 64, 64, 570];

const ONPREM: [u8; 4] = [192, 168, 1, 1];
const WEB_IP: [u8; 4] = [10, 10, 1, 4];
const APP_IP: [u8; 4] = [10, 20, 1, 4];
const SERVICE: [u8; 4] = [198, 51, 100, 10];

/// Traffic of one way: the port it enters by and 64 frames of 64 flows.
pub struct Traffic {
    pub name: &'static str,
    pub port: usize,
    pub frames: Vec<Vec<u8>>,
}

pub fn tcp(src: [u8; 4], dst: [u8; 4], ports: (u16, u16), flags: u8, size: usize) -> Packet {
    let fields = TcpFields { src: ports.0, dst: ports.1, flags, ..TcpFields::default() };
    Packet::ip4(src, dst).tcp(fields, &vec![0; size - ETHERNET - TCP])
}

pub fn udp(src: [u8; 4], dst: [u8; 4], ports: (u16, u16), size: usize) -> Packet {
    Packet::ip4(src, dst).udp(ports.0, ports.1, &vec![0; size - ETHERNET - UDP])
}

/// The frames of 64 flows, each made from its number and its size.
pub fn flows(sizes: &[usize], make: impl Fn(u16, usize) -> Vec<u8>) -> Vec<Vec<u8>> {
    (0..64).zip(sizes.iter().cycle()).map(|(n, size)| make(n, *size)).collect()
}

/// From on-premises to the hub's VM, as they come over the link: FastPath.
pub fn to_hub(sizes: &[usize]) -> Vec<Vec<u8>> {
    flows(sizes, |n, size| {
        let packet = tcp(ONPREM, WEB_IP, (5000 + n, 443), flag::ACK, size);
        tagged(packet.eth(CE, EDGE1), &[1001, 200]).build()
    })
}

/// From on-premises to the spoke's VM, as they come over the link: through the gateway.
pub fn to_spoke(sizes: &[usize]) -> Vec<Vec<u8>> {
    flows(sizes, |n, size| {
        let packet = tcp(ONPREM, APP_IP, (5000 + n, 443), flag::ACK, size);
        tagged(packet.eth(CE, EDGE1), &[1001, 200]).build()
    })
}

/// From on-premises to the spoke's VM, as the customer's router sends them.
pub fn cross_push(sizes: &[usize]) -> Vec<Vec<u8>> {
    flows(sizes, |n, size| {
        let packet = tcp(ONPREM, APP_IP, (5000 + n, 443), flag::ACK, size);
        tagged(packet.eth(CE, EDGE1), &[200]).build()
    })
}

/// The answers, as they come over the link.
pub fn cross_pop(sizes: &[usize]) -> Vec<Vec<u8>> {
    flows(sizes, |n, size| {
        let packet = tcp(APP_IP, ONPREM, (443, 5000 + n), flag::ACK, size);
        tagged(packet.eth(EDGE1, CE), &[1001, 200]).build()
    })
}

/// From inside hosts to the Microsoft service, with UDP.
pub fn in2out(sizes: &[usize]) -> Vec<Vec<u8>> {
    flows(sizes, |n, size| {
        let inside = [192, 168, 3, n.to_le_bytes()[0]];
        let packet = udp(inside, SERVICE, (5000 + n, 443), size);
        tagged(packet.eth(CE, EDGE1), &[300]).build()
    })
}

/// From inside hosts to the Microsoft service, with TCP and these flags.
pub fn in2out_tcp(flags: u8) -> Vec<Vec<u8>> {
    flows(SMALL, |n, size| {
        let inside = [192, 168, 4, n.to_le_bytes()[0]];
        let packet = tcp(inside, SERVICE, (5000 + n, 443), flags, size);
        tagged(packet.eth(CE, EDGE1), &[300]).build()
    })
}

/// The service's answer to an outside endpoint, as it comes over the link.
pub fn out2in(outside: ([u8; 4], u16), size: usize) -> Vec<u8> {
    let packet = udp(SERVICE, outside.0, (443, outside.1), size);
    tagged(packet.eth(EDGE1, CE), &[1001, 300]).build()
}

/// The first packet of the flow with this number; each inside host opens 64.
pub fn opening(number: u32) -> Vec<u8> {
    let [.., high, low] = (number / 64).to_be_bytes();
    let port = 5000 + u16::try_from(number % 64).expect("below 64");
    let packet = udp([192, 168, high, low], SERVICE, (port, 443), SMALL[0]);
    tagged(packet.eth(CE, EDGE1), &[300]).build()
}

/// Traffic of all ways; NAT's sessions are open afterwards.
pub fn mix(bench: &mut Bench, sizes: &[usize]) -> Vec<Traffic> {
    let ports = ["ce-1", "pe-pri", "msee-pri", "hub", "spoke"].map(|name| bench.port(name));
    let [ce, pe, edge, hub, spoke] = ports;
    let from_hub = flows(sizes, |n, size| {
        tcp(WEB_IP, ONPREM, (443, 5000 + n), flag::ACK, size).eth(WEB, HUB).build()
    });
    let from_spoke = flows(sizes, |n, size| {
        tcp(APP_IP, ONPREM, (443, 5000 + n), flag::ACK, size).eth(APP, SPOKE).build()
    });
    let inside = in2out(sizes);
    let outside = answers(bench, &inside, sizes);
    vec![
        Traffic { name: "cross-push", port: ce, frames: cross_push(sizes) },
        Traffic { name: "cross-pop", port: pe, frames: cross_pop(sizes) },
        Traffic { name: "fastpath", port: edge, frames: to_hub(sizes) },
        Traffic { name: "gateway", port: edge, frames: to_spoke(sizes) },
        Traffic { name: "vm-hub", port: hub, frames: from_hub },
        Traffic { name: "vm-spoke", port: spoke, frames: from_spoke },
        Traffic { name: "nat-in2out", port: ce, frames: inside },
        Traffic { name: "nat-out2in", port: pe, frames: outside },
    ]
}

/// Opens a session for each frame from inside; returns the answers to them.
fn answers(bench: &mut Bench, inside: &[Vec<u8>], sizes: &[usize]) -> Vec<Vec<u8>> {
    let (ce, pe) = (bench.port("ce-1"), bench.port("pe-pri"));
    for frame in inside {
        bench.push(ce, frame);
    }
    bench.turn();
    let mut outside = Vec::new();
    bench.drain(|port, bytes| {
        if port == pe {
            // Two tags: IPv4 at 22, UDP at 42.
            let address: [u8; 4] = bytes[34..38].try_into().expect("four bytes");
            outside.push((address, u16::from_be_bytes([bytes[42], bytes[43]])));
        }
    });
    assert_eq!(outside.len(), inside.len(), "every flow has a session");
    outside.iter().zip(sizes.iter().cycle()).map(|(own, size)| out2in(*own, *size)).collect()
}
