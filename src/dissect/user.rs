//! What does the user's own parser say of a frame? Each frame goes to a process of its own on
//! standard input; one JSON object comes back on standard output.
//!
//! The process runs through `sh -c` in a process group of its own, which is ended by its id when its
//! time is over. An answer of a parser that exits with an error counts all the same; none is a
//! difference of its own, and so is a crash.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::OFlags;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use rustix::time::Timespec;
use serde_json::{Map, Value};

use super::compare::{Difference, difference, verdicts};
use super::view::{FIELDS, View, name};
use crate::io::clock;
use crate::time::{Now, Span};

/// Most bytes of an answer.
const LONGEST: usize = 1 << 20;

/// A parser of the user's.
#[derive(Clone, Debug)]
pub struct Parser {
    /// A command for `sh -c`.
    pub command: String,
    /// How long it may take for a frame.
    pub limit: Span,
}

/// What a parser said of a frame.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// A JSON object.
    Said(Map<String, Value>),
    /// It took too long and was ended.
    TimedOut,
    /// A signal ended it.
    Crashed(i32),
    /// It said nothing that is one JSON object; what it said instead, or its last complaint.
    NoAnswer(String),
}

impl Parser {
    /// Asks about a frame.
    ///
    /// # Errors
    /// When the system lets no process start.
    pub fn ask(&self, frame: &[u8]) -> io::Result<Answer> {
        let mut child = Command::new("sh")
            .args(["-c", &self.command])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let talked = Talk::new(&mut child, frame).and_then(|talk| talk.hold(self.limit));
        if !matches!(talked, Ok(Some(_))) {
            end(&child);
        }
        let status = child.wait()?;
        Ok(talked?.map_or(Answer::TimedOut, |said| said.answer(status)))
    }
}

/// Ends the process and what it started; its id is its own until it was waited for.
fn end(child: &Child) {
    let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let Some(id) = id {
        // It may have ended by itself, which is as good.
        let _ = kill_process_group(id, Signal::KILL);
    }
}

/// What a process wrote.
#[derive(Debug, Default)]
struct Said {
    out: Vec<u8>,
    complaint: Vec<u8>,
}

impl Said {
    fn answer(self, status: ExitStatus) -> Answer {
        if let Some(signal) = status.signal() {
            return Answer::Crashed(signal);
        }
        // A shell reports the signal that ended its child in this way.
        if let Some(signal @ 1..=64) = status.code().map(|code| code - 128) {
            return Answer::Crashed(signal);
        }
        match serde_json::from_slice(&self.out) {
            Ok(Value::Object(said)) => Answer::Said(said),
            _ => {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
                let (out, complaint) = (text(&self.out), text(&self.complaint));
                let last = complaint.lines().last().unwrap_or_default();
                let said = match (last, &out[..]) {
                    ("", "") => format!("nothing, with {status}"),
                    ("", out) => format!("no JSON object: {}", first(out)),
                    (last, _) => format!("{status}: {}", first(last)),
                };
                Answer::NoAnswer(said)
            }
        }
    }
}

/// As much of a text as a line has room for.
fn first(text: &str) -> String {
    text.chars().take(100).collect()
}

/// A conversation with a process: a frame in, an answer out, without ever waiting for one alone.
struct Talk<'a> {
    frame: &'a [u8],
    input: Option<File>,
    outputs: [Option<File>; 2],
    ended: Option<OwnedFd>,
    said: Said,
}

impl<'a> Talk<'a> {
    fn new(child: &mut Child, frame: &'a [u8]) -> io::Result<Self> {
        let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let id = id.expect("a child has an id");
        let ended = Some(pidfd_open(id, PidfdFlags::empty())?);
        let input = OwnedFd::from(child.stdin.take().expect("it is piped"));
        let flags = rustix::fs::fcntl_getfl(&input)?;
        rustix::fs::fcntl_setfl(&input, flags | OFlags::NONBLOCK)?;
        let out = OwnedFd::from(child.stdout.take().expect("it is piped"));
        let complaint = OwnedFd::from(child.stderr.take().expect("it is piped"));
        Ok(Self {
            frame,
            input: Some(input.into()),
            outputs: [Some(out.into()), Some(complaint.into())],
            ended,
            said: Said::default(),
        })
    }

    /// Talks until the process has ended and all was read; `None` when time is over first.
    fn hold(mut self, limit: Span) -> io::Result<Option<Said>> {
        let end = clock::now() + limit;
        while self.ended.is_some() || self.outputs.iter().any(Option::is_some) {
            if !self.wait(end)? || self.said.out.len() > LONGEST {
                return Ok(None);
            }
        }
        Ok(Some(self.said))
    }

    /// Waits for one thing to happen and does what it asks for; whether there was time.
    fn wait(&mut self, end: Now) -> io::Result<bool> {
        let left = end.since(clock::now());
        if left == Span::ZERO {
            return Ok(false);
        }
        let (read, write) = (PollFlags::IN, PollFlags::OUT);
        let streams = [
            self.input.as_ref().map(|file| (file.as_fd(), write)),
            self.outputs[0].as_ref().map(|file| (file.as_fd(), read)),
            self.outputs[1].as_ref().map(|file| (file.as_fd(), read)),
            self.ended.as_ref().map(|fd| (fd.as_fd(), read)),
        ];
        let mut fds: Vec<PollFd<'_>> = streams
            .iter()
            .flatten()
            .map(|(fd, flags)| PollFd::from_borrowed_fd(*fd, *flags))
            .collect();
        let nanoseconds = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let timeout = Timespec {
            tv_sec: nanoseconds(left.0 / 1_000_000_000),
            tv_nsec: nanoseconds(left.0 % 1_000_000_000),
        };
        match poll(&mut fds, Some(&timeout)) {
            Ok(0) => return Ok(false),
            Err(rustix::io::Errno::INTR) => return Ok(true),
            other => other?,
        };
        let mut happened = fds.iter().map(|fd| !fd.revents().is_empty());
        let happened =
            streams.each_ref().map(|stream| stream.is_some() && happened.next() == Some(true));
        self.act(happened)?;
        Ok(true)
    }

    fn act(&mut self, [input, out, complaint, ended]: [bool; 4]) -> io::Result<()> {
        if input {
            self.feed();
        }
        for (place, happened) in [out, complaint].into_iter().enumerate() {
            if happened {
                self.listen(place)?;
            }
        }
        if ended {
            self.ended = None;
        }
        Ok(())
    }

    /// A parser that does not read to the end closes its input, which is no error.
    fn feed(&mut self) {
        let Some(input) = &mut self.input else { return };
        match input.write(self.frame) {
            Ok(size) if size < self.frame.len() => self.frame = &self.frame[size..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            _ => self.input = None,
        }
    }

    fn listen(&mut self, place: usize) -> io::Result<()> {
        let Some(output) = &mut self.outputs[place] else { return Ok(()) };
        let mut bytes = [0; 4096];
        let size = output.read(&mut bytes)?;
        if size == 0 {
            self.outputs[place] = None;
        } else if place == 0 {
            self.said.out.extend_from_slice(&bytes[..size]);
        } else {
            self.said.complaint.extend_from_slice(&bytes[..size]);
            let excess = self.said.complaint.len().saturating_sub(4096);
            self.said.complaint.drain(..excess);
        }
        Ok(())
    }
}

/// Where an answer differs from what thruway sees: fields that it leaves out are not compared, and
/// of a frame that thruway refuses only whether it is refused.
pub fn differences(ours: &View, answer: &Answer) -> Vec<Difference> {
    let failed = |field, other: Value| difference(field, Value::Null, other).into_iter().collect();
    let said = match answer {
        Answer::Said(said) => said,
        Answer::TimedOut => return failed("timed_out", "no answer in time".into()),
        Answer::Crashed(signal) => return failed("crashed", format!("signal {signal}").into()),
        Answer::NoAnswer(what) => return failed("no_answer", what.clone().into()),
    };
    let valid = said.get(name::VALID).and_then(Value::as_bool);
    let mut found = verdicts(ours, &View { valid, ..View::default() });
    if ours.valid == Some(true) && valid != Some(false) {
        found.extend(FIELDS.iter().filter_map(|(field, _)| {
            let ours = ours.value(field).cloned().unwrap_or_default();
            difference(field, ours, said.get(*field)?.clone())
        }));
    }
    found
}

/// What an answer says that no field is called.
pub fn strangers(answer: &Answer) -> Vec<&str> {
    let Answer::Said(said) = answer else { return Vec::new() };
    let known = |key: &str| {
        [name::VALID, "reason", "why", "at"].contains(&key)
            || FIELDS.iter().any(|(field, _)| *field == key)
    };
    said.keys().map(String::as_str).filter(|key| !known(key)).collect()
}
