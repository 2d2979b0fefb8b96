//! Namespaces, veth pairs, addresses, and frames in and out of queues.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsRawFd, OwnedFd};

use etherparse::{NetHeaders, PacketHeaders, PayloadSlice, TransportHeader};
use rtnetlink::packet_route::neighbour::NeighbourState;
use rtnetlink::{Handle, LinkUnspec, LinkVeth};

use crate::frame::{Batch, DropReason, Flags, HEADROOM, Outgoing, Pool, Row};
use crate::ids::PortId;
use crate::io::sys::interface::Interfaces;
use crate::io::sys::{self, packet};
use crate::io::{Counts, Idle, LinkState, Port, Queue, Sleeper, clock};
use crate::time::{Now, Span};
use crate::wire::eth::MacAddr;
use crate::wire::offload::complete_l4;
use crate::wire::segment::Segments;

pub(super) const NEAR: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
pub(super) const FAR: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);
const PATIENCE: Span = Span::secs(5);

/// The network namespace of the thread that a test runs on.
pub(super) struct Net {
    runtime: tokio::runtime::Runtime,
    handle: Handle,
    pub(super) interfaces: Interfaces,
}

/// Runs `test` on a thread in a fresh namespace; says so where that is not permitted.
pub(super) fn in_namespace(test: impl FnOnce(&Net) + Send) {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| match sys::netns::unshare() {
            Err(error) => eprintln!("skipped: no network namespace of our own: {error}"),
            Ok(()) => test(&Net::new()),
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

impl Net {
    fn new() -> Self {
        // The kernel's own neighbour discovery would only be noise here.
        for scope in ["all", "default"] {
            let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/{scope}/disable_ipv6"), "1");
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (connection, handle, _) = {
            let _inside = runtime.enter();
            rtnetlink::new_connection().unwrap()
        };
        runtime.spawn(connection);
        Self { runtime, handle, interfaces: Interfaces::open().unwrap() }
    }

    /// A veth pair, both ends up, with an MTU for two tags.
    pub(super) fn veth(&self, a: &str, b: &str) {
        let link = LinkVeth::new(a, b).build();
        self.runtime.block_on(self.handle.link().add(link).execute()).unwrap();
        for name in [a, b] {
            self.interfaces.set_mtu(name, 1504).unwrap();
            self.interfaces.set_up(name, true).unwrap();
        }
        self.settle(a);
        self.settle(b);
    }

    /// Waits until the kernel has noticed the carrier and gives out frames; until then its own
    /// senders lose them.
    pub(super) fn settle(&self, name: &str) {
        eventually(|| self.interfaces.is_running(name).unwrap());
        // Asking takes the lock under which the kernel does the rest.
        assert!(self.interfaces.has_carrier(name).unwrap());
    }

    pub(super) fn delete(&self, name: &str) {
        let index = self.interfaces.index(name).unwrap();
        self.runtime.block_on(self.handle.link().del(index).execute()).unwrap();
    }

    /// Moves an interface into another namespace.
    pub(super) fn give_away(&self, name: &str, netns: &OwnedFd) {
        let link = LinkUnspec::new_with_name(name).setns_by_fd(netns.as_raw_fd()).build();
        self.runtime.block_on(self.handle.link().set(link).execute()).unwrap();
    }

    /// Gives the interface an address of a /24, and a neighbour that needs no ARP.
    pub(super) fn address(&self, name: &str, address: [u8; 4], neighbour: [u8; 4], mac: MacAddr) {
        let index = self.interfaces.index(name).unwrap();
        let ip = |bytes: [u8; 4]| IpAddr::V4(Ipv4Addr::from(bytes));
        self.runtime.block_on(async {
            self.handle.address().add(index, ip(address), 24).execute().await.unwrap();
            let neighbour = self.handle.neighbours().add(index, ip(neighbour));
            let neighbour = neighbour.state(NeighbourState::Permanent);
            neighbour.link_local_address(&mac.0).execute().await.unwrap();
        });
    }
}

/// What a worker has, for one queue.
pub(super) struct Worker {
    pub(super) queue: Queue,
    pub(super) pool: Pool,
    /// Where received frames begin.
    off: usize,
    sleeper: Sleeper,
    batch: Batch,
    /// All receptions together.
    pub(super) received: Counts,
    /// Super-frames that came in whole, and ordinary frames with a partial checksum.
    pub(super) whole: usize,
    pub(super) partial: usize,
}

impl Worker {
    pub(super) fn new(queue: Queue) -> Self {
        Self::with(queue, Pool::new(256).unwrap(), HEADROOM)
    }

    /// One whose frames lie in memory that the port knows.
    pub(super) fn with(queue: Queue, pool: Pool, off: usize) -> Self {
        Self {
            queue,
            pool,
            off,
            sleeper: Sleeper::new(Idle::SleepAfter(0)).unwrap(),
            batch: Batch::new(),
            received: Counts::default(),
            whole: 0,
            partial: 0,
        }
    }

    /// One turn: what is there now, as a wire would carry it.
    pub(super) fn turn(&mut self) -> Vec<Vec<u8>> {
        let now = clock::now();
        let counts = self.queue.receive(PortId(3), now, &mut self.pool, &mut self.batch);
        self.batch.settle();
        let rows = self.batch.len();
        let lost = counts.no_frame + counts.too_long + counts.super_frame;
        assert_eq!((counts.frames + counts.split) as usize, rows + lost as usize);
        let mut frames = Vec::new();
        for i in 0..rows {
            let row = *self.batch.row(i);
            assert_eq!((row.port, usize::from(row.off), row.arrival), (PortId(3), self.off, now));
            assert_eq!(self.batch.open() >> i & 1 != 0, row.is_open());
            frames.extend(closed(self.batch.bytes(i), &row));
            self.whole += usize::from(row.gso_size > 0);
            self.partial += usize::from(row.is_open() && row.gso_size == 0);
            self.batch.drop(i, DropReason::NoRoute);
        }
        self.batch.finish(&mut self.pool, |_, _| {});
        let sum = &mut self.received;
        sum.frames += counts.frames;
        sum.bytes += counts.bytes;
        sum.split += counts.split;
        sum.no_frame += counts.no_frame;
        sum.too_long += counts.too_long;
        sum.super_frame += counts.super_frame;
        frames
    }

    /// Sends by another port of the same memory what is there now.
    pub(super) fn pass_on(&mut self, to: &mut Queue) -> Counts {
        let now = clock::now();
        self.queue.receive(PortId(3), now, &mut self.pool, &mut self.batch);
        self.batch.settle();
        let mut out: Vec<Outgoing> = (0..self.batch.len())
            .map(|i| {
                let (frame, row) = self.batch.take(i);
                Outgoing::new(frame, &row)
            })
            .collect();
        self.batch.finish(&mut self.pool, |_, _| {});
        to.transmit(&mut out, &mut self.pool)
    }

    pub(super) fn rest(&mut self, at_most: Span) {
        self.sleeper.rest(0, [&self.queue].into_iter(), at_most).unwrap();
    }

    /// Nothing wakes the worker before its time.
    pub(super) fn check_sleeps(&mut self) {
        let before = clock::now();
        self.rest(Span::millis(20));
        assert!(clock::now().since(before) >= Span::millis(20));
    }

    /// Receives until `count` frames that `wanted` takes are there, sleeping in between.
    pub(super) fn expect(&mut self, count: usize, wanted: impl Fn(&[u8]) -> bool) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        let start = clock::now();
        while frames.len() < count {
            assert!(clock::now().since(start) < PATIENCE, "{} of {count} frames", frames.len());
            self.rest(Span::millis(100));
            frames.extend(self.turn().into_iter().filter(|frame| wanted(frame)));
        }
        frames
    }

    /// Everything that comes within a short time.
    pub(super) fn linger(&mut self) -> Vec<Vec<u8>> {
        let start = clock::now();
        let mut frames = Vec::new();
        while clock::now().since(start) < Span::millis(30) {
            self.rest(Span::millis(5));
            frames.extend(self.turn());
        }
        frames
    }

    /// Sends frames.
    pub(super) fn send(&mut self, frames: &[impl AsRef<[u8]>]) -> Counts {
        let mut out: Vec<Outgoing> = frames
            .iter()
            .map(|bytes| {
                let bytes = bytes.as_ref();
                let mut frame = self.pool.take().unwrap();
                frame[HEADROOM..HEADROOM + bytes.len()].copy_from_slice(bytes);
                let off = u16::try_from(HEADROOM).unwrap();
                Outgoing::plain(frame, off, bytes.len(), Now(0))
            })
            .collect();
        self.transmit(&mut out)
    }

    fn transmit(&mut self, out: &mut Vec<Outgoing>) -> Counts {
        let given = out.len();
        let counts = self.queue.transmit(out, &mut self.pool);
        assert!(out.is_empty());
        let all = counts.frames + counts.too_long + counts.down + counts.full + counts.no_frame;
        assert_eq!(all as usize, given + counts.split as usize);
        counts
    }

    /// Sends frames whose checksums are partial: super-frames unless `gso_size` is 0.
    pub(super) fn send_open(&mut self, frames: &[Vec<u8>], gso_size: u16) -> Counts {
        let frames: Vec<_> = frames.iter().map(|frame| (frame.clone(), gso_size)).collect();
        self.send_mixed(&frames)
    }

    /// As [`Worker::send_open`], each frame with its own size of segments.
    pub(super) fn send_mixed(&mut self, frames: &[(Vec<u8>, u16)]) -> Counts {
        let open = |(bytes, gso_size): &(Vec<u8>, u16)| {
            let mut frame = self.pool.take_long().unwrap();
            frame.all_mut()[HEADROOM..HEADROOM + bytes.len()].copy_from_slice(bytes);
            let row = Row {
                off: u16::try_from(HEADROOM).unwrap(),
                len: u32::try_from(bytes.len()).unwrap(),
                flags: Flags::PARTIAL_CHECKSUM,
                gso_size: *gso_size,
                ..Row::default()
            };
            Outgoing::new(frame, &row)
        };
        let mut out: Vec<Outgoing> = frames.iter().map(open).collect();
        self.transmit(&mut out)
    }
}

/// The frames that a device with offloads makes of one.
pub(super) fn closed(bytes: &[u8], row: &Row) -> Vec<Vec<u8>> {
    if row.gso_size == 0 {
        let mut frame = bytes.to_vec();
        if row.is_open() {
            complete_l4(&mut frame).unwrap();
        }
        return vec![frame];
    }
    let segments = Segments::new(bytes, row.gso_size).unwrap();
    let write = |i| {
        let mut out = vec![0; segments.size(i)];
        segments.write(i, &mut out).unwrap();
        out
    };
    (0..segments.len()).map(write).collect()
}

/// A raw socket on an interface, with the offload header before each frame.
pub(super) struct Raw(OwnedFd);

impl Raw {
    pub(super) fn new(net: &Net, name: &str) -> Self {
        let socket = packet::open().unwrap();
        packet::offload_header(&socket).unwrap();
        packet::set_buffers(&socket, 4 << 20).unwrap();
        let index = net.interfaces.index(name).unwrap();
        packet::bind(&socket, index, packet::Protocol::None).unwrap();
        Self(socket)
    }

    pub(super) fn send(&self, frame: &[u8]) {
        self.send_with([0; 10], frame);
    }

    pub(super) fn send_with(&self, offload: [u8; 10], frame: &[u8]) {
        let bytes = [&offload[..], frame].concat();
        rustix::io::write(&self.0, &bytes).unwrap();
    }
}

pub(super) fn until(port: &Port, state: LinkState) {
    let start = clock::now();
    while port.link_state() != state {
        assert!(clock::now().since(start) < PATIENCE, "{:?} is not {state:?}", port.link_state());
        std::thread::yield_now();
    }
}

/// Waits until `holds`.
pub(super) fn eventually(holds: impl Fn() -> bool) {
    let start: Now = clock::now();
    while !holds() {
        assert!(clock::now().since(start) < PATIENCE);
        std::thread::yield_now();
    }
}

/// Does something until it says that it is done.
pub(super) fn eventually_do(mut done: impl FnMut() -> bool) {
    let start: Now = clock::now();
    while !done() {
        assert!(clock::now().since(start) < PATIENCE);
    }
}

/// The transport payload of a frame, after its checksums were found right by another library.
pub(super) fn payload(frame: &[u8]) -> Vec<u8> {
    let packet = PacketHeaders::from_ethernet_slice(frame).unwrap();
    let Some(NetHeaders::Ipv4(ip, _)) = &packet.net else { panic!("no IPv4: {packet:?}") };
    assert_eq!(ip.header_checksum, ip.calc_header_checksum());
    match (&packet.transport, &packet.payload) {
        (Some(TransportHeader::Udp(udp)), PayloadSlice::Udp(payload)) => {
            assert_ne!(udp.checksum, 0);
            assert_eq!(udp.checksum, udp.calc_checksum_ipv4(ip, payload).unwrap());
            payload.to_vec()
        }
        (Some(TransportHeader::Tcp(tcp)), PayloadSlice::Tcp(payload)) => {
            assert_eq!(tcp.checksum, tcp.calc_checksum_ipv4(ip, payload).unwrap());
            payload.to_vec()
        }
        other => panic!("neither UDP nor TCP: {other:?}"),
    }
}

pub(super) fn is_ip4(frame: &[u8]) -> bool {
    frame[12..14] == [8, 0]
}

/// Source and destination of the frame that [`flows`] made.
fn addresses(frame: &[u8]) -> (u32, u32) {
    let packet = PacketHeaders::from_ethernet_slice(frame).unwrap();
    match packet.net {
        Some(NetHeaders::Ipv4(ip, _)) => {
            (u32::from_be_bytes(ip.source), u32::from_be_bytes(ip.destination))
        }
        Some(NetHeaders::Ipv6(ip, _)) => {
            let fold = |bytes: [u8; 16]| {
                bytes.chunks(4).fold(0, |sum, w| sum ^ u32::from_be_bytes(w.try_into().unwrap()))
            };
            (fold(ip.source), fold(ip.destination))
        }
        other => panic!("no IP: {other:?}"),
    }
}

/// Frames of many address pairs, both directions, both families, under no, one and two tags.
pub(super) fn flows() -> Vec<Vec<u8>> {
    use crate::wire::build::Packet;
    use crate::wire::vlan::TagStack;
    let stacks = [TagStack::UNTAGGED, TagStack::single(100), TagStack::double(100, 100)];
    let mut frames = Vec::new();
    for i in 0..24u8 {
        let (a, b) = ([10, 0, i, 1], [198, 51, 100, 7 * i]);
        let mut c = [0u16; 8];
        let mut d = [0u16; 8];
        (c[0], c[2], c[7]) = (0x2001, u16::from(i), 1);
        (d[0], d[5], d[7]) = (0x2001, 0xbeef, u16::from(i) * 31);
        for packet in [
            Packet::ip4(a, b).udp(1, 2, b"to"),
            Packet::ip4(b, a).udp(2, 1, b"back"),
            Packet::ip6(c, d).udp(1, 2, b"to"),
            Packet::ip6(d, c).udp(2, 1, b"back"),
        ] {
            frames.extend(stacks.map(|tags| packet.eth(NEAR, FAR).tags(tags).build()));
        }
    }
    frames
}

/// Each frame is on the queue that the hash of its addresses names, and each queue has some.
pub(super) fn check_steering(queues: &[Vec<Vec<u8>>]) {
    for (i, frames) in queues.iter().enumerate() {
        assert!(frames.len() > 40, "queue {i} has {} frames", frames.len());
        for frame in frames {
            let (src, dst) = addresses(frame);
            let hash = crate::io::steer::hash(src, dst) as usize;
            assert_eq!(hash % queues.len(), i, "{}", crate::wire::show(frame));
        }
    }
}
