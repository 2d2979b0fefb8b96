use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};

use super::support::*;
use crate::frame::{Flags, Row};
use crate::io::sys::interface::Offload;
use crate::io::{LinkState, PacketSpec, Port, PortKind, PortSpec, Queue, sys};
use crate::time::Span;
use crate::wire::build::{Packet, TcpFields};
use crate::wire::vlan::TagStack;

fn open(queues: usize) -> (Port, Vec<Queue>) {
    let kind = PortKind::Packet(PacketSpec::new("b"));
    Port::open(PortSpec { kind, queues }).unwrap()
}

fn open_one() -> (Port, Worker) {
    let (port, mut queues) = open(1);
    (port, Worker::new(queues.remove(0)))
}

fn hello() -> Vec<u8> {
    Packet::ip4([10, 9, 0, 1], [10, 9, 0, 2]).udp(1, 2, b"hello").eth(NEAR, FAR).build()
}

/// The `virtio_net_hdr` of a TCP frame with `tags` bytes of tags that is left partial, and in
/// segments of `gso_size` unless that is 0.
fn partial_tcp(tags: u16, gso_size: u16) -> [u8; 10] {
    let l4 = (14 + tags + 20).to_ne_bytes();
    let [a, b] = gso_size.to_ne_bytes();
    let [c, d] = (14 + tags + 20 + 20).to_ne_bytes();
    [
        1,
        u8::from(gso_size > 0),
        c,
        d,
        a,
        b,
        l4[0],
        l4[1],
        16u16.to_ne_bytes()[0],
        16u16.to_ne_bytes()[1],
    ]
}

#[test]
fn tags_arrive_as_they_were_sent() {
    in_namespace(|net| {
        net.veth("a", "b");
        let (_port, mut worker) = open_one();
        let raw = Raw::new(net, "a");
        let packet = Packet::ip4([10, 9, 0, 1], [10, 9, 0, 2]).udp(1, 2, &[7; 1472]);
        let small = Packet::ip4([10, 9, 0, 1], [10, 9, 0, 2]).udp(1, 2, &[7; 1400]);
        let framed = || packet.eth(NEAR, FAR);
        let frames = [
            framed().build(),
            framed().tags(TagStack::single(5)).build(),
            framed().tags(TagStack::double(1001, 200)).build(),
            framed().tags(TagStack::double(200, 200)).build(),
            // The kernel grants the tag's room to 0x8100 alone.
            small.eth(NEAR, FAR).tag(0x88a8, 0x6001).tag(0x8100, 0xe001).build(),
            framed().tag(0x8100, 0).build(),
        ];
        assert_eq!(frames[2].len(), 1522);
        frames.iter().for_each(|frame| raw.send(frame));
        assert_eq!(worker.expect(frames.len(), |_| true), frames);
        // And the other way.
        let (_far, mut queues) = {
            let kind = PortKind::Packet(PacketSpec::new("a"));
            Port::open(PortSpec { kind, queues: 1 }).unwrap()
        };
        let mut far = Worker::new(queues.remove(0));
        assert_eq!(worker.send(&frames).frames as usize, frames.len());
        assert_eq!(far.expect(frames.len(), |_| true), frames);
        // Nor what the kernel itself sends there.
        Raw::new(net, "b").send(&hello());
        assert!(worker.linger().is_empty(), "frames of this host are not received");
    });
}

#[test]
fn a_frame_longer_than_the_mtu_is_refused_by_count() {
    in_namespace(|net| {
        net.veth("a", "b");
        let (_port, mut worker) = open_one();
        let long = Packet::ip4([10, 9, 0, 1], [10, 9, 0, 2]).udp(1, 2, &[7; 1700]);
        let counts = worker.send(&[hello(), long.eth(FAR, NEAR).build(), hello()]);
        assert_eq!((counts.frames, counts.too_long), (2, 1));
    });
}

#[test]
fn the_kernel_s_partial_checksum_stays_partial() {
    in_namespace(|net| {
        net.veth("a", "b");
        let (_port, mut worker) = open_one();
        net.address("a", [10, 9, 0, 1], [10, 9, 0, 2], FAR);
        let socket = UdpSocket::bind("10.9.0.1:1000").unwrap();
        socket.send_to(b"question", "10.9.0.2:2000").unwrap();
        assert_eq!(payload(&worker.expect(1, is_ip4)[0]), b"question");
        assert_eq!(worker.partial, 1);
    });
}

#[test]
fn a_partial_checksum_behind_tags_is_known_at_its_place() {
    in_namespace(|net| {
        net.veth("a", "b");
        let (_port, mut worker) = open_one();
        let raw = Raw::new(net, "a");
        let fields = TcpFields { src: 1000, dst: 80, seq: 7, ..TcpFields::default() };
        let packet = Packet::ip4([10, 9, 0, 1], [10, 9, 0, 2]).tcp(fields, b"some bytes");
        for tags in [TagStack::UNTAGGED, TagStack::single(9), TagStack::double(9, 9)] {
            let whole = packet.eth(NEAR, FAR).tags(tags).build();
            let partial = packet.clone().partial_checksum().eth(NEAR, FAR).tags(tags).build();
            assert_ne!(whole, partial);
            let size = u16::try_from(tags.size()).unwrap();
            raw.send_with(partial_tcp(size, 0), &partial);
            assert_eq!(worker.expect(1, |_| true), [whole], "{tags}");
        }
        assert_eq!(worker.partial, 3);
    });
}

#[test]
fn a_super_frame_arrives_whole_behind_any_tags() {
    in_namespace(|net| {
        net.veth("a", "b");
        let (_port, mut worker) = open_one();
        let raw = Raw::new(net, "a");
        let fields = TcpFields { src: 1000, dst: 80, seq: 7, ..TcpFields::default() };
        let data: Vec<u8> = (0..60_000u32).map(|i| (i / 7).to_le_bytes()[0]).collect();
        let packet = Packet::ip4([10, 9, 0, 1], [10, 9, 0, 2]).tcp(fields, &data);
        let packet = packet.partial_checksum();
        for tags in [TagStack::UNTAGGED, TagStack::single(9), TagStack::double(9, 9)] {
            let frame = packet.eth(NEAR, FAR).tags(tags).build();
            let size = u16::try_from(tags.size()).unwrap();
            raw.send_with(partial_tcp(size, 1448), &frame);
            let frames = worker.expect(data.len().div_ceil(1448), |_| true);
            let whole: Vec<u8> = frames.iter().flat_map(|frame| payload(frame)).collect();
            assert!(whole == data, "{tags}: {} bytes of {}", whole.len(), data.len());
            assert!(frames.iter().all(|f| f.len() <= 54 + tags.size() + 1448));
            let l2 = frame.split_at(14 + tags.size()).0;
            assert!(frames.iter().all(|f| f.starts_with(l2)), "{tags}");
        }
        assert_eq!((worker.whole, worker.received.frames), (3, 3), "veth cuts none");
        assert_eq!(worker.pool.len(), 256);
    });
}

#[test]
fn super_frames_cross_veth_in_order_with_what_is_sent_around_them() {
    in_namespace(|net| {
        net.veth("a", "b");
        let (_port, mut worker) = open_one();
        let kind = PortKind::Packet(PacketSpec::new("a"));
        let (_far, mut queues) = Port::open(PortSpec { kind, queues: 1 }).unwrap();
        let mut far = Worker::new(queues.remove(0));
        let tcp = |size, tags| {
            let fields = TcpFields { src: 1000, dst: 80, seq: 7, ..TcpFields::default() };
            let packet = Packet::ip4([10, 9, 0, 1], [10, 9, 0, 2]).tcp(fields, &vec![7; size]);
            packet.partial_checksum().eth(FAR, NEAR).tags(tags).build()
        };
        let sizes = [100, 60_000, 200, 1000, 30_000, 5000, 300];
        for tags in [TagStack::UNTAGGED, TagStack::single(9), TagStack::double(9, 9)] {
            let mut frames: Vec<Vec<u8>> = sizes.map(|size| tcp(size, tags)).to_vec();
            let (mut own, mut whole) = (Vec::new(), 0);
            for frame in frames.drain(..) {
                let gso_size = if frame.len() > 1300 { 1448 } else { 0 };
                whole += usize::from(gso_size > 0);
                own.push((frame, gso_size));
            }
            let counts = worker.send_mixed(&own);
            assert_eq!((counts.frames as usize, counts.split), (own.len(), 0), "{counts:?}");
            let expected: Vec<Vec<u8>> = own
                .iter()
                .flat_map(|(frame, gso_size)| {
                    let flags = Flags::PARTIAL_CHECKSUM;
                    closed(frame, &Row { gso_size: *gso_size, flags, ..Row::default() })
                })
                .collect();
            let before = (far.whole, far.partial);
            assert!(far.expect(expected.len(), |_| true) == expected, "{tags}");
            let came = (far.whole - before.0, far.partial - before.1);
            assert_eq!(came, (whole, own.len() - whole), "{tags}");
        }
        // Segments that are longer than the MTU are refused.
        let counts = worker.send_mixed(&[(tcp(20_000, TagStack::UNTAGGED), 1600)]);
        assert_eq!((counts.frames, counts.too_long), (0, 1));
    });
}

/// A super-frame of `size` bytes in all, and what comes out of it.
fn super_frame(size: usize, is_udp: bool) -> ((Vec<u8>, u16), Vec<Vec<u8>>) {
    let addresses = ([10, 9, 0, 1], [10, 9, 0, 2]);
    let packet = Packet::ip4(addresses.0, addresses.1);
    let fields = TcpFields { src: 1000, dst: 80, seq: 7, ..TcpFields::default() };
    let packet = match is_udp {
        true => packet.udp(1000, 80, &vec![7; size - 42]),
        false => packet.tcp(fields, &vec![7; size - 54]),
    };
    let frame = packet.partial_checksum().eth(FAR, NEAR).build();
    assert_eq!(frame.len(), size);
    let (gso_size, flags) = (1448, Flags::PARTIAL_CHECKSUM);
    let segments = closed(&frame, &Row { gso_size, flags, ..Row::default() });
    ((frame, gso_size), segments)
}

#[test]
fn super_frames_are_cut_before_a_veth_that_does_not_take_them() {
    in_namespace(|net| {
        net.veth("a", "b");
        let (_port, mut far) = open_one();
        let kind = PortKind::Packet(PacketSpec::new("a"));
        let (_near, mut queues) = Port::open(PortSpec { kind, queues: 1 }).unwrap();
        let mut near = Worker::new(queues.remove(0));
        let mut cross = |is_udp, size, whole| {
            let (own, segments) = super_frame(size, is_udp);
            let before = far.whole;
            // Behind a plain one, that it may not overtake.
            let (first, _) = super_frame(100, is_udp);
            let counts = near.send_mixed(&[(first.0.clone(), 0), own]);
            let sent = if whole { 2 } else { 1 + segments.len() };
            assert_eq!((counts.frames as usize, counts.full), (sent, 0), "{counts:?}");
            assert_eq!(counts.split as usize, if whole { 0 } else { segments.len() - 1 });
            let flags = Flags::PARTIAL_CHECKSUM;
            let expected = [closed(&first.0, &Row { flags, ..Row::default() }), segments].concat();
            assert!(far.expect(expected.len(), |_| true) == expected);
            assert_eq!(far.whole - before, usize::from(whole));
        };
        cross(false, 30_000, true);
        cross(true, 30_000, true);
        cross(false, 65_535, true);
        // Longer ones the kernel cuts before any interface.
        cross(false, 65_549, false);
        net.interfaces.set_offload("a", Offload::Tso, false).unwrap();
        cross(false, 30_000, false);
        cross(true, 30_000, true);
        // Without checksums there is no segmentation either.
        net.interfaces.set_offload("a", Offload::TransmitChecksum, false).unwrap();
        cross(true, 30_000, false);
        cross(false, 30_000, false);
    });
}

#[test]
fn the_kernel_s_udp_super_frame_arrives_whole() {
    in_namespace(|net| {
        net.veth("a", "b");
        let (_port, mut worker) = open_one();
        net.address("a", [10, 9, 0, 1], [10, 9, 0, 2], FAR);
        let socket = UdpSocket::bind("10.9.0.1:1000").unwrap();
        sys::sockopt::set(&socket, libc::SOL_UDP, libc::UDP_SEGMENT, &1000i32).unwrap();
        let data: Vec<u8> = (0..20_500u32).map(|i| i.to_le_bytes()[0]).collect();
        socket.send_to(&data, "10.9.0.2:2000").unwrap();
        let frames = worker.expect(21, is_ip4);
        assert_eq!(frames.iter().flat_map(|f| payload(f)).collect::<Vec<u8>>(), data);
        assert_eq!((worker.whole, worker.received.split), (1, 0));
    });
}

#[test]
fn the_kernel_s_tcp_stream_arrives_in_segments() {
    in_namespace(|near| {
        near.veth("a", "b");
        near.address("a", [10, 9, 0, 1], [10, 9, 0, 9], FAR);
        let (give, take) = std::sync::mpsc::channel();
        let (ready, wait) = std::sync::mpsc::channel();
        let data: Vec<u8> = (0..300_000u32).map(|i| (i / 3).to_le_bytes()[0]).collect();
        let expected = data.clone();
        std::thread::scope(|scope| {
            let far = scope.spawn(move || {
                in_namespace(|far| {
                    give.send(sys::netns::current().unwrap()).unwrap();
                    eventually(|| far.interfaces.index("b").is_ok());
                    far.interfaces.set_up("b", true).unwrap();
                    far.address("b", [10, 9, 0, 2], [10, 9, 0, 9], FAR);
                    let spec = PacketSpec { allow_host_interface: true, ..PacketSpec::new("b") };
                    let kind = PortKind::Packet(spec);
                    let (_port, mut queues) = Port::open(PortSpec { kind, queues: 1 }).unwrap();
                    let mut worker = Worker::new(queues.remove(0));
                    let listener = TcpListener::bind("10.9.0.2:80").unwrap();
                    ready.send(()).unwrap();
                    let (mut stream, _) = listener.accept().unwrap();
                    stream.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
                    let mut read = Vec::new();
                    stream.read_to_end(&mut read).unwrap();
                    assert!(read == expected);
                    let segments: Vec<Vec<u8>> =
                        worker.linger().into_iter().filter(|f| is_ip4(f)).collect();
                    assert!(segments.iter().all(|f| f.len() <= 1518));
                    // By sequence number: a busy host may send some twice.
                    let seq = |f: &[u8]| u32::from_be_bytes(f[38..42].try_into().unwrap());
                    let first = seq(&segments[0]);
                    let in_order: BTreeMap<u32, Vec<u8>> = segments
                        .iter()
                        .map(|f| (seq(f).wrapping_sub(first), payload(f)))
                        .filter(|(_, payload)| !payload.is_empty())
                        .collect();
                    let tapped: Vec<u8> = in_order.into_values().flatten().collect();
                    assert!(tapped == expected, "{} bytes", tapped.len());
                    assert!(worker.whole > 3, "{:?}", worker.received);
                });
            });
            let Ok(netns) = take.recv() else { return far.join().unwrap() };
            near.give_away("b", &netns);
            wait.recv().unwrap();
            let mut stream = TcpStream::connect("10.9.0.2:80").unwrap();
            stream.write_all(&data).unwrap();
            drop(stream);
            far.join().unwrap();
        });
    });
}

#[test]
fn fanout_keeps_address_pairs_on_one_queue() {
    in_namespace(|net| {
        net.veth("a", "b");
        let (_port, queues) = open(2);
        let mut workers: Vec<Worker> = queues.into_iter().map(Worker::new).collect();
        let raw = Raw::new(net, "a");
        let frames = flows();
        frames.iter().for_each(|frame| raw.send(frame));
        let received: Vec<_> = workers.iter_mut().map(Worker::linger).collect();
        assert_eq!(received.iter().map(Vec::len).sum::<usize>(), frames.len());
        assert!(received.iter().flatten().all(|frame| frames.contains(frame)));
        check_steering(&received);
        // Nor does the group receive what this host sends.
        assert_eq!(workers[0].send(&[hello()]).frames, 1);
        Raw::new(net, "b").send(&hello());
        assert!(workers.iter_mut().all(|worker| worker.linger().is_empty()));
    });
}

#[test]
fn a_port_survives_its_interface_going_down_and_away() {
    in_namespace(|net| {
        net.veth("a", "b");
        let (mut port, mut worker) = open_one();
        let passes = |worker: &mut Worker| {
            net.settle("a");
            Raw::new(net, "a").send(&hello());
            assert_eq!(worker.expect(1, |f| f == hello()), [hello()]);
            assert_eq!(worker.send(&[hello()]).frames, 1);
        };
        until(&port, LinkState::Up);
        passes(&mut worker);

        net.interfaces.set_up("b", false).unwrap();
        assert_eq!(port.link_state(), LinkState::Down);
        assert_eq!(worker.send(&[hello(), hello()]).down, 2);
        assert!(worker.queue.is_down());
        // The socket's pending error must not keep the worker awake.
        worker.rest(Span::millis(1));
        worker.check_sleeps();
        net.interfaces.set_up("b", true).unwrap();
        until(&port, LinkState::Up);
        passes(&mut worker);

        net.interfaces.set_up("a", false).unwrap();
        until(&port, LinkState::NoCarrier);
        eventually(|| !net.interfaces.is_running("b").unwrap());
        assert_eq!(worker.send(&[hello()]).down, 1);
        net.interfaces.set_up("a", true).unwrap();
        until(&port, LinkState::Up);

        net.delete("a");
        until(&port, LinkState::Gone);
        assert_eq!(worker.send(&[hello()]).down, 1);
        assert!(port.reopen().unwrap_err().to_string().contains("no interface `b`"));
        worker.rest(Span::millis(1));
        worker.check_sleeps();
        net.veth("a", "b");
        assert_eq!(port.link_state(), LinkState::Gone, "another interface of that name");
        port.reopen().unwrap();
        until(&port, LinkState::Up);
        passes(&mut worker);
    });
}

#[test]
fn a_loss_is_passed_on_to_the_veth_peer() {
    in_namespace(|net| {
        net.veth("a", "b");
        let (port, mut worker) = open_one();
        port.set_carrier(false).unwrap();
        assert!(port.is_held());
        assert!(!net.interfaces.has_carrier("a").unwrap());
        assert_eq!(worker.send(&[hello()]).down, 1);
        port.set_carrier(true).unwrap();
        eventually(|| net.interfaces.has_carrier("a").unwrap());
        until(&port, LinkState::Up);
        assert_eq!(worker.send(&[hello()]).frames, 1);
    });
}

#[test]
fn a_full_ring_drops_by_count() {
    in_namespace(|net| {
        net.veth("a", "b");
        let (mut port, mut worker) = open_one();
        let raw = Raw::new(net, "a");
        (0..2200).for_each(|_| raw.send(&hello()));
        eventually(|| worker.queue.is_ready());
        let received = worker.linger().len();
        let lost = port.medium_drops();
        assert_eq!((received + usize::try_from(lost).unwrap(), lost > 0), (2200, true));
        assert_eq!(port.medium_drops(), lost, "reading does not count twice");
    });
}
