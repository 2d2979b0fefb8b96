use std::net::UdpSocket;
use std::sync::Arc;

use super::support::*;
use crate::io::{LinkState, Netns, Port, PortKind, PortSpec, Steering, TapSpec, sys};
use crate::time::Span;
use crate::wire::build::Packet;

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
fn the_kernel_cuts_and_completes_before_a_tap() {
    in_namespace(|net| {
        let (_port, mut worker) = open(TapSpec::new("tw0"));
        net.address("tw0", [10, 9, 0, 1], [10, 9, 0, 2], FAR);
        let socket = UdpSocket::bind("10.9.0.1:1000").unwrap();
        // UDP_SEGMENT: one send, three datagrams, cut by whoever is the last that can.
        sys::sockopt::set(&socket, libc::SOL_UDP, libc::UDP_SEGMENT, &1000i32).unwrap();
        let data: Vec<u8> = (0..2500u32).map(|i| i.to_le_bytes()[0]).collect();
        socket.send_to(&data, "10.9.0.2:2000").unwrap();
        let frames = worker.expect(3, is_ip4);
        let sizes: Vec<usize> = frames.iter().map(|frame| payload(frame).len()).collect();
        assert_eq!(sizes, [1000, 1000, 500]);
        assert_eq!(frames.iter().flat_map(|f| payload(f)).collect::<Vec<u8>>(), data);
        assert_eq!(worker.received.split, 0);
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
