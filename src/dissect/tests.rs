//! Frames written by hand from the headers' pictures, and parsers of one line.

use serde_json::{Value, json};

use super::user::{self, Answer, Parser};
use super::{Dissection, Whole, shrink::shrink};
use crate::time::Span;
use crate::wire::build::{Packet, TcpFields};
use crate::wire::eth::MacAddr;

/// Both MAC addresses.
const MACS: [u8; 12] = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];

/// The one's complement sum, word by word (RFC 1071).
fn sum(header: &[u8]) -> u16 {
    let words = header.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1]));
    let sum: u32 = words.sum();
    !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap()
}

/// IPv4 from 10.0.0.1 to 192.0.2.7 with these options, of this protocol.
fn ip4(protocol: u8, fragment: u16, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let size = 20 + options.len() + payload.len();
    let mut bytes = vec![0x40 | u8::try_from(5 + options.len() / 4).unwrap(), 0];
    bytes.extend(u16::try_from(size).unwrap().to_be_bytes());
    bytes.extend([0, 7]);
    bytes.extend(fragment.to_be_bytes());
    bytes.extend([64, protocol, 0, 0, 10, 0, 0, 1, 192, 0, 2, 7]);
    bytes.extend(options);
    let sum = sum(&bytes);
    bytes[10..12].copy_from_slice(&sum.to_be_bytes());
    bytes.extend(payload);
    bytes
}

fn frame(between: &[u8], packet: &[u8]) -> Vec<u8> {
    [&MACS[..], between, packet].concat()
}

const PLAIN: &[u8] = &[8, 0];

/// From port 4660 to 53, four bytes.
const UDP: &[u8] = &[0x12, 0x34, 0, 53, 0, 12, 0, 0, 1, 2, 3, 4];

/// From port 1025 to 80, a SYN without options.
const TCP: &[u8] = &[4, 1, 0, 80, 0, 0, 0, 9, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0];

fn seen(bytes: Vec<u8>) -> Dissection {
    Dissection::of(&Whole::all(bytes))
}

/// What differs, with its name.
fn names(seen: &Dissection) -> Vec<(&'static str, Option<&'static str>)> {
    seen.differences.iter().map(|own| (own.field, own.name)).collect()
}

#[test]
fn both_read_tags_options_and_ports_where_they_stand() {
    let tags = [0x88, 0xa8, 0x63, 0xe9, 0x81, 0, 0, 200, 8, 0];
    let seen = seen(frame(&tags, &ip4(6, 0x4000, &[1, 1, 1, 0], TCP)));
    let expected = json!({
        "valid": true,
        "tpids": [0x88a8, 0x8100],
        "tcis": [0x63e9, 200],
        "vids": [1001, 200],
        "ether_type": 0x0800,
        "l3_offset": 22,
        "version": 4,
        "src": "10.0.0.1",
        "dst": "192.0.2.7",
        "protocol": 6,
        "ttl": 64,
        "total_size": 44,
        "dont_fragment": true,
        "more_fragments": false,
        "fragment_offset": 0,
        "l4_offset": 46,
        "src_port": 1025,
        "dst_port": 80,
        "at": {
            "tpids": 12, "tcis": 14, "vids": 14, "ether_type": 20, "l3_offset": 22, "version": 22,
            "src": 34, "dst": 38, "protocol": 31, "ttl": 30, "total_size": 24, "dont_fragment": 28,
            "more_fragments": 28, "fragment_offset": 28, "l4_offset": 46, "src_port": 46,
            "dst_port": 48,
        },
    });
    assert_eq!(serde_json::to_value(&seen.ours).unwrap(), expected);
    assert_eq!(serde_json::to_value(&seen.theirs).unwrap(), expected);
    assert_eq!(names(&seen), []);
}

#[test]
fn both_read_ipv6_behind_its_extension_headers() {
    let mut packet = vec![0x60, 0, 0, 0, 0, 20, 0, 63];
    packet.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    packet.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    packet.extend([17, 0, 1, 4, 0, 0, 0, 0]);
    packet.extend(UDP);
    let seen = seen(frame(&[0x86, 0xdd], &packet));
    assert_eq!(names(&seen), []);
    for view in [&seen.ours, &seen.theirs] {
        assert_eq!(view.value("dst"), Some(&json!("2001:db8::2")));
        let number = |name| view.number(name).unwrap();
        assert_eq!((number("protocol"), number("ttl"), number("total_size")), (17, 63, 60));
        assert_eq!((number("l4_offset"), number("dst_port")), (62, 53));
    }
}

#[test]
fn differences_on_purpose_have_names() {
    let udp = ip4(17, 0, &[], UDP);
    let mut sum = udp.clone();
    sum[10] ^= 1;
    let from = |src: [u8; 4]| {
        let mut packet = udp.clone();
        packet[12..16].copy_from_slice(&src);
        packet[10..12].fill(0);
        let right = self::sum(&packet[..20]);
        packet[10..12].copy_from_slice(&right.to_be_bytes());
        packet
    };
    let valid = |name| vec![("valid", Some(name))];
    let tags = [0x81, 0, 0, 1, 0x81, 0, 0, 2, 0x81, 0, 0, 3, 8, 0];
    assert_eq!(names(&seen(frame(PLAIN, &udp))), []);
    assert_eq!(names(&seen(frame(PLAIN, &sum))), valid("checksum"));
    assert_eq!(names(&seen(frame(PLAIN, &from([127, 0, 0, 1])))), valid("martian"));
    assert_eq!(names(&seen(frame(&tags, &udp))), valid("tags"));
    // An authentication header of eight bytes is none for etherparse, which wants twelve.
    assert_eq!(names(&seen(frame(PLAIN, &ip4(51, 0, &[], &[17, 0, 0, 0])))), valid("ipsec"));
    let long = ip4(17, 0, &[], &[&[0x12, 0x34, 0, 53, 7, 208, 0, 0], &[0; 1992][..]].concat());
    assert_eq!(names(&seen(frame(PLAIN, &long))), valid("too-long"));

    let first = Some("first-fragment");
    let fields = [("l4_offset", first), ("src_port", first), ("dst_port", first)];
    assert_eq!(names(&seen(frame(PLAIN, &ip4(17, 0x2000, &[], UDP)))), fields);
    let nine = names(&seen(frame(&[0x91, 0, 0, 5, 8, 0], &udp)));
    assert!(nine.iter().all(|(_, name)| *name == Some("tag-type-9100")), "{nine:?}");
    assert!(nine.contains(&("l3_offset", Some("tag-type-9100"))), "{nine:?}");
}

#[test]
fn names_of_differences_are_unique_and_explained() {
    let mut names: Vec<_> = super::compare::NAMES.iter().map(|(name, _)| *name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(super::compare::NAMES.iter().all(|(_, sentence)| sentence.ends_with('.')));
}

#[test]
fn what_the_capture_cut_off_decides_nothing() {
    let whole = frame(PLAIN, &ip4(17, 0, &[], UDP));
    let cut_at = |captured| {
        let mut bytes = whole.clone();
        bytes[captured..].fill(0);
        Dissection::of(&Whole { bytes, captured })
    };
    for captured in 0..42 {
        let seen = cut_at(captured);
        assert_eq!((seen.ours.valid, names(&seen)), (None, vec![]), "{captured}");
    }
    for captured in 42..=whole.len() {
        assert_eq!(cut_at(captured).ours, seen(whole.clone()).ours, "{captured}");
    }
    // A frame that ends there is too short.
    let short = seen(whole[..30].to_vec());
    assert_eq!(short.ours.reason, Some("ip4_too_short"));
    assert_eq!(seen(whole[..13].to_vec()).ours.reason, Some("frame_too_short"));
}

#[test]
fn what_the_capture_cut_off_of_ip6_decides_nothing() {
    let udp = Packet::ip6([1; 16], [2; 16]).udp(5, 53, b"query");
    let tcp = Packet::ip6([1; 16], [2; 16]).tcp(TcpFields::default(), b"");
    let ping = Packet::ip6([1; 16], [2; 16]).icmp_echo(128, 1, 2, b"ping");
    for packet in [udp, tcp, ping] {
        let whole = packet.eth(MacAddr([2; 6]), MacAddr([4; 6])).build();
        for captured in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[captured..].fill(0);
            let seen = Dissection::of(&Whole { bytes, captured });
            assert_eq!(names(&seen), vec![], "{captured}");
        }
    }
}

#[test]
fn a_frame_gets_as_small_as_what_it_shows() {
    let noise: Vec<u8> = (0..=255).collect();
    let small = shrink(noise.clone(), 10_000, |bytes| bytes.contains(&42));
    assert_eq!(small.bytes, [42]);
    let two = shrink(noise.clone(), 10_000, |bytes| {
        bytes.iter().position(|b| *b == 9) < bytes.iter().position(|b| *b == 200)
            && bytes.contains(&9)
    });
    assert_eq!(two.bytes, [9, 200]);
    let mut asked = 0;
    let bounded = shrink(noise, 7, |_| {
        asked += 1;
        false
    });
    assert_eq!((bounded.runs, asked, bounded.bytes.len()), (7, 7, 256));
}

#[test]
fn a_frame_is_mended_while_it_gets_smaller() {
    let payload = [&[0x12, 0x34, 0, 53, 2, 88, 0, 0][..], &[7; 592]].concat();
    let large = frame(&[0x81, 0, 0, 9, 8, 0], &ip4(17, 0, &[1, 1, 1, 1], &payload));
    let small = shrink(large, 2000, |bytes| {
        let seen = seen(bytes.to_vec()).ours;
        seen.valid == Some(true) && seen.number("dst_port") == Some(53)
    });
    // Ethernet, IPv4 without options, UDP.
    assert_eq!(small.bytes.len(), 14 + 20 + 8);
    assert_eq!(small.bytes[..12], [0; 12]);
}

fn ask(command: &str, frame: &[u8]) -> Answer {
    let parser = Parser { command: command.to_owned(), limit: Span::secs(20) };
    parser.ask(frame).unwrap()
}

#[test]
fn a_parser_gets_the_frame_and_answers_in_json() {
    let answer = ask("printf '{\"size\": %d}' $(wc -c)", &[7; 200_000]);
    assert_eq!(answer, Answer::Said([("size".to_owned(), json!(200_000))].into_iter().collect()));
    assert_eq!(user::strangers(&answer), ["size"]);
    // One that reads nothing, and one that complains and fails, answer all the same.
    let answer = ask("echo complaint >&2; echo '{\"valid\": false}'; exit 3", &[7; 200_000]);
    assert_eq!(
        answer,
        Answer::Said([("valid".to_owned(), Value::Bool(false))].into_iter().collect())
    );
}

#[test]
fn a_parser_that_fails_is_told_by_how_it_fails() {
    assert_eq!(ask("kill -SEGV $$", b""), Answer::Crashed(11));
    assert_eq!(ask("sh -c 'kill -ABRT $$'; exit $?", b""), Answer::Crashed(6));
    let no = |command| match ask(command, b"") {
        Answer::NoAnswer(what) => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(no("echo hello"), "no JSON object: hello");
    assert_eq!(no("echo '[1]'"), "no JSON object: [1]");
    assert!(no("echo why >&2; exit 2").ends_with("2: why"), "{}", no("echo why >&2; exit 2"));
    // What it started ends with it, and holds nothing up.
    let limit = Span::millis(200);
    let slow = Parser { command: "tail -f /dev/null & tail -f /dev/null; true".into(), limit };
    assert_eq!(slow.ask(b"").unwrap(), Answer::TimedOut);
}

#[test]
fn only_what_a_parser_says_is_compared() {
    let ours = seen(frame(PLAIN, &ip4(17, 0, &[], UDP))).ours;
    let fields = |answer: Value| {
        let Value::Object(said) = answer else { panic!("an object") };
        let found = user::differences(&ours, &Answer::Said(said));
        found.into_iter().map(|own| own.field).collect::<Vec<_>>()
    };
    assert_eq!(fields(json!({})), [""; 0]);
    assert_eq!(fields(json!({ "valid": true, "src": "10.0.0.1", "dst_port": 53 })), [""; 0]);
    assert_eq!(fields(json!({ "valid": false, "src": "10.9.9.9" })), ["valid"]);
    assert_eq!(fields(json!({ "src": "10.9.9.9", "icmp_type": null })), ["src"]);
    assert_eq!(fields(json!({ "l4_offset": null, "icmp_type": 3 })), ["l4_offset", "icmp_type"]);

    let mut broken = ip4(17, 0, &[], UDP);
    broken[10] ^= 1;
    let refused = seen(frame(PLAIN, &broken)).ours;
    let said = |valid: bool| {
        let said = json!({ "valid": valid, "src": "10.9.9.9" });
        user::differences(&refused, &Answer::Said(said.as_object().unwrap().clone()))
    };
    assert_eq!(said(false), []);
    assert_eq!(said(true)[0].field, "valid");
}
