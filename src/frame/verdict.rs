//! How a packet's way can end short of a port: by name, each with its own counter.
//!
//! The names are interface: counters, `show drops`, traces, tests and documents use these strings.

macro_rules! drop_reasons {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal;)*) => {
        /// Why a packet was dropped.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum DropReason {
            $($(#[doc = $doc])* $variant,)*
        }

        impl DropReason {
            /// Every reason, in the order of the counters.
            pub const ALL: &'static [DropReason] = &[$(DropReason::$variant),*];
            /// How many reasons there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The reason's public name.
            pub const fn name(self) -> &'static str {
                match self {
                    $(DropReason::$variant => $name,)*
                }
            }

            /// One line that says what it means.
            pub fn doc(self) -> &'static str {
                match self {
                    $(DropReason::$variant => concat!($($doc),*).trim(),)*
                }
            }
        }
    };
}

drop_reasons! {
    // Frame
    /// The frame ends inside its Ethernet header or its tags.
    FrameTooShort = "frame_too_short";
    /// The frame does not fit a buffer, or not the way out.
    FrameTooLong = "frame_too_long";
    /// The frame has three or more VLAN tags.
    ThirdTag = "third_tag";
    /// No circuit, peering or access port uses these tags on this port.
    UnknownTag = "unknown_tag";
    /// The frame is untagged (or priority-tagged) where a tag is needed.
    MissingTag = "missing_tag";
    /// The outer tag is 0x88A8 on a port that does not accept it, or the inner one is.
    ForeignTagType = "foreign_tag_type";
    /// The frame is not for the router's MAC address and not for all.
    NotOurMac = "not_our_mac";
    /// An EtherType that this side does not forward.
    UnknownEtherType = "unknown_ether_type";
    /// A link-local group address (01-80-C2-00-00-0x) that a bridge must not carry.
    LinkLocalGroup = "link_local_group";
    /// IPv6, which this side does not forward yet.
    Ip6NotForwarded = "ip6_not_forwarded";
    // IPv4 header, in the order of RFC 1812 5.2.2
    /// The frame is shorter than an IPv4 header.
    Ip4TooShort = "ip4_too_short";
    /// The IPv4 header checksum is wrong.
    Ip4BadChecksum = "ip4_bad_checksum";
    /// The IP version is not 4.
    Ip4BadVersion = "ip4_bad_version";
    /// The header length field is under 20 bytes or beyond the packet.
    Ip4BadHeaderLength = "ip4_bad_header_length";
    /// The total length is under the header length or beyond the frame.
    Ip4BadTotalLength = "ip4_bad_total_length";
    /// A fragment that reaches beyond 65,535 bytes, or a first fragment without its whole
    /// transport header (RFC 1858).
    Ip4BadFragment = "ip4_bad_fragment";
    /// A transport header that ends beyond the packet.
    L4TooShort = "l4_too_short";
    /// A source address that no packet may have (RFC 1812 5.3.7).
    MartianSource = "martian_source";
    /// A destination address that no router forwards (RFC 1812 5.3.7).
    MartianDestination = "martian_destination";
    // Forwarding
    /// No route.
    NoRoute = "no_route";
    /// A route that leads nowhere on purpose.
    Blackhole = "blackhole";
    /// From one on-premises prefix to another: a circuit is no transit network.
    NoTransit = "no_transit";
    /// The time to live ran out.
    TtlExpired = "ttl_expired";
    /// The packet is larger than the way out takes and must not be fragmented.
    FragmentationNeeded = "fragmentation_needed";
    /// The neighbour did not answer ARP, or too many frames wait for it.
    NeighbourUnresolved = "neighbour_unresolved";
    /// No usable link leads to on-premises.
    NoLink = "no_link";
    /// An IPv4 address that is ours, but nothing there takes this protocol.
    LocalUnreachable = "local_unreachable";
    // Provider edge and peering
    /// Above the circuit's bandwidth on this link and in this direction.
    Policed = "policed";
    /// The source address is not public.
    SourceNotPublic = "source_not_public";
    /// The source address lies outside the advertised public prefixes.
    SourceNotAdvertised = "source_not_advertised";
    /// The peering is disabled or its circuit is not provisioned.
    PeeringDown = "peering_down";
    // NAT
    /// No session, and no binding that lets this packet open one.
    NatNoSession = "nat_no_session";
    /// No port of the pool is left for this inside host.
    NatPoolExhausted = "nat_pool_exhausted";
    /// The session table is full.
    NatTableFull = "nat_table_full";
    /// The inside host has all the sessions that it may have.
    NatHostLimit = "nat_host_limit";
    /// A protocol without ports that dynamic NAT cannot translate.
    NatUnsupportedProtocol = "nat_unsupported_protocol";
    /// A later fragment whose first fragment NAT has not seen.
    NatFragmentUnknown = "nat_fragment_unknown";
    /// An ICMP error whose own checksum, or whose quoted packet, is broken (RFC 5508).
    NatBadIcmp = "nat_bad_icmp";
    /// Filtered: the remote endpoint was never talked to.
    NatFiltered = "nat_filtered";
    // Gateway
    /// The gateway's bandwidth is used up.
    GatewayBits = "gateway_bits";
    /// The gateway's packets a second are used up.
    GatewayPackets = "gateway_packets";
    /// The gateway knows as many flows as its SKU allows.
    GatewayFlows = "gateway_flows";
    /// The gateway's new flows a second are used up.
    GatewayNewFlows = "gateway_new_flows";
    /// Over 1,400 bytes towards a gateway.
    GatewayTooBig = "gateway_too_big";
    /// A fragment; gateways take none.
    GatewayFragment = "gateway_fragment";
    /// The time to live ran out at the gateway, which says nothing.
    GatewayTtlExpired = "gateway_ttl_expired";
    // NSG
    /// A network security group's rule denies it.
    NsgDenied = "nsg_denied";
    /// The flow table is full.
    FlowTableFull = "flow_table_full";
    // Ports, rings, pools
    /// The port is down or gone.
    PortDown = "port_down";
    /// The port's transmit queue is full.
    PortFull = "port_full";
    /// No free frame.
    NoFrame = "no_frame";
    /// The owner's handoff ring is full.
    HandoffFull = "handoff_full";
    /// The ring to control is full.
    PuntFull = "punt_full";
    /// A super-frame that cannot be cut: no TCP or UDP segments, or broken offload fields.
    SuperFrame = "super_frame";
}

impl std::fmt::Display for DropReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_documented() {
        let mut names: Vec<_> = DropReason::ALL.iter().map(|r| r.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), DropReason::COUNT);
        assert!(DropReason::ALL.iter().all(|r| r.doc().ends_with('.')));
    }
}
