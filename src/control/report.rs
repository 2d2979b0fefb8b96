//! Answers to the API's questions, put together from the model, the tables and the counters.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::plane::Plane;
use super::ports::Ports;
use super::view::{
    Accounts, Arp, Circuit, Gateway, Meter, NatSession, Peering, Port, Route, Status, drops, total,
};
use crate::compile::{Compiled, MeterName, Side};
use crate::ids::{GatewayId, Link, MeterId, PortId};
use crate::io::LinkState;
use crate::model::Model;
use crate::model::limits::charged_bytes;
use crate::nat::SessionView;
use crate::neighbour::EntryState;
use crate::tables::counters::INSTANCES;
use crate::tables::{Counters, Role};
use crate::time::{Now, Span};

/// Everything that an answer may need.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// The model of this process.
    pub model: &'a Model,
    /// Names and routes as compiled.
    pub compiled: &'a Compiled,
    /// By worker.
    pub counters: &'a [&'a Counters],
}

impl Sources<'_> {
    /// Uptime, accounting, drops.
    pub fn status(&self, role: &str, up: Span) -> Status {
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            role: role.to_owned(),
            uptime_s: up.0 / Span::secs(1).0,
            workers: self.counters.len(),
            accounts: Accounts::of(self.counters.iter().copied()),
            handed_over: total(self.counters, |own| &own.handed_over),
            busy_turns: total(self.counters, |own| &own.busy_turns),
            idle_turns: total(self.counters, |own| &own.idle_turns),
            drops: drops(self.counters),
        }
    }

    /// Circuits with their meters.
    pub fn circuits(&self) -> Vec<Circuit> {
        let circuit = |own: &crate::model::Circuit| {
            let meters = self.meters(own);
            let [in_bytes, out_bytes, charged_bytes] = totals(&meters);
            Circuit {
                name: own.name.to_string(),
                service_key: own.service_key.to_string(),
                sku: format!("{:?}", own.sku),
                billing: format!("{:?}", own.billing),
                bandwidth: own.bandwidth.to_string(),
                state: format!("{:?}", own.state),
                provider_state: format!("{:?}", own.provider_state),
                s_tag: own.s_tag.map(|tag| tag.value()),
                in_bytes,
                out_bytes,
                charged_bytes,
                meters,
            }
        };
        self.model.circuits.iter().map(circuit).collect()
    }

    fn meters(&self, circuit: &crate::model::Circuit) -> Vec<Meter> {
        let name = circuit.name.to_string();
        let own = self.compiled.meters.iter().enumerate().filter(|(_, own)| own.circuit == name);
        own.map(|(index, own)| self.meter(MeterId::from_index(index), own, circuit)).collect()
    }

    fn meter(&self, id: MeterId, name: &MeterName, circuit: &crate::model::Circuit) -> Meter {
        let in_bytes = total(self.counters, |own| &own.meter(id).in_bytes);
        let out_bytes = total(self.counters, |own| &own.meter(id).out_bytes);
        let charged = match name.side {
            Side::Provider => 0,
            Side::Microsoft => {
                let edition = self.model.service.edition;
                charged_bytes(edition, circuit.billing, (in_bytes, out_bytes))
            }
        };
        Meter {
            circuit: name.circuit.clone(),
            peering: name.peering.to_string(),
            link: name.link.to_string(),
            side: match name.side {
                Side::Provider => "provider",
                Side::Microsoft => "microsoft",
            }
            .to_owned(),
            in_packets: total(self.counters, |own| &own.meter(id).in_packets),
            in_bytes,
            out_packets: total(self.counters, |own| &own.meter(id).out_packets),
            out_bytes,
            in_policed: total(self.counters, |own| &own.meter(id).in_policed),
            out_policed: total(self.counters, |own| &own.meter(id).out_policed),
            charged_bytes: charged,
        }
    }

    /// Peerings.
    pub fn peerings(&self) -> Vec<Peering> {
        let of = |circuit: &crate::model::Circuit, own: &crate::model::Peering| Peering {
            circuit: circuit.name.to_string(),
            peering: own.kind.to_string(),
            enabled: own.enabled && circuit.usable(),
            vlan: own.vlan.value(),
            peer_asn: own.peer_asn.0,
            primary_subnet: own.subnets.get(Link::Primary).net().to_string(),
            secondary_subnet: own.subnets.get(Link::Secondary).net().to_string(),
            advertised_public_prefixes: own
                .advertised_public_prefixes()
                .iter()
                .map(ToString::to_string)
                .collect(),
        };
        let circuits = self.model.circuits.iter();
        circuits.flat_map(|own| own.peerings().map(move |peering| of(own, peering))).collect()
    }

    /// Routes of every routing domain.
    pub fn routes(&self) -> Vec<Route> {
        let domains = self.compiled.vrfs.iter();
        let route = |vrf: &str, prefix: String, hop: &str| Route {
            vrf: vrf.to_owned(),
            prefix,
            next_hop: hop.to_owned(),
        };
        domains
            .flat_map(|vrf| {
                let routes = vrf.routes.iter();
                routes.map(|(prefix, hop)| route(&vrf.name, prefix.to_string(), hop))
            })
            .collect()
    }

    /// Gateways.
    pub fn gateways(&self, now: Now) -> Vec<Gateway> {
        let gateways = self.compiled.tables.gateways.iter().enumerate();
        let sum = |id: GatewayId, of: fn(&crate::tables::counters::GatewayCounters) -> &_| {
            total(self.counters, |own| of(own.gateway(id)))
        };
        gateways
            .map(|(index, own)| {
                let id = GatewayId::from_index(index);
                let instances = usize::from(own.instances).min(INSTANCES);
                let limits = own.limits.as_ref();
                Gateway {
                    vnet: own.name.clone(),
                    packets: sum(id, |own| &own.packets),
                    bytes: sum(id, |own| &own.bytes),
                    fastpath_packets: sum(id, |own| &own.fastpath_packets),
                    fastpath_bytes: sum(id, |own| &own.fastpath_bytes),
                    flows: limits.map_or(0, |limits| limits.flows.known(now)),
                    flow_limit: limits.map(|limits| limits.flows.limit()),
                    instances: (0..instances)
                        .map(|at| total(self.counters, |own| &own.gateway(id).instances[at]))
                        .collect(),
                }
            })
            .collect()
    }

    /// Ports.
    pub fn ports(&self, ports: &Ports, medium_drops: &[u64]) -> Vec<Port> {
        let named = self.model.ports.iter().zip(ports.iter()).enumerate();
        let sum = |id: PortId, of: fn(&crate::tables::counters::PortCounters) -> &_| {
            total(self.counters, |own| of(own.port(id)))
        };
        named
            .map(|(index, (own, (port, state)))| {
                let id = PortId::from_index(index);
                Port {
                    name: own.name.to_string(),
                    kind: port.kind().to_owned(),
                    interface: own.kind.interface().map(|(name, _)| name.to_owned()),
                    state: state_name(state).to_owned(),
                    queues: self.counters.len(),
                    rx_frames: sum(id, |own| &own.rx_frames),
                    rx_bytes: sum(id, |own| &own.rx_bytes),
                    tx_frames: sum(id, |own| &own.tx_frames),
                    tx_bytes: sum(id, |own| &own.tx_bytes),
                    dropped: sum(id, |own| &own.dropped),
                    medium_drops: medium_drops.get(index).copied().unwrap_or(0),
                }
            })
            .collect()
    }

    /// The ARP tables, thruway's own entries first on each attachment.
    pub fn arp(&self, plane: &Plane, now: Now) -> Vec<Arp> {
        let attachments = &self.compiled.tables.attachments;
        let mut rows = Vec::new();
        for (index, attachment) in attachments.iter().enumerate() {
            let Some((mac, address)) = attachment.own() else { continue };
            let theirs = match &attachment.role {
                Role::Peering(_) => "On-Prem",
                Role::Subnet(_) => "VM",
                Role::Service(_) => "Service",
                Role::CrossConnect(_) | Role::Closed => continue,
            };
            rows.push(Arp {
                age: 0,
                interface: "Microsoft".to_owned(),
                attachment: attachment.name.clone(),
                ip_address: Ipv4Addr::from(address).to_string(),
                mac_address: dotted(mac),
                state: "own".to_owned(),
            });
            let entries = plane
                .arp()
                .entries(now)
                .filter(|own| own.interface.index() == index && own.state != EntryState::Own);
            rows.extend(entries.map(|own| Arp {
                age: own.age_minutes,
                interface: theirs.to_owned(),
                attachment: attachment.name.clone(),
                ip_address: own.address.to_string(),
                mac_address: own.mac.map_or_else(|| "Incomplete".to_owned(), dotted),
                state: own.state.name().to_owned(),
            }));
        }
        rows
    }
}

/// Bytes in, out and charged over a circuit's meters, each byte once: a process that is both sides
/// has metered it twice.
fn totals(meters: &[Meter]) -> [u64; 3] {
    let microsoft = meters.iter().any(|own| own.side == "microsoft");
    let counted = meters.iter().filter(|own| !microsoft || own.side == "microsoft");
    counted
        .fold([0; 3], |[i, o, c], own| [i + own.in_bytes, o + own.out_bytes, c + own.charged_bytes])
}

/// One NAT session.
pub fn nat_session(circuit: String, own: &SessionView, now: Now) -> NatSession {
    NatSession {
        circuit,
        proto: format!("{:?}", own.proto).to_lowercase(),
        inside: own.inside.to_string(),
        outside: own.outside.to_string(),
        remote: own.remote.to_string(),
        state: own.tcp.map(|state| format!("{state:?}")).unwrap_or_default(),
        expires_in: own.deadline.since(now).0 / Span::secs(1).0,
    }
}

/// As the service shows MAC addresses: `ffff.eeee.dddd`.
fn dotted(mac: crate::wire::eth::MacAddr) -> String {
    let [a, b, c, d, e, f] = mac.0;
    format!("{a:02x}{b:02x}.{c:02x}{d:02x}.{e:02x}{f:02x}")
}

/// A link's state in words.
pub fn state_name(state: LinkState) -> &'static str {
    match state {
        LinkState::Up => "up",
        LinkState::NoCarrier => "no carrier",
        LinkState::Down => "down",
        LinkState::Gone => "gone",
    }
}

/// Whatever serialises, as JSON; our views always do.
pub(super) fn to_json(view: impl serde::Serialize) -> Value {
    serde_json::to_value(view).unwrap_or_else(|error| json!({ "error": error.to_string() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circuit_that_both_sides_meter_is_counted_once() {
        let meter = |side: &str, in_bytes, out_bytes, charged_bytes| Meter {
            circuit: "contoso".to_owned(),
            peering: "private".to_owned(),
            link: "primary".to_owned(),
            side: side.to_owned(),
            in_packets: 0,
            in_bytes,
            out_packets: 0,
            out_bytes,
            in_policed: 0,
            out_policed: 0,
            charged_bytes,
        };
        let provider = [meter("provider", 10, 20, 0), meter("provider", 1, 2, 0)];
        assert_eq!(totals(&provider), [11, 22, 0]);
        let both = [&provider[..], &[meter("microsoft", 9, 20, 20)]].concat();
        assert_eq!(totals(&both), [9, 20, 20]);
    }
}
