//! A lab of two namespaces and veth pairs: the tester at one end of each, a device at the other.
//!
//! The kernel is as silent as it can be: no IPv6, no offloads, no addresses; the tester's stations
//! answer ARP. Everything goes when the lab is dropped.

use std::fmt;
use std::time::Duration;

use super::cores::Cores;
use super::drops::{DropMeter, Which};
use super::error::MediumError;
use super::socket::Sockets;
use super::wiring::Plan;
use crate::lab::traffic::ArpServer;
use crate::lab::{Interface, Netns, veth};

/// How long a pair may take until it carries frames.
const LINK_UP: Duration = Duration::from_secs(5);

/// Which core does the kernel's part of receiving at the device's end of a wire?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intake {
    /// The sender's, before its call returns: as if a network card put frames into the device's
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
            Intake::Thread => "the device's core takes frames in, in a kernel thread of the veth",
        })
    }
}

/// The laid wires.
#[derive(Debug)]
pub struct Veth {
    // Stations go before the interfaces that they stand at.
    stations: Vec<ArpServer>,
    tester: Netns,
    device: Netns,
    near: Vec<Interface>,
    far: Vec<Interface>,
    plan: Plan,
    cores: Cores,
    intake: Intake,
    threads: Vec<(String, u32)>,
}

impl Veth {
    /// Makes both namespaces and all wires; they carry frames when this returns.
    ///
    /// # Errors
    /// When namespaces are not permitted, a name is too long, or the kernel has no such intake.
    pub fn lay(plan: &Plan, cores: &Cores, intake: Intake) -> Result<Self, MediumError> {
        let (tester, device) = (Netns::new("tester")?, Netns::new("device")?);
        for netns in [&tester, &device] {
            netns.silence_ip6()?;
        }
        let mut laid = Self {
            stations: Vec::new(),
            tester,
            device,
            near: Vec::new(),
            far: Vec::new(),
            plan: plan.clone(),
            cores: cores.clone(),
            intake,
            threads: Vec::new(),
        };
        for wire in &plan.wires {
            laid.lay_wire(&wire.name, wire.device_mac)?;
        }
        for (near, wire) in laid.near.iter().zip(&plan.wires) {
            if !wire.stations.is_empty() {
                laid.stations.push(ArpServer::start(near, wire.stations.clone())?);
            }
        }
        Ok(laid)
    }

    fn lay_wire(
        &mut self,
        name: &str,
        mac: Option<crate::wire::eth::MacAddr>,
    ) -> Result<(), MediumError> {
        let (near, far) = veth((&self.tester, name), (&self.device, name))?;
        if let Some(mac) = mac {
            far.set_mac(mac)?;
        }
        for end in [&near, &far] {
            end.set_mtu(self.plan.mtu())?;
            end.offloads_off()?;
            end.up()?;
        }
        for end in [&near, &far] {
            end.wait_carrier(true, LINK_UP)?;
        }
        let core = self.cores.device[self.far.len() % self.cores.device.len()];
        match self.intake {
            Intake::Sender => {}
            Intake::Steered => far.receive_on(core)?,
            Intake::Thread => {
                let id = far.receive_in_thread(core)?;
                self.threads.push((format!("intake of {name}"), id));
            }
        }
        self.near.push(near);
        self.far.push(far);
        Ok(())
    }

    /// The tester, with the drop counters of what lies between the device and it.
    ///
    /// # Errors
    /// When raw sockets are not permitted.
    pub fn tester(&self) -> Result<Sockets, MediumError> {
        let mut meter = DropMeter::default();
        for (near, far) in self.near.iter().zip(&self.far) {
            meter.add(near, Which::Received, format!("{}: tester's interface", near.name()))?;
            meter.add(far, Which::Sent, format!("{}: no room at the tester's end", far.name()))?;
        }
        Sockets::open(&self.near, &self.plan.lanes, self.plan.largest, meter)
    }

    /// A meter of frames that the device's ends of the wires had no room for, or refused: what was
    /// lost before the device saw it.
    ///
    /// # Errors
    /// When an interface is gone.
    pub(super) fn intake_drops(&self) -> Result<DropMeter, MediumError> {
        let mut meter = DropMeter::default();
        for (near, far) in self.near.iter().zip(&self.far) {
            meter.add(near, Which::Sent, format!("{}: device's input full", near.name()))?;
            meter.add(far, Which::Received, format!("{}: device's interface", far.name()))?;
        }
        Ok(meter)
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The cores.
    pub fn cores(&self) -> &Cores {
        &self.cores
    }

    /// Kernel threads that work for the device.
    pub fn threads(&self) -> &[(String, u32)] {
        &self.threads
    }

    /// The namespace that the device stands in.
    pub fn device_netns(&self) -> &Netns {
        &self.device
    }

    /// The device's ends of the wires, by wire.
    pub fn device_ends(&self) -> &[Interface] {
        &self.far
    }

    /// The tester's ends of the wires, by wire.
    pub fn tester_ends(&self) -> &[Interface] {
        &self.near
    }

    /// ARP requests that the tester's stations answered.
    pub fn answered(&self) -> u64 {
        self.stations.iter().map(ArpServer::answered).sum()
    }

    /// The layout in words.
    pub fn layout(&self) -> String {
        format!("{}; {}", self.cores.words(), self.intake)
    }
}
