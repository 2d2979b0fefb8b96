//! Wires that are TAP devices: the kernel's end is the tester's, the other is the device itself.
//!
//! The devices outlive the process that attaches to them, so that a device can be started again
//! under the tester's sockets.

use super::cores::Cores;
use super::error::{Doing, MediumError};
use super::site::{Site, Wires};
use super::wiring::Plan;
use crate::io::sys::tun;

impl Site {
    /// Makes a TAP device for every wire of the plan, in the tester's namespace.
    ///
    /// # Errors
    /// When namespaces are not permitted, a name is too long, or there is no TUN driver.
    pub fn tap(plan: &Plan, cores: &Cores) -> Result<Self, MediumError> {
        let mut site = Self::empty(plan, cores, Wires::Tap)?;
        for wire in &plan.wires {
            let made = site.tester.run(|| {
                let fd = tun::open()?;
                tun::attach(&fd, &wire.name)?;
                tun::set_persistent(&fd, true)
            })?;
            made.doing(|| {
                format!(
                    "making the TAP device {} (is /dev/net/tun there, and may this user have it?)",
                    wire.name
                )
            })?;
            let near = site.tester.interface(&wire.name);
            near.set_mtu(plan.mtu())?;
            near.up()?;
            site.near.push(near);
        }
        site.start_stations()?;
        Ok(site)
    }
}
