//! A provider's NAT: from the configuration's words to the data plane's.

use crate::ids::SHARDS;
use crate::model::{ForwardProtocol, Nat, NatFiltering, NatPooling};
use crate::nat::{
    Filtering, NatConfig, Pooling, PortForward as NatForward, PortRange as NatPorts, Proto,
    StaticBinding as NatStatic, Timeouts,
};

/// A provider's NAT as the data plane takes it.
pub(super) fn config(nat: &Nat) -> NatConfig {
    let protocol = |own| match own {
        ForwardProtocol::Tcp => Proto::Tcp,
        ForwardProtocol::Udp => Proto::Udp,
    };
    NatConfig {
        inside: nat.inside.clone(),
        pool: nat.pool.clone(),
        statics: nat
            .statics
            .iter()
            .map(|own| NatStatic { inside: own.inside, outside: own.outside })
            .collect(),
        forwards: nat
            .forwards
            .iter()
            .map(|own| NatForward {
                proto: protocol(own.protocol),
                outside: own.outside,
                inside: own.inside,
            })
            .collect(),
        timeouts: Timeouts {
            udp: nat.timeouts.udp,
            tcp_established: nat.timeouts.tcp_established,
            tcp_opening: nat.timeouts.tcp_opening,
            tcp_closing: nat.timeouts.tcp_closing,
            icmp: nat.timeouts.icmp,
            fragment: nat.timeouts.fragment,
            quarantine: nat.timeouts.quarantine,
        },
        ports: NatPorts { first: nat.ports.first, last: nat.ports.last },
        inbound_refresh: nat.inbound_refresh,
        sessions: (nat.sessions as usize).div_ceil(SHARDS),
        host_sessions: nat.host_sessions,
        filtering: match nat.filtering {
            NatFiltering::EndpointIndependent => Filtering::EndpointIndependent,
            NatFiltering::AddressDependent => Filtering::AddressDependent,
            NatFiltering::AddressAndPortDependent => Filtering::AddressAndPortDependent,
        },
        pooling: match nat.pooling {
            NatPooling::Paired => Pooling::Paired,
            NatPooling::SoftPaired => Pooling::SoftPaired,
        },
    }
}
