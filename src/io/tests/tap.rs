use std::net::UdpSocket;
use std::sync::Arc;

use super::support::*;
use zerocopy::IntoBytes;

use crate::frame::{Flags, Row};
use crate::io::{LinkState, Netns, PacketSpec, Port, PortKind, PortSpec, Steering, TapSpec, sys};
use crate::time::Span;
use crate::wire::build::{Packet, TcpFields};
use crate::wire::offload::Place;
use crate::wire::virtio::OffloadHeader;
use crate::wire::vlan::TagStack;
use crate::wire::{checksum, show};

const SPAN: Span = Span::millis(50);

fn open(spec: TapSpec) -> (Port, Worker) {
    let (port, mut queues) = Port::open(PortSpec { kind: PortKind::Tap(spec), queues: 1 }).unwrap();
    (port, Worker::new(queues.remove(0)))
}

#[test]
fn a_tap_carries_the_kernel_s_packet_and_the_answer() {
    in_namespace(|net| {
        let spec = TapSpec { mac: Some(NEAR), mtu: 1504, ..TapSpec::new("tw0") };
        let (port, mut worker) = open(spec);
        assert_eq!((port.mac(), port.mtu()), (Some(NEAR), Some(1504)));
        assert_eq!(port.link_state(), LinkState::Up);
        net.address("tw0", [10, 9, 0, 1], [10, 9, 0, 2], FAR);
        let socket = UdpSocket::bind("10.9.0.1:1000").unwrap();
        socket.send_to(b"question", "10.9.0.2:2000").unwrap();
        let frames = worker.expect(1, is_ip4);
        assert_eq!(payload(&frames[0]), b"question");
        let answer = Packet::ip4([10, 9, 0, 2], [10, 9, 0, 1]).udp(2000, 1000, b"answer");
        assert_eq!(worker.send(&[answer.eth(FAR, NEAR).build()]).frames, 1);
        socket.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
        let mut buffer = [0; 100];
        let (size, from) = socket.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..size], from.to_string()), (&b"answer"[..], "10.9.0.2:2000".into()));
    });
}

#[test]
fn the_kernel_leaves_cutting_and_checksums_to_a_tap() {
    in_namespace(|net| {
        let (_port, mut worker) = open(TapSpec::new("tw0"));
        net.address("tw0", [10, 9, 0, 1], [10, 9, 0, 2], FAR);
        let socket = UdpSocket::bind("10.9.0.1:1000").unwrap();
        // UDP_SEGMENT: one send, many datagrams, cut by whoever is the last that can.
        sys::sockopt::set(&socket, libc::SOL_UDP, libc::UDP_SEGMENT, &1000i32).unwrap();
        let data: Vec<u8> = (0..60_500u32).map(|i| i.to_le_bytes()[0]).collect();
        socket.send_to(&data, "10.9.0.2:2000").unwrap();
        let frames = worker.expect(61, is_ip4);
        assert_eq!(frames.iter().flat_map(|f| payload(f)).collect::<Vec<u8>>(), data);
        assert_eq!((worker.received.frames, worker.whole), (1, 1));
        sys::sockopt::set(&socket, libc::SOL_UDP, libc::UDP_SEGMENT, &0i32).unwrap();
        socket.send_to(b"alone", "10.9.0.2:2000").unwrap();
        assert_eq!(payload(&worker.expect(1, is_ip4)[0]), b"alone");
        assert_eq!((worker.whole, worker.partial), (1, 1));
        assert_eq!(worker.pool.len(), 256);
    });
}

/// Super-frames of TCP over both families and of UDP, under no, one and two tags.
fn super_frames() -> Vec<Vec<u8>> {
    let data: Vec<u8> = (0..60_000u32).map(|i| (i / 7).to_le_bytes()[0]).collect();
    let fields = TcpFields { src: 1000, dst: 80, seq: 7, ..TcpFields::default() };
    let stacks = [TagStack::UNTAGGED, TagStack::single(9), TagStack::double(9, 9)];
    let packets = [
        Packet::ip4([10, 9, 0, 2], [10, 9, 0, 1]).tcp(fields, &data),
        Packet::ip6([1; 16], [2; 16]).tcp(fields, &data),
        Packet::ip4([10, 9, 0, 2], [10, 9, 0, 1]).udp(1, 2, &data),
    ];
    let framed = packets.iter().flat_map(|packet| {
        let packet = packet.clone().partial_checksum();
        stacks.map(move |tags| packet.eth(FAR, NEAR).tags(tags).build())
    });
    framed.collect()
}

#[test]
fn what_the_kernel_leaves_open_behind_tags_is_known_at_its_place() {
    in_namespace(|net| {
        let (_port, mut worker) = open(TapSpec { mtu: 1504, ..TapSpec::new("tw0") });
        let raw = Raw::new(net, "tw0");
        for (frame, gso_size) in super_frames().into_iter().flat_map(|frame| {
            // And an ordinary one with the same headers.
            let row = Row { gso_size: 1000, ..Row::default() };
            let small = open_again(&closed(&frame, &row)[0]);
            [(small, 0), (frame, 1400)]
        }) {
            let header = OffloadHeader::of(&frame, gso_size).unwrap();
            raw.send_with(header.as_bytes().try_into().unwrap(), &frame);
            let row = Row { gso_size, flags: Flags::PARTIAL_CHECKSUM, ..Row::default() };
            let expected = closed(&frame, &row);
            assert!(worker.expect(expected.len(), |_| true) == expected, "{}", show(&expected[0]));
        }
        // Those under two tags are cut by the kernel.
        assert!(worker.whole >= 6 && worker.partial >= 9, "{} {}", worker.whole, worker.partial);
    });
}

/// The frame with its checksum left open.
fn open_again(frame: &[u8]) -> Vec<u8> {
    let place = Place::of(frame).unwrap();
    let sum = checksum::fold(place.pseudo_header(frame, place.end - place.l4));
    let mut frame = frame.to_vec();
    frame[place.checksum()..place.checksum() + 2].copy_from_slice(&sum.to_be_bytes());
    frame
}

#[test]
fn the_kernel_takes_super_frames_from_a_tap_whole_under_any_tags() {
    in_namespace(|_| {
        let (_port, mut worker) = open(TapSpec { mtu: 1504, ..TapSpec::new("tw0") });
        let spec = PacketSpec { allow_host_interface: true, ..PacketSpec::new("tw0") };
        let kind = PortKind::Packet(spec);
        let (_far, mut queues) = Port::open(PortSpec { kind, queues: 1 }).unwrap();
        let mut far = Worker::new(queues.remove(0));
        let frames = super_frames();
        let counts = worker.send_open(&frames, 1400);
        assert_eq!((counts.frames as usize, counts.split), (frames.len(), 0), "{counts:?}");
        let row = Row { gso_size: 1400, ..Row::default() };
        let expected: Vec<Vec<u8>> = frames.iter().flat_map(|f| closed(f, &row)).collect();
        assert!(far.expect(expected.len(), |_| true) == expected);
        assert_eq!(far.whole, frames.len());
        // Into the device, past queueing, the kernel would cut: so they are cut before.
        for some in frames.chunks(3) {
            let expected: Vec<Vec<u8>> = some.iter().flat_map(|f| closed(f, &row)).collect();
            let counts = far.send_open(some, 1400);
            let split = expected.len() - some.len();
            assert_eq!((counts.frames as usize, counts.split as usize), (expected.len(), split));
            assert!(worker.expect(expected.len(), |_| true) == expected);
        }
        assert_eq!((worker.whole, worker.partial), (0, 0));
        let long = |worker: &mut Worker| std::iter::from_fn(|| worker.pool.take_long()).count();
        assert_eq!((long(&mut worker), long(&mut far)), (256, 256), "long frames come home");
    });
}

#[test]
fn a_tap_keeps_address_pairs_on_one_queue() {
    in_namespace(|net| {
        let kind = PortKind::Tap(TapSpec { mtu: 1504, ..TapSpec::new("tw0") });
        let (port, queues) = Port::open(PortSpec { kind, queues: 2 }).unwrap();
        if let Steering::OneReceiver { why } = port.steering() {
            eprintln!("skipped: no steering program: {why}");
            assert!(queues[0].fd().is_some() && queues[1].fd().is_none());
            return;
        }
        let mut workers: Vec<Worker> = queues.into_iter().map(Worker::new).collect();
        let raw = Raw::new(net, "tw0");
        let frames = flows();
        frames.iter().for_each(|frame| raw.send(frame));
        let received: Vec<_> = workers.iter_mut().map(Worker::linger).collect();
        assert_eq!(received.iter().map(Vec::len).sum::<usize>(), frames.len());
        assert!(received.iter().flatten().all(|frame| frames.contains(frame)));
        check_steering(&received);
    });
}

#[test]
fn a_tap_stands_in_another_namespace_and_works_from_here() {
    in_namespace(|_| {
        let there = Arc::new(sys::netns::current().unwrap());
        // A second thread in a second namespace opens the port in the first.
        in_namespace(|here| {
            let spec = TapSpec { netns: Some(Netns::Fd(there)), ..TapSpec::new("tw0") };
            let (port, mut worker) = open(spec);
            assert!(here.interfaces.index("tw0").is_err());
            assert_eq!(port.link_state(), LinkState::Up);
            let frame = Packet::ip4([10, 9, 0, 2], [10, 9, 0, 1]).udp(1, 2, b"x");
            assert_eq!(worker.send(&[frame.eth(FAR, NEAR).build()]).frames, 1);
        });
    });
}

#[test]
fn a_tap_s_carrier_goes_and_comes() {
    in_namespace(|net| {
        let (port, mut worker) = open(TapSpec::new("tw0"));
        let frame =
            [Packet::ip4([10, 9, 0, 2], [10, 9, 0, 1]).udp(1, 2, b"x").eth(FAR, NEAR).build()];
        port.set_carrier(false).unwrap();
        assert_eq!((port.link_state(), port.is_held()), (LinkState::NoCarrier, true));
        assert!(!net.interfaces.has_carrier("tw0").unwrap());
        assert_eq!(worker.send(&frame).down, 1);
        port.set_carrier(true).unwrap();
        assert_eq!((port.link_state(), port.is_held()), (LinkState::Up, false));
        assert_eq!(worker.send(&frame).frames, 1);
        net.interfaces.set_up("tw0", false).unwrap();
        assert_eq!(port.link_state(), LinkState::Down);
        worker.linger();
        worker.check_sleeps();
        assert_eq!(worker.send(&frame).down, 1);
    });
}

#[test]
fn a_tap_that_was_deleted_comes_back() {
    in_namespace(|net| {
        let (mut port, mut worker) = open(TapSpec::new("tw0"));
        let frame =
            [Packet::ip4([10, 9, 0, 2], [10, 9, 0, 1]).udp(1, 2, b"x").eth(FAR, NEAR).build()];
        net.delete("tw0");
        until(&port, LinkState::Gone);
        assert!(worker.turn().is_empty());
        worker.check_sleeps();
        assert_eq!(worker.send(&frame).down, 1);
        assert!(worker.queue.is_down() && worker.queue.fd().is_none());
        port.reopen().unwrap();
        assert_eq!(port.link_state(), LinkState::Up);
        assert_eq!(worker.send(&frame).frames, 1);
        net.address("tw0", [10, 9, 0, 1], [10, 9, 0, 2], FAR);
        let socket = UdpSocket::bind("10.9.0.1:1000").unwrap();
        socket.send_to(b"again", "10.9.0.2:2000").unwrap();
        assert_eq!(payload(&worker.expect(1, is_ip4)[0]), b"again");
    });
}

#[test]
fn a_tap_that_was_moved_to_another_namespace_is_followed() {
    in_namespace(|net| {
        let (mut port, mut worker) = open(TapSpec::new("tw0"));
        let frame =
            [Packet::ip4([10, 9, 0, 2], [10, 9, 0, 1]).udp(1, 2, b"x").eth(FAR, NEAR).build()];
        in_namespace(|there| {
            net.give_away("tw0", &sys::netns::current().unwrap());
            assert_eq!(port.link_state(), LinkState::Gone);
            port.reopen().unwrap();
            assert!(net.interfaces.index("tw0").is_err(), "no second one is made");
            assert_eq!(port.link_state(), LinkState::Down, "the kernel sets what moves down");
            there.interfaces.set_up("tw0", true).unwrap();
            assert_eq!(port.link_state(), LinkState::Up);
            assert_eq!(port.mtu(), Some(1500));
            assert_eq!(worker.send(&frame).frames, 1);
            there.address("tw0", [10, 9, 0, 1], [10, 9, 0, 2], FAR);
            let socket = UdpSocket::bind("10.9.0.1:1000").unwrap();
            socket.send_to(b"from there", "10.9.0.2:2000").unwrap();
            assert_eq!(payload(&worker.expect(1, is_ip4)[0]), b"from there");
            there.delete("tw0");
            until(&port, LinkState::Gone);
        });
        port.reopen().unwrap();
        assert_eq!(port.link_state(), LinkState::Up, "a new one stands where the first stood");
        assert!(net.interfaces.index("tw0").is_ok());
        assert_eq!(worker.send(&frame).frames, 1);
    });
}

#[test]
fn a_tap_disappears_with_its_port() {
    in_namespace(|net| {
        let (port, worker) = open(TapSpec::new("tw0"));
        assert!(net.interfaces.index("tw0").is_ok());
        drop((port, worker));
        eventually(|| net.interfaces.index("tw0").is_err());
    });
}

#[test]
fn an_empty_pool_and_a_long_frame_drop_by_count() {
    in_namespace(|net| {
        let (_port, mut worker) = open(TapSpec::new("tw0"));
        let raw = Raw::new(net, "tw0");
        net.interfaces.set_mtu("tw0", 4000).unwrap();
        let long = Packet::ip4([10, 0, 0, 1], [10, 0, 0, 2]).udp(1, 2, &[0; 3000]);
        raw.send(&long.eth(NEAR, FAR).build());
        worker.rest(SPAN);
        worker.turn();
        assert_eq!(worker.received.too_long, 1);
        let taken: Vec<_> = std::iter::from_fn(|| worker.pool.take()).collect();
        let frame = Packet::ip4([10, 0, 0, 1], [10, 0, 0, 2]).udp(1, 2, b"x");
        raw.send(&frame.eth(NEAR, FAR).build());
        worker.rest(SPAN);
        worker.turn();
        assert_eq!(worker.received.no_frame, 1);
        taken.into_iter().for_each(|frame| worker.pool.put(frame));
    });
}

#[test]
fn what_the_kernel_drops_before_a_tap_is_read_is_known() {
    in_namespace(|net| {
        let (mut port, mut worker) = open(TapSpec::new("tw0"));
        assert_eq!(port.medium_drops(), 0);
        let raw = Raw::new(net, "tw0");
        let frame = Packet::ip4([10, 9, 0, 1], [10, 9, 0, 2]).udp(1, 2, b"x").eth(NEAR, FAR);
        let frame = frame.build();
        let sent = 6_000;
        (0..sent).for_each(|_| raw.send(&frame));
        let dropped = port.medium_drops();
        assert!(dropped > 0, "the queue holds fewer than {sent}");
        let mut received = 0;
        loop {
            match worker.turn().len() {
                0 => break,
                n => received += n as u64,
            }
        }
        assert_eq!((received + dropped, port.medium_drops()), (sent, dropped));

        // What it had dropped stays in the sum when another device takes its place.
        net.delete("tw0");
        until(&port, LinkState::Gone);
        port.reopen().unwrap();
        assert_eq!((port.link_state(), port.medium_drops()), (LinkState::Up, dropped));
    });
}
