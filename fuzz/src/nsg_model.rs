//! A group's compiled rules give the rule that a walk through the list gives.

use thruway::flow::rules::{Action, PortSet, Protocol, Rule, RuleDirection, RuleSet};
use thruway::flow::{AddressSet, Tuple};

use thruway::hostile::Entropy;

/// Most rules, and packets, of one run.
const RULES: usize = 40;
const PACKETS: usize = 64;

const PROTOCOLS: [(Protocol, Option<u8>); 6] = [
    (Protocol::Any, None),
    (Protocol::Tcp, Some(6)),
    (Protocol::Udp, Some(17)),
    (Protocol::Icmp, Some(1)),
    (Protocol::Esp, Some(50)),
    (Protocol::Ah, Some(51)),
];

/// A rule in the words of its writer.
#[derive(Clone, Debug)]
struct Plain {
    proto: Option<u8>,
    /// First and last address or port of source, destination, source port, destination port.
    ranges: [Option<(u32, u32)>; 4],
    action: Action,
}

fn range(input: &mut Entropy<'_>, most: u32) -> Option<(u32, u32)> {
    let kind = input.byte();
    let (a, b) = (u32::from(input.byte() % 40), u32::from(input.byte() % 40));
    match kind % 4 {
        0 => None,
        1 => Some((a.min(b), most)),
        2 => Some((most - a.max(b), most - a.min(b))),
        _ => Some((a.min(b), a.max(b))),
    }
}

impl Plain {
    fn read(input: &mut Entropy<'_>) -> (Self, Protocol) {
        let (protocol, proto) = PROTOCOLS[usize::from(input.byte()) % PROTOCOLS.len()];
        let most = [u32::MAX, u32::MAX, 0xffff, 0xffff];
        let ranges = most.map(|most| range(input, most));
        let action = if input.byte() & 1 == 0 { Action::Allow } else { Action::Deny };
        (Self { proto, ranges, action }, protocol)
    }

    fn rule(&self, at: usize, protocol: Protocol) -> Rule {
        let address = |range: Option<(u32, u32)>| {
            range.map_or_else(AddressSet::any, |range| AddressSet::from_ranges([range]))
        };
        let half = |n: u32| u16::try_from(n).expect("a port");
        let ports = |range: Option<(u32, u32)>| {
            range.map_or_else(PortSet::any, |(a, b)| [half(a)..=half(b)].into_iter().collect())
        };
        let [source, destination, source_ports, destination_ports] = self.ranges;
        Rule {
            name: format!("rule-{at}"),
            priority: u16::try_from(100 + at).expect("few rules"),
            action: self.action,
            protocol,
            source: address(source),
            source_ports: ports(source_ports),
            destination: address(destination),
            destination_ports: ports(destination_ports),
        }
    }

    fn matches(&self, tuple: &Tuple) -> bool {
        let within =
            |range: Option<(u32, u32)>, n: u32| range.is_none_or(|(a, b)| (a..=b).contains(&n));
        let whole = |range: Option<(u32, u32)>| range.is_none_or(|range| range == (0, 0xffff));
        let [source, destination, source_ports, destination_ports] = self.ranges;
        let ports = if matches!(tuple.proto, 6 | 17) {
            within(source_ports, tuple.sport.into())
                && within(destination_ports, tuple.dport.into())
        } else {
            whole(source_ports) && whole(destination_ports)
        };
        self.proto.is_none_or(|proto| proto == tuple.proto)
            && ports
            && within(source, tuple.src)
            && within(destination, tuple.dst)
    }
}

/// Compiles rules and asks them.
///
/// # Panics
/// When another rule decides.
pub fn check(data: &[u8]) {
    let mut input = Entropy::new(data);
    let len = usize::from(input.byte()) % (RULES + 1);
    let (plain, rules): (Vec<_>, Vec<_>) = (0..len)
        .map(|at| {
            let (plain, protocol) = Plain::read(&mut input);
            let rule = plain.rule(at, protocol);
            (plain, rule)
        })
        .unzip();
    // Nothing but the last default rule is behind one's own: no VNet, and outbound none to the Internet.
    let set = RuleSet::new(rules, Vec::new(), &AddressSet::none()).expect("the rules are right");
    for _ in 0..PACKETS {
        if input.is_empty() {
            return;
        }
        let edge = |input: &mut Entropy<'_>, most: u32| {
            let (kind, near) = (input.byte(), u32::from(input.byte() % 48));
            if kind & 1 == 0 { near } else { most - near }
        };
        let [src, dst] = [(); 2].map(|()| edge(&mut input, u32::MAX));
        let [sport, dport] =
            [(); 2].map(|()| u16::try_from(edge(&mut input, 0xffff)).expect("a port"));
        let proto = [6, 17, 1, 50, 51, 47][usize::from(input.byte()) % 6];
        let tuple = Tuple { src, dst, sport, dport, proto };
        let (action, rule) = set.evaluate(RuleDirection::Inbound, &tuple);
        match plain.iter().position(|plain| plain.matches(&tuple)) {
            Some(at) => assert_eq!((action, rule.index()), (plain[at].action, at), "{tuple:?}"),
            None => {
                assert!(rule.index() >= len && action == Action::Deny, "{tuple:?}: a default rule")
            }
        }
    }
}
