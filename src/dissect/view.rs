//! Which words do parsers share? The fields of a frame by name, the same in text, in JSON, and in
//! what a user's own parser answers.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

/// Names of the fields.
pub mod name {
    /// See [`super::FIELDS`].
    pub const TPIDS: &str = "tpids";
    /// See [`super::FIELDS`].
    pub const TCIS: &str = "tcis";
    /// See [`super::FIELDS`].
    pub const VIDS: &str = "vids";
    /// See [`super::FIELDS`].
    pub const ETHER_TYPE: &str = "ether_type";
    /// See [`super::FIELDS`].
    pub const L3_OFFSET: &str = "l3_offset";
    /// See [`super::FIELDS`].
    pub const VERSION: &str = "version";
    /// See [`super::FIELDS`].
    pub const SRC: &str = "src";
    /// See [`super::FIELDS`].
    pub const DST: &str = "dst";
    /// See [`super::FIELDS`].
    pub const PROTOCOL: &str = "protocol";
    /// See [`super::FIELDS`].
    pub const TTL: &str = "ttl";
    /// See [`super::FIELDS`].
    pub const TOTAL_SIZE: &str = "total_size";
    /// See [`super::FIELDS`].
    pub const DONT_FRAGMENT: &str = "dont_fragment";
    /// See [`super::FIELDS`].
    pub const MORE_FRAGMENTS: &str = "more_fragments";
    /// See [`super::FIELDS`].
    pub const FRAGMENT_OFFSET: &str = "fragment_offset";
    /// See [`super::FIELDS`].
    pub const L4_OFFSET: &str = "l4_offset";
    /// See [`super::FIELDS`].
    pub const SRC_PORT: &str = "src_port";
    /// See [`super::FIELDS`].
    pub const DST_PORT: &str = "dst_port";
    /// See [`super::FIELDS`].
    pub const ICMP_TYPE: &str = "icmp_type";
    /// Whether the parser takes the frame; not a field of it.
    pub const VALID: &str = "valid";
}

/// Every field in the order of the frame, with what it means.
pub const FIELDS: &[(&str, &str)] = &[
    (name::TPIDS, "tag protocols of the VLAN tags, outer first; a list of numbers"),
    (name::TCIS, "tag control information of the VLAN tags, outer first; a list of numbers"),
    (name::VIDS, "VLAN identifiers of the tags, outer first; a list of numbers"),
    (name::ETHER_TYPE, "EtherType behind all tags; a number"),
    (name::L3_OFFSET, "where the network header begins, from the beginning of the frame; bytes"),
    (name::VERSION, "version of IP; 4 or 6"),
    (name::SRC, "source address of IP; text"),
    (name::DST, "destination address of IP; text"),
    (name::PROTOCOL, "protocol that IP carries, in IPv6 behind the extension headers; a number"),
    (name::TTL, "time to live or hop limit; a number"),
    (name::TOTAL_SIZE, "size of the IP packet with its header as the header says; bytes"),
    (name::DONT_FRAGMENT, "the don't-fragment bit of IPv4; true or false"),
    (name::MORE_FRAGMENTS, "the more-fragments bit; true or false"),
    (name::FRAGMENT_OFFSET, "where a fragment belongs in its packet; bytes"),
    (
        name::L4_OFFSET,
        "where a TCP, UDP or ICMP header begins, from the beginning of the frame; bytes",
    ),
    (name::SRC_PORT, "source port of TCP or UDP; a number"),
    (name::DST_PORT, "destination port of TCP or UDP; a number"),
    (name::ICMP_TYPE, "type of ICMP or ICMPv6; a number"),
];

/// One field as a parser sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// One of [`FIELDS`].
    pub name: &'static str,
    /// A number, a text, a truth, or a list of numbers.
    pub value: Value,
    /// Where it stands in the frame, if the parser says that.
    pub at: Option<usize>,
}

/// A frame as one parser sees it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    /// Whether the parser takes the frame; `None` when the capture kept too little to tell.
    pub valid: Option<bool>,
    /// thruway's name for why not.
    pub reason: Option<&'static str>,
    /// Why not, in words.
    pub why: Option<String>,
    /// What it reads, in the order of [`FIELDS`].
    pub fields: Vec<Field>,
}

impl View {
    /// A field's value.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.field(name).map(|field| &field.value)
    }

    /// A field.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// A field's value as a number; `None` also for what is none.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.value(name)?.as_u64()
    }

    pub(super) fn put(&mut self, name: &'static str, at: usize, value: impl Into<Value>) {
        self.fields.push(Field { name, value: value.into(), at: Some(at) });
    }
}

impl Serialize for View {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        map.serialize_entry(name::VALID, &self.valid)?;
        if let Some(reason) = self.reason {
            map.serialize_entry("reason", reason)?;
        }
        if let Some(why) = &self.why {
            map.serialize_entry("why", why)?;
        }
        for field in &self.fields {
            map.serialize_entry(field.name, &field.value)?;
        }
        let placed = self.fields.iter().filter_map(|field| Some((field.name, field.at?)));
        let places: serde_json::Map<String, Value> =
            placed.map(|(name, at)| (name.to_owned(), at.into())).collect();
        map.serialize_entry("at", &places)?;
        map.end()
    }
}
