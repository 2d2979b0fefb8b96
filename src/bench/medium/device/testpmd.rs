//! DPDK's testpmd as a device: it swaps nothing but MAC addresses, between two ports on packet
//! sockets or XDP sockets of the veth ends, without huge pages.
//!
//! Its port counters are asked for over its telemetry socket. What its rings had no room for is
//! what the interfaces received and its ports did not: its own counter for that stays 0 on packet
//! sockets (version 22.11).

use std::io;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType};
use serde_json::Value;

use super::super::Device;
use super::super::drops::DropMeter;
use super::super::error::{Doing, MediumError};
use super::super::site::Site;
use super::{INPUT_FULL, note, threads_of};
use crate::bench::record::trial::DeviceFrames;
use crate::lab::{Interface, LabError, Process, Scratch};

/// The program; Debian and Ubuntu have it in the package dpdk-dev.
const PROGRAM: &str = "dpdk-testpmd";
/// How long it may take until it forwards.
const START: Duration = Duration::from_secs(60);
/// Longest answer of the telemetry socket (version 2 of its protocol).
const ANSWER: usize = 16 << 10;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Frames of a packet socket's ring, about as many as thruway's has.
const RING: usize = 2048;

/// A running testpmd.
#[derive(Debug)]
pub struct Testpmd {
    // The process goes before its files.
    process: Process,
    scratch: Scratch,
    ends: Vec<Interface>,
    /// What the interfaces had received when it began.
    before: u64,
    intake: DropMeter,
    threads: Vec<(String, u32)>,
    name: &'static str,
}

impl Testpmd {
    /// Starts it on a site of two veth pairs, over XDP sockets or packet sockets.
    ///
    /// # Errors
    /// When it is not installed, or with its own words when it does not start.
    pub fn start(site: &Site, xdp: bool) -> Result<Self, MediumError> {
        Self::start_program(site, xdp, PROGRAM)
    }

    pub(in crate::bench::medium) fn start_program(
        site: &Site,
        xdp: bool,
        program: &str,
    ) -> Result<Self, MediumError> {
        let ends = site.device_ends().to_vec();
        let [_, _] = &ends[..] else {
            return Err(MediumError::refused(
                "testpmd forwards between exactly two veth pairs; choose the veth medium and a \
                 scenario with two ports",
            ));
        };
        let scratch = Scratch::new("bench")?;
        let mut command = Command::new(program);
        command.args(words(site, xdp)?).env("RUNTIME_DIRECTORY", scratch.path());
        let spawned = site.cores().on_device(|| Process::spawn(site.device_netns(), command));
        let process = spawned.map_err(|error| match error {
            MediumError::Lab(LabError::Io { source, .. })
                if source.kind() == io::ErrorKind::NotFound =>
            {
                MediumError::refused(format!(
                    "the program {program} is not installed: install DPDK (Debian and Ubuntu: \
                     apt-get install dpdk-dev), or leave this peer out"
                ))
            }
            other => other,
        })?;
        let ready = |line: &str| line.contains("nb forwarding ports=");
        process.wait_line("testpmd to forward", START, ready)?;
        let mut threads = threads_of(process.id(), |name| {
            name.starts_with("rte-worker") || name.starts_with("lcore-worker")
        });
        threads.extend(site.threads.iter().cloned());
        let name = if xdp { "testpmd-xdp" } else { "testpmd" };
        let intake = site.intake_drops()?;
        let before = received(&ends)?;
        Ok(Self { process, scratch, ends, before, intake, threads, name })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    fn socket(&self) -> PathBuf {
        self.scratch.file("dpdk").join("device").join("dpdk_telemetry.v2")
    }

    fn read(&self) -> Result<DeviceFrames, MediumError> {
        let (mut ports, mut sent) = (0, 0);
        for port in 0..self.ends.len() {
            let stats = self.ask(&format!("/ethdev/stats,{port}"))?;
            let value = |name: &str| stats[name].as_u64().unwrap_or(0);
            ports += value("ipackets");
            sent += value("opackets");
        }
        let came = received(&self.ends)?.saturating_sub(self.before);
        let full = self.intake.total()?;
        let mut frames = DeviceFrames { received: came + full, sent, ..DeviceFrames::default() };
        note(&mut frames.dropped, INPUT_FULL, full + came.saturating_sub(ports));
        note(&mut frames.dropped, "not_sent", ports.saturating_sub(sent));
        Ok(frames)
    }

    /// One question over a fresh connection, which greets first.
    fn ask(&self, question: &str) -> Result<Value, MediumError> {
        let what = || format!("asking testpmd for {question}");
        let text = self.talk(question).doing(what)?;
        let answer: Value = serde_json::from_str(&text).map_err(io::Error::other).doing(what)?;
        let name = question.split(',').next().unwrap_or(question);
        Ok(answer[name].clone())
    }

    fn talk(&self, question: &str) -> io::Result<String> {
        let socket = rustix::net::socket_with(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        let timeout = rustix::net::sockopt::Timeout::Recv;
        rustix::net::sockopt::set_socket_timeout(&socket, timeout, Some(PATIENCE))?;
        rustix::net::connect(&socket, &SocketAddrUnix::new(self.socket())?)?;
        let mut buffer = vec![0; ANSWER];
        let mut hear = || {
            let (len, _) = rustix::net::recv(&socket, &mut buffer[..], RecvFlags::empty())?;
            Ok::<_, io::Error>(String::from_utf8_lossy(&buffer[..len]).into_owned())
        };
        hear()?;
        rustix::net::send(&socket, question.as_bytes(), SendFlags::empty())?;
        hear()
    }
}

fn received(ends: &[Interface]) -> Result<u64, LabError> {
    ends.iter().map(|end| Ok(end.counters()?.rx_packets)).sum()
}

/// The command line: one core forwards, the other one of the two that testpmd asks for is the same
/// and sleeps.
fn words(site: &Site, xdp: bool) -> Result<Vec<String>, MediumError> {
    let core = site.cores().device[0];
    let mut words: Vec<String> = ["--no-huge", "--no-pci", "-m", "256", "--file-prefix", "device"]
        .map(str::to_owned)
        .to_vec();
    words.extend(["--lcores".to_owned(), format!("0@{core},1@{core}")]);
    // A ring's slots are powers of two, and a block holds one at least.
    let slot = (site.plan().largest + 128).next_power_of_two().max(2048);
    for (port, end) in site.device_ends().iter().enumerate() {
        let name = end.name();
        words.push("--vdev".to_owned());
        words.push(if xdp {
            format!("net_af_xdp{port},iface={name}")
        } else {
            format!(
                "net_af_packet{port},iface={name},qdisc_bypass=1,framesz={slot},\
                 blocksz={},framecnt={RING}",
                slot.max(4096)
            )
        });
    }
    words.extend(["--", "--forward-mode=mac", "--nb-cores=1"].map(str::to_owned));
    words.push("--total-num-mbufs=16384".to_owned());
    for (port, near) in site.tester_ends().iter().enumerate() {
        let station = site.plan().wires[port].stations.first().map(|own| own.mac);
        let mac = station.map_or_else(|| near.mac(), Ok)?;
        words.push(format!("--eth-peer={port},{mac}"));
    }
    // Its main thread reads a closed input and ends, unless it has statistics to print.
    words.extend(["--stats-period", "3600"].map(str::to_owned));
    Ok(words)
}

impl Device for Testpmd {
    fn name(&self) -> &str {
        self.name
    }

    fn accounts(&mut self) -> io::Result<Option<DeviceFrames>> {
        self.read().map(Some).map_err(io::Error::other)
    }

    fn threads(&self) -> Vec<(String, u32)> {
        self.threads.clone()
    }

    fn reset(&mut self) -> io::Result<bool> {
        Ok(true)
    }
}
