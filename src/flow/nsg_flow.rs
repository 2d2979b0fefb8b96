//! Does a network security group let this packet pass? Rules are asked once per flow; then the
//! flow's packets pass in both directions until it is idle for four minutes or the rules change.
//!
//! A table may serve many groups. The same group on both ends of a flow keeps two entries, one
//! for each end, so that leaving one interface never opens the other.

use super::key::{Key, Tuple, Way};
use super::rules::{Action, RuleDirection, RuleIndex, RuleSet};
use super::table::FlowTable;
use crate::frame::DropReason;
use crate::ids::{Epoch, NsgId};
use crate::planted::{Bug, planted};
use crate::time::{Now, Span};

/// How long a flow is remembered after its last packet, unless its endpoints ask for more.
pub const IDLE: Span = Span::secs(240);

/// What a group decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Decision {
    /// Why the packet is dropped, if it is.
    pub drop: Option<DropReason>,
    /// The rule that was asked; none for a packet of a known flow.
    pub rule: Option<RuleIndex>,
}

impl Decision {
    const KNOWN: Decision = Decision { drop: None, rule: None };

    /// The decision without its rule.
    ///
    /// # Errors
    /// When the packet is dropped.
    #[inline]
    pub fn verdict(self) -> Result<(), DropReason> {
        match self.drop {
            Some(reason) => Err(reason),
            None => Ok(()),
        }
    }
}

/// A packet as one group sees it.
#[derive(Clone, Copy, Debug)]
pub struct NsgKey {
    key: Key,
    direction: RuleDirection,
}

impl NsgKey {
    /// A packet that passes `nsg` in `direction`; `hash` is that of [`super::hash5`].
    #[inline(always)]
    pub const fn new(nsg: NsgId, direction: RuleDirection, tuple: &Tuple, hash: u32) -> Self {
        Self::of(nsg, direction, Key::new(0, tuple, hash))
    }

    /// A packet that passes `nsg` in `direction`, by its key in domain 0.
    #[inline(always)]
    pub const fn of(nsg: NsgId, direction: RuleDirection, key: Key) -> Self {
        let key = key.in_domain(nsg.0);
        // At one interface, a flow's upward packets all run in one direction: that tells the two
        // ends of the flow apart.
        let upward_is_out =
            matches!(key.way(), Way::Up) == matches!(direction, RuleDirection::Outbound);
        Self { key: key.at_end(upward_is_out), direction }
    }

    /// The flow's key, for [`FlowTable::prefetch`].
    #[inline(always)]
    pub const fn key(&self) -> &Key {
        &self.key
    }
}

/// A flow's word: the epoch in which its first packet was allowed, and that packet's direction.
#[derive(Clone, Copy)]
struct State {
    epoch: Epoch,
    opened: RuleDirection,
}

/// The bit of the word that says that the flow was opened outbound.
const OPENED_OUT: u64 = 1 << 32;

impl State {
    const fn pack(self) -> u64 {
        let outbound = match self.opened {
            RuleDirection::Inbound => 0,
            RuleDirection::Outbound => OPENED_OUT,
        };
        self.epoch.0 as u64 | outbound
    }

    #[allow(clippy::cast_possible_truncation)] // the low half is the epoch
    const fn unpack(word: u64) -> Self {
        let opened =
            if word & OPENED_OUT == 0 { RuleDirection::Inbound } else { RuleDirection::Outbound };
        Self { epoch: Epoch(word as u32), opened }
    }

    /// What the rules say to the flow's first packet; `tuple` runs in `direction`.
    fn ask(self, rules: &RuleSet, direction: RuleDirection, tuple: Tuple) -> (Action, RuleIndex) {
        let first = if direction == self.opened { tuple } else { tuple.reversed() };
        rules.evaluate(self.opened, &first)
    }
}

/// Decides on a packet that is no ICMP error. `rules` are the group's at `epoch`; flows that were
/// opened in another epoch are asked about again.
#[inline]
pub fn evaluate_stateful(
    table: &mut FlowTable,
    rules: &RuleSet,
    packet: &NsgKey,
    now: Now,
    epoch: Epoch,
) -> Decision {
    match table.lookup(&packet.key, now) {
        Some(word) if State::unpack(*word).epoch == epoch || planted(Bug::StaleEpoch) => {
            Decision::KNOWN
        }
        known => {
            let known = known.map(|word| State::unpack(*word));
            decide(table, rules, packet, known, now, epoch)
        }
    }
}

/// Whether a packet that is no ICMP error is of a flow that was allowed in this `epoch`, by its
/// [`NsgKey::key`]; the flow is used by this and lives on.
#[inline(always)]
pub fn is_known(table: &mut FlowTable, key: &Key, now: Now, epoch: Epoch) -> bool {
    table.use_flow(key, now).is_some_and(|word| State::unpack(*word).epoch == epoch)
}

#[inline(never)]
fn decide(
    table: &mut FlowTable,
    rules: &RuleSet,
    packet: &NsgKey,
    known: Option<State>,
    now: Now,
    epoch: Epoch,
) -> Decision {
    let tuple = packet.key.tuple();
    if let Some(state) = known {
        let (action, rule) = state.ask(rules, packet.direction, tuple);
        if action == Action::Allow {
            return keep(table, packet, State { epoch, ..state }, rule, now);
        }
        // The flow is no longer allowed. Its packet may still open one of its own.
        table.remove(&packet.key, now);
    }
    let (action, rule) = rules.evaluate(packet.direction, &tuple);
    match action {
        Action::Deny => Decision { drop: Some(DropReason::NsgDenied), rule: Some(rule) },
        Action::Allow => keep(table, packet, State { epoch, opened: packet.direction }, rule, now),
    }
}

fn keep(
    table: &mut FlowTable,
    packet: &NsgKey,
    state: State,
    rule: RuleIndex,
    now: Now,
) -> Decision {
    let kept = table.insert(&packet.key, state.pack(), now);
    Decision { drop: kept.err().map(DropReason::from), rule: Some(rule) }
}

/// Decides on an ICMP error that runs in `direction` with the outer addresses `error`. It passes
/// with the flow of the packet that it quotes, and keeps no flow alive; without such a flow the
/// rules decide on it, and it opens none. `quoted` is the quoted packet as the group saw it: its
/// own tuple and hash, in the direction opposite to the error's.
pub fn evaluate_icmp_error(
    table: &mut FlowTable,
    rules: &RuleSet,
    error: &Tuple,
    quoted: &NsgKey,
    now: Now,
    epoch: Epoch,
) -> Decision {
    if let Some(word) = table.peek(&quoted.key, now) {
        let state = State::unpack(word);
        let still_allowed =
            || state.ask(rules, quoted.direction, quoted.key.tuple()).0 == Action::Allow;
        if state.epoch == epoch || still_allowed() {
            return Decision::KNOWN;
        }
    }
    let (action, rule) = rules.evaluate(quoted.direction.opposite(), error);
    let drop = (action == Action::Deny).then_some(DropReason::NsgDenied);
    Decision { drop, rule: Some(rule) }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::super::rules::{PortSet, Protocol, Rule};
    use super::super::{AddressSet, hash5};
    use super::*;
    use crate::mem::Arena;
    use crate::wire::proto;

    const INBOUND: RuleDirection = RuleDirection::Inbound;
    const OUTBOUND: RuleDirection = RuleDirection::Outbound;
    const VM: u32 = 0x0a0a_0104;
    const CLIENT: u32 = 0xc0a8_0001;

    fn rule(name: &str, priority: u16, action: Action, ports: PortSet) -> Rule {
        Rule {
            name: name.to_owned(),
            priority,
            action,
            protocol: Protocol::Any,
            source: AddressSet::any(),
            source_ports: PortSet::any(),
            destination: AddressSet::any(),
            destination_ports: ports,
        }
    }

    /// Allows the given destination ports, and nothing else in either direction.
    fn only(inbound: &[u16], outbound: &[u16]) -> RuleSet {
        let list = |side: &str, ports: &[u16]| {
            let ports: PortSet = ports.iter().map(|&port| port..=port).collect();
            vec![
                rule(&format!("{side}-service"), 100, Action::Allow, ports),
                rule(&format!("{side}-rest"), 4096, Action::Deny, PortSet::any()),
            ]
        };
        let set = RuleSet::new(list("in", inbound), list("out", outbound), &AddressSet::none());
        set.unwrap()
    }

    fn hash(tuple: &Tuple) -> u32 {
        hash5(1, tuple.src, tuple.dst, tuple.sport, tuple.dport, tuple.proto)
    }

    fn key(direction: RuleDirection, tuple: &Tuple) -> NsgKey {
        NsgKey::new(NsgId(3), direction, tuple, hash(tuple))
    }

    fn request(dport: u16) -> Tuple {
        Tuple { src: CLIENT, dst: VM, sport: 40_000, dport, proto: proto::TCP }
    }

    /// A group, its flows and a clock.
    struct Group {
        table: FlowTable,
        rules: RuleSet,
        epoch: Epoch,
        now: Now,
    }

    impl Group {
        fn new(rules: RuleSet) -> Self {
            Self {
                table: FlowTable::new(&mut Arena::default(), 1_000, IDLE),
                rules,
                epoch: Epoch(1),
                now: Now(7 << 40),
            }
        }

        fn change(&mut self, rules: RuleSet) {
            self.rules = rules;
            self.epoch.0 += 1;
        }

        fn passes(&mut self, direction: RuleDirection, tuple: &Tuple) -> bool {
            self.decides(direction, tuple).verdict().is_ok()
        }

        fn decides(&mut self, direction: RuleDirection, tuple: &Tuple) -> Decision {
            let packet = key(direction, tuple);
            evaluate_stateful(&mut self.table, &self.rules, &packet, self.now, self.epoch)
        }

        fn error_passes(&mut self, direction: RuleDirection, quoted: &Tuple) -> bool {
            let error = Tuple { src: 1, dst: quoted.src, sport: 0, dport: 0, proto: proto::ICMP };
            let quoted = key(direction.opposite(), quoted);
            let (table, rules) = (&mut self.table, &self.rules);
            evaluate_icmp_error(table, rules, &error, &quoted, self.now, self.epoch)
                .verdict()
                .is_ok()
        }
    }

    #[test]
    fn answers_pass_where_no_rule_would_let_them() {
        let mut group = Group::new(only(&[443], &[]));
        let answer = request(443).reversed();
        assert!(!group.passes(OUTBOUND, &answer), "nobody asked");
        assert!(group.passes(INBOUND, &request(443)));
        assert!(group.passes(OUTBOUND, &answer));
        assert!(!group.passes(OUTBOUND, &Tuple { dport: 40_001, ..answer }));
        assert!(!group.passes(INBOUND, &request(22)));
    }

    #[test]
    fn a_known_flow_asks_no_rule_and_a_new_one_names_it() {
        let mut group = Group::new(only(&[443], &[]));
        let first = group.decides(INBOUND, &request(443));
        assert_eq!(group.rules.rules()[first.rule.unwrap().index()].name, "in-service");
        assert_eq!(group.decides(INBOUND, &request(443)), Decision::KNOWN);
        let denied = group.decides(INBOUND, &request(22));
        assert_eq!(denied.verdict(), Err(DropReason::NsgDenied));
        assert_eq!(group.rules.rules()[denied.rule.unwrap().index()].name, "in-rest");
    }

    #[test]
    fn a_flow_idle_for_four_minutes_is_forgotten() {
        let mut group = Group::new(only(&[443], &[]));
        assert!(group.passes(INBOUND, &request(443)));
        group.now = group.now + IDLE;
        assert!(group.passes(OUTBOUND, &request(443).reversed()));
        group.now = group.now + IDLE + Span::secs(1);
        assert!(!group.passes(OUTBOUND, &request(443).reversed()));
    }

    #[test]
    fn changed_rules_end_the_flows_that_they_deny_and_no_others() {
        let mut group = Group::new(only(&[443, 22], &[]));
        assert!(group.passes(INBOUND, &request(443)) && group.passes(INBOUND, &request(22)));
        group.change(only(&[443], &[]));
        assert!(group.passes(OUTBOUND, &request(443).reversed()), "asked as the opener's packet");
        assert!(!group.passes(OUTBOUND, &request(22).reversed()));
        assert!(!group.passes(INBOUND, &request(22)));
        group.change(only(&[], &[40_000]));
        assert!(group.passes(OUTBOUND, &request(443).reversed()), "a flow of its own now");
        assert!(group.passes(INBOUND, &request(443)), "whose answers pass");
    }

    #[test]
    fn leaving_one_interface_does_not_open_another_with_the_same_group() {
        let mut group = Group::new(only(&[], &[443]));
        let packet = request(443);
        assert!(group.passes(OUTBOUND, &packet), "at the sender's interface");
        assert!(!group.passes(INBOUND, &packet), "at the receiver's");
        assert!(group.passes(INBOUND, &packet.reversed()), "the answer, at the sender's");
    }

    #[test]
    fn icmp_errors_pass_with_their_flow_and_keep_it_not_alive() {
        let mut group = Group::new(only(&[443], &[]));
        let answer = request(443).reversed();
        assert!(!group.error_passes(INBOUND, &answer), "no such flow");
        assert!(group.passes(INBOUND, &request(443)));
        assert!(group.error_passes(INBOUND, &answer), "about a packet of the VM");
        assert!(group.error_passes(OUTBOUND, &request(443)), "about a packet to the VM");
        assert!(!group.error_passes(INBOUND, &Tuple { dport: 1, ..answer }));
        group.now = group.now + IDLE;
        assert!(group.error_passes(INBOUND, &answer));
        group.now = group.now + Span::secs(1);
        assert!(!group.error_passes(INBOUND, &answer));
    }

    #[test]
    fn an_icmp_error_of_a_flow_that_is_no_longer_allowed_is_dropped() {
        let mut group = Group::new(only(&[443], &[]));
        assert!(group.passes(INBOUND, &request(443)));
        group.change(only(&[], &[]));
        assert!(!group.error_passes(INBOUND, &request(443).reversed()));
    }

    #[test]
    fn a_full_table_drops_by_its_own_name() {
        let mut group = Group::new(only(&[443], &[]));
        group.table = FlowTable::new(&mut Arena::default(), 1, IDLE);
        assert!(group.passes(INBOUND, &request(443)));
        let other = Tuple { sport: 40_001, ..request(443) };
        assert_eq!(group.decides(INBOUND, &other).verdict(), Err(DropReason::FlowTableFull));
        group.now = group.now + IDLE + Span::secs(1);
        assert!(group.passes(INBOUND, &other), "the first flow is over");
    }

    /// The flow that a naive firewall remembers.
    #[derive(Clone, Copy)]
    struct Remembered {
        opened: RuleDirection,
        first: Tuple,
        epoch: u32,
        tick: u64,
    }

    /// A firewall with a map from both tuples of a flow; one interface.
    #[derive(Default)]
    struct Naive {
        flows: HashMap<Tuple, Remembered>,
    }

    impl Naive {
        fn passes(
            &mut self,
            rules: &RuleSet,
            direction: RuleDirection,
            tuple: Tuple,
            now: Now,
            epoch: u32,
        ) -> bool {
            let tick = now.0 >> 28;
            // Inbound packets of a flow are named as they are, outbound ones as their answers.
            let name = if direction == INBOUND { tuple } else { tuple.reversed() };
            let allowed = |opened, first: &Tuple| rules.evaluate(opened, first).0 == Action::Allow;
            let idle = IDLE.0.div_ceil(1 << 28);
            let known = self.flows.get(&name).copied().filter(|flow| {
                tick - flow.tick <= idle
                    && (flow.epoch == epoch || allowed(flow.opened, &flow.first))
            });
            let fresh = Remembered { opened: direction, first: tuple, epoch, tick };
            let flow = known.or_else(|| allowed(direction, &tuple).then_some(fresh));
            match flow {
                Some(flow) => self.flows.insert(name, Remembered { epoch, tick, ..flow }),
                None => self.flows.remove(&name),
            };
            flow.is_some()
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn verdicts_are_those_of_a_naive_firewall(
            packets in prop::collection::vec(
                (any::<bool>(), 0u16..4, 0u16..4, 0u64..100, any::<bool>()), 1..300,
            ),
        ) {
            let policies = [only(&[1, 2], &[3]), only(&[2], &[0, 1]), only(&[], &[3, 2])];
            let mut group = Group::new(only(&[0], &[0]));
            let mut naive = Naive::default();
            for (i, (out, a, b, gap, change)) in packets.into_iter().enumerate() {
                group.now = group.now + Span::secs(if gap > 90 { 239 + gap % 3 } else { gap / 20 });
                if change && i % 7 == 0 {
                    group.change(policies[i % policies.len()].clone());
                }
                let inward = Tuple { src: CLIENT, dst: VM, sport: a, dport: b, proto: proto::UDP };
                let (direction, tuple) =
                    if out { (OUTBOUND, inward.reversed()) } else { (INBOUND, inward) };
                let wanted =
                    naive.passes(&group.rules, direction, tuple, group.now, group.epoch.0);
                if i % 5 == 0 {
                    group.table.expire(group.now, i % 3);
                }
                prop_assert_eq!(group.passes(direction, &tuple), wanted, "packet {}", i);
            }
        }
    }
}
