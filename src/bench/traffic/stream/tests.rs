use std::sync::Arc;

use etherparse::{NetSlice, SlicedPacket, TransportSlice, VlanSlice};
use proptest::prelude::*;

use super::super::flows::{Hosts, Routed, Tuple};
use super::*;

const LAYER2: Layer2 = Layer2 {
    dst: MacAddr([2, 0, 0, 0, 0, 1]),
    src: MacAddr([2, 0, 0, 0, 0, 2]),
    tags: TagStack::UNTAGGED,
};

fn stacks() -> impl Strategy<Value = TagStack> {
    prop_oneof![
        Just(TagStack::UNTAGGED),
        Just(TagStack::single(200)),
        Just(TagStack::double(1001, 200))
    ]
}

fn flows() -> Flows {
    let list: Arc<[u32]> = (0x0a0a_0000..0x0a0a_0100).collect();
    Flows::Routed(Routed::new(5, (0xc612_0000, 16), list, 1000))
}

/// Takes a frame apart with etherparse, which checks lengths, and holds both checksums against
/// its own.
fn dissect(frame: &[u8]) -> (Vec<u16>, Tuple, Vec<u8>) {
    let sliced = SlicedPacket::from_ethernet(frame).expect("a valid frame");
    let vids = match sliced.vlan() {
        None => vec![],
        Some(VlanSlice::SingleVlan(tag)) => vec![tag.vlan_identifier().value()],
        Some(VlanSlice::DoubleVlan(tags)) => {
            [tags.outer.vlan_identifier(), tags.inner.vlan_identifier()]
                .map(|vid| vid.value())
                .to_vec()
        }
    };
    let Some(NetSlice::Ipv4(ip)) = &sliced.net else { panic!("no IPv4") };
    let header = ip.header().to_header();
    assert_eq!(header.header_checksum, header.calc_header_checksum());
    assert_eq!(
        (header.time_to_live, header.dont_fragment, header.more_fragments),
        (64, true, false)
    );
    let Some(TransportSlice::Udp(udp)) = &sliced.transport else { panic!("no UDP") };
    let own = udp.to_header();
    let right = own.calc_checksum_ipv4(&header, udp.payload()).expect("a short datagram");
    assert_eq!(own.checksum, right);
    assert_ne!(own.checksum, 0, "there is a checksum");
    let tuple = Tuple {
        src: u32::from_be_bytes(header.source),
        dst: u32::from_be_bytes(header.destination),
        sport: udp.source_port(),
        dport: udp.destination_port(),
    };
    (vids, tuple, udp.payload().to_vec())
}

proptest! {
    #[test]
    fn etherparse_reads_what_was_meant(
        tags in stacks(), size in 64_u32..=1518, seq in 0_u64..1 << 40, due_ns in 0_u64..1 << 48,
    ) {
        let layer2 = Layer2 { tags, ..LAYER2 };
        let mut frames = Frames::new(&layer2, &Genome::one(size).unwrap(), flows());
        let probe = Probe { trial: 9, stream: 1, seq, due_ns };
        let mut buf = [0xee; 2000];
        let written = frames.write(&probe, &mut buf);
        prop_assert_eq!(written, size as usize - 4 + 4 * tags.len());
        prop_assert!(buf[written..].iter().all(|byte| *byte == 0xee));
        let (vids, tuple, payload) = dissect(&buf[..written]);
        prop_assert_eq!(vids, tags.vids());
        prop_assert_eq!(tuple, flows().tuple(seq % 1000));
        prop_assert_eq!(Probe::read(&payload), Ok(probe));
    }

    #[test]
    fn a_number_means_the_same_frame_in_any_order(seqs in prop::collection::vec(0_u64..5000, 1..40)) {
        let genome: Genome = "aab".parse().unwrap();
        let mut jumping = Frames::new(&LAYER2, &genome, flows());
        for seq in seqs {
            let mut walking = Frames::new(&LAYER2, &genome, flows());
            let (mut a, mut b) = ([0; 2000], [0; 2000]);
            let mut size = 0;
            for seq in seq.saturating_sub(3)..=seq {
                size = walking.write(&Probe { seq, ..Probe::default() }, &mut a);
            }
            let jumped = jumping.write(&Probe { seq, ..Probe::default() }, &mut b);
            prop_assert_eq!(&a[..size], &b[..jumped]);
        }
    }
}

#[test]
fn sizes_come_in_the_order_of_the_genome() {
    let mut frames = Frames::new(&LAYER2, &"2*ab,g".parse().unwrap(), flows());
    let mut buf = [0; 2000];
    let mut size = |seq| frames.write(&Probe { seq, ..Probe::default() }, &mut buf);
    let sizes: Vec<usize> = (0..7).map(&mut size).collect();
    assert_eq!(sizes, [60, 124, 60, 124, 1514, 60, 124]);
    assert_eq!(frames.largest(), 1514);
}

#[test]
fn a_checksum_that_comes_to_zero_is_written_as_all_ones() {
    // 200,000 frames: three of them have it, by the odds.
    let flows = Flows::Hosts(Hosts::new(1, 0x0a00_0001, (0xc613_0100, 256), (0, 200_000)));
    let mut frames = Frames::new(&LAYER2, &Genome::one(64).unwrap(), flows);
    let mut buf = [0; 100];
    let mut ones = 0;
    for seq in 0..200_000 {
        let size = frames.write(&Probe { seq, ..Probe::default() }, &mut buf);
        let sum = [buf[40], buf[41]];
        assert_ne!(sum, [0, 0]);
        if sum == [0xff, 0xff] {
            ones += 1;
            dissect(&buf[..size]);
        }
    }
    assert!(ones > 0);
}
