//! Where does a device stand, and what is it wired to? Two namespaces: the tester's, with one end
//! of every wire, and the device's.
//!
//! The kernel is as silent as it can be: no IPv6, no offloads, no addresses; the tester's stations
//! answer ARP. Everything goes when the site is dropped.

use std::fmt;
use std::io;
use std::time::Duration;

use super::cores::Cores;
use super::drops::{DropMeter, Which};
use super::error::MediumError;
use super::socket::Sockets;
use super::wiring::Plan;
use crate::io::sys::affinity;
use crate::lab::traffic::{ArpServer, Station};
use crate::lab::{Interface, Netns};
use crate::wire::eth::MacAddr;

/// How long a device may take to answer a host that makes itself known.
const ANSWER: Duration = Duration::from_secs(10);

/// Which core does the kernel's part of receiving for the device?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intake {
    /// The sender's, before its call returns: as a network card puts frames into the device's
    /// memory, but paid for by the tester.
    Sender,
    /// The device's, by interrupt (receive packet steering).
    Steered,
    /// The device's, in a kernel thread (threaded NAPI).
    Thread,
}

impl fmt::Display for Intake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Intake::Sender => "the tester's core takes frames in for the device",
            Intake::Steered => "the device's core takes frames in, by interrupt",
            Intake::Thread => "the device's core takes frames in, in a kernel thread",
        })
    }
}

/// What the wires are made of.
#[derive(Debug)]
pub(super) enum Wires {
    /// veth pairs; the device's ends, and who takes frames in there.
    Veth { ends: Vec<Interface>, intake: Intake, pinned: bool },
    /// TAP devices, whose far end is the device itself.
    Tap,
}

/// Namespaces, wires and stations.
#[derive(Debug)]
pub struct Site {
    // Stations go before the interfaces that they stand at.
    pub(super) stations: Vec<ArpServer>,
    pub(super) tester: Netns,
    pub(super) device: Netns,
    /// The tester's ends.
    pub(super) near: Vec<Interface>,
    pub(super) wires: Wires,
    pub(super) plan: Plan,
    pub(super) cores: Cores,
    /// Kernel threads that work for the device.
    pub(super) threads: Vec<(String, u32)>,
}

/// Lets frames that reach `end` be taken in as wished, on `core`; returns the kernel thread that
/// does it, if one does, and whether it keeps to the core: only root may choose a kernel thread's.
pub(in crate::bench) fn take_in(
    end: &Interface,
    intake: Intake,
    core: usize,
) -> Result<(Option<u32>, bool), MediumError> {
    match intake {
        Intake::Sender => Ok((None, true)),
        Intake::Steered => end.receive_on(core).map(|()| (None, true)).map_err(Into::into),
        Intake::Thread => {
            let id = end.receive_in_thread()?;
            match affinity::restrict_thread(id, &[core]) {
                Ok(()) => Ok((Some(id), true)),
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    Ok((Some(id), false))
                }
                Err(source) => Err(MediumError::Io {
                    what: format!("moving the kernel thread of {} to core {core}", end.name()),
                    source,
                }),
            }
        }
    }
}

impl Site {
    /// Both namespaces, and no wire yet.
    pub(super) fn empty(plan: &Plan, cores: &Cores, wires: Wires) -> Result<Self, MediumError> {
        let (tester, device) = (Netns::new("tester")?, Netns::new("device")?);
        for netns in [&tester, &device] {
            netns.silence_ip6()?;
        }
        Ok(Self {
            stations: Vec::new(),
            tester,
            device,
            near: Vec::new(),
            wires,
            plan: plan.clone(),
            cores: cores.clone(),
            threads: Vec::new(),
        })
    }

    /// Lets the stations of every wire answer.
    pub(super) fn start_stations(&mut self) -> Result<(), MediumError> {
        for (near, wire) in self.near.iter().zip(&self.plan.wires) {
            if !wire.stations.is_empty() {
                self.stations.push(ArpServer::start(near, wire.stations.clone())?);
            }
        }
        Ok(())
    }

    /// The tester, with the drop counters of what lies between the device and it.
    ///
    /// # Errors
    /// When raw sockets are not permitted.
    pub fn tester(&self) -> Result<Sockets, MediumError> {
        let mut meter = DropMeter::default();
        // What an interface drops on receipt is no loss: frames with tags that no VLAN device takes
        // are counted there after a packet socket had them. A frame that found no room is counted
        // by its sender's end.
        for far in self.device_ends() {
            meter.add(far, Which::Sent, format!("{}: no room at the tester's end", far.name()))?;
        }
        Sockets::open(&self.near, &self.plan.lanes, self.plan.largest, meter)
    }

    /// The tester for a device that counts itself what it could not send.
    ///
    /// # Errors
    /// As [`Site::tester`].
    pub fn tester_of_counting(&self) -> Result<Sockets, MediumError> {
        Sockets::open(&self.near, &self.plan.lanes, self.plan.largest, DropMeter::default())
    }

    /// A meter of frames that were lost before the device saw them, since its input had no room,
    /// other than those that its ports count themselves: a TAP port has all of its own.
    pub(super) fn intake_drops(&self) -> Result<DropMeter, MediumError> {
        let mut meter = DropMeter::default();
        let counted_by_port = matches!(self.wires, Wires::Tap);
        for near in self.near.iter().filter(|_| !counted_by_port) {
            meter.add(near, Which::Sent, format!("{}: device's input full", near.name()))?;
        }
        Ok(meter)
    }

    /// The hosts of every wire, to make them known to a device.
    pub(super) fn hosts(&self) -> Hosts {
        let stations = self.plan.wires.iter().map(|wire| wire.stations.clone());
        Hosts(self.near.iter().cloned().zip(stations).collect())
    }

    /// The MAC address of the router that a wire's hosts have, as it answers them now; `None` where
    /// they have none.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn router_mac(&self, wire: usize) -> Result<Option<MacAddr>, MediumError> {
        for station in &self.plan.wires[wire].stations {
            if let Some(mac) = station.make_known(&self.near[wire], ANSWER)? {
                return Ok(Some(mac));
            }
        }
        Ok(None)
    }

    /// The medium in a word: `veth` or `tap`.
    pub fn medium(&self) -> &'static str {
        match self.wires {
            Wires::Veth { .. } => "veth",
            Wires::Tap => "tap",
        }
    }

    /// Who takes frames in for the device; nobody where wires are TAP devices.
    pub fn intake(&self) -> Option<Intake> {
        match self.wires {
            Wires::Veth { intake, .. } => Some(intake),
            Wires::Tap => None,
        }
    }

    /// The plan that was laid.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The cores.
    pub fn cores(&self) -> &Cores {
        &self.cores
    }

    /// The namespace that the device stands in.
    pub fn device_netns(&self) -> &Netns {
        &self.device
    }

    /// The namespace that the tester's sockets stand in.
    pub fn tester_netns(&self) -> &Netns {
        &self.tester
    }

    /// The device's ends of the wires, by wire; none on TAP devices.
    pub fn device_ends(&self) -> &[Interface] {
        match &self.wires {
            Wires::Veth { ends, .. } => ends,
            Wires::Tap => &[],
        }
    }

    /// The tester's ends of the wires, by wire.
    pub fn tester_ends(&self) -> &[Interface] {
        &self.near
    }

    /// The lines of a configuration that say what stands behind the port on a wire.
    pub fn port_lines(&self, wire: usize) -> String {
        let name = self.near[wire].name();
        match self.wires {
            Wires::Veth { .. } => format!("packet = {name:?}\n"),
            Wires::Tap => format!("tap = {name:?}\nnetns = {:?}\n", self.tester.path()),
        }
    }

    /// ARP requests that the tester's stations answered.
    pub fn answered(&self) -> u64 {
        self.stations.iter().map(ArpServer::answered).sum()
    }

    /// The layout in words.
    pub fn layout(&self) -> String {
        match self.wires {
            Wires::Veth { intake, pinned: true, .. } => {
                format!("{}; {intake}", self.cores.words())
            }
            Wires::Veth { .. } => {
                format!("{}; kernel threads on any core take frames in", self.cores.words())
            }
            Wires::Tap => self.cores.words(),
        }
    }
}

/// Hosts that can make themselves known to a device, on the tester's ends of the wires.
#[derive(Clone, Debug)]
pub(super) struct Hosts(Vec<(Interface, Vec<Station>)>);

impl Hosts {
    /// Lets every host that has a router ask for it, so that the device knows them all.
    pub(super) fn make_known(&self) -> Result<(), MediumError> {
        for (interface, stations) in &self.0 {
            for station in stations {
                station.make_known(interface, ANSWER)?;
            }
        }
        Ok(())
    }
}
