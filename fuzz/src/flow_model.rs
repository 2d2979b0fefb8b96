//! A flow table and the groups that ask it, beside ordered maps: which flows are known, when they
//! end, what the limits refuse, and that a flow of an older epoch is asked about again.

use std::collections::BTreeMap;
use std::sync::Arc;

use thruway::flow::nsg_flow::{self, NsgKey};
use thruway::flow::rules::{Action, PortSet, Protocol, Rule, RuleDirection, RuleSet};
use thruway::flow::{AddressSet, Census, FlowTable, Tuple, hash5};
use thruway::frame::DropReason;
use thruway::ids::{Epoch, NsgId};
use thruway::mem::Arena;
use thruway::time::{Now, Span};

use thruway::hostile::Entropy;

/// Most packets of one run.
const STEPS: usize = 200;
/// Time that the table counts in, in nanoseconds.
const TICK: u64 = 1 << 28;
/// How long flows live in ticks, and how many there may be.
const IDLE: u64 = 8;
const CAPACITY: usize = 6;

/// A flow's end of a group, as a packet in one direction names it.
type Name = (RuleSide, [u64; 2], u8);

/// Which interface: that of the lower end or that of the higher.
type RuleSide = bool;

#[derive(Clone, Copy, Debug)]
struct Flow {
    tick: u64,
    epoch: u32,
    opened: RuleDirection,
}

/// Groups that allow other ports in each epoch.
fn rules(epoch: u32) -> RuleSet {
    let open = u16::try_from(epoch % 3).expect("below 3");
    let rule = |name: &str, priority, action, ports| Rule {
        name: name.to_owned(),
        priority,
        action,
        protocol: Protocol::Any,
        source: AddressSet::any(),
        source_ports: PortSet::any(),
        destination: AddressSet::any(),
        destination_ports: ports,
    };
    let list = |side: &str| {
        let ports: PortSet = [open..=open + 1].into_iter().collect();
        vec![
            rule(&format!("{side}-open"), 100, Action::Allow, ports),
            rule(&format!("{side}-rest"), 4096, Action::Deny, PortSet::any()),
        ]
    };
    RuleSet::new(list("in"), list("out"), &AddressSet::none()).expect("the rules are right")
}

/// Whether the rules of an epoch allow a packet: by what [`rules`] says in words.
const fn allows(epoch: u32, tuple: &Tuple) -> bool {
    let open = epoch % 3;
    tuple.has_ports() && (tuple.dport as u32 == open || tuple.dport as u32 == open + 1)
}

struct Run {
    table: FlowTable,
    flows: BTreeMap<Name, Flow>,
    now: u64,
    epoch: u32,
    rules: RuleSet,
}

/// Lets packets pass a group.
///
/// # Panics
/// When its verdict is not the model's.
pub fn check(data: &[u8]) {
    let mut input = Entropy::new(data);
    let mut arena = Arena::default();
    let limited = input.byte() & 1 == 1;
    let table = if limited {
        let census = Arc::new(Census::new(Span(IDLE * TICK), CAPACITY as u64));
        FlowTable::counted(&mut arena, 64, census)
    } else {
        FlowTable::new(&mut arena, CAPACITY, Span(IDLE * TICK))
    };
    let flows = BTreeMap::new();
    let mut run = Run { table, flows, now: 1_000 * TICK, epoch: 0, rules: rules(0) };
    for _ in 0..STEPS {
        if input.is_empty() {
            return;
        }
        let (what, which) = (input.byte(), input.byte());
        match what % 8 {
            0 => run.now += u64::from(which) * TICK / 16,
            1 => {
                run.table.expire(Now(run.now), usize::from(which % 4));
            }
            2 if which < 64 => {
                run.epoch += 1;
                run.rules = rules(run.epoch);
            }
            _ => run.packet(what, which, limited),
        }
        run.purge();
        assert_eq!(run.table.len(Now(run.now)), run.flows.len(), "flows that live");
    }
}

impl Run {
    fn purge(&mut self) {
        let tick = self.now / TICK;
        self.flows.retain(|_, flow| tick - flow.tick <= IDLE);
    }

    fn packet(&mut self, what: u8, which: u8, limited: bool) {
        self.purge();
        let proto = [6, 17, 1][usize::from(which >> 6) % 3];
        let (host, port) = (u32::from(which % 4), u16::from(which / 4 % 4));
        let mut tuple = Tuple { src: 9, dst: 10 + host, sport: 40 + port % 2, dport: port, proto };
        if what >= 128 {
            tuple = tuple.reversed();
        }
        let direction =
            [RuleDirection::Inbound, RuleDirection::Outbound][usize::from(what / 8) % 2];
        let hash = hash5(7, tuple.src, tuple.dst, tuple.sport, tuple.dport, tuple.proto);
        let key = NsgKey::new(NsgId(3), direction, &tuple, hash);
        let now = Now(self.now);
        let decision =
            nsg_flow::evaluate_stateful(&mut self.table, &self.rules, &key, now, Epoch(self.epoch));
        let right = self.decide(&tuple, direction, limited);
        assert_eq!(decision.verdict(), right, "{tuple:?} {direction}");
        let known = nsg_flow::is_known(&mut self.table, key.key(), now, Epoch(self.epoch));
        assert_eq!(known, right.is_ok(), "what passed is known, and what did not is not");
    }

    /// What the model decides.
    fn decide(
        &mut self,
        tuple: &Tuple,
        direction: RuleDirection,
        limited: bool,
    ) -> Result<(), DropReason> {
        let end = |address: u32, port: u16| u64::from(address) << 16 | u64::from(port);
        let (a, b) = (end(tuple.src, tuple.sport), end(tuple.dst, tuple.dport));
        let upward = a <= b;
        let side = upward == (direction == RuleDirection::Outbound);
        let name = (side, [a.min(b), a.max(b)], tuple.proto);
        let (tick, epoch) = (self.now / TICK, self.epoch);
        if let Some(flow) = self.flows.get_mut(&name) {
            let first = if direction == flow.opened { *tuple } else { tuple.reversed() };
            if flow.epoch == epoch || allows(epoch, &first) {
                (flow.tick, flow.epoch) = (tick, epoch);
                return Ok(());
            }
            self.flows.remove(&name);
        }
        if !allows(epoch, tuple) {
            return Err(DropReason::NsgDenied);
        }
        if self.flows.len() >= CAPACITY {
            return Err(if limited { DropReason::GatewayFlows } else { DropReason::FlowTableFull });
        }
        self.flows.insert(name, Flow { tick, epoch, opened: direction });
        Ok(())
    }
}
