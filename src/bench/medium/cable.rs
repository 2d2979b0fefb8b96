//! Two interfaces of the user's lab, with whatever is cabled between them.
//!
//! The tester has an address and a MAC address of its own on each side, which the kernel knows
//! nothing of: it answers ARP for them, finds the forwarder's MAC addresses by ARP, and the kernel
//! passes over frames that are for neither. Interfaces that the host itself uses are refused.

use std::net::Ipv4Addr;
use std::time::Duration;

use ipnet::Ipv4Net;

use super::calibrate::{self, Crossed};
use super::cores::Cores;
use super::drops::{DropMeter, Which};
use super::error::{Doing, MediumError};
use super::socket::Sockets;
use super::wiring::{Lane, Plan, Wire};
use super::{Device, Intake};
use crate::bench::record::trial::DeviceFrames;
use crate::bench::record::{Calibration, Quantity, Verdict, VerdictKind};
use crate::io::guard;
use crate::lab::traffic::arp::Asker;
use crate::lab::traffic::{ArpServer, Station};
use crate::lab::{Interface, Netns};
use crate::time::Span;
use crate::wire::eth::{self, MacAddr};
use crate::wire::vlan::{self, TagStack};

/// How long a link may take to come up: a switch port may learn for a while.
const LINK_UP: Duration = Duration::from_secs(10);
/// How long a forwarder may take to answer ARP.
const ANSWER: Duration = Duration::from_secs(5);

/// One side of the forwarder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Side {
    /// The interface, in this process' namespace.
    pub interface: String,
    /// The tester's address there, with its subnet.
    pub address: Ipv4Net,
    /// Other addresses that the tester answers for there.
    pub hosts: Vec<Ipv4Net>,
    /// The forwarder's address there; without it frames are sent to the tester's own MAC address
    /// on the other side, as through a bridge.
    pub gateway: Option<Ipv4Addr>,
    /// The tester's MAC address; one made from the interface's own without it. A cloud's network
    /// may carry the interface's own alone.
    pub mac: Option<MacAddr>,
}

/// Two interfaces with a forwarder, or a wire, between them.
#[derive(Debug)]
pub struct Cable {
    // Stations go before the sockets' interfaces do.
    _stations: Vec<ArpServer>,
    tester: Sockets,
    own: [MacAddr; 2],
    next: [MacAddr; 2],
    largest: usize,
}

impl Cable {
    /// Takes both interfaces and finds the forwarder's MAC addresses; lane 0 enters by the first.
    /// Frames have up to `largest` bytes without check sequence.
    ///
    /// # Errors
    /// When an interface does not exist, is the host's own (unless `allow` says that it may be
    /// taken), has no link or too small an MTU, or when a gateway does not answer.
    pub fn open(sides: &[Side; 2], largest: usize, allow: bool) -> Result<Self, MediumError> {
        let netns = Netns::current("own")?;
        let interfaces = sides.each_ref().map(|side| netns.interface(&side.interface));
        let mut own = [MacAddr::ZERO; 2];
        for ((side, interface), own) in sides.iter().zip(&interfaces).zip(&mut own) {
            *own = take(side, interface, largest, allow)?;
        }
        let stations = sides.iter().zip(&interfaces).zip(own);
        let stations = stations.map(|((side, interface), mac)| serve(side, interface, mac));
        let stations = stations.collect::<Result<Vec<_>, _>>()?;
        // Without a gateway frames are for the tester's other side.
        let mut next = [own[1], own[0]];
        for ((side, interface), (own, next)) in
            sides.iter().zip(&interfaces).zip(own.into_iter().zip(&mut next))
        {
            let Some(gateway) = side.gateway else { continue };
            let mut asker = Asker::new(interface, own, TagStack::UNTAGGED)?;
            let found = asker.ask(side.address.addr(), gateway, ANSWER);
            *next = found.map_err(|error| {
                MediumError::refused(format!(
                    "{error}: is the forwarder there, with that address on this side?"
                ))
            })?;
        }
        let lanes = [Lane { from: 0, to: 1, also: None }, Lane { from: 1, to: 0, also: None }];
        let tester = Sockets::open(&interfaces, &lanes, largest, meter(&interfaces)?)?;
        Ok(Self { _stations: stations, tester, own, next, largest })
    }

    /// The tester; lane 0 enters by the first interface.
    pub fn tester(&mut self) -> &mut Sockets {
        &mut self.tester
    }

    /// The tester's MAC addresses: the sources of its frames.
    pub fn own(&self) -> [MacAddr; 2] {
        self.own
    }

    /// Whom frames are sent to on each side: the forwarder's MAC addresses.
    pub fn next(&self) -> [MacAddr; 2] {
        self.next
    }

    /// What tester and medium can do, and a sentence about how that was measured. With `is_loop`
    /// the two interfaces are cabled to each other; else a veth pair stands for them.
    ///
    /// # Errors
    /// When nothing comes through the loop, or the lab for the veth pair cannot be built.
    pub fn calibrate(
        &mut self,
        is_loop: bool,
        cores: &Cores,
        time: Span,
    ) -> Result<(Calibration, String), MediumError> {
        let frame = calibrate::frame(self.largest, self.own[0], self.next[0]);
        if !is_loop {
            let plan = Plan::pair(Wire::new("cal-a"), Wire::new("cal-b"), self.largest);
            let figures = calibrate::veth_pairs(&plan, cores, Intake::Sender, &frame, time)?;
            let note = "Generator and sink were calibrated on a veth pair, because a forwarder \
                        stands between the two interfaces; cable them to each other and say --loop \
                        to calibrate on them.";
            return Ok((Calibration { null_forwarder: None, ..figures }, note.to_owned()));
        }
        let write = calibrate::copy(&frame);
        let crossed = calibrate::at_full_load(&mut self.tester, 0, time, write)
            .doing(|| "sending over the loop".into())?;
        if crossed.received + crossed.late == 0 {
            return Err(MediumError::refused(format!(
                "none of {} frames came back: with --loop the two interfaces must be cabled to \
                 each other",
                crossed.sent
            )));
        }
        let note =
            "Generator and sink were calibrated on the two interfaces, cabled to each other.";
        Ok((over_loop(&crossed), note.to_owned()))
    }
}

fn over_loop(crossed: &Crossed) -> Calibration {
    let lost = crossed.sent.saturating_sub(crossed.received + crossed.late);
    let verdict = match lost {
        0 => Verdict::ok(),
        _ => Verdict::new(
            VerdictKind::SinkBound,
            format!("{lost} of {} frames were lost on the loop at full load", crossed.sent),
        ),
    };
    Calibration {
        sent: Quantity::rate(crossed.sent_rate()),
        received: Quantity::rate(crossed.received_rate()),
        null_forwarder: None,
        verdict,
    }
}

/// Makes sure that the interface may be used and carries frames; returns the tester's MAC address.
fn take(
    side: &Side,
    interface: &Interface,
    largest: usize,
    allow: bool,
) -> Result<MacAddr, MediumError> {
    let name = interface.name();
    if !interface.exists()? {
        return Err(MediumError::refused(format!(
            "there is no interface `{name}` here; `ip link` lists those that are there"
        )));
    }
    if !allow && let Some(why) = guard::host_use(name) {
        return Err(MediumError::refused(format!(
            "interface `{name}` {why}: test traffic may cut this host off; choose another one, or \
             say --allow-host-interface"
        )));
    }
    let needs = u32::try_from(largest.saturating_sub(eth::HEADER + vlan::TAG)).unwrap_or(u32::MAX);
    let mtu = interface.mtu()?;
    if mtu < needs {
        return Err(MediumError::refused(format!(
            "interface `{name}` has an MTU of {mtu} and frames of {largest} bytes need {needs}; \
             set it with `ip link set dev {name} mtu {needs}`, or measure smaller frames"
        )));
    }
    let hardware = interface.mac()?;
    let mac = side.mac.unwrap_or_else(|| made_from(hardware));
    let forwards = interface.netns().read_sysctl(&format!("net/ipv4/conf/{name}/forwarding"))?;
    if mac == hardware && forwards != "0" {
        return Err(MediumError::refused(format!(
            "this host forwards what reaches `{name}`, and with the interface's own MAC address it \
             would forward test traffic: turn that off (`sysctl net.ipv4.conf.{name}.forwarding=0`), \
             or leave the MAC address to the tester"
        )));
    }
    interface.up()?;
    interface.wait_carrier(true, LINK_UP).map_err(|_| {
        MediumError::refused(format!(
            "interface `{name}` has no link; is the cable in, and the other end up?"
        ))
    })?;
    Ok(mac)
}

/// A MAC address that only differs from the interface's own by being locally administered (IEEE
/// 802, the second bit of the first byte), or in one more bit where that is so already.
fn made_from(hardware: MacAddr) -> MacAddr {
    const LOCAL: u8 = 0x02;
    let mut mac = hardware;
    mac.0[0] = if mac.0[0] & LOCAL == 0 { mac.0[0] | LOCAL } else { mac.0[0] ^ 0x40 };
    mac
}

fn serve(side: &Side, interface: &Interface, mac: MacAddr) -> Result<ArpServer, MediumError> {
    let addresses = side.hosts.iter().copied().chain([Ipv4Net::from(side.address.addr())]);
    let station = |prefix| Station { router: side.gateway, ..Station::new(prefix, mac) };
    Ok(ArpServer::start(interface, addresses.map(station).collect())?)
}

/// What interfaces lose on the tester's side. A veth or TAP that cannot send means that the other
/// side, the forwarder's, had no room.
fn meter(interfaces: &[Interface]) -> Result<DropMeter, MediumError> {
    let mut meter = DropMeter::default();
    for own in interfaces {
        let name = own.name();
        meter.add(own, Which::Received, format!("{name}: tester's interface"))?;
        meter.add(own, Which::Missed, format!("{name}: tester's network card"))?;
        if own.kind()?.is_none() {
            meter.add(own, Which::Sent, format!("{name}: tester could not send"))?;
        }
    }
    Ok(meter)
}

/// A forwarder that we know nothing of but its name.
#[derive(Clone, Debug)]
pub struct Unknown {
    name: String,
}

impl Unknown {
    /// A forwarder of this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }
}

impl Device for Unknown {
    fn name(&self) -> &str {
        &self.name
    }

    fn accounts(&mut self) -> std::io::Result<Option<DeviceFrames>> {
        Ok(None)
    }

    fn threads(&self) -> Vec<(String, u32)> {
        Vec::new()
    }

    fn reset(&mut self) -> std::io::Result<bool> {
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_testers_mac_address_is_its_own_and_no_group() {
        for hardware in ["00:1b:21:3c:9d:f8", "02:00:00:00:00:01", "52:54:00:12:34:56"] {
            let hardware: MacAddr = hardware.parse().unwrap();
            let mac = made_from(hardware);
            assert_ne!(mac, hardware);
            assert!(!mac.is_group());
            assert_eq!(mac.0[1..], hardware.0[1..]);
        }
    }
}
