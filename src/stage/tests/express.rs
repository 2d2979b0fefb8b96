//! The express way does what the stages do: the same frames leave, the same is counted and dropped,
//! whatever comes in.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::wire::build::{Framed, Packet, TcpFields};
use crate::wire::vlan::TagStack;

/// One frame of a batch: where it comes in is the batch's.
#[derive(Clone, Debug)]
struct Sent {
    src: [u8; 4],
    dst: [u8; 4],
    ports: (u16, u16),
    kind: u8,
    ttl: u8,
    size: usize,
    tags: TagStack,
    dont_fragment: bool,
    for_router: bool,
    /// A byte of the head that is changed, and what it becomes.
    broken: Option<(usize, u8)>,
    /// Where the frame ends too early.
    end: Option<usize>,
}

impl Sent {
    fn frame(&self, router: MacAddr) -> Vec<u8> {
        let (sport, dport) = self.ports;
        let mut ip = Packet::ip4(self.src, self.dst).ttl(self.ttl);
        if self.dont_fragment {
            ip = ip.df();
        }
        let payload = vec![7; self.size];
        let fields = TcpFields { src: sport, dst: dport, flags: 0x10, ..TcpFields::default() };
        let packet = match self.kind {
            0..=4 => ip.tcp(fields, &payload),
            5..=8 => ip.udp(sport, dport, &payload),
            9 => ip.icmp_echo(8, sport, 1, &payload),
            _ => ip.raw(47, &payload),
        };
        let dst = if self.for_router { router } else { SENDER };
        let framed: Framed = packet.eth(SENDER, dst).tags(self.tags);
        let mut bytes = framed.build();
        if let Some((at, value)) = self.broken {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        bytes.truncate(self.end.unwrap_or(bytes.len()));
        bytes
    }
}

fn sent() -> impl Strategy<Value = Sent> {
    let sources = select(vec![
        [192, 168, 1, 1],
        [192, 168, 50, 7],
        [192, 168, 10, 25],
        [192, 168, 10, 30],
        [10, 10, 1, 4],
        [10, 20, 1, 4],
        [203, 0, 113, 70],
        [198, 51, 100, 9],
        [127, 0, 0, 1],
    ]);
    let destinations = select(vec![
        [10, 10, 1, 4],
        [10, 10, 1, 10],
        [10, 20, 1, 4],
        [10, 20, 1, 99],
        [10, 10, 1, 1],
        [192, 168, 1, 1],
        [192, 168, 50, 7],
        [198, 51, 100, 9],
        [198, 51, 100, 9],
        [203, 0, 113, 70],
        [203, 0, 113, 80],
        [203, 0, 113, 81],
        [203, 0, 113, 2],
        [172, 16, 0, 2],
        [9, 9, 9, 9],
        [224, 0, 0, 5],
    ]);
    let tags = select(vec![
        TagStack::double(1001, 200),
        TagStack::double(1001, 200),
        TagStack::double(1001, 300),
        TagStack::double(1001, 400),
        TagStack::single(200),
        TagStack::single(300),
        TagStack::single(300),
        TagStack::UNTAGGED,
        TagStack::UNTAGGED,
    ]);
    let ttl = prop_oneof![8 => Just(64), 2 => 0u8..4];
    let size = prop_oneof![6 => 0usize..64, 1 => 1330usize..1400, 1 => 1400usize..1480];
    let broken = prop::option::weighted(0.2, (0usize..62, any::<u8>()));
    let who = (sources, destinations, (1u16..9, select(vec![53, 80, 443, 8001])));
    let end = prop::option::weighted(0.1, 14usize..62);
    let bits = (prop::bool::ANY, prop::bool::weighted(0.95));
    (who, 0u8..11, ttl, size, tags, bits, (broken, end)).prop_map(
        |((src, dst, ports), kind, ttl, size, tags, (dont_fragment, for_router), (broken, end))| {
            Sent { src, dst, ports, kind, ttl, size, tags, dont_fragment, for_router, broken, end }
        },
    )
}

/// Where a batch comes in, after how many microseconds, and what is in it.
fn batches() -> impl Strategy<Value = Vec<(&'static str, u64, Vec<Sent>)>> {
    let ports =
        ["msee-pri", "msee-pri", "msee-sec", "hub", "spoke", "m365", "ce-1", "ce-1", "pe-pri"];
    let wait = prop_oneof![3 => 0u64..100, 1 => 0u64..30_000, 1 => 0u64..300_000_000];
    let list = prop::collection::vec(sent(), 1..40);
    prop::collection::vec((select(ports.to_vec()), wait, list), 1..12)
}

/// The answer to a frame with two tags: the ends change places, and no sum changes.
fn answer(frame: &[u8]) -> Vec<u8> {
    const L3: usize = 22;
    let mut frame = frame.to_vec();
    for (at, size) in [(L3 + 12, 4), (L3 + 20, 2)] {
        let (first, second) = frame[at..at + 2 * size].split_at_mut(size);
        first.swap_with_slice(second);
    }
    frame
}

/// The spoke gets a gateway and a connection of its own: one look-up leads to either.
fn two_gateways() -> Vec<(&'static str, &'static str)> {
    vec![
        (
            "subnets       = { apps = { prefix = \"10.20.1.0/24\", port = \"spoke\" } }",
            "subnets       = { apps = { prefix = \"10.20.1.0/24\", port = \"spoke\" } }\n\
             gateway = { type = \"ExpressRoute\", sku = \"ErGw1AZ\", subnet = \"10.20.255.0/27\" }",
        ),
        ("allow_gateway_transit = true\nuse_remote_gateways   = true", ""),
        (
            "weight   = 100\nfastpath = true",
            "weight   = 100\nfastpath = false\n\n[[connection]]\ncircuit = \"contoso\"\n\
             vnet = \"spoke\"\nweight = 100",
        ),
    ]
}

/// Labs that ask for much, for little, and for nothing.
fn labs() -> impl Strategy<Value = Vec<(&'static str, &'static str)>> {
    let slow = ("bandwidth        = \"1 Gbps\"", "bandwidth        = \"50 Mbps\"");
    let no_group = (", nsg = \"web\"", "");
    let no_limits = ("limits  = \"enforce\"", "limits  = \"off\"");
    let no_fastpath = ("fastpath = true", "fastpath = false");
    let small = ("sku = \"ErGw3AZ\"", "sku = \"ErGw1AZ\"");
    select(vec![
        vec![],
        vec![no_group],
        vec![no_group, no_fastpath],
        vec![no_group, slow],
        vec![no_group, no_fastpath, slow, small],
        vec![no_group, no_limits],
        vec![no_group, no_limits, no_fastpath],
        [vec![no_group], two_gateways()].concat(),
        [vec![no_group, no_limits], two_gateways()].concat(),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn express_does_what_the_stages_do(
        changes in labs(),
        workers in 1usize..=2,
        apart in select(vec![Span::ZERO, Span::ZERO, Span::micros(20)]),
        down in prop::collection::vec(select(vec!["172.16.0.1", "10.10.1.4"]), 0..2),
        wide in prop::bool::weighted(0.2),
        batches in batches(),
    ) {
        let text = lab_with(&changes);
        let [mut express, mut staged] = [(); 2].map(|()| Lab::of(&text, workers));
        staged.enter = pipeline::received_by_stages;
        (express.apart, staged.apart) = (apart, apart);
        if wide {
            express.widen();
        }
        for (port, wait, list) in batches {
            let mut left = [&mut express, &mut staged].map(|lab| {
                for address in &down {
                    lab.set(lab.neighbour(address), NeighbourState::Failed);
                }
                lab.now = lab.now + Span::micros(wait);
                let router = lab.router(port);
                let frames: Vec<_> = list.iter().map(|sent| sent.frame(router)).collect();
                let mut left = lab.send_at(workers - 1, port, &frames);
                lab.take_punted();
                left.sort();
                left
            });
            let staged_left = left[1].split_off(0);
            prop_assert_eq!(shown(&left[0]), shown(&staged_left));
            prop_assert_eq!(&left[0], &staged_left);
            // What went out translated is answered.
            let out = left[0].iter().filter(|(port, frame)| port == "pe-pri" && frame.len() > 50);
            let answers: Vec<_> = out.map(|(_, frame)| answer(frame)).collect();
            let mut back = [&mut express, &mut staged].map(|lab| lab.send_at(0, "pe-pri", &answers));
            back.iter_mut().for_each(|list| list.sort());
            prop_assert_eq!(&back[0], &back[1]);
            for (ours, theirs) in express.workers.iter().zip(&staged.workers) {
                prop_assert_eq!(format!("{:?}", ours.counters), format!("{:?}", theirs.counters));
                prop_assert_eq!(ours.out.held.len(), theirs.out.held.len());
            }
        }
    }
}

#[test]
fn most_packets_take_it() {
    let mut lab = Lab::with(&[(", nsg = \"web\"", "")]);
    lab.enter = only;
    let packet = |n| Packet::ip4([192, 168, 1, 1], [10, 10, 1, 4]).udp(n, 53, b"");
    let pri = lab.router("msee-pri");
    let framed = |n| packet(n).eth(SENDER, pri).tags(TagStack::double(1001, 200)).build();
    let frames: Vec<_> = (0..64).map(framed).collect();
    assert_eq!(lab.send("msee-pri", &frames).len(), 64);
    let back = |n| {
        Packet::ip4([10, 10, 1, 4], [192, 168, 1, 1])
            .tcp(TcpFields { src: n, ..TcpFields::default() }, b"")
    };
    let hub = lab.router("hub");
    let frames: Vec<_> = (0..64).map(|n| back(n).eth(SENDER, hub).build()).collect();
    assert_eq!(lab.send("hub", &frames).len(), 64);

    // A session that is open.
    let out = |n| {
        let packet = Packet::ip4([192, 168, 1, 1], [198, 51, 100, 9]).udp(n, 53, b"");
        packet.eth(SENDER, SENDER).tags(TagStack::single(300)).build()
    };
    let frames: Vec<_> = (1..65).map(out).collect();
    lab.enter = pipeline::received;
    let opened = lab.send("ce-1", &frames);
    lab.enter = only;
    assert_eq!(lab.send("ce-1", &frames), opened);
    let answers: Vec<_> = opened.iter().map(|(_, frame)| answer(frame)).collect();
    assert_eq!(lab.send("pe-pri", &answers).len(), 64);
}

#[test]
fn a_flow_keeps_its_order_when_a_batch_leaves_by_two_links() {
    let mut lab = Lab::with(&[(", nsg = \"web\"", "")]);
    lab.enter = only;
    let hub = lab.router("hub");
    // The identification counts; eight flows take turns.
    let frames: Vec<_> = (0..64)
        .map(|n: u16| {
            let packet = Packet::ip4([10, 10, 1, 4], [192, 168, 1, 1]).id(n);
            packet.udp(1000 + n % 8, 53, b"").eth(SENDER, hub).build()
        })
        .collect();
    let left = lab.send("hub", &frames);
    assert_eq!(left.len(), 64);
    let mut ports: Vec<_> = left.iter().map(|(port, _)| port.clone()).collect();
    ports.sort();
    ports.dedup();
    assert_eq!(ports.len(), 2, "both links are taken");
    let half = |frame: &[u8], at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
    for flow in 1000..1008 {
        let own: Vec<_> = left.iter().filter(|(_, frame)| half(frame, 22 + 20) == flow).collect();
        assert_eq!(own.len(), 8);
        assert!(own.iter().all(|(port, _)| *port == own[0].0), "a flow has one link");
        let numbers: Vec<_> = own.iter().map(|(_, frame)| half(frame, 22 + 4)).collect();
        assert!(numbers.is_sorted(), "{flow}: {numbers:?}");
    }
}

#[test]
fn one_packet_that_is_too_big_leaves_the_others_to_express() {
    let mut lab = Lab::with(&[(", nsg = \"web\"", "")]);
    lab.enter = |cx, batch| {
        crate::stage::express::run(cx, batch);
        assert_eq!(batch.live(), 1 << 5, "what is left for the stages");
        pipeline::received_by_stages(cx, batch);
    };
    let router = lab.router("msee-pri");
    let frames: Vec<_> = (0..64)
        .map(|n: u16| {
            let payload = vec![7; if n == 5 { 1500 + 1 - 28 } else { usize::from(n) }];
            let packet = Packet::ip4([192, 168, 1, 1], [10, 10, 1, 4]).df().udp(n, 53, &payload);
            packet.eth(SENDER, router).tags(TagStack::double(1001, 200)).build()
        })
        .collect();
    let left = lab.send("msee-pri", &frames);
    let to_vm = left.iter().filter(|(port, _)| port == "hub").count();
    assert_eq!(to_vm, 63, "{:?}", shown(&left));
    assert_eq!(lab.drops(), [("fragmentation_needed", 1)]);
}

#[test]
fn what_a_buffer_held_before_is_not_part_of_a_frame_that_ends_too_early() {
    let mut lab = Lab::with(&[(", nsg = \"web\"", "")]);
    let router = lab.router("msee-pri");
    let packet = Packet::ip4([192, 168, 1, 1], [10, 10, 1, 4]).udp(9, 53, b"mine");
    let whole = packet.eth(SENDER, router).tags(TagStack::double(1001, 200)).build();
    let full = vec![whole.clone(); 64];
    assert_eq!(lab.send("msee-pri", &full).len(), 64);
    for end in 14..whole.len() {
        let mut frames = vec![whole[..end].to_vec(); 64];
        frames[0] = whole.clone();
        let left = lab.send("msee-pri", &frames);
        assert_eq!(left.len(), 1, "{end}: {:?}", shown(&left));
    }
}

#[test]
fn packets_for_two_gateways_go_through_their_own() {
    let mut lab = Lab::with(&[vec![(", nsg = \"web\"", "")], two_gateways()].concat());
    let router = lab.router("msee-pri");
    let framed = |n: u16| {
        let to = [[10, 10, 1, 4], [10, 20, 1, 4], [10, 10, 1, 10]][usize::from(n % 3)];
        let packet = Packet::ip4([192, 168, 1, 1], to).udp(n, 53, b"");
        packet.eth(SENDER, router).tags(TagStack::double(1001, 200)).build()
    };
    let frames: Vec<_> = (0..60).map(framed).collect();
    let opened = lab.send("msee-pri", &frames);
    assert_eq!(opened.len(), 60);
    lab.enter = only;
    let mut known = lab.send("msee-pri", &frames);
    let mut opened = opened;
    known.sort();
    opened.sort();
    assert_eq!(known, opened);
}

/// Nothing may be left for the stages.
fn only(cx: &mut Context<'_>, batch: &mut Batch) {
    crate::stage::express::run(cx, batch);
    assert_eq!(batch.live(), 0, "what is left for the stages");
    pipeline::finish(cx, batch);
}
