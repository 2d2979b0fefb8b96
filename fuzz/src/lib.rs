//! What must hold for any bytes: a module a target, each with one function that is given bytes and
//! panics when something does not hold. libFuzzer calls them, and so do the tests of the program,
//! over the committed corpus and over random bytes.

#[path = "../../tests/support/cases.rs"]
pub mod cases;
pub mod checksum_incremental;
pub mod config;
pub mod emit_roundtrip;
pub mod flow_model;
pub mod frag;
pub mod icmp_embedded;
#[path = "../../tests/support/lab.rs"]
pub mod lab;
pub mod lpm_model;
pub mod nat_identity;
mod nat_model;
pub mod nsg_model;
mod packet;
pub mod parse_diff;
pub mod parse_l2l4;
pub mod pcap_reader;
pub mod pipeline_conserve;
pub mod policer_model;
pub mod vlan_qinq;

/// A target's body.
pub type Check = fn(&[u8]);

/// All targets by name.
pub const TARGETS: [(&str, Check); 15] = [
    ("checksum_incremental", checksum_incremental::check),
    ("config", config::check),
    ("emit_roundtrip", emit_roundtrip::check),
    ("flow_model", flow_model::check),
    ("frag", frag::check),
    ("icmp_embedded", icmp_embedded::check),
    ("lpm_model", lpm_model::check),
    ("nat_identity", nat_identity::check),
    ("nsg_model", nsg_model::check),
    ("parse_diff", parse_diff::check),
    ("parse_l2l4", parse_l2l4::check),
    ("pcap_reader", pcap_reader::check),
    ("pipeline_conserve", pipeline_conserve::check),
    ("policer_model", policer_model::check),
    ("vlan_qinq", vlan_qinq::check),
];

/// The target that the environment names.
///
/// # Panics
/// When it names none.
pub fn chosen() -> Check {
    static CHOSEN: std::sync::OnceLock<Check> = std::sync::OnceLock::new();
    *CHOSEN.get_or_init(|| {
        let name = std::env::var("THRUWAY_TARGET").unwrap_or_default();
        let target = TARGETS.iter().find(|(own, _)| *own == name);
        target.unwrap_or_else(|| panic!("THRUWAY_TARGET={name} is no target")).1
    })
}
