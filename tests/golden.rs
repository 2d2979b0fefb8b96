//! What leaves, byte by byte: a case for each stage and each kind of hand-over, and random
//! traffic that must leave the same whatever the workers and the batches.
//!
//! A case's captures and verdicts are in `tests/golden/CASE/`; `UPDATE_GOLDEN=1 cargo test --test
//! golden` writes them anew.

#![allow(clippy::unwrap_used, reason = "helpers of tests, outside of any")]
#![allow(unreachable_pub, reason = "modules of a test binary")]

#[path = "support/cases.rs"]
mod cases;
#[path = "support/lab.rs"]
mod lab;

use std::fs;
use std::path::PathBuf;

use cases::Case;
use lab::{CONFIG, In, after, hello, replay};
use proptest::prelude::*;
use thruway::io::pcap::{Reader, Writer};
use thruway::replay::{Options, Replay, Sent, Verdicts};
use thruway::wire::show;

const PORTS: &[&str] = &["ce-1", "ce-2", "ce-3", "hub", "spoke", "m365", "fab-pri", "fab-sec"];

fn folder(case: &Case) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(case.name)
}

/// The capture of one port.
fn capture(name: &str, sent: &[Sent], replay: &Replay) -> Option<Vec<u8>> {
    let id = replay.port(name)?;
    let mut writer = Writer::new(name, Vec::new()).unwrap();
    writer.interface(name).unwrap();
    let mine: Vec<&Sent> = sent.iter().filter(|own| own.port == id).collect();
    for own in &mine {
        writer.write(0, own.at, &own.bytes).unwrap();
    }
    (!mine.is_empty()).then(|| writer.finish().unwrap())
}

fn lines(capture: &[u8]) -> String {
    let mut reader = Reader::new("golden", capture).unwrap();
    let mut text = String::new();
    while let Some(packet) = reader.next().unwrap() {
        text += &format!("  +{:>9} ns {}\n", packet.at.since(lab::START).0, show(packet.bytes));
    }
    text
}

/// Every checksum of an IPv4 packet, as another library computes it.
fn check_checksums(bytes: &[u8]) {
    use etherparse::{NetSlice, SlicedPacket, TransportSlice};
    let Ok(packet) = SlicedPacket::from_ethernet(bytes) else { return };
    let Some(NetSlice::Ipv4(ip)) = &packet.net else { return };
    let header = ip.header().to_header();
    assert_eq!(header.calc_header_checksum(), header.header_checksum, "{}", show(bytes));
    if header.is_fragmenting_payload() {
        return;
    }
    let (right, found) = match &packet.transport {
        Some(TransportSlice::Udp(udp)) => {
            let own = udp.to_header();
            (own.calc_checksum_ipv4(&header, udp.payload()).unwrap(), own.checksum)
        }
        Some(TransportSlice::Tcp(tcp)) => {
            let own = tcp.to_header();
            (own.calc_checksum_ipv4(&header, tcp.payload()).unwrap(), own.checksum)
        }
        Some(TransportSlice::Icmpv4(icmp)) => {
            (icmp.icmp_type().calc_checksum(icmp.payload()), icmp.checksum())
        }
        _ => return,
    };
    assert!(right == found || found == 0, "{}", show(bytes));
}

fn run(case: &Case, options: Options) -> (Vec<Sent>, Verdicts, Replay) {
    let mut frames = hello();
    let later = |(i, (port, bytes)): (usize, &(&'static str, Vec<u8>))| In {
        port,
        at: after(10_000 + case.apart * u64::try_from(i).unwrap()),
        bytes: bytes.clone(),
    };
    frames.extend(case.frames.iter().enumerate().map(later));
    replay(case.config.as_deref().unwrap_or(CONFIG), options, &frames)
}

#[test]
fn every_case_leaves_what_it_left_when_it_was_checked() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut wrong = Vec::new();
    for case in cases::all() {
        let (sent, verdicts, replay) = run(&case, Options::default());
        sent.iter().for_each(|own| check_checksums(&own.bytes));
        assert!(verdicts.accounts.balanced, "{}: {:?}", case.name, verdicts.accounts);
        assert_eq!(verdicts.accounts.held, 0, "{}", case.name);
        for (reason, count) in case.drops {
            assert_eq!(verdicts.drops.get(*reason), Some(count), "{}: {reason}", case.name);
        }
        let found: u64 = verdicts.drops.values().sum();
        let named: u64 = case.drops.iter().map(|(_, count)| count).sum();
        assert_eq!(found, named, "{}: {:?}", case.name, verdicts.drops);
        let folder = folder(&case);
        if update {
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir_all(&folder).unwrap();
        }
        let mut expect = |file: String, found: Option<Vec<u8>>| {
            let path = folder.join(&file);
            if update && let Some(found) = &found {
                fs::write(&path, found).unwrap();
            }
            let golden = fs::read(&path).ok();
            if golden != found {
                let text = |bytes: Option<Vec<u8>>| match bytes {
                    Some(bytes) if file.ends_with("pcapng") => lines(&bytes),
                    Some(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                    None => "  nothing\n".to_owned(),
                };
                wrong.push(format!(
                    "{} {file} ({})\nexpected:\n{}found:\n{}",
                    case.name,
                    case.about,
                    text(golden),
                    text(found),
                ));
            }
        };
        for name in PORTS {
            expect(format!("out-{name}.pcapng"), capture(name, &sent, &replay));
        }
        let text = serde_json::to_string_pretty(&verdicts).unwrap() + "\n";
        expect("verdicts.json".to_owned(), Some(text.into_bytes()));
        if std::env::var_os("SHOW_GOLDEN").is_some() {
            println!("{}: {}", case.name, case.about);
            for name in PORTS {
                if let Some(bytes) = capture(name, &sent, &replay) {
                    println!(" {name}\n{}", lines(&bytes));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn options() -> Vec<Options> {
    let each = |workers| [1, 8, 64].map(|batch| Options { workers, batch, ..Options::default() });
    [1, 2].into_iter().flat_map(each).collect()
}

fn same_for_all(frames: &[In]) -> Result<(), TestCaseError> {
    let mut first: Option<(Vec<Sent>, Verdicts)> = None;
    for options in options() {
        let (sent, verdicts, _) = replay(CONFIG, options, frames);
        prop_assert!(verdicts.accounts.balanced, "{options:?} {:?}", verdicts.accounts);
        prop_assert_eq!(verdicts.accounts.held, 0);
        let Some((sent1, verdicts1)) = &first else {
            first = Some((sent, verdicts));
            continue;
        };
        for (i, (a, b)) in sent1.iter().zip(&sent).enumerate() {
            prop_assert_eq!(
                (a.port, a.at, show(&a.bytes)),
                (b.port, b.at, show(&b.bytes)),
                "packet {} with {:?}",
                i,
                options
            );
            prop_assert_eq!(&a.bytes, &b.bytes);
        }
        prop_assert_eq!(sent1.len(), sent.len(), "{:?}", options);
        prop_assert_eq!(verdicts1, &verdicts, "{:?}", options);
    }
    Ok(())
}

#[test]
fn every_case_is_the_same_for_any_workers_and_batches() {
    for case in cases::all() {
        let (sent, verdicts, _) = run(&case, Options::default());
        for options in options() {
            let (other, counts, _) = run(&case, options);
            assert!(sent == other, "{} with {options:?}", case.name);
            assert_eq!(verdicts, counts, "{} with {options:?}", case.name);
        }
    }
}

/// A frame of any case, changed or not, some time after the last.
fn traffic() -> impl Strategy<Value = Vec<In>> {
    let frames: Vec<(&'static str, Vec<u8>)> = cases::all()
        .into_iter()
        .filter(|case| case.config.is_none())
        .flat_map(|case| case.frames)
        .chain(hello().into_iter().map(|own| (own.port, own.bytes)))
        .collect();
    let gap = prop_oneof![
        20 => 0..5_u64,
        4 => 0..400_u64,
        1 => 0..3_000_000_u64,
    ];
    let change = prop_oneof![
        6 => Just(None),
        1 => (any::<prop::sample::Index>(), any::<u8>()).prop_map(Some),
    ];
    let one = (prop::sample::select(frames), gap, change, 0..40_u8);
    (any::<bool>(), prop::collection::vec(one, 1..160)).prop_map(|(greeted, picked)| {
        let mut now = 20;
        let mut all = if greeted { hello() } else { Vec::new() };
        for ((port, mut bytes), gap, change, host) in picked {
            now += gap;
            match change {
                Some((at, value)) if !bytes.is_empty() => {
                    let at = at.index(bytes.len());
                    bytes[at] = value;
                }
                _ => {}
            }
            // Other hosts and ports of the same kind: flows of other shards. UDP is checked by
            // nobody on the way, so its source port can be anything.
            another_flow(&mut bytes, host);
            all.push(In { port, at: after(now), bytes });
        }
        all
    })
}

/// Gives an untouched UDP packet another source port, without a checksum (RFC 768).
fn another_flow(bytes: &mut [u8], host: u8) {
    let mut at = 12;
    while bytes.get(at..at + 2) == Some(&[0x81, 0x00]) {
        at += 4;
    }
    let plain = bytes.get(at..at + 3) == Some(&[0x08, 0x00, 0x45]);
    if plain && bytes.get(at + 11) == Some(&17) && bytes.len() >= at + 30 {
        bytes[at + 23] = host;
        (bytes[at + 28], bytes[at + 29]) = (0, 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn any_traffic_leaves_the_same_for_any_workers_and_batches(frames in traffic()) {
        same_for_all(&frames)?;
    }
}
