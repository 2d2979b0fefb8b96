//! How does the tester reach interfaces of the kernel? By packet sockets: a transmit ring and a
//! receive ring for each interface.
//!
//! A frame that the driver has no room for counts as sent: it was lost on the way into the device,
//! and the interface's drop counter says so. Own transmissions are not received, nor is ARP, which
//! the medium's stations answer. Tags that the kernel took out are back in what `look` is shown.
//! Neither sending nor receiving allocates; sending costs a system call for each burst, receiving
//! none.

use std::io;
use std::os::fd::OwnedFd;

use super::drops::DropMeter;
use super::error::{Doing, MediumError};
use super::wiring::Lane;
use super::{BURST, Tester};
use crate::io::sys::packet::{self, Protocol};
use crate::io::sys::ring::{OFFLOAD_HEADER, Ring};
use crate::io::sys::tx_ring::{Flushed, TxRing};
use crate::lab::Interface;
use crate::lab::traffic::arp;

/// Frames that may be under way to the driver.
const SEND_SLOTS: usize = 1024;
/// Frames that wait for the tester while another program has its core: 10 ms at 1.6 Mpps.
const RECEIVE_SLOTS: usize = 16 << 10;
/// Bytes that the receive ring of one interface may take, whatever the frames' size.
const RECEIVE_MOST: usize = 32 << 20;
/// Bytes of a block of the receive ring.
const BLOCK_SIZE: usize = 256 << 10;
/// What the kernel puts before a frame in a slot of the receive ring: its own header, an address,
/// the offload header and some to align.
const SLOT_HEAD: usize = 96;
/// Bytes that frames under way may take.
const SOCKET_BUFFER: i32 = 64 << 20;

/// The tester's end of packet sockets.
#[derive(Debug)]
pub struct Sockets {
    ends: Vec<End>,
    lanes: Vec<Lane>,
    meter: DropMeter,
}

impl Sockets {
    /// Opens a pair of sockets on each interface, in the interface's namespace; frames have up to
    /// `largest` bytes. `meter` has the counters beside the rings' own.
    ///
    /// # Errors
    /// When an interface does not exist or raw sockets are not permitted.
    ///
    /// # Panics
    /// When a lane names an interface that is not there.
    pub fn open(
        interfaces: &[Interface],
        lanes: &[Lane],
        largest: usize,
        meter: DropMeter,
    ) -> Result<Self, MediumError> {
        let all = lanes.iter().flat_map(|lane| [lane.from, lane.to]);
        assert!(all.max() < Some(interfaces.len()) || lanes.is_empty(), "lanes end at interfaces");
        let ends = interfaces.iter().map(|own| End::open(own, largest));
        let ends = ends.collect::<Result<Vec<_>, _>>()?;
        Ok(Self { ends, lanes: lanes.to_vec(), meter })
    }

    /// How many lanes it has.
    pub fn lanes(&self) -> usize {
        self.lanes.len()
    }
}

impl Tester for Sockets {
    fn send(
        &mut self,
        lane: usize,
        want: usize,
        write: impl FnMut(&mut [u8]) -> usize,
    ) -> io::Result<usize> {
        self.ends[self.lanes[lane].from].send(want, write)
    }

    fn receive(&mut self, lane: usize, mut look: impl FnMut(&[u8])) -> io::Result<usize> {
        let Lane { to, also, .. } = self.lanes[lane];
        let first = self.ends[to].receive(BURST, &mut look);
        Ok(first + also.map_or(0, |also| self.ends[also].receive(BURST - first, &mut look)))
    }

    /// Sends on what the kernel had no memory for.
    fn step(&mut self) {
        for end in &mut self.ends {
            // What is wrong with the interface shows with the next frame.
            let _ = end.flush();
        }
    }

    fn drops(&mut self) -> io::Result<Vec<(String, u64)>> {
        let mut drops = Vec::new();
        for end in &self.ends {
            let lost = packet::statistics(&end.receiver)?.drops;
            if lost > 0 {
                drops.push((format!("{}: tester's ring full", end.name), u64::from(lost)));
            }
        }
        drops.extend(self.meter.since().map_err(io::Error::other)?);
        Ok(drops)
    }
}

/// The sockets of one interface.
#[derive(Debug)]
struct End {
    name: String,
    largest: usize,
    tx: TxRing,
    rx: Ring,
    sender: OwnedFd,
    receiver: OwnedFd,
}

impl End {
    fn open(interface: &Interface, largest: usize) -> Result<Self, MediumError> {
        let name = interface.name().to_owned();
        let index = interface.index()?;
        let opened = interface.netns().run(|| {
            let (sender, tx) = open_sender(index, largest)?;
            let (receiver, rx) = open_receiver(index, largest)?;
            Ok::<_, io::Error>((sender, tx, receiver, rx))
        })?;
        let (sender, tx, receiver, rx) =
            opened.doing(|| format!("opening the tester's packet sockets on {name}"))?;
        Ok(Self { name, largest, tx, rx, sender, receiver })
    }

    fn send(
        &mut self,
        want: usize,
        mut write: impl FnMut(&mut [u8]) -> usize,
    ) -> io::Result<usize> {
        let mut taken = 0;
        let largest = self.largest;
        while taken < want.min(BURST) && self.tx.fill(None, |room| write(&mut room[..largest])) {
            taken += 1;
        }
        self.flush()
            .map_err(|error| io::Error::other(format!("sending on {}: {error}", self.name)))?;
        Ok(taken)
    }

    /// Sends what waits; the interface counts what is refused.
    fn flush(&mut self) -> io::Result<()> {
        while self.tx.is_waiting() {
            match self.tx.flush(&self.sender)? {
                Flushed::Refused { .. } => {}
                Flushed::All | Flushed::NoMemory => break,
            }
        }
        Ok(())
    }

    fn receive(&mut self, most: usize, mut look: impl FnMut(&[u8])) -> usize {
        for seen in 0..most {
            let Some(mut slot) = self.rx.take() else { return seen };
            look(slot.whole());
        }
        most
    }
}

fn open_sender(index: u32, largest: usize) -> io::Result<(OwnedFd, TxRing)> {
    let socket = packet::open()?;
    packet::bypass_qdisc(&socket)?;
    packet::set_buffers(&socket, SOCKET_BUFFER)?;
    packet::skip_bad_frames(&socket)?;
    let ring = TxRing::new(&socket, SEND_SLOTS, largest)?;
    packet::bind(&socket, index, Protocol::None)?;
    Ok((socket, ring))
}

fn open_receiver(index: u32, largest: usize) -> io::Result<(OwnedFd, Ring)> {
    let socket = packet::open()?;
    packet::offload_header(&socket)?;
    packet::ignore_outgoing(&socket)?;
    packet::set_filter(&socket, &arp::only_arp(false))?;
    let slot_size = (SLOT_HEAD + OFFLOAD_HEADER + largest).next_power_of_two();
    let slots = RECEIVE_SLOTS.min(RECEIVE_MOST / slot_size);
    let blocks = (slots * slot_size).div_ceil(BLOCK_SIZE);
    let ring = Ring::new(&socket, BLOCK_SIZE, blocks, slot_size)?;
    packet::bind(&socket, index, Protocol::All)?;
    packet::set_promiscuous(&socket, index)?;
    // A socket that is bound while the interface is down begins with that error.
    packet::take_error(&socket);
    packet::statistics(&socket)?;
    Ok((socket, ring))
}
