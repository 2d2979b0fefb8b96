//! Wires that are veth pairs.

use std::time::Duration;

use super::cores::Cores;
use super::error::MediumError;
use super::site::{Intake, Site, Wires, take_in};
use super::wiring::{Plan, Wire};
use crate::lab::veth;

/// How long a pair may take until it carries frames.
const LINK_UP: Duration = Duration::from_secs(5);

impl Site {
    /// Lays a veth pair for every wire of the plan; they carry frames when this returns.
    ///
    /// # Errors
    /// When namespaces are not permitted, a name is too long, or the kernel has no such intake.
    pub fn veth(plan: &Plan, cores: &Cores, intake: Intake) -> Result<Self, MediumError> {
        let mut site =
            Self::empty(plan, cores, Wires::Veth { ends: Vec::new(), intake, pinned: true })?;
        for (at, wire) in plan.wires.iter().enumerate() {
            site.lay_pair(wire, cores.device[at % cores.device.len()], intake)?;
        }
        site.start_stations()?;
        Ok(site)
    }

    fn lay_pair(&mut self, wire: &Wire, core: usize, intake: Intake) -> Result<(), MediumError> {
        let (near, far) = veth((&self.tester, &wire.name), (&self.device, &wire.name))?;
        for end in [&near, &far] {
            end.set_mtu(self.plan.mtu())?;
            end.offloads_off()?;
            end.up()?;
        }
        for end in [&near, &far] {
            end.wait_carrier(true, LINK_UP)?;
        }
        let (thread, keeps) = take_in(&far, intake, core)?;
        self.threads.extend(thread.map(|id| (format!("intake of {}", wire.name), id)));
        self.near.push(near);
        if let Wires::Veth { ends, pinned, .. } = &mut self.wires {
            ends.push(far);
            *pinned &= keeps;
        }
        Ok(())
    }
}
