//! The tables under construction.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::sync::Arc;

use ipnet::Ipv4Net;

use super::{
    CompileError, Compiled, GLEANED_MOST, Known, LossPath, MeterName, NeighbourSpec, VrfInfo,
};
use crate::fib::{FibWriter, Prefix4};
use crate::flow::rules::RuleSet;
use crate::ids::{
    AttachmentId, Epoch, GatewayId, MeterId, NeighbourId, NextHopId, NsgId, PathGroupId, PortId,
    RewriteId, VrfId,
};
use crate::model::limits::LINK_MTU;
use crate::model::{Model, PortName};
use crate::neighbour::Words;
use crate::police::{Policer, Rate};
use crate::tables::{
    Attachment, Classifier, CrossConnect, Gateway, LinkPolicer, NextHop, PathGroup, PortEntry,
    Rewrite, Role, Tables, Waiting, deal_shards,
};
use crate::wire::eth::MacAddr;
use crate::wire::vlan::{self, TagStack};

/// Tables under construction.
#[derive(Debug)]
pub(super) struct Builder<'a> {
    pub(super) model: &'a Model,
    pub(super) known: Known,
    pub(super) attachments: Vec<Attachment>,
    pub(super) policers: Vec<LinkPolicer>,
    pub(super) meters: Vec<MeterName>,
    pub(super) gateways: Vec<Gateway>,
    pub(super) nsgs: Vec<RuleSet>,
    pub(super) nats: Vec<String>,
    pub(super) on_link: Vec<(AttachmentId, Ipv4Net)>,
    pub(super) loss: Vec<LossPath>,
    pub(super) advice: Vec<String>,
    pub(super) errors: Vec<String>,
    ports: HashMap<&'a PortName, PortId>,
    classifiers: Vec<Classifier>,
    vrfs: Vec<Vrf>,
    next_hops: Vec<NextHop>,
    ids: HashMap<NextHopKey, NextHopId>,
    path_groups: Vec<PathGroup>,
    neighbours: Vec<NeighbourSpec>,
    by_neighbour: HashMap<(AttachmentId, Ipv4Addr), NeighbourId>,
    bypassed: HashMap<NeighbourId, GatewayId>,
}

#[derive(Debug)]
struct Vrf {
    name: String,
    routes: BTreeMap<Prefix4, NextHop>,
}

/// The MAC address of thruway's on a port: the configured one, or one derived from the port's
/// name; locally administered, never the interface's own.
pub fn port_mac(port: &crate::model::Port) -> MacAddr {
    port.mac.unwrap_or_else(|| {
        let hash =
            port.name.as_str().bytes().fold(0x811c_9dc5_u32, |hash, byte| {
                (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
            });
        let [a, b, c, d] = hash.to_be_bytes();
        MacAddr([0x02, 0x74, a, b, c, d])
    })
}

impl<'a> Builder<'a> {
    pub(super) fn new(model: &'a Model) -> Self {
        let ports = model.ports.iter().enumerate();
        Self {
            model,
            known: Known::default(),
            attachments: Vec::new(),
            policers: Vec::new(),
            meters: Vec::new(),
            gateways: Vec::new(),
            nsgs: Vec::new(),
            nats: Vec::new(),
            on_link: Vec::new(),
            loss: Vec::new(),
            advice: Vec::new(),
            errors: Vec::new(),
            ports: ports.map(|(i, port)| (&port.name, PortId::from_index(i))).collect(),
            classifiers: vec![Classifier::default(); model.ports.len()],
            vrfs: Vec::new(),
            next_hops: vec![NextHop::NO_ROUTE],
            ids: HashMap::new(),
            path_groups: Vec::new(),
            neighbours: Vec::new(),
            by_neighbour: HashMap::new(),
            bypassed: HashMap::new(),
        }
    }

    /// The port of this name; `None` when another process has it.
    pub(super) fn port(&self, name: &PortName) -> Option<PortId> {
        self.ports.get(name).copied()
    }

    /// The largest IP packet, in bytes, that a port carries behind these tags: its MTU allows for
    /// one tag, as a network interface's does.
    pub(super) fn mtu(&self, port: PortId, tags: TagStack) -> u16 {
        let beyond_the_first = u16::try_from(tags.size().saturating_sub(vlan::TAG));
        let room = self.model.ports[port.index()].mtu;
        LINK_MTU.min(room - beyond_the_first.expect("4 bytes at most"))
    }

    /// thruway's MAC address on a port.
    pub(super) fn mac(&self, port: PortId) -> MacAddr {
        port_mac(&self.model.ports[port.index()])
    }

    /// Adds an attachment and what its port's classifier leads to.
    pub(super) fn attach(&mut self, attachment: Attachment) -> AttachmentId {
        let id = AttachmentId::from_index(self.attachments.len());
        let fresh = self.classifiers[attachment.port.index()].insert(attachment.tags, id);
        if !fresh {
            self.errors.push(format!(
                "{} cannot have {} on port {}: something else has these tags there",
                attachment.name,
                attachment.tags,
                self.model.ports[attachment.port.index()].name,
            ));
        }
        self.attachments.push(attachment);
        id
    }

    pub(super) fn meter(&mut self, name: MeterName) -> MeterId {
        self.meters.push(name);
        MeterId::from_index(self.meters.len() - 1)
    }

    pub(super) fn nsg(&mut self, rules: RuleSet) -> NsgId {
        self.nsgs.push(rules);
        NsgId::from_index(self.nsgs.len() - 1)
    }

    pub(super) fn gateway(&mut self, gateway: Gateway) -> GatewayId {
        self.gateways.push(gateway);
        GatewayId::from_index(self.gateways.len() - 1)
    }

    /// A routing domain without routes.
    pub(super) fn vrf(&mut self, name: String) -> VrfId {
        self.vrfs.push(Vrf { name, routes: BTreeMap::new() });
        VrfId::from_index(self.vrfs.len() - 1)
    }

    /// Adds a route; the last word on a prefix counts.
    pub(super) fn route(&mut self, vrf: VrfId, prefix: Ipv4Net, next_hop: NextHop) {
        self.vrfs[vrf.index()].routes.insert(Prefix4::from(prefix), next_hop);
    }

    /// Adds a route for one address.
    pub(super) fn host_route(&mut self, vrf: VrfId, address: Ipv4Addr, next_hop: NextHop) {
        self.route(vrf, Ipv4Net::from(address), next_hop);
    }

    /// A neighbour on a routed attachment, made at first mention.
    pub(super) fn neighbour(&mut self, spec: NeighbourSpec) -> NeighbourId {
        debug_assert!(self.attachments[spec.attachment.index()].own().is_some(), "it is routed");
        let neighbours = &mut self.neighbours;
        *self.by_neighbour.entry((spec.attachment, spec.address)).or_insert_with(|| {
            neighbours.push(spec);
            NeighbourId::from_index(neighbours.len() - 1)
        })
    }

    /// The next hop that is this neighbour.
    pub(super) fn to(&self, neighbour: NeighbourId) -> NextHop {
        let attachment = self.neighbours[neighbour.index()].attachment;
        NextHop::Adjacency(RewriteId::of(attachment), neighbour)
    }

    /// Notes that packets to this neighbour would have taken `gateway` without FastPath.
    pub(super) fn bypasses(&mut self, neighbour: NeighbourId, gateway: GatewayId) {
        self.bypassed.insert(neighbour, gateway);
    }

    /// The group of these paths, best tier first, made at first mention.
    pub(super) fn paths(&mut self, tiers: &[Vec<NeighbourId>]) -> PathGroupId {
        let mut path = |id: &NeighbourId| {
            let hop = self.to(*id);
            (intern(&mut self.next_hops, &mut self.ids, hop), *id)
        };
        let tiers = tiers.iter().map(|tier| tier.iter().map(&mut path).collect()).collect();
        let group = PathGroup { tiers };
        let known = self.path_groups.iter().position(|own| *own == group);
        PathGroupId::from_index(known.unwrap_or_else(|| {
            self.path_groups.push(group);
            self.path_groups.len() - 1
        }))
    }

    /// The rewrites of all attachments, then those past a gateway, which the neighbours that FastPath
    /// leads to take instead. Comes after the last next hop.
    fn rewrites(&mut self) -> Vec<Rewrite> {
        let attachments = self.attachments.iter().enumerate();
        let mut rewrites: Vec<Rewrite> =
            attachments.map(|(i, own)| Rewrite::ip4((AttachmentId::from_index(i), own))).collect();
        let mut past: HashMap<(RewriteId, GatewayId), RewriteId> = HashMap::new();
        for hop in &mut self.next_hops {
            let NextHop::Adjacency(rewrite, neighbour) = hop else { continue };
            let Some(gateway) = self.bypassed.get(neighbour) else { continue };
            *rewrite = *past.entry((*rewrite, *gateway)).or_insert_with(|| {
                rewrites.push(rewrites[rewrite.index()].past(*gateway));
                RewriteId::from_index(rewrites.len() - 1)
            });
        }
        rewrites
    }

    pub(super) fn finish(mut self, workers: usize) -> Result<Compiled, CompileError> {
        if !self.errors.is_empty() {
            return Err(CompileError { errors: self.errors });
        }
        let vrfs = std::mem::take(&mut self.vrfs);
        let (mut fibs, mut writers, mut infos) = (Vec::new(), Vec::new(), Vec::new());
        let mut words: Vec<Arc<str>> = Vec::new();
        for vrf in vrfs {
            let id = |hop: &NextHop| intern(&mut self.next_hops, &mut self.ids, *hop);
            let hops: Vec<NextHopId> = vrf.routes.values().map(id).collect();
            let routes = || vrf.routes.keys().copied().zip(hops.iter().copied());
            match FibWriter::build(routes()) {
                Ok(writer) => {
                    fibs.push(writer.fib());
                    writers.push(writer);
                }
                Err(error) => {
                    return Err(CompileError { errors: vec![format!("{}: {error}", vrf.name)] });
                }
            }
            // Many routes share a next hop, and what is said of it.
            let fresh = self.next_hops.iter().skip(words.len());
            words
                .extend(fresh.map(|hop| Arc::<str>::from(self.describe(*hop))).collect::<Vec<_>>());
            let text = routes().map(|(prefix, hop)| (prefix, Arc::clone(&words[hop.index()])));
            infos.push(VrfInfo { routes: text.collect(), name: vrf.name });
        }
        let ports = self.model.ports.iter().zip(std::mem::take(&mut self.classifiers));
        let icmp_limits = self.icmp_limits();
        let rewrites = self.rewrites();
        let tables = Tables {
            epoch: Epoch(1),
            ports: ports
                .map(|(port, classifier)| PortEntry {
                    name: port.name.to_string(),
                    accept_88a8: port.accept_88a8,
                    classifier: Arc::new(classifier),
                })
                .collect(),
            attachments: Arc::new(self.attachments),
            fibs,
            next_hops: Arc::new(self.next_hops),
            rewrites: Arc::new(rewrites),
            path_groups: Arc::new(self.path_groups),
            gleaned: Arc::default(),
            gateways: Arc::new(self.gateways),
            nsgs: Arc::new(self.nsgs),
            nats: self.known.nat_tables,
            policers: Arc::new(self.policers),
            waiting: Arc::new(Waiting::new(self.neighbours.len() + GLEANED_MOST)),
            words: Arc::new(Words::new(self.neighbours.len() + GLEANED_MOST)),
            icmp_limits: Arc::new(icmp_limits),
            hash_seed: 0,
            owners: deal_shards(workers),
        };
        Ok(Compiled {
            gateways: tables.gateways.iter().map(|gateway| gateway.name.clone()).collect(),
            tables,
            neighbours: self.neighbours,
            on_link: self.on_link,
            meters: self.meters,
            nats: self.nats,
            vrfs: infos,
            fibs: writers,
            loss: self.loss,
            advice: self.advice,
        })
    }

    /// A router has one address on each attachment; a translator has one for all of its own.
    fn icmp_limits(&self) -> Vec<Arc<Policer>> {
        let icmp = self.model.icmp;
        let rate =
            Rate::per_second(u64::from(icmp.rate.max(1))).expect("a 32-bit rate is in range");
        let burst = if icmp.rate == 0 { 0 } else { u64::from(icmp.burst) };
        let fresh = || Arc::new(Policer::new(rate, burst));
        let translators: Vec<_> = self.known.nat_tables.iter().map(|_| fresh()).collect();
        let own = |attachment: &Attachment| match &attachment.role {
            Role::CrossConnect(CrossConnect { nat: Some(id), .. }) => {
                Arc::clone(&translators[id.index()])
            }
            _ => fresh(),
        };
        self.attachments.iter().map(own).collect()
    }

    /// A next hop in words.
    fn describe(&self, hop: NextHop) -> String {
        let neighbour = |id: NeighbourId| {
            let spec = &self.neighbours[id.index()];
            format!("{} ({})", spec.address, self.attachments[spec.attachment.index()].name)
        };
        match hop {
            NextHop::Blackhole(reason) => format!("drop ({reason})"),
            NextHop::Local => "local".to_owned(),
            NextHop::Connected(id) => format!("connected ({})", self.attachments[id.index()].name),
            NextHop::Adjacency(_, id) => neighbour(id),
            NextHop::Gateway(id) => format!("gateway {}", self.gateways[id.index()].name),
            NextHop::Paths(id) => {
                let tier = |paths: &Vec<(NextHopId, NeighbourId)>| {
                    paths.iter().map(|(_, id)| neighbour(*id)).collect::<Vec<_>>().join(", ")
                };
                let tiers = &self.path_groups[id.index()].tiers;
                tiers.iter().map(tier).collect::<Vec<_>>().join("; else ")
            }
        }
    }
}

/// What tells next hops apart; of a neighbour that alone, since its rewrite follows from it.
type NextHopKey = (u8, u32);

fn intern(
    next_hops: &mut Vec<NextHop>,
    ids: &mut HashMap<NextHopKey, NextHopId>,
    hop: NextHop,
) -> NextHopId {
    let key = match hop {
        NextHop::Blackhole(reason) => (0, reason as u32),
        NextHop::Local => (1, 0),
        NextHop::Connected(id) => (2, u32::from(id.0)),
        NextHop::Adjacency(_, id) => (3, id.0),
        NextHop::Gateway(id) => (4, u32::from(id.0)),
        NextHop::Paths(id) => (5, u32::from(id.0)),
    };
    *ids.entry(key).or_insert_with(|| {
        next_hops.push(hop);
        NextHopId::from_index(next_hops.len() - 1)
    })
}
