//! Which part of a configuration one process takes.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use super::{Model, PortName};

/// Which sides of the circuits a process is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// The partner's side.
    Provider,
    /// The edges, gateways, virtual networks and services.
    Microsoft,
    /// Both.
    #[default]
    All,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Provider => "provider",
            Role::Microsoft => "microsoft",
            Role::All => "all",
        })
    }
}

/// A text that is no role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a role is provider, microsoft or all")]
pub struct BadRole;

impl FromStr for Role {
    type Err = BadRole;
    fn from_str(text: &str) -> Result<Self, BadRole> {
        match text {
            "provider" => Ok(Role::Provider),
            "microsoft" => Ok(Role::Microsoft),
            "all" => Ok(Role::All),
            _ => Err(BadRole),
        }
    }
}

/// A cable whose ends would be in two processes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the cable between {mine} and {theirs} joins ports of one process, but as role {role} this \
     process has {mine} alone: make both ports tap or packet ports"
)]
pub struct SplitCable {
    /// The role that was asked for.
    pub role: Role,
    /// The end that the role has.
    pub mine: PortName,
    /// The end that it does not have.
    pub theirs: PortName,
}

impl Model {
    /// The part of the model that a process of this role needs: with its ports alone, and with
    /// circuits that know their links only where the process has Microsoft's side.
    ///
    /// # Errors
    /// When a cable joins a port of this role with one of the other.
    pub fn for_role(&self, role: Role) -> Result<Model, SplitCable> {
        let mut model = self.clone();
        match role {
            Role::All => return Ok(model),
            Role::Provider => {
                model.directs.clear();
                model.vnets.clear();
                model.vnet_peerings.clear();
                model.nsgs.clear();
                model.connections.clear();
                model.services.clear();
                model.routes.clear();
                let provided: HashSet<_> = model.providers.iter().map(|own| &own.circuit).collect();
                model.circuits.retain(|circuit| provided.contains(&circuit.name));
                for circuit in &mut model.circuits {
                    circuit.links = None;
                }
            }
            Role::Microsoft => model.providers.clear(),
        }
        let used: HashSet<PortName> = model.ports_in_use().cloned().collect();
        for cable in &model.cables {
            let [a, b] = &cable.ends;
            if let (true, false, mine, theirs) | (false, true, theirs, mine) =
                (used.contains(a), used.contains(b), a, b)
            {
                return Err(SplitCable { role, mine: mine.clone(), theirs: theirs.clone() });
            }
        }
        model.cables.retain(|cable| used.contains(&cable.ends[0]));
        model.ports.retain(|port| used.contains(&port.name));
        Ok(model)
    }

    /// The ports that circuits, providers, virtual networks and services name, each as often as
    /// it is named.
    pub fn ports_in_use(&self) -> impl Iterator<Item = &PortName> {
        let links = self.circuits.iter().filter_map(|circuit| circuit.links.as_ref());
        let pairs = links.chain(self.directs.iter().map(|direct| &direct.ports));
        let sides = pairs.chain(self.providers.iter().map(|provider| &provider.links));
        let sides = sides.flat_map(|pair| [&pair.primary, &pair.secondary]);
        let access = self
            .providers
            .iter()
            .flat_map(|provider| provider.private.iter().chain(&provider.microsoft))
            .flat_map(|access| [&access.primary, &access.secondary])
            .flatten()
            .map(|access| &access.port);
        let subnets = self.vnets.iter().flat_map(|vnet| &vnet.subnets);
        sides
            .chain(access)
            .chain(subnets.filter_map(|subnet| subnet.port.as_ref()))
            .chain(self.services.iter().map(|service| &service.port))
    }
}
