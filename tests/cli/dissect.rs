//! `thruway dissect` as a user types it, and captures of any link.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use thruway::io::pcap::{Reader, Writer};
use thruway::time::Now;

use super::{error, text, thruway};

/// Writes a little-endian pcap file of this link; packets are captured whole.
fn pcap(path: &Path, link: u32, packets: &[&[u8]]) {
    let words = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, link];
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    for (packet, second) in packets.iter().zip(1_u32..) {
        let size = u32::try_from(packet.len()).expect("packets are short");
        bytes.extend([second, 0, size, size].map(u32::to_le_bytes).concat());
        bytes.extend_from_slice(packet);
    }
    std::fs::write(path, bytes).expect("room on disk");
}

/// IPv4 from 192.0.2.1 to 192.0.2.2 with UDP from 1000 to 2000; the checksum was added up by hand.
const UDP: [u8; 28] = [
    0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0xf6, 0xcd, 192, 0, 2, 1, 192, 0, 2, 2, //
    0x03, 0xe8, 0x07, 0xd0, 0, 8, 0, 0,
];

/// The same with four bytes of options and 12 of payload.
fn with_options() -> Vec<u8> {
    let mut packet = vec![0x46, 0, 0, 44, 0, 0, 0, 0, 64, 17, 0xf4, 0xbb];
    packet.extend_from_slice(&UDP[12..20]);
    packet.extend_from_slice(&[1, 1, 0, 1, 0x03, 0xe8, 0x07, 0xd0, 0, 20, 0, 0]);
    packet.extend_from_slice(&[0x55; 12]);
    packet
}

fn ethernet(packet: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0], packet].concat()
}

/// The objects of JSON lines.
fn lines(output: &std::process::Output) -> Vec<Value> {
    let text = text(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).expect("a line is an object")).collect()
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("room on disk"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn capture(&self, link: u32, packets: &[&[u8]]) -> String {
        let path = self.path("in.pcap");
        pcap(&path, link, packets);
        path.to_str().expect("paths are text").to_owned()
    }
}

#[test]
fn a_line_a_packet_says_what_validate_says_and_what_differs() {
    let folder = Folder::new();
    let mut wrong = UDP;
    wrong[10] ^= 0xff;
    let file = folder.capture(1, &[&ethernet(&UDP), &ethernet(&wrong), &[0; 9]]);
    let output = thruway(&["dissect", &file, "--strict"]);
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}{}", text(&output.stderr));
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].contains("IP 192.0.2.1.1000 > 192.0.2.2.2000: UDP"), "{said}");
    assert!(lines[0].trim_start().starts_with("1    0.000000000    42 "), "{said}");
    assert!(lines[0].ends_with(": ok"), "{said}");
    assert!(
        lines[1].contains(" 1.000000000 ") && lines[1].ends_with(": ip4_bad_checksum"),
        "{said}"
    );
    assert_eq!(lines[2].trim(), "differs: valid there alone (checksum)");
    assert!(lines[3].ends_with("[9 bytes: short frame]: frame_too_short"), "{said}");
    let sums = "3 packets: 1 valid, 2 dropped (frame_too_short 1, ip4_bad_checksum 1), 0 cut off in \
        their headers; etherparse differs in 1 (checksum 1), 0 unexplained";
    assert_eq!(lines[4..], [sums]);

    let fields = text(&thruway(&["dissect", &file, "-v"]).stdout);
    let row = fields.lines().find(|line| line.contains("dst_port")).unwrap();
    assert_eq!(row.split_whitespace().collect::<Vec<_>>(), ["dst_port", "36", "2000", "2000"]);
    assert!(fields.contains("thruway: The IPv4 header checksum is wrong."), "{fields}");
    let names = text(&thruway(&["dissect", "--differences"]).stdout);
    assert!(names.contains("checksum ") && names.contains("martian "), "{names}");
}

#[test]
fn packets_of_other_links_are_frames_or_are_told() {
    let folder = Folder::new();
    let cooked = [&[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 9, 0, 0, 8, 0][..], &UDP].concat();
    let two = [&[8, 0, 0, 0, 0, 0, 0, 3, 0, 1, 0, 6, 2, 0, 0, 0, 0, 9, 0, 0][..], &UDP].concat();
    let loopback = [&[2, 0, 0, 0][..], &UDP].concat();
    for (link, packet, moved) in
        [(101, &UDP[..], 14), (113, &cooked, -2), (276, &two, -6), (0, &loopback, 10)]
    {
        let file = folder.capture(link, &[packet]);
        let output = thruway(&["dissect", &file, "--json"]);
        let lines = lines(&output);
        let (packet, sums) = (&lines[0], &lines[1]["summary"]);
        assert_eq!(packet["thruway"]["valid"], true, "{link}: {packet:#}");
        assert_eq!(packet["thruway"]["l3_offset"], 14, "{link}");
        assert_eq!(packet["moved"], moved, "{link}");
        assert_eq!((&packet["size"], &sums["valid"]), (&42.into(), &1.into()), "{link}");
    }
    let file = folder.capture(105, &[&UDP, &UDP]);
    let output = thruway(&["dissect", &file]);
    assert!(output.status.success());
    let said = text(&output.stdout);
    let skipped =
        "skipped 2 packets of IEEE 802.11 (105), which cannot be made into Ethernet frames";
    assert!(said.starts_with("0 packets: ") && said.contains(skipped), "{said}");

    // The same for replay: the frame goes in, and is for another MAC address.
    let out = folder.path("out");
    for (link, frames, skipped) in [(101, 1, 0), (105, 0, 1)] {
        let input = format!("ce-1={}", folder.capture(link, &[&UDP]));
        let out = out.to_str().unwrap();
        let words = ["replay", "docs/examples/lab.toml", "--in", &input, "--out", out, "--json"];
        let output = thruway(&words);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        let ports = said["verdicts"]["ports"].as_array().unwrap();
        let port = ports.iter().find(|own| own["name"] == "ce-1").unwrap();
        assert_eq!(port["rx_frames"], frames, "{said:#}");
        assert_eq!(said["skipped"].as_array().unwrap().len(), skipped, "{said:#}");
    }
}

#[test]
fn what_stands_before_a_broken_place_is_shown_and_the_packet_named() {
    let folder = Folder::new();
    let file = folder.capture(1, &[&ethernet(&UDP), &ethernet(&UDP)]);
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() - 5]).unwrap();
    let output = thruway(&["dissect", &file]);
    assert!(!output.status.success());
    assert!(text(&output.stdout).contains("1 packet: 1 valid"), "{}", text(&output.stdout));
    assert!(error(&output).contains("packet 2: the file ends in the middle"), "{}", error(&output));

    let (input, out) = (format!("ce-1={file}"), folder.path("out"));
    let words = ["docs/examples/lab.toml", "--in", &input, "--out", out.to_str().unwrap()];
    let output = thruway(&[&["replay"], &words[..]].concat());
    assert!(!output.status.success());
    assert!(text(&output.stdout).contains("balanced"), "{}", text(&output.stdout));
    assert!(error(&output).contains("packet 2: the file ends in the middle"), "{}", error(&output));

    let none = thruway(&["dissect", "no-such.pcap"]);
    assert!(!none.status.success());
    assert_eq!(error(&none).matches("No such file").count(), 1, "{}", error(&none));
}

/// A parser that takes every IPv4 header for 20 bytes.
const PARSER: &str = r#"
import json, struct, sys

frame = sys.stdin.buffer.read()
kind, at = struct.unpack("!H", frame[12:14])[0], 14
if kind != 0x0800 or len(frame) < at + 28:
    print(json.dumps({"valid": False}))
    sys.exit()
if frame[-1:] == b"\xee":
    sys.exit(1 / 0)
words = struct.unpack("!HH", frame[at + 20:at + 24])
print(json.dumps({"valid": True, "l3_offset": at, "l4_offset": at + 20, "src_port": words[0],
                  "src": ".".join(map(str, frame[at + 12:at + 16])), "flavour": "mint"}))
"#;

#[test]
fn a_users_parser_is_held_against_ours_and_its_error_gets_small() {
    let folder = Folder::new();
    let parser = folder.path("parser.py");
    std::fs::write(&parser, PARSER).unwrap();
    // Not by a shim that looks for it each time.
    let python = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output();
    let python = text(&python.expect("there is Python").stdout);
    let command = format!("exec '{}' -I -S '{}'", python.trim(), parser.display());
    let crash = ethernet(&[&UDP[..], &[0xee]].concat());
    let wrong = ethernet(&with_options());
    let file = folder.capture(1, &[&ethernet(&UDP), &wrong, &wrong, &crash]);
    let small = folder.path("small");
    let words = ["dissect", &file, "--with", &command, "--json", "--strict"];
    let output = thruway(&[&words[..], &["--shrink", small.to_str().unwrap()]].concat());
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let lines = lines(&output);
    let fields = |line: &Value| -> Vec<String> {
        let all = line["parser"]["differences"].as_array().expect("a list");
        all.iter().map(|own| own["field"].as_str().expect("a name").to_owned()).collect()
    };
    let found: Vec<_> = lines[..4].iter().map(fields).collect();
    assert_eq!(found[0], [""; 0]);
    assert_eq!(found[1], ["l4_offset", "src_port"]);
    assert_eq!(found[2], found[1]);
    assert_eq!(found[3], ["no_answer"]);
    let difference = &lines[1]["parser"]["differences"][0];
    assert_eq!((&difference["thruway"], &difference["other"]), (&38.into(), &34.into()));
    let sums = &lines[4]["summary"]["parser"];
    assert_eq!((&sums["differing"], &sums["unknown_fields"][0]), (&3.into(), &"flavour".into()));
    // One file for each kind: Ethernet, a header with a word of options, UDP; and what crashes.
    assert_eq!(lines[2]["small"], Value::Null);
    let (options, crash) = (&lines[1]["small"], &lines[3]["small"]);
    assert_eq!(options["size"], 14 + 24 + 8, "{options}");
    assert_eq!(std::fs::read_dir(&small).unwrap().count(), 2);

    // The small frames still show what they were kept for.
    for (kept, field) in [(options, "l4_offset"), (crash, "no_answer")] {
        let path = kept["path"].as_str().expect("a path");
        let output = thruway(&["dissect", path, "--with", &command, "--json"]);
        assert_eq!(fields(&self::lines(&output)[0])[0], field);
    }
    let output = thruway(&["dissect", &file, "--with", &command]);
    let said = text(&output.stdout);
    assert!(output.status.success());
    let words = "your parser differs: l4_offset is 38 here and 34 there; src_port is 1000 here and";
    assert!(said.contains(words), "{said}");
    assert!(said.contains("ZeroDivisionError"), "{said}");
    assert!(said.contains("says `flavour`, which is no field: not compared"), "{said}");
}

#[test]
fn a_users_parser_that_takes_too_long_is_ended() {
    let folder = Folder::new();
    let file = folder.capture(1, &[&ethernet(&UDP)]);
    let output =
        thruway(&["dissect", &file, "--with", "tail -f /dev/null; true", "--timeout", "1"]);
    let said = text(&output.stdout);
    assert!(said.contains("your parser differs: timed_out"), "{said}");
    assert!(output.status.success());
}

#[test]
fn small_frames_are_captures_with_a_comment() {
    let folder = Folder::new();
    let path = folder.path("in.pcapng");
    let mut writer = Writer::create(&path).unwrap();
    writer.interface("x").unwrap();
    writer.write(0, Now(5), &ethernet(&with_options())).unwrap();
    writer.finish().unwrap();
    let small = folder.path("small");
    let file = path.to_str().unwrap();
    let says = "cat > /dev/null; echo '{\"src\": \"1.2.3.4\"}'";
    let output = thruway(&["dissect", file, "--with", says, "--shrink", small.to_str().unwrap()]);
    let said = text(&output.stdout);
    let kept = small.join("in-1-src.pcapng");
    assert!(said.contains(&format!("in {}", kept.display())), "{said}");
    let mut reader = Reader::open(&kept).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().bytes.len(), 34);
    let bytes = std::fs::read(&kept).unwrap();
    let comment = b"packet 1 of in, made small: src";
    assert!(bytes.windows(comment.len()).any(|window| window == comment));
}
