use std::path::{Path, PathBuf};

use super::support::*;
use crate::io::pcap::{Reader, Writer};
use crate::io::{CaptureSpec, LinkState, Pace, Port, PortKind, PortSpec, Queue, clock};
use crate::time::{Now, Span};

/// A capture of frames, each with when it was captured.
fn capture(path: &Path, frames: &[(Now, Vec<u8>)]) {
    let mut writer = Writer::create(path).unwrap();
    writer.interface("far").unwrap();
    for (at, bytes) in frames {
        writer.write(0, *at, bytes).unwrap();
    }
    writer.finish().unwrap();
}

fn frame(number: u8) -> Vec<u8> {
    vec![number; 60]
}

fn read(path: &Path) -> Vec<(Now, Vec<u8>)> {
    let mut reader = Reader::open(path).unwrap();
    let mut all = Vec::new();
    while let Some(packet) = reader.next().unwrap() {
        all.push((packet.at, packet.bytes.to_vec()));
    }
    all
}

struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn open(&self, input: Option<&str>, output: Option<&str>, pace: Pace, queues: usize) -> Opened {
        let path = |name: Option<&str>| name.map(|name| self.path(name));
        let (input, output) = (path(input), path(output));
        let kind = PortKind::Capture(CaptureSpec { name: "ce-1".into(), input, output, pace });
        Port::open(PortSpec { kind, queues }).map_err(|error| error.to_string())
    }
}

type Opened = Result<(Port, Vec<Queue>), String>;

const MS: u64 = 1_000_000;

#[test]
fn frames_come_in_as_far_apart_as_they_were_captured() {
    let files = Files::new();
    let times = [0, 0, 30, 25, 60].map(|ms| Now(7_000_000_000_000 + ms * MS));
    let frames: Vec<_> = (0..).zip(times).map(|(n, at)| (at, frame(n))).collect();
    capture(&files.path("in"), &frames);
    let (port, mut queues) = files.open(Some("in"), None, Pace::Capture, 1).unwrap();
    let mut worker = Worker::new(queues.remove(0));
    let start = clock::now();
    let mut came = Vec::new();
    while came.len() < frames.len() {
        // It sleeps for as long as nothing is due: the alarm wakes it.
        worker.rest(Span::secs(60));
        let now = clock::now();
        came.extend(worker.turn().into_iter().map(|bytes| (now.since(start).0, bytes)));
    }
    let bytes: Vec<_> = came.iter().map(|(_, bytes)| bytes.clone()).collect();
    assert_eq!(bytes, frames.iter().map(|(_, bytes)| bytes.clone()).collect::<Vec<_>>());
    // Times that fall back are overdue: the fourth frame comes with the third.
    for ((at, _), due) in came.iter().zip([0, 0, 30, 30, 60]) {
        assert!(*at >= due * MS, "{at} ns instead of {due} ms");
    }
    assert_eq!(port.link_state(), LinkState::Up, "the end is no loss of link");
    worker.check_sleeps();
}

#[test]
fn an_unpaced_capture_comes_in_batch_by_batch() {
    let files = Files::new();
    let hour = 3_600_000 * MS;
    let frames: Vec<_> = (0..150).map(|n| (Now(u64::from(n) * hour), frame(n))).collect();
    capture(&files.path("in"), &frames);
    let (_port, mut queues) = files.open(Some("in"), None, Pace::Unpaced, 1).unwrap();
    let mut worker = Worker::new(queues.remove(0));
    let sizes: Vec<usize> = (0..4)
        .map(|_| {
            worker.rest(Span::secs(1));
            worker.turn().len()
        })
        .collect();
    assert_eq!(sizes, [64, 64, 22, 0]);
    worker.check_sleeps();
}

#[test]
fn a_capture_pauses_while_the_port_has_no_carrier() {
    let files = Files::new();
    capture(&files.path("in"), &[(Now(5), frame(0)), (Now(5 + 40 * MS), frame(1))]);
    let (port, mut queues) = files.open(Some("in"), Some("out"), Pace::Capture, 1).unwrap();
    let mut worker = Worker::new(queues.remove(0));
    assert_eq!(worker.turn().len(), 1);
    let begin = clock::now();
    port.set_carrier(false).unwrap();
    assert_eq!((port.link_state(), port.is_held()), (LinkState::NoCarrier, true));
    assert_eq!(worker.turn().len(), 0);
    assert_eq!(worker.send(&[frame(9)]).down, 1);
    worker.rest(Span::millis(60));
    assert_eq!(worker.turn().len(), 0, "its time has come, and it is not there");
    port.set_carrier(true).unwrap();
    while worker.turn().is_empty() {
        worker.rest(Span::secs(60));
    }
    assert!(clock::now().since(begin) >= Span::millis(60 + 40 - 5), "the clock stood still");
    assert_eq!(worker.send(&[frame(8)]).frames, 1);
    assert_eq!(read(&files.path("out")).len(), 1);
}

#[test]
fn what_several_queues_send_is_one_whole_file() {
    let files = Files::new();
    std::fs::write(files.path("out"), "what was there before").unwrap();
    let (_port, queues) = files.open(None, Some("out"), Pace::Capture, 3).unwrap();
    assert_eq!(read(&files.path("out")), []);
    std::thread::scope(|scope| {
        for (queue, own) in (0..).zip(queues) {
            scope.spawn(move || {
                let mut worker = Worker::new(own);
                for round in 0..20 {
                    let frames: Vec<_> = (0..5).map(|i| vec![queue, round, i, 0]).collect();
                    assert_eq!(worker.send(&frames).frames, 5);
                }
            });
        }
    });
    let written = read(&files.path("out"));
    assert_eq!(written.len(), 300);
    for queue in 0..3 {
        let own: Vec<_> = written.iter().filter(|(_, bytes)| bytes[0] == queue).collect();
        let order = own.iter().map(|(_, bytes)| (bytes[1], bytes[2]));
        assert!(order.eq((0..20).flat_map(|round| (0..5).map(move |i| (round, i)))));
    }
    // Batches do not mix.
    for batch in written.chunks(5) {
        assert!(batch.iter().all(|(_, bytes)| bytes[..2] == batch[0].1[..2]), "{batch:?}");
    }
    // By the wall's clock: this was written before 2020, and not in 1970.
    let wall = (clock::now() + clock::wall_ahead()).0;
    assert!(wall > 1_577_836_800_000_000_000);
    let (_port, mut queues) = files.open(None, Some("out"), Pace::Capture, 1).unwrap();
    let mut worker = Worker::new(queues.remove(0));
    worker.send(&[frame(1)]);
    let at = read(&files.path("out"))[0].0.0;
    // The test's frames are from the monotonic clock's zero: when the host started.
    assert_eq!(at / 1_000_000_000, clock::wall_ahead().0 / 1_000_000_000);
}

#[test]
fn frames_that_fit_no_buffer_are_counted() {
    let files = Files::new();
    capture(&files.path("in"), &[(Now(0), vec![1; 9_000]), (Now(0), frame(2))]);
    let (_port, mut queues) = files.open(Some("in"), None, Pace::Capture, 1).unwrap();
    let mut worker = Worker::new(queues.remove(0));
    assert_eq!(worker.turn(), [frame(2)]);
    assert_eq!((worker.received.frames, worker.received.too_long), (2, 1));
}

#[test]
fn what_is_sent_without_a_capture_is_counted_and_gone() {
    let files = Files::new();
    capture(&files.path("in"), &[]);
    let (_port, mut queues) = files.open(Some("in"), None, Pace::Capture, 1).unwrap();
    let mut worker = Worker::new(queues.remove(0));
    let sent = worker.send(&[frame(1), frame(2)]);
    assert_eq!((sent.frames, sent.bytes), (2, 120));
    worker.check_sleeps();
}

#[test]
fn a_capture_that_breaks_off_ends_there() {
    let files = Files::new();
    capture(&files.path("in"), &[(Now(0), frame(1)), (Now(0), frame(2))]);
    let whole = std::fs::read(files.path("in")).unwrap();
    std::fs::write(files.path("in"), &whole[..whole.len() - 10]).unwrap();
    let (_port, mut queues) = files.open(Some("in"), None, Pace::Capture, 1).unwrap();
    let mut worker = Worker::new(queues.remove(0));
    assert_eq!(worker.turn(), [frame(1)]);
    assert_eq!(worker.turn().len(), 0);
    worker.check_sleeps();
}

#[test]
fn files_that_cannot_be_used_are_named_with_what_would_be() {
    let files = Files::new();
    std::fs::write(files.path("text"), "hello, world").unwrap();
    for (name, why) in [("none", "No such file"), ("text", "this is no capture")] {
        let error = files.open(Some(name), None, Pace::Capture, 1).unwrap_err();
        let path = files.path(name).display().to_string();
        assert!(error.contains(why) && error.contains(&path), "{error}");
        assert!(error.contains("`in` takes a pcap or pcapng file"), "{error}");
    }
    let error = files.open(None, Some("no-folder/out"), Pace::Capture, 1).unwrap_err();
    assert!(error.contains("no-folder/out: No such file"), "{error}");
    assert!(error.contains("`out` takes a file in a folder that is there"), "{error}");
}
