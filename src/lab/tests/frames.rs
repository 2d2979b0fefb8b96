//! Raw frames and captures.

use super::{SOON, pair};
use crate::lab::traffic::{
    Capture, CaptureLimits, CapturedFrame, FrameSocket, PingOptions, UdpOptions, ping, udp_paced,
};
use crate::lab::wait;
use crate::wire::eth::MacAddr;
use crate::wire::vlan::TagStack;
use std::net::SocketAddrV4;
use std::time::Duration;

/// A frame of an EtherType for experiments (IEEE 802), so that no kernel answers it.
fn tagged(tags: TagStack, mark: u8) -> Vec<u8> {
    let mut frame = vec![mark; 100];
    let destination = MacAddr([2, 0, 0, 0, 0, 2]);
    let source = MacAddr([2, 0, 0, 0, 0, 1]);
    let start = tags.write_l2(&mut frame, 22, destination, source, 0x6000, 0x88b5).unwrap();
    frame.split_off(start)
}

fn ours(frame: &CapturedFrame) -> bool {
    frame.bytes.get(6..12) == Some(&[2, 0, 0, 0, 0, 1])
}

#[test]
fn a_capture_shows_every_tag_the_same_one_twice_included() {
    let Some(pair) = pair() else { return };
    for end in [&pair.left, &pair.right] {
        end.set_mtu(1504).unwrap();
    }
    let stacks = [
        TagStack::UNTAGGED,
        TagStack::single(0),
        TagStack::single(200),
        TagStack::double(1001, 200),
        TagStack::double(200, 200),
    ];
    let there = Capture::start(&pair.right, CaptureLimits::default(), ours).unwrap();
    let here = Capture::start(&pair.left, CaptureLimits::default(), ours).unwrap();
    let sender = FrameSocket::open(&pair.left).unwrap();
    let sent: Vec<Vec<u8>> = (1..).zip(stacks).map(|(mark, tags)| tagged(tags, mark)).collect();
    for frame in &sent {
        sender.send(frame).unwrap();
    }
    assert!(there.wait_for(sent.len(), SOON));
    for (capture, outgoing) in [(there, false), (here, true)] {
        let frames = capture.finish().unwrap();
        assert_eq!(frames.len(), sent.len());
        for (frame, sent) in frames.iter().zip(&sent) {
            assert_eq!(&frame.bytes, sent);
            assert_eq!(frame.outgoing, outgoing);
            assert_eq!(frame.wire_len, sent.len());
        }
        assert!(frames.is_sorted_by_key(|frame| frame.at_ns));
    }
}

#[test]
fn a_socket_receives_the_frame_that_another_sent() {
    let Some(pair) = pair() else { return };
    let sender = FrameSocket::open(&pair.left).unwrap();
    let mut receiver = FrameSocket::open(&pair.right).unwrap();
    assert_eq!(receiver.receive(Duration::from_millis(10)).unwrap(), None);
    let frame = tagged(TagStack::double(7, 7), 1);
    sender.send(&frame).unwrap();
    let received = receiver.receive(SOON).unwrap().unwrap();
    assert!(!received.outgoing);
    assert_eq!(received.bytes, frame);
    let long = vec![0; 3000];
    assert!(sender.send(&long).is_err());
}

#[test]
fn a_capture_ends_with_its_last_frame_and_cuts_each() {
    let Some(pair) = pair() else { return };
    let limits = CaptureLimits { frames: 2, snap: 20, ..CaptureLimits::default() };
    let capture = Capture::start(&pair.right, limits, ours).unwrap();
    let sender = FrameSocket::open(&pair.left).unwrap();
    for mark in 0..5 {
        sender.send(&tagged(TagStack::single(9), mark)).unwrap();
    }
    assert!(capture.wait_for(2, SOON));
    let frames = capture.finish().unwrap();
    assert_eq!(frames.len(), 2);
    assert!(frames.iter().all(|frame| frame.bytes.len() == 20 && frame.wire_len == 96));
}

#[test]
fn without_offloads_checksums_are_complete_on_the_wire() {
    let Some(pair) = pair() else { return };
    let partial = || {
        let udp = |frame: &CapturedFrame| frame.bytes.get(23) == Some(&17);
        let capture = Capture::start(&pair.right, CaptureLimits::default(), udp).unwrap();
        let mut options = UdpOptions::new(SocketAddrV4::new(super::ip("10.9.0.2"), 0));
        options.duration = Duration::from_millis(5);
        let report = udp_paced(&pair.a, &pair.b, &options).unwrap();
        assert_eq!(report.lost(), 0);
        let frames = capture.finish().unwrap();
        assert_eq!(frames.len() as u64, report.sent);
        frames.iter().filter(|frame| frame.checksum_partial).count()
    };
    assert!(partial() > 0, "veth leaves checksums to the receiver");
    pair.left.offloads_off().unwrap();
    assert_eq!(partial(), 0);
}

#[test]
fn an_interface_that_goes_ends_its_capture_with_an_error() {
    let Some(pair) = pair() else { return };
    let capture = Capture::start(&pair.right, CaptureLimits::default(), |_| true).unwrap();
    assert!(ping(&pair.a, &PingOptions::new(super::ip("10.9.0.2"))).unwrap().is_clean());
    assert!(!capture.is_empty());
    pair.left.delete().unwrap();
    let begin = wait::now();
    assert!(capture.finish().is_err());
    assert!(begin.elapsed() < SOON);
}
