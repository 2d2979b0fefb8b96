//! Files made by hand from the format's description, by the crate, and by [`Writer`].

use std::borrow::Cow;
use std::io::Cursor;
use std::time::Duration;

use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::{Block, RawBlock};
use pcap_file::{DataLink, Endianness, TsResolution};
use proptest::prelude::*;

use super::{CaptureError, Fault, Link, Reader, Skipped, Writer};
use crate::time::Now;

/// Time in nanoseconds, interface, bytes.
type Packet = (u64, u32, Vec<u8>);

fn read(bytes: &[u8]) -> Result<Vec<Packet>, CaptureError> {
    let mut reader = Reader::new("test.pcap", bytes)?;
    let mut packets = Vec::new();
    while let Some(packet) = reader.next()? {
        packets.push((packet.at.0, packet.interface, packet.bytes.to_vec()));
    }
    Ok(packets)
}

fn fails(bytes: &[u8]) -> String {
    read(bytes).unwrap_err().to_string()
}

fn write(packets: &[Packet]) -> Vec<u8> {
    let mut writer = Writer::new("out.pcapng", Vec::new()).unwrap();
    for name in ["msee-pri", "hub"] {
        writer.interface(name).unwrap();
    }
    for (at, interface, bytes) in packets {
        writer.write(*interface, Now(*at), bytes).unwrap();
    }
    writer.finish().unwrap()
}

/// A pcap header and one packet of 3 bytes, cut off from 60, at 2 s and `fraction`.
fn pcap(magic: u32, link: u32, fraction: u32) -> Vec<u8> {
    let words = [magic, 0x0004_0002, 0, 0, 3, link, 2, fraction, 3, 60];
    let mut bytes: Vec<u8> = words.iter().flat_map(|word: &u32| word.to_le_bytes()).collect();
    bytes.extend_from_slice(b"abc");
    bytes
}

#[test]
fn pcap_has_micro_or_nanoseconds_in_either_byte_order() {
    let micro = read(&pcap(0xa1b2_c3d4, 1, 999_999)).unwrap();
    assert_eq!(micro, [(2_999_999_000, 0, b"abc".to_vec())]);
    let nano = read(&pcap(0xa1b2_3c4d, 1, 999_999_999)).unwrap();
    assert_eq!(nano, [(2_999_999_999, 0, b"abc".to_vec())]);

    // Captures made to break dissectors have more than a second's microseconds in a second.
    let beyond = read(&pcap(0xa1b2_c3d4, 1, 1_000_000)).unwrap();
    assert_eq!(beyond, [(3_000_000_000, 0, b"abc".to_vec())]);
    let last = read(&pcap(0xa1b2_c3d4, 1, u32::MAX)).unwrap();
    assert_eq!(last, [(2_000_000_000 + u64::from(u32::MAX) * 1000, 0, b"abc".to_vec())]);

    for endianness in [Endianness::Big, Endianness::Little] {
        for ts_resolution in [TsResolution::MicroSecond, TsResolution::NanoSecond] {
            let header = PcapHeader { endianness, ts_resolution, ..PcapHeader::default() };
            let mut writer = PcapWriter::with_header(Vec::new(), header).unwrap();
            let packet = PcapPacket::new(Duration::from_micros(1_700_000_000_000_001), 3, b"abc");
            writer.write_packet(&packet).unwrap();
            let packets = read(&writer.into_writer()).unwrap();
            assert_eq!(packets, [(1_700_000_000_000_001_000, 0, b"abc".to_vec())]);
        }
    }
}

#[test]
fn a_packet_that_the_capture_cut_off_keeps_its_size() {
    let bytes = pcap(0xa1b2_c3d4, 1, 0);
    let mut reader = Reader::new("test.pcap", &bytes[..]).unwrap();
    let packet = reader.next().unwrap().unwrap();
    assert_eq!((packet.original_size, packet.bytes), (60, &b"abc"[..]));
}

/// A little-endian pcap file of this link: bytes and the size that each packet had on the wire.
fn pcap_of(link: u32, packets: &[(&[u8], u32)]) -> Vec<u8> {
    let mut bytes: Vec<u8> =
        [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, link].map(u32::to_le_bytes).concat();
    for (packet, original) in packets {
        let size = u32::try_from(packet.len()).unwrap();
        bytes.extend([1, 0, size, *original].map(u32::to_le_bytes).concat());
        bytes.extend_from_slice(packet);
    }
    bytes
}

#[test]
fn other_links_get_an_ethernet_header_or_are_skipped_and_counted() {
    // OpenBSD's loopback, cut off: IPv4, a family that is neither, IPv6.
    let bytes = pcap_of(108, &[(&[0, 0, 0, 2, 0x45], 60), (&[0; 9], 9), (&[0, 0, 0, 24], 4)]);
    let mut reader = Reader::new("test.pcap", &bytes[..]).unwrap();
    let first = reader.next().unwrap().unwrap();
    let made = b"\x02tw\0\0\x02\x02tw\0\0\x01\x08\0\x45";
    assert_eq!((first.number, first.bytes, first.original_size), (1, &made[..], 70));
    assert_eq!((first.link, first.link_size), (Link::LOOP, 4));
    let second = reader.next().unwrap().unwrap();
    assert_eq!((second.number, second.bytes.len(), second.original_size), (3, 14, 14));
    assert!(reader.next().unwrap().is_none());
    assert_eq!(reader.skipped(), [Skipped { link: Link::LOOP, packets: 1 }]);

    let bytes = pcap_of(105, &[(&[0; 60], 60), (&[0; 60], 60)]);
    let mut reader = Reader::new("test.pcap", &bytes[..]).unwrap();
    assert!(reader.next().unwrap().is_none());
    let said: Vec<String> = reader.skipped().iter().map(Skipped::to_string).collect();
    let says = "skipped 2 packets of IEEE 802.11 (105), which cannot be made into Ethernet frames";
    assert_eq!(said, [says]);
}

#[test]
fn an_interface_of_another_link_does_not_hide_the_others() {
    let mut writer = PcapNgWriter::with_endianness(Vec::new(), Endianness::Little).unwrap();
    for linktype in [DataLink::RAW, DataLink::IEEE802_11, DataLink::ETHERNET] {
        let interface = InterfaceDescriptionBlock { linktype, snaplen: 0, options: vec![] };
        writer.write_block(&Block::InterfaceDescription(interface)).unwrap();
    }
    for (interface, byte) in [(1_u8, 1), (0, 0x60), (2, 7)] {
        let mut body = vec![interface];
        body.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]);
        body.extend_from_slice(&[byte, 0, 0, 0]);
        let block = RawBlock { type_: 6, initial_len: 36, body: body.into(), trailer_len: 36 };
        writer.write_raw_block(&block).unwrap();
    }
    let bytes = writer.into_inner();
    let packets = read(&bytes).unwrap();
    assert_eq!(packets[0].2[12..], [0x86, 0xdd, 0x60]);
    assert_eq!(packets[1], (0, 2, vec![7]));
    assert_eq!(packets.len(), 2);
}

#[test]
fn errors_name_the_file_and_the_packet() {
    let bytes = pcap(0xa1b2_c3d4, 1, 0);
    let twice = [&bytes[..], &bytes[24..42]].concat();
    assert_eq!(fails(&twice), "test.pcap: packet 2: the file ends in the middle of it");
    assert_eq!(fails(&bytes[..20]), "test.pcap: the file ends in the middle of it");
    assert_eq!(
        fails(b"GIF89a"),
        "test.pcap: this is no capture: it begins with [47, 49, 46, 38], neither pcap nor pcapng"
    );
    let missing = Reader::open(std::path::Path::new("/nonexistent/x.pcap")).unwrap_err();
    assert!(missing.to_string().starts_with("/nonexistent/x.pcap: No such file"), "{missing}");
}

#[test]
fn what_is_written_is_read_and_is_the_same_every_time() {
    let packets = vec![
        (1_700_000_000_123_456_789, 0, b"first".to_vec()),
        (0, 1, vec![]),
        (u64::MAX, 1, vec![7; 65_549]),
    ];
    let bytes = write(&packets);
    assert_eq!(read(&bytes).unwrap(), packets);
    assert_eq!(bytes, write(&packets));

    let mut reader = Reader::new("test.pcapng", &bytes[..]).unwrap();
    reader.next().unwrap();
    assert_eq!(reader.interface_name(0), Some("msee-pri"));
    assert_eq!(reader.interface_name(1), Some("hub"));
    assert_eq!(reader.interface_name(2), None);
}

#[test]
fn the_file_has_the_bytes_that_the_format_describes() {
    let mut writer = Writer::new("out.pcapng", Vec::new()).unwrap();
    let interface = writer.interface("pe").unwrap();
    writer.write_with_comment(interface, Now(0x1_0000_0002), b"abcde", "no").unwrap();
    #[rustfmt::skip]
    let words: [u32; 30] = [
        // Section header: 1.0, of unknown length.
        0x0a0d_0d0a, 28, 0x1a2b_3c4d, 0x0000_0001, u32::MAX, u32::MAX, 28,
        // Interface: Ethernet, no limit, if_name, if_tsresol of 9, end of options.
        1, 40, 1, 0, 0x0002_0002, 0x0000_6570, 0x0001_0009, 9, 0, 40,
        // Packet: interface, time, sizes, bytes, comment, end of options.
        6, 52, 0, 1, 2, 5, 5, 0x6463_6261, 0x65, 0x0002_0001, 0x0000_6f6e, 0, 52,
    ];
    let expected: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    assert_eq!(writer.finish().unwrap(), expected);
}

/// A pcapng file with one interface of these options and one raw block.
fn pcapng(options: Vec<InterfaceDescriptionOption<'static>>, kind: u32, body: &[u8]) -> Vec<u8> {
    let mut writer = PcapNgWriter::with_endianness(Vec::new(), Endianness::Big).unwrap();
    let interface = InterfaceDescriptionBlock { linktype: DataLink::ETHERNET, snaplen: 8, options };
    writer.write_block(&Block::InterfaceDescription(interface)).unwrap();
    let size = u32::try_from(body.len() + 12).unwrap();
    let block =
        RawBlock { type_: kind, initial_len: size, body: Cow::Borrowed(body), trailer_len: size };
    writer.write_raw_block(&block).unwrap();
    writer.into_inner()
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

#[test]
fn time_comes_in_any_unit() {
    use InterfaceDescriptionOption::{IfTsOffset, IfTsResol};
    let at = |options, units: u32| {
        read(&pcapng(options, 6, &words(&[0, 0, units, 0, 0]))).map(|packets| packets[0].0)
    };
    assert_eq!(at(vec![], 3).unwrap(), 3_000);
    assert_eq!(at(vec![IfTsResol(3)], 3).unwrap(), 3_000_000);
    assert_eq!(at(vec![IfTsResol(9)], 3).unwrap(), 3);
    assert_eq!(at(vec![IfTsResol(12)], 3_999).unwrap(), 3);
    assert_eq!(at(vec![IfTsResol(0x80 | 10)], 1024 + 512).unwrap(), 1_500_000_000);
    assert_eq!(at(vec![IfTsResol(0x7f)], 3).unwrap(), 0);
    assert_eq!(at(vec![IfTsOffset(10)], 3).unwrap(), 10_000_003_000);
    assert_eq!(at(vec![IfTsResol(0), IfTsOffset((-2_i64).cast_unsigned())], 3).unwrap(), NANO);
    let early = at(vec![IfTsOffset((-2_i64).cast_unsigned())], 3).unwrap_err();
    assert!(matches!((early.packet, &early.fault), (1, Fault::TimeStamp)), "{early}");
    let late = at(vec![IfTsOffset(1 << 62)], 3).unwrap_err();
    assert!(matches!(late.fault, Fault::TimeStamp), "{late}");
}

const NANO: u64 = 1_000_000_000;

#[test]
fn simple_and_obsolete_packets_are_read() {
    let simple = [&words(&[10])[..], b"12345678"].concat();
    assert_eq!(read(&pcapng(vec![], 3, &simple)).unwrap(), [(0, 0, b"12345678".to_vec())]);
    let obsolete = [&words(&[5, 0, 7, 3, 3])[..], b"abc\0"].concat();
    assert_eq!(read(&pcapng(vec![], 2, &obsolete)).unwrap(), [(7_000, 0, b"abc".to_vec())]);
}

#[test]
fn options_that_make_no_sense_do_not_lose_a_packet() {
    // A comment that is not UTF-8, and no end of options.
    let body = [&words(&[0, 0, 7, 3, 3])[..], b"abc\0", b"\0\x01\0\x02\xff\xff\0\0"].concat();
    assert_eq!(read(&pcapng(vec![], 6, &body)).unwrap(), [(7_000, 0, b"abc".to_vec())]);
}

#[test]
fn blocks_that_lie_are_refused() {
    let long = [&words(&[0, 0, 7, 5, 5])[..], b"abc\0"].concat();
    assert_eq!(
        fails(&pcapng(vec![], 6, &long)),
        "test.pcap: packet 1: a packet of 5 bytes in a block with room for 4"
    );
    assert_eq!(
        fails(&pcapng(vec![], 6, &words(&[0, 0, 7, u32::MAX, 5]))),
        "test.pcap: packet 1: a packet of 4294967295 bytes in a block with room for 0"
    );
    assert_eq!(
        fails(&pcapng(vec![], 6, &words(&[0, 0, 7]))),
        "test.pcap: packet 1: a packet block that is shorter than its fields say"
    );
    assert_eq!(
        fails(&pcapng(vec![], 6, &words(&[1, 0, 7, 0, 0]))),
        "test.pcap: packet 1: interface 1 was not described before"
    );
}

#[test]
fn a_writer_knows_its_interfaces() {
    let mut writer = Writer::new("out.pcapng", Vec::new()).unwrap();
    let error = writer.write(0, Now(0), b"").unwrap_err();
    assert_eq!(error.to_string(), "out.pcapng: packet 1: interface 0 was not described before");
}

#[test]
fn a_name_of_any_length_is_cut_between_characters() {
    let mut writer = Writer::new("out.pcapng", Vec::new()).unwrap();
    writer.interface(&"é".repeat(40_000)).unwrap();
    let bytes = writer.finish().unwrap();
    let mut reader = Reader::new("test.pcapng", &bytes[..]).unwrap();
    assert_eq!(reader.next().unwrap(), None);
    assert_eq!(reader.interface_name(0), Some("é".repeat(512).as_str()));
}

#[test]
fn files_are_streams() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.pcapng");
    let mut writer = Writer::create(&path).unwrap();
    writer.interface("pe").unwrap();
    writer.write(0, Now(5), b"abc").unwrap();
    writer.finish().unwrap();
    let mut reader = Reader::open(&path).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().bytes, b"abc");
    assert_eq!(reader.next().unwrap(), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_packets_survive_the_file(
        packets in prop::collection::vec(
            (any::<u64>(), 0..2_u32, prop::collection::vec(any::<u8>(), 0..200)), 0..20,
        ),
    ) {
        prop_assert_eq!(read(&write(&packets)).unwrap(), packets);
    }

    #[test]
    fn a_broken_capture_is_an_error_and_no_panic(
        is_pcapng: bool,
        edits in prop::collection::vec((0..400_usize, any::<u8>()), 0..4),
        cut: Option<u8>,
    ) {
        let mut bytes = if is_pcapng {
            write(&[(1, 0, vec![1; 60]), (2, 1, vec![2; 61])])
        } else {
            pcap(0xa1b2_c3d4, 1, 0)
        };
        for (at, value) in edits {
            let len = bytes.len();
            bytes[at % len] = value;
        }
        bytes.truncate(cut.map_or(usize::MAX, usize::from));
        let mut reader = match Reader::new("test.pcap", Cursor::new(bytes)) {
            Ok(reader) => reader,
            Err(_) => return Ok(()),
        };
        // A file of 400 bytes has no more packets than that.
        for _ in 0..400 {
            match reader.next() {
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return Ok(()),
            }
        }
        prop_assert!(false, "the reader does not come to an end");
    }
}
