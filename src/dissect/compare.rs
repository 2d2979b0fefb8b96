//! Where do two parsers differ, and is that on purpose? Differences that are have a name and a
//! sentence ([`NAMES`]); what is left is unexplained.

use serde::Serialize;
use serde_json::Value;

use super::view::{FIELDS, View, name};
use crate::wire::{eth::ether_type, proto};

/// A field that two parsers see differently.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Which: one of [`FIELDS`], or `valid`, or how a user's parser failed.
    pub field: &'static str,
    /// What thruway sees; null when it sees no such field.
    pub thruway: Value,
    /// What the other sees.
    pub other: Value,
    /// The name in [`NAMES`] if thruway and etherparse differ there on purpose.
    pub name: Option<&'static str>,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let word = |value: &Value| match value {
            Value::Null => "nothing".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let (ours, theirs) = (word(&self.thruway), word(&self.other));
        match (self.field, &self.thruway, &self.other) {
            (name::VALID, Value::Bool(false), Value::Bool(true)) => {
                f.write_str("valid there alone")
            }
            (name::VALID, ..) => f.write_str("valid here alone"),
            (field, ..) => write!(f, "{field} is {ours} here and {theirs} there"),
        }?;
        match self.name {
            Some(name) => write!(f, " ({name})"),
            None => Ok(()),
        }
    }
}

/// The differences between thruway and etherparse that are on purpose.
pub const NAMES: &[(&str, &str)] = &[
    (
        CHECKSUM,
        "A router must not forward a packet whose IPv4 header checksum is wrong (RFC 1812 5.2.2); etherparse leaves checksums to its caller.",
    ),
    (
        MARTIAN,
        "A router must not forward from or to addresses that no packet may have (RFC 1812 5.3.7); etherparse judges no addresses.",
    ),
    (
        TAGS,
        "No port of thruway carries three tags, or 0x88A8 behind another tag; etherparse reads up to three tags of any type.",
    ),
    (
        TAG_TYPE,
        "0x9100, which no standard has, is a tag for etherparse and an EtherType for thruway, which carries what is behind it as it is.",
    ),
    (MACSEC, "etherparse reads on behind a MACsec header; for thruway it is an EtherType."),
    (TOO_LONG, "thruway's frames hold 1,976 bytes; longer ones are refused before they are read."),
    (
        FRAGMENT,
        "thruway refuses fragments that reach beyond 65,535 bytes or hide TCP's flags (RFC 1858); etherparse reads fragments one by one and judges none.",
    ),
    (
        FIRST_FRAGMENT,
        "thruway reads the ports in a first fragment, since NAT and filters need them; etherparse reads no transport header of any fragment.",
    ),
    (
        SHORT_TRANSPORT,
        "The transport header is cut off by the packet, or says more than the packet holds; one of the two looks closer there.",
    ),
    (
        IPSEC,
        "etherparse reads on behind an IPsec authentication header; for thruway it is what IP carries, as for any NAT.",
    ),
    (
        ICMP,
        "ICMP of the other version of IP: etherparse reads ICMPv6 in IPv4 and ICMP in IPv6, thruway does not.",
    ),
    (
        ICMP_SIZE,
        "etherparse asks ICMP timestamps for all of their 20 bytes; thruway reads the first 8.",
    ),
    (
        IP6,
        "thruway carries IPv6 as it is and refuses nothing of it; etherparse refuses lengths and extension headers that do not add up.",
    ),
    (
        IP6_EXTENSIONS,
        "They walk other extension headers of IPv6, or read other things behind a fragment header.",
    ),
    (
        ARP,
        "thruway reads ARP where it answers, not when it validates; etherparse refuses what is cut off.",
    ),
];

const CHECKSUM: &str = "checksum";
const MARTIAN: &str = "martian";
const TAGS: &str = "tags";
const TAG_TYPE: &str = "tag-type-9100";
const MACSEC: &str = "macsec";
const TOO_LONG: &str = "too-long";
const FRAGMENT: &str = "fragment";
const FIRST_FRAGMENT: &str = "first-fragment";
const SHORT_TRANSPORT: &str = "short-transport";
const IPSEC: &str = "ipsec";
const ICMP: &str = "icmp-version";
const ICMP_SIZE: &str = "icmp-size";
const IP6: &str = "ip6-unchecked";
const IP6_EXTENSIONS: &str = "ip6-extensions";
const ARP: &str = "arp-unchecked";

const TAG_9100: u64 = 0x9100;
const MACSEC_TYPE: u64 = 0x88e5;

/// Whether thruway takes a frame, and what of its fields a view says otherwise; nothing when the
/// capture kept too little of it. Fields that one of them does not see differ as well.
pub fn explained(ours: &View, theirs: &View) -> Vec<Difference> {
    let mut found = verdicts(ours, theirs);
    if ours.valid == Some(true) && theirs.valid == Some(true) {
        let both = FIELDS.iter().map(|(field, _)| *field);
        found.extend(both.filter_map(|field| {
            let value = |view: &View| view.value(field).cloned().unwrap_or_default();
            difference(field, value(ours), value(theirs))
        }));
    }
    for difference in &mut found {
        difference.name = explanation(ours, theirs, difference.field);
    }
    found
}

/// Whether one takes what the other refuses.
pub(super) fn verdicts(ours: &View, theirs: &View) -> Vec<Difference> {
    let (Some(here), Some(there)) = (ours.valid, theirs.valid) else { return Vec::new() };
    difference(name::VALID, here.into(), there.into()).into_iter().collect()
}

pub(super) fn difference(field: &'static str, thruway: Value, other: Value) -> Option<Difference> {
    (thruway != other).then_some(Difference { field, thruway, other, name: None })
}

/// Why they differ there, if that is on purpose.
fn explanation(ours: &View, theirs: &View, field: &str) -> Option<&'static str> {
    if field == name::VALID {
        return match ours.reason {
            Some(reason) => refused_here(reason),
            None => refused_there(ours),
        };
    }
    let kind = ours.number(name::ETHER_TYPE);
    if kind == Some(TAG_9100) {
        return Some(TAG_TYPE);
    } else if kind == Some(MACSEC_TYPE) {
        return Some(MACSEC);
    }
    let here = |name: &str| ours.value(name).is_some();
    let transport =
        [name::L4_OFFSET, name::SRC_PORT, name::DST_PORT, name::ICMP_TYPE].contains(&field);
    let icmp = (ours.number(name::VERSION), ours.number(name::PROTOCOL));
    match icmp {
        (Some(4), Some(protocol)) if transport && !here(field) => match protocol {
            AH => Some(IPSEC),
            ICMP6 => Some(ICMP),
            _ => None,
        },
        (Some(6), Some(1)) if transport && !here(field) => Some(ICMP),
        (Some(_), _) if transport && here(field) && is_fragment(ours) => Some(FIRST_FRAGMENT),
        (Some(6), protocol) if protocol != theirs.number(name::PROTOCOL) => Some(IP6_EXTENSIONS),
        (Some(6), _) if is_fragment(ours) || is_fragment(theirs) => Some(IP6_EXTENSIONS),
        _ => None,
    }
}

const AH: u64 = proto::AH as u64;
const ICMP6: u64 = proto::ICMP6 as u64;

fn is_fragment(view: &View) -> bool {
    view.value(name::MORE_FRAGMENTS) == Some(&Value::Bool(true))
        || view.number(name::FRAGMENT_OFFSET).is_some_and(|offset| offset > 0)
}

fn refused_here(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "ip4_bad_checksum" => CHECKSUM,
        "martian_source" | "martian_destination" => MARTIAN,
        "third_tag" | "foreign_tag_type" => TAGS,
        "frame_too_long" => TOO_LONG,
        "ip4_bad_fragment" => FRAGMENT,
        "l4_too_short" => SHORT_TRANSPORT,
        _ => return None,
    })
}

fn refused_there(ours: &View) -> Option<&'static str> {
    let kind = u16::try_from(ours.number(name::ETHER_TYPE)?).ok()?;
    match (kind, u8::try_from(ours.number(name::PROTOCOL).unwrap_or_default()).ok()?) {
        (ether_type::ARP, _) => Some(ARP),
        (ether_type::IP6, _) => Some(IP6),
        (ether_type::IP4, proto::AH) => Some(IPSEC),
        (ether_type::IP4, proto::ICMP6) => Some(ICMP),
        (ether_type::IP4, proto::ICMP) => is_timestamp(ours).then_some(ICMP_SIZE),
        (other, _) if u64::from(other) == TAG_9100 => Some(TAG_TYPE),
        (other, _) if u64::from(other) == MACSEC_TYPE => Some(MACSEC),
        _ => None,
    }
}

/// An ICMP timestamp or its reply (RFC 792).
fn is_timestamp(ours: &View) -> bool {
    matches!(ours.number(name::ICMP_TYPE), Some(13 | 14))
}
