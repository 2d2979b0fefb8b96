//! What does a network security group say to a packet that belongs to no flow yet?
//!
//! Rules of each direction are asked by ascending priority and the first match decides; six
//! default rules stand at the end, so something always matches. Service tags are address sets by
//! the time they come here. Ports count for TCP and UDP; for anything else a rule matches only if
//! it asks for no particular port.

use std::fmt;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use super::address_set::AddressSet;
use super::classifier::Classifier;
use super::key::Tuple;

/// The virtual address of the host, source of the platform's load balancer probes.
pub const PLATFORM_ADDRESS: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);
/// Priorities that a rule of one's own may have; lower is asked first.
pub const PRIORITIES: RangeInclusive<u16> = 100..=4096;
/// Most rules of one's own in one group.
pub const MOST_RULES: usize = 1_000;

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The packet and its flow pass.
    Allow,
    /// The packet is dropped.
    Deny,
}

/// Which list of rules is asked, seen from the interface that the group guards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RuleDirection {
    /// Towards the interface.
    Inbound,
    /// From the interface.
    Outbound,
}

impl RuleDirection {
    /// The direction of the answers.
    pub const fn opposite(self) -> Self {
        match self {
            Self::Inbound => Self::Outbound,
            Self::Outbound => Self::Inbound,
        }
    }
}

impl fmt::Display for RuleDirection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        })
    }
}

/// The protocol that a rule asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Whatever it is.
    Any,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP.
    Icmp,
    /// IPsec's encapsulating security payload (RFC 4303).
    Esp,
    /// IPsec's authentication header (RFC 4302).
    Ah,
}

/// A set of ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortSet {
    /// As of an [`AddressSet`], ascending and apart.
    ranges: AddressSet,
}

impl PortSet {
    /// Every port, and packets without ports.
    pub fn any() -> Self {
        [0..=u16::MAX].into_iter().collect()
    }

    /// Whether it is all ports.
    pub fn is_any(&self) -> bool {
        self.ranges.ranges() == [(0, u32::from(u16::MAX))]
    }

    /// Whether `port` is in it.
    pub fn contains(&self, port: u16) -> bool {
        self.ranges.contains(port.into())
    }

    pub(super) fn ranges(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.ranges.ranges().iter().copied()
    }
}

impl FromIterator<RangeInclusive<u16>> for PortSet {
    fn from_iter<I: IntoIterator<Item = RangeInclusive<u16>>>(ranges: I) -> Self {
        let pair =
            |range: RangeInclusive<u16>| (u32::from(*range.start()), u32::from(*range.end()));
        Self { ranges: AddressSet::from_ranges(ranges.into_iter().map(pair)) }
    }
}

/// Names for address sets that the service keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServiceTag {
    /// Everything outside the virtual network and not the platform.
    Internet,
    /// The platform's load balancer, seen as [`PLATFORM_ADDRESS`].
    AzureLoadBalancer,
    /// The VNet, peered VNets, what its gateway and user-defined routes reach.
    VirtualNetwork,
}

impl ServiceTag {
    /// The tag's addresses, seen from a VNet whose `VirtualNetwork` is `virtual_network`.
    pub fn resolve(self, virtual_network: &AddressSet) -> AddressSet {
        match self {
            Self::Internet => virtual_network.union(&PLATFORM_ADDRESS.into()).complement(),
            Self::AzureLoadBalancer => PLATFORM_ADDRESS.into(),
            Self::VirtualNetwork => virtual_network.clone(),
        }
    }
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name, unique in the group.
    pub name: String,
    /// Lower is asked first; unique in its direction.
    pub priority: u16,
    /// What it does.
    pub action: Action,
    /// The protocol it asks for.
    pub protocol: Protocol,
    /// Source addresses.
    pub source: AddressSet,
    /// Source ports.
    pub source_ports: PortSet,
    /// Destination addresses.
    pub destination: AddressSet,
    /// Destination ports.
    pub destination_ports: PortSet,
}

impl Rule {
    /// Whether this rule alone would match: the slow way, for explanations and tests.
    pub fn matches(&self, tuple: &Tuple) -> bool {
        let protocol = match self.protocol {
            Protocol::Any => true,
            Protocol::Tcp => tuple.proto == crate::wire::proto::TCP,
            Protocol::Udp => tuple.proto == crate::wire::proto::UDP,
            Protocol::Icmp => tuple.proto == crate::wire::proto::ICMP,
            Protocol::Esp => tuple.proto == crate::wire::proto::ESP,
            Protocol::Ah => tuple.proto == crate::wire::proto::AH,
        };
        let ports = if tuple.has_ports() {
            self.source_ports.contains(tuple.sport) && self.destination_ports.contains(tuple.dport)
        } else {
            self.source_ports.is_any() && self.destination_ports.is_any()
        };
        protocol && ports && self.source.contains(tuple.src) && self.destination.contains(tuple.dst)
    }

    fn default_rule(
        name: &str,
        priority: u16,
        action: Action,
        source: AddressSet,
        destination: AddressSet,
    ) -> Self {
        Self {
            name: name.to_owned(),
            priority,
            action,
            protocol: Protocol::Any,
            source,
            source_ports: PortSet::any(),
            destination,
            destination_ports: PortSet::any(),
        }
    }
}

/// Which rule of a [`RuleSet`], over both directions: the place of its hit counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleIndex(pub u16);

impl RuleIndex {
    /// The number as an index into [`RuleSet::rules`].
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Rules that do not make a group.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// A priority outside [`PRIORITIES`].
    #[error("rule {name}: priority {priority} is outside 100..=4096")]
    Priority {
        /// The rule.
        name: String,
        /// Its priority.
        priority: u16,
    },
    /// Two rules of one direction with one priority.
    #[error("rules {first} and {second} are both {direction} with priority {priority}")]
    SamePriority {
        /// One rule.
        first: String,
        /// The other.
        second: String,
        /// Their direction.
        direction: RuleDirection,
        /// Their priority.
        priority: u16,
    },
    /// Two rules with one name.
    #[error("two rules are named {0}")]
    SameName(String),
    /// More than [`MOST_RULES`].
    #[error("{0} rules, where 1000 are the most")]
    TooMany(usize),
}

/// A network security group, compiled.
#[derive(Clone, Debug)]
pub struct RuleSet {
    /// Inbound by priority, then outbound by priority, default rules included.
    rules: Vec<Rule>,
    inbound: Side,
    outbound: Side,
}

/// One direction.
#[derive(Clone, Debug)]
struct Side {
    /// Index of its first rule, and of the rule that denies all else.
    first: u16,
    deny_all: u16,
    classifier: Classifier,
}

impl RuleSet {
    /// Compiles rules in any order, and adds the default rules of a VNet whose `VirtualNetwork`
    /// tag stands for `virtual_network`.
    ///
    /// # Errors
    /// When a priority is out of range or used twice in a direction, a name is used twice, or
    /// there are too many rules.
    pub fn new(
        inbound: Vec<Rule>,
        outbound: Vec<Rule>,
        virtual_network: &AddressSet,
    ) -> Result<Self, RuleError> {
        let len = inbound.len() + outbound.len();
        if len > MOST_RULES {
            return Err(RuleError::TooMany(len));
        }
        let mut names: Vec<_> = inbound.iter().chain(&outbound).map(|rule| &rule.name).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(RuleError::SameName(pair[0].clone()));
        }
        let mut rules = sorted(inbound, RuleDirection::Inbound)?;
        rules.extend(defaults(RuleDirection::Inbound, virtual_network));
        let middle = rules.len();
        rules.extend(sorted(outbound, RuleDirection::Outbound)?);
        rules.extend(defaults(RuleDirection::Outbound, virtual_network));
        let place = |at: usize| u16::try_from(at).expect("at most 1,006 rules");
        let side = |from: usize, to: usize| Side {
            first: place(from),
            deny_all: place(to - 1),
            classifier: Classifier::new(&rules[from..to]),
        };
        let (inbound, outbound) = (side(0, middle), side(middle, rules.len()));
        Ok(Self { rules, inbound, outbound })
    }

    /// What the first matching rule does, and which it is.
    #[inline]
    pub fn evaluate(&self, direction: RuleDirection, tuple: &Tuple) -> (Action, RuleIndex) {
        let side = match direction {
            RuleDirection::Inbound => &self.inbound,
            RuleDirection::Outbound => &self.outbound,
        };
        let found = side.classifier.first_match(tuple).and_then(|at| u16::try_from(at).ok());
        let index = RuleIndex(found.map_or(side.deny_all, |at| side.first + at));
        (self.rules[index.index()].action, index)
    }

    /// All rules, default rules included: inbound as asked, then outbound as asked.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The direction of the rule at `index`.
    pub fn direction(&self, index: RuleIndex) -> RuleDirection {
        if index.0 < self.outbound.first { RuleDirection::Inbound } else { RuleDirection::Outbound }
    }
}

/// The rules by priority, checked.
fn sorted(mut rules: Vec<Rule>, direction: RuleDirection) -> Result<Vec<Rule>, RuleError> {
    if let Some(rule) = rules.iter().find(|rule| !PRIORITIES.contains(&rule.priority)) {
        return Err(RuleError::Priority { name: rule.name.clone(), priority: rule.priority });
    }
    rules.sort_by_key(|rule| rule.priority);
    match rules.windows(2).find(|pair| pair[0].priority == pair[1].priority) {
        Some(pair) => Err(RuleError::SamePriority {
            first: pair[0].name.clone(),
            second: pair[1].name.clone(),
            direction,
            priority: pair[0].priority,
        }),
        None => Ok(rules),
    }
}

/// The rules at the end of each group, as the service has them.
fn defaults(direction: RuleDirection, vnet: &AddressSet) -> [Rule; 3] {
    let tag = |tag: ServiceTag| tag.resolve(vnet);
    let any = AddressSet::any;
    let rule = Rule::default_rule;
    let (allow, deny) = (Action::Allow, Action::Deny);
    match direction {
        RuleDirection::Inbound => [
            rule("AllowVnetInBound", 65_000, allow, vnet.clone(), vnet.clone()),
            rule(
                "AllowAzureLoadBalancerInBound",
                65_001,
                allow,
                tag(ServiceTag::AzureLoadBalancer),
                any(),
            ),
            rule("DenyAllInBound", 65_500, deny, any(), any()),
        ],
        RuleDirection::Outbound => [
            rule("AllowVnetOutBound", 65_000, allow, vnet.clone(), vnet.clone()),
            rule("AllowInternetOutBound", 65_001, allow, any(), tag(ServiceTag::Internet)),
            rule("DenyAllOutBound", 65_500, deny, any(), any()),
        ],
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn net(prefix: &str) -> AddressSet {
        [prefix.parse().unwrap()].into_iter().collect()
    }

    fn ip(address: &str) -> u32 {
        address.parse::<Ipv4Addr>().unwrap().to_bits()
    }

    fn tuple(src: &str, dst: &str, proto: u8, dport: u16) -> Tuple {
        Tuple { src: ip(src), dst: ip(dst), sport: 40_000, dport, proto }
    }

    fn rule(name: &str, priority: u16, action: Action) -> Rule {
        let any = AddressSet::any();
        Rule::default_rule(name, priority, action, any.clone(), any)
    }

    fn said(set: &RuleSet, direction: RuleDirection, tuple: &Tuple) -> (Action, String) {
        let (action, index) = set.evaluate(direction, tuple);
        assert_eq!(set.direction(index), direction);
        (action, set.rules()[index.index()].name.clone())
    }

    #[test]
    fn an_empty_group_has_the_six_default_rules() {
        let set = RuleSet::new(vec![], vec![], &net("10.0.0.0/8")).unwrap();
        let (inbound, outbound) = (RuleDirection::Inbound, RuleDirection::Outbound);
        for (direction, src, dst, action, name) in [
            (inbound, "10.1.0.1", "10.2.0.2", Action::Allow, "AllowVnetInBound"),
            (inbound, "168.63.129.16", "10.2.0.2", Action::Allow, "AllowAzureLoadBalancerInBound"),
            (inbound, "8.8.8.8", "10.2.0.2", Action::Deny, "DenyAllInBound"),
            (outbound, "10.1.0.1", "10.2.0.2", Action::Allow, "AllowVnetOutBound"),
            (outbound, "10.1.0.1", "8.8.8.8", Action::Allow, "AllowInternetOutBound"),
            (outbound, "10.1.0.1", "168.63.129.16", Action::Deny, "DenyAllOutBound"),
        ] {
            let packet = tuple(src, dst, 6, 443);
            assert_eq!(said(&set, direction, &packet), (action, name.to_owned()));
        }
        let priorities: Vec<_> = set.rules().iter().map(|rule| rule.priority).collect();
        assert_eq!(priorities, [65_000, 65_001, 65_500, 65_000, 65_001, 65_500]);
    }

    #[test]
    fn the_lowest_priority_that_matches_decides() {
        let mut web = rule("web", 200, Action::Allow);
        web.protocol = Protocol::Tcp;
        web.destination_ports = [80..=80, 443..=443].into_iter().collect();
        let mut bad = rule("bad", 100, Action::Deny);
        bad.source = net("192.0.2.0/24");
        let set = RuleSet::new(vec![web, bad], vec![], &net("10.0.0.0/8")).unwrap();
        let inbound = |src, proto, port| {
            said(&set, RuleDirection::Inbound, &tuple(src, "10.0.0.4", proto, port)).1
        };
        assert_eq!(inbound("198.51.100.1", 6, 443), "web");
        assert_eq!(inbound("192.0.2.1", 6, 443), "bad");
        assert_eq!(inbound("198.51.100.1", 6, 22), "DenyAllInBound");
        assert_eq!(inbound("198.51.100.1", 17, 443), "DenyAllInBound");
    }

    #[test]
    fn packets_without_ports_match_only_rules_without_ports() {
        let mut ports = rule("ports", 100, Action::Allow);
        ports.destination_ports = [0..=1023].into_iter().collect();
        let mut ping = rule("ping", 110, Action::Allow);
        ping.protocol = Protocol::Icmp;
        let set = RuleSet::new(vec![ports, ping], vec![], &AddressSet::none()).unwrap();
        let inbound = |proto, port| {
            said(&set, RuleDirection::Inbound, &tuple("8.8.8.8", "10.0.0.4", proto, port)).1
        };
        assert_eq!(inbound(1, 7), "ping");
        assert_eq!(inbound(47, 0), "DenyAllInBound");
        assert_eq!(inbound(17, 7), "ports");
    }

    #[test]
    fn mistakes_are_refused_with_the_names_of_the_rules() {
        let vnet = AddressSet::none();
        let make = |rules| RuleSet::new(rules, vec![], &vnet).unwrap_err().to_string();
        assert_eq!(
            make(vec![rule("low", 99, Action::Deny)]),
            "rule low: priority 99 is outside 100..=4096"
        );
        assert_eq!(
            make(vec![rule("a", 300, Action::Deny), rule("b", 300, Action::Allow)]),
            "rules a and b are both inbound with priority 300"
        );
        assert_eq!(
            make(vec![rule("a", 300, Action::Deny), rule("a", 301, Action::Allow)]),
            "two rules are named a"
        );
        // One priority in both directions is fine.
        let (one, other) = (rule("in", 100, Action::Deny), rule("out", 100, Action::Deny));
        assert!(RuleSet::new(vec![one], vec![other], &vnet).is_ok());
    }

    fn address_sets() -> impl Strategy<Value = AddressSet> {
        let range = (0u32..40, 0u32..40);
        prop_oneof![
            1 => Just(AddressSet::any()),
            3 => prop::collection::vec(range.clone(), 0..4).prop_map(AddressSet::from_ranges),
            1 => prop::collection::vec(range, 0..3)
                .prop_map(|ranges| AddressSet::from_ranges(ranges).complement()),
        ]
    }

    fn port_sets() -> impl Strategy<Value = PortSet> {
        prop_oneof![
            1 => Just(PortSet::any()),
            1 => prop::collection::vec((0u16..12, 0u16..12), 0..3)
                .prop_map(|pairs| pairs.into_iter().map(|(a, b)| a..=b).collect()),
        ]
    }

    fn lists() -> impl Strategy<Value = Vec<Rule>> {
        let protocol = prop::sample::select(vec![
            Protocol::Any,
            Protocol::Tcp,
            Protocol::Udp,
            Protocol::Icmp,
            Protocol::Esp,
            Protocol::Ah,
        ]);
        let one = (protocol, address_sets(), port_sets(), address_sets(), port_sets());
        prop::collection::vec(one, 0..140).prop_map(|rules| {
            let count = rules.len();
            let numbered = rules.into_iter().enumerate().map(move |(i, rule)| {
                let (protocol, source, source_ports, destination, destination_ports) = rule;
                Rule {
                    name: format!("r{i}"),
                    // Descending, so that sorting has something to do.
                    priority: u16::try_from(100 + count - i).unwrap(),
                    action: if i % 3 == 0 { Action::Deny } else { Action::Allow },
                    protocol,
                    source,
                    source_ports,
                    destination,
                    destination_ports,
                }
            });
            numbered.collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_compiled_rules_say_what_reading_them_in_order_says(
            inbound in lists(),
            packets in prop::collection::vec(
                (0u32..42, 0u32..42, 0u16..14, 0u16..14, prop::sample::select(vec![1u8, 6, 17, 47])),
                1..60,
            ),
        ) {
            let vnet = AddressSet::from_ranges([(5, 9)]);
            let set = RuleSet::new(inbound.clone(), vec![], &vnet).unwrap();
            let mut by_priority = inbound;
            by_priority.sort_by_key(|rule| rule.priority);
            for (src, dst, sport, dport, proto) in packets {
                let tuple = Tuple { src, dst, sport, dport, proto };
                let (action, index) = set.evaluate(RuleDirection::Inbound, &tuple);
                let by_hand = by_priority.iter().find(|rule| rule.matches(&tuple));
                let rule = &set.rules()[index.index()];
                prop_assert_eq!(rule.action, action);
                match by_hand {
                    Some(wanted) => prop_assert_eq!(&rule.name, &wanted.name),
                    None => prop_assert!(rule.priority >= 65_000),
                }
            }
        }
    }
}
