use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::process::Command;

use super::support::*;
use crate::frame::{Memory, Pool};
use crate::io::sys::xsk::{HEADROOM, LONGEST};
use crate::io::{
    LinkState, PacketSpec, Port, PortError, PortKind, PortSpec, Queue, Steering, XdpMode, XdpSpec,
};
use crate::time::Span;
use crate::wire::build::{Packet, TcpFields};
use crate::wire::vlan::TagStack;

/// More than the kernel holds of two ports.
const FRAMES: usize = 12_288;

/// Runs `test` in a namespace of its own for each mode; says so where XDP is not permitted.
fn in_each_mode(test: impl Fn(&Net, XdpMode) + Sync) {
    for mode in [XdpMode::Native, XdpMode::Generic] {
        in_namespace(|net| {
            net.veth("a", "b");
            match open(mode, 1, "b", &Pool::new(1).unwrap().memory()) {
                Err(PortError::XdpNotPermitted { .. }) => eprintln!("skipped: no XDP here"),
                Err(error) => panic!("{error}"),
                Ok(opened) => {
                    drop(opened);
                    test(net, mode);
                }
            }
        });
    }
}

fn open(
    mode: XdpMode,
    queues: usize,
    name: &str,
    memory: &Memory,
) -> Result<(Port, Vec<Queue>), PortError> {
    let spec = XdpSpec { mode, ..XdpSpec::new(name, memory.clone()) };
    Port::open(PortSpec { kind: PortKind::Xdp(spec), queues })
}

/// The port on `b`, ready to receive.
fn open_one(mode: XdpMode) -> (Port, Worker) {
    let pool = Pool::new(FRAMES).unwrap();
    let (port, mut queues) = open(mode, 1, "b", &pool.memory()).unwrap();
    let mut worker = Worker::with(queues.remove(0), pool, HEADROOM);
    // The first turn lends the kernel its frames.
    worker.turn();
    (port, worker)
}

fn lent(worker: &Worker) -> (usize, usize) {
    let Queue::Xdp(queue) = &worker.queue else { panic!("an xdp queue") };
    queue.lent()
}

fn hello() -> Vec<u8> {
    Packet::ip4([10, 9, 0, 1], [10, 9, 0, 2]).udp(1, 2, b"hello").eth(NEAR, FAR).build()
}

#[test]
fn tags_arrive_as_they_were_sent_in_both_directions() {
    in_each_mode(|net, mode| {
        let (_port, mut worker) = open_one(mode);
        let raw = Raw::new(net, "a");
        let packet = Packet::ip4([10, 9, 0, 1], [10, 9, 0, 2]).udp(1, 2, &[7; 1472]);
        let small = Packet::ip4([10, 9, 0, 1], [10, 9, 0, 2]).udp(1, 2, &[7; 1400]);
        let framed = || packet.eth(NEAR, FAR);
        let frames = [
            framed().build(),
            framed().tags(TagStack::single(5)).build(),
            framed().tags(TagStack::double(1001, 200)).build(),
            framed().tags(TagStack::double(200, 200)).build(),
            small.eth(NEAR, FAR).tag(0x88a8, 0x6001).tag(0x8100, 0xe001).build(),
            framed().tag(0x8100, 0).build(),
            hello(),
        ];
        assert_eq!(frames[2].len(), 1522);
        frames.iter().for_each(|frame| raw.send(frame));
        assert_eq!(worker.expect(frames.len(), |_| true), frames, "{mode:?}");
        let kind = PortKind::Packet(PacketSpec::new("a"));
        let (_far, mut queues) = Port::open(PortSpec { kind, queues: 1 }).unwrap();
        let mut far = Worker::new(queues.remove(0));
        assert_eq!(worker.send(&frames).frames as usize, frames.len());
        assert_eq!(far.expect(frames.len(), |_| true), frames, "{mode:?}");
        // Nor what the kernel itself sends there.
        Raw::new(net, "b").send(&hello());
        assert!(worker.linger().is_empty(), "frames of this host are not received");
    });
}

#[test]
fn a_frame_that_one_port_received_another_sends_without_a_copy() {
    in_each_mode(|net, mode| {
        net.veth("c", "d");
        let pool = Pool::new(FRAMES).unwrap();
        let memory = pool.memory();
        let (_in, mut from) = open(mode, 1, "b", &memory).unwrap();
        let (_out, mut to) = open(mode, 1, "c", &memory).unwrap();
        let mut worker = Worker::with(from.remove(0), pool, HEADROOM);
        worker.turn();
        let kind = PortKind::Packet(PacketSpec::new("d"));
        let (_far, mut queues) = Port::open(PortSpec { kind, queues: 1 }).unwrap();
        let mut far = Worker::new(queues.remove(0));
        let frames: Vec<Vec<u8>> = (0..50u16)
            .map(|i| {
                let packet = Packet::ip4([10, 9, 0, 1], [10, 9, 0, 2]);
                packet.udp(i, 2, &vec![7; usize::from(i) * 20]).eth(NEAR, FAR).build()
            })
            .collect();
        let raw = Raw::new(net, "a");
        frames.iter().for_each(|frame| raw.send(frame));
        let mut passed = 0;
        eventually_do(|| {
            worker.rest(Span::millis(10));
            passed += worker.pass_on(&mut to[0]).frames;
            passed as usize == frames.len()
        });
        assert_eq!(far.expect(frames.len(), |_| true), frames);
    });
}

#[test]
fn a_frame_longer_than_the_mtu_is_refused_by_count() {
    in_each_mode(|_, mode| {
        let (_port, mut worker) = open_one(mode);
        let long = Packet::ip4([10, 9, 0, 1], [10, 9, 0, 2]).udp(1, 2, &[7; 1700]);
        let counts = worker.send(&[hello(), long.eth(FAR, NEAR).build(), hello()]);
        assert_eq!((counts.frames, counts.too_long), (2, 1));
    });
}

#[test]
fn a_frame_too_long_for_a_buffer_is_the_medium_s_loss() {
    in_each_mode(|net, mode| {
        for name in ["a", "b"] {
            net.interfaces.set_mtu(name, 3000).unwrap();
        }
        let (mut port, mut worker) = open_one(mode);
        assert!(port.notes().iter().any(|note| note.contains("drops")), "{:?}", port.notes());
        let raw = Raw::new(net, "a");
        let of = |len: usize| {
            let packet = Packet::ip4([10, 9, 0, 1], [10, 9, 0, 2]);
            packet.udp(1, 2, &vec![7; len - 42]).eth(NEAR, FAR).build()
        };
        [LONGEST + 1, LONGEST, 2500, 60].iter().for_each(|len| raw.send(&of(*len)));
        assert_eq!(worker.expect(2, |_| true), [of(LONGEST), of(60)]);
        assert_eq!(port.medium_drops(), 2, "{mode:?}");
        assert_eq!(port.medium_drops(), 2, "reading does not count twice");
    });
}

#[test]
fn the_kernel_s_partial_checksum_is_completed() {
    in_each_mode(|net, mode| {
        let (_port, mut worker) = open_one(mode);
        net.address("a", [10, 9, 0, 1], [10, 9, 0, 2], FAR);
        let socket = UdpSocket::bind("10.9.0.1:1000").unwrap();
        for len in [8, 9, 1000] {
            let question = vec![3; len];
            socket.send_to(&question, "10.9.0.2:2000").unwrap();
            assert_eq!(payload(&worker.expect(1, is_ip4)[0]), question, "{mode:?}");
        }
    });
}

#[test]
fn a_partial_checksum_is_completed_behind_any_tags_in_both_families() {
    in_each_mode(|net, mode| {
        let (_port, mut worker) = open_one(mode);
        let raw = Raw::new(net, "a");
        let fields = TcpFields { src: 1000, dst: 80, seq: 7, ..TcpFields::default() };
        let packets = [
            (Packet::ip4([10, 9, 0, 1], [10, 9, 0, 2]).tcp(fields, b"some bytes"), 20, 16),
            (Packet::ip4([10, 9, 0, 1], [10, 9, 0, 2]).udp(7, 8, b"some more"), 20, 6),
            (Packet::ip6([1; 8], [0x2001; 8]).tcp(fields, b"some bytes"), 40, 16),
            (Packet::ip6([1; 8], [0x2001; 8]).udp(7, 8, b"odd"), 40, 6),
        ];
        for (packet, l3, field) in packets {
            for tags in [TagStack::UNTAGGED, TagStack::single(9), TagStack::double(9, 9)] {
                let whole = packet.eth(NEAR, FAR).tags(tags).build();
                let partial = packet.clone().partial_checksum().eth(NEAR, FAR).tags(tags).build();
                assert_ne!(whole, partial);
                let start = u16::try_from(14 + tags.size() + l3).unwrap().to_ne_bytes();
                let [a, b] = u16::to_ne_bytes(field);
                raw.send_with([1, 0, 0, 0, 0, 0, start[0], start[1], a, b], &partial);
                assert_eq!(worker.expect(1, |_| true), [whole], "{mode:?} {tags}");
            }
        }
    });
}

/// Lets the kernel put a tag into the metadata of what it sends, as its VLAN devices do; gone with
/// the returned descriptor.
fn tag_by_metadata(net: &Net, name: &str, tci: u16) -> OwnedFd {
    use crate::io::sys::bpf::{self, Extended, Hook, Kind};
    const VLAN_PUSH: i32 = 18;
    const NEXT: i32 = -1;
    let plain = |code, dst, immediate| Extended { code, registers: dst, offset: 0, immediate };
    let program = [
        plain(0xb7, 2, i32::from(0x8100u16.to_be())),
        plain(0xb7, 3, i32::from(tci)),
        plain(0x85, 0, VLAN_PUSH),
        plain(0xb7, 0, NEXT),
        plain(0x95, 0, 0),
    ];
    let program = bpf::load(Kind::Classifier, &program).unwrap();
    bpf::attach(program, net.interfaces.index(name).unwrap(), Hook::Egress).unwrap()
}

#[test]
fn a_tag_in_the_sender_s_metadata_comes_once_its_kernel_writes_it_into_the_frame() {
    in_each_mode(|net, mode| {
        let (_port, mut worker) = open_one(mode);
        net.address("a", [10, 9, 0, 1], [10, 9, 0, 2], FAR);
        let _tags = tag_by_metadata(net, "a", 5);
        let socket = UdpSocket::bind("10.9.0.1:1000").unwrap();
        let tagged = |worker: &mut Worker| {
            socket.send_to(b"question", "10.9.0.2:2000").unwrap();
            let frame = worker.expect(1, |_| true).remove(0);
            assert_eq!(payload(&frame), b"question");
            frame[12..16] == [0x81, 0, 0, 5]
        };
        assert!(!tagged(&mut worker), "{mode:?}: docs/configuration.md says that it is lost");
        let words = ["-K", "a", "tx-vlan-offload", "off"];
        if !Command::new("ethtool").args(words).status().is_ok_and(|status| status.success()) {
            return eprintln!("skipped: no ethtool");
        }
        assert!(tagged(&mut worker), "{mode:?}");
    });
}

#[test]
fn a_full_ring_drops_by_count() {
    in_each_mode(|net, mode| {
        let (mut port, mut worker) = open_one(mode);
        let raw = Raw::new(net, "a");
        (0..2400).for_each(|_| raw.send(&hello()));
        eventually(|| worker.queue.is_ready());
        let received = worker.linger().len();
        let lost = port.medium_drops();
        assert_eq!((received + usize::try_from(lost).unwrap(), lost > 0), (2400, true), "{mode:?}");
        assert_eq!(port.medium_drops(), lost, "reading does not count twice");
        // And it goes on.
        raw.send(&hello());
        assert_eq!(worker.expect(1, |_| true), [hello()]);
    });
}

#[test]
fn frames_are_lost_by_count_when_there_are_none() {
    in_each_mode(|net, mode| {
        let pool = Pool::new(16).unwrap();
        let (mut port, mut queues) = open(mode, 1, "b", &pool.memory()).unwrap();
        let mut worker = Worker::with(queues.remove(0), pool, HEADROOM);
        worker.turn();
        assert_eq!(lent(&worker).0, 16);
        let raw = Raw::new(net, "a");
        (0..20).for_each(|_| raw.send(&hello()));
        assert_eq!(worker.expect(16, |_| true).len(), 16);
        assert_eq!(port.medium_drops(), 4, "{mode:?}");
    });
}

#[test]
fn all_frames_come_home_when_a_port_is_closed() {
    in_each_mode(|net, mode| {
        let (port, mut worker) = open_one(mode);
        let raw = Raw::new(net, "a");
        for _ in 0..20 {
            (0..100).for_each(|_| raw.send(&hello()));
            assert_eq!(worker.expect(100, |_| true).len(), 100);
            assert_eq!(worker.send(&vec![hello(); 64]).frames, 64);
        }
        let (receiving, sending) = lent(&worker);
        assert_eq!(worker.pool.available() + receiving + sending, FRAMES);
        assert!(receiving > 1000);
        // Some wait in the ring, unread.
        (0..10).for_each(|_| raw.send(&hello()));
        drop(port);
        let Worker { queue, pool, .. } = worker;
        drop(queue);
        assert_eq!(pool.available(), FRAMES, "{mode:?}");
    });
}

#[test]
fn a_port_survives_its_interface_going_down_and_away() {
    in_each_mode(|net, mode| {
        let (mut port, mut worker) = open_one(mode);
        let passes = |worker: &mut Worker| {
            net.settle("a");
            worker.turn();
            Raw::new(net, "a").send(&hello());
            assert_eq!(worker.expect(1, |f| f == hello()), [hello()]);
            assert_eq!(worker.send(&[hello()]).frames, 1);
        };
        until(&port, LinkState::Up);
        passes(&mut worker);

        net.interfaces.set_up("b", false).unwrap();
        assert_eq!(port.link_state(), LinkState::Down);
        for _ in 0..100 {
            assert_eq!(worker.send(&vec![hello(); 64]).down, 64);
        }
        assert!(worker.queue.is_down());
        worker.rest(Span::millis(1));
        worker.check_sleeps();
        let (receiving, sending) = lent(&worker);
        assert_eq!(worker.pool.available() + receiving + sending, FRAMES);
        net.interfaces.set_up("b", true).unwrap();
        until(&port, LinkState::Up);
        passes(&mut worker);
        assert!(!worker.queue.is_down());

        net.interfaces.set_up("a", false).unwrap();
        until(&port, LinkState::NoCarrier);
        eventually(|| !net.interfaces.is_running("b").unwrap());
        let counts = worker.send(&[hello(), hello()]);
        assert_eq!((counts.frames, counts.bytes, counts.down), (0, 0, 2));
        net.interfaces.set_up("a", true).unwrap();
        until(&port, LinkState::Up);
        passes(&mut worker);

        net.delete("a");
        until(&port, LinkState::Gone);
        assert_eq!(worker.send(&[hello()]).down, 1);
        assert!(port.reopen().unwrap_err().to_string().contains("no interface `b`"));
        assert_eq!(worker.send(&[hello()]).down, 1);
        worker.rest(Span::millis(1));
        worker.check_sleeps();
        assert_eq!(worker.pool.available(), FRAMES, "the kernel has none while it is gone");
        net.veth("a", "b");
        assert_eq!(port.link_state(), LinkState::Gone, "another interface of that name");
        port.reopen().unwrap();
        until(&port, LinkState::Up);
        passes(&mut worker);
    });
}

#[test]
fn a_loss_is_passed_on_to_the_veth_peer() {
    in_each_mode(|net, mode| {
        let (port, mut worker) = open_one(mode);
        port.set_carrier(false).unwrap();
        assert!(port.is_held());
        assert!(!net.interfaces.has_carrier("a").unwrap());
        assert_eq!(worker.send(&[hello()]).down, 1);
        port.set_carrier(true).unwrap();
        eventually(|| net.interfaces.has_carrier("a").unwrap());
        until(&port, LinkState::Up);
        net.settle("b");
        assert_eq!(worker.send(&[hello()]).frames, 1);
    });
}

#[test]
fn an_interface_has_one_program_and_none_when_the_port_is_closed() {
    in_each_mode(|_, mode| {
        let memory = Pool::new(1).unwrap().memory();
        let (port, queues) = open(mode, 1, "b", &memory).unwrap();
        let word = if mode == XdpMode::Native { "xdp native" } else { "xdp generic" };
        assert_eq!(port.kind(), word);
        for second in [XdpMode::Native, XdpMode::Generic, XdpMode::Auto] {
            let error = open(second, 1, "b", &memory).unwrap_err();
            assert!(matches!(error, PortError::XdpOccupied { .. }), "{error}");
            assert!(error.to_string().contains("ip link set dev b xdp off"), "{error}");
        }
        drop((port, queues));
        open(mode, 1, "b", &memory).unwrap();
    });
}

#[test]
fn refusals_are_those_of_a_packet_port() {
    in_each_mode(|net, mode| {
        let memory = Pool::new(1).unwrap().memory();
        let missing = open(mode, 1, "nic7", &memory).unwrap_err().to_string();
        assert!(missing.contains("no interface `nic7` in this network namespace"), "{missing}");
        net.interfaces.set_mtu("b", 1500).unwrap();
        let small = open(mode, 1, "b", &memory).unwrap_err().to_string();
        assert!(small.contains("ip link set dev b mtu 1504"), "{small}");
        net.address("a", [10, 9, 0, 1], [10, 9, 0, 2], FAR);
        let own = open(mode, 1, "a", &memory).unwrap_err().to_string();
        assert!(own.contains("has the address 10.9.0.1"), "{own}");
        let bad = open(mode, 1, "a b", &memory).unwrap_err();
        assert!(matches!(bad, PortError::BadName { .. }), "{bad}");
    });
}

#[test]
fn workers_without_a_queue_send_and_say_so() {
    in_each_mode(|net, mode| {
        let mut pools = Pool::family(2, FRAMES).unwrap();
        let (port, queues) = open(mode, 2, "b", &pools[0].memory()).unwrap();
        assert_eq!(port.steering(), Steering::Interface { receivers: 1 });
        let offs = [HEADROOM, crate::frame::HEADROOM];
        let mut workers: Vec<Worker> = queues
            .into_iter()
            .zip(offs)
            .map(|(queue, off)| Worker::with(queue, pools.remove(0), off))
            .collect();
        workers[0].turn();
        let raw = Raw::new(net, "a");
        let frames = flows();
        frames.iter().for_each(|frame| raw.send(frame));
        assert_eq!(workers[0].expect(frames.len(), |_| true), frames);
        assert!(workers[1].linger().is_empty(), "{mode:?}");
        let kind = PortKind::Packet(PacketSpec::new("a"));
        let (_far, mut queues) = Port::open(PortSpec { kind, queues: 1 }).unwrap();
        let mut far = Worker::new(queues.remove(0));
        for worker in &mut workers {
            assert_eq!(worker.send(&[hello()]).frames, 1);
            assert_eq!(far.expect(1, |_| true), [hello()]);
        }
    });
}

#[test]
fn one_worker_may_have_several_queues() {
    in_each_mode(|net, mode| {
        for name in ["a", "b"] {
            let done = Command::new("ethtool").args(["-L", name, "rx", "2", "tx", "2"]).status();
            if !done.is_ok_and(|status| status.success()) {
                return eprintln!("skipped: no ethtool, or one processor");
            }
        }
        let (port, mut worker) = open_one(mode);
        assert_eq!(port.steering(), Steering::None);
        assert_eq!(lent(&worker).0, 4096);
        let raw = Raw::new(net, "a");
        let mut frames = flows();
        frames.iter().for_each(|frame| raw.send(frame));
        // Queues are not in step with each other.
        let mut received = worker.expect(frames.len(), |_| true);
        received.sort_unstable();
        frames.sort_unstable();
        assert_eq!(received, frames, "{mode:?}");
        worker.rest(Span::millis(1));
        worker.check_sleeps();
    });
}
