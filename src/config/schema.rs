//! Every table of the configuration and its keys: what is not here is an unknown key.
//!
//! `docs/configuration.md` describes the same tables under the same paths; a test compares them.

/// A table of the configuration.
pub(super) struct Schema {
    /// How the table is reached, as the document's heading says.
    #[cfg(test)]
    pub(super) path: &'static str,
    /// Its keys.
    pub(super) keys: &'static [&'static str],
    /// Keys that people may well try, and why they are refused.
    pub(super) refused: &'static [(&'static str, &'static str)],
}

macro_rules! schemas {
    ($($name:ident = $path:literal [$($key:literal)*] $({$($bad:literal: $why:literal)*})?;)*) => {
        $(pub(super) static $name: Schema = Schema {
            #[cfg(test)]
            path: $path,
            keys: &[$($key),*],
            refused: &[$($(($bad, $why)),*)?],
        };)*

        /// Every table.
        #[cfg(test)]
        pub(super) static ALL: &[&Schema] = &[$(&$name),*];
    };
}

schemas! {
    ROOT = "the file" [
        "service" "workers" "api" "icmp" "port" "cable" "direct" "circuit" "provider" "vnet"
        "vnet_peering" "udr" "nsg" "connection" "service_endpoint" "route"
    ];
    SERVICE = "[service]" ["edition" "limits"];
    WORKERS = "[workers]" ["count" "pin" "poll"];
    API = "[api]" ["socket"];
    ICMP = "[icmp]" ["rate" "burst"];
    PORT = "[[port]]" [
        "name" "tap" "packet" "xdp" "memory" "pcap" "netns" "mtu" "mac" "accept_88a8" "allow"
        "xdp_mode" "busy_poll"
    ];
    PCAP = "pcap of a port" ["in" "out" "pace"];
    CABLE = "[[cable]]" ["ends"];
    DIRECT = "[direct.NAME]" ["speed" "encapsulation" "ports"];
    PER_LINK = "primary and secondary" ["primary" "secondary"];
    CIRCUIT = "[circuit.NAME]" [
        "subscription" "resource_group" "provider" "peering_location" "bandwidth" "sku" "billing"
        "service_key" "encapsulation" "s_tag" "links" "direct" "policing" "state"
        "provider_state" "private" "microsoft"
    ] {
        "nat": "Microsoft's side does no address translation: put `nat` under [provider.NAME], in \
                the same process if there is no partner"
        "public": "public peering is not offered any more; use `microsoft`"
        "c_tag": "the C-tag belongs to a peering: set `vlan` in its table"
        "vlan": "a VLAN belongs to a peering: set `vlan` in its table"
    };
    POLICING = "policing" ["enabled" "burst_ms" "burst_bytes" "accounting" "police_control"];
    PRIVATE = "[circuit.NAME.private]" [
        "state" "vlan" "peer_asn" "subnet" "primary_subnet" "secondary_subnet" "subnet_v6"
        "primary_subnet_v6" "secondary_subnet_v6" "shared_key"
    ] {
        "advertised_public_prefixes": "prefixes are advertised publicly on the Microsoft peering"
        "nat": "there is no address translation on the private peering"
    };
    MICROSOFT = "[circuit.NAME.microsoft]" [
        "state" "vlan" "peer_asn" "subnet" "primary_subnet" "secondary_subnet" "subnet_v6"
        "primary_subnet_v6" "secondary_subnet_v6" "shared_key" "advertised_public_prefixes"
        "customer_asn" "routing_registry"
    ] {
        "nat": "Microsoft's side does no address translation: put `nat` under [provider.NAME]"
    };
    PROVIDER = "[provider.NAME]" ["circuit" "links" "private" "microsoft" "nat"];
    ACCESS = "private and microsoft of a provider" ["port" "c_tag" "s_tag" "untagged"];
    NAT = "nat of a provider" [
        "inside" "pool" "static" "forward" "ports" "pooling" "filtering" "inbound_refresh"
        "timeouts" "sessions" "host_sessions" "icmp_source"
    ];
    NAT_STATIC = "static of nat" ["inside" "outside"];
    NAT_FORWARD = "forward of nat" ["proto" "outside" "inside"];
    NAT_TIMEOUTS = "timeouts of nat" [
        "udp" "tcp_established" "tcp_opening" "tcp_closing" "icmp" "fragment" "quarantine"
    ];
    VNET = "[vnet.NAME]" ["region" "address_space" "subnets" "gateway" "nic"];
    SUBNET = "subnets of a vnet" ["prefix" "port" "nsg" "propagate_gateway_routes"] {
        "udrs": "user-defined routes are in [[udr]] with this subnet's name"
    };
    GATEWAY = "gateway of a vnet" ["type" "sku" "units" "subnet" "icmp" "instances"] {
        "nsg": "a network security group on GatewaySubnet is not supported"
        "port": "nothing but the gateway itself is in GatewaySubnet"
        "propagate_gateway_routes": "routes are always propagated on GatewaySubnet: without them \
                                     the gateway does not work"
    };
    NIC = "[vnet.NAME.nic.NAME]" ["ip" "mac"];
    VNET_PEERING = "[[vnet_peering]]" [
        "a" "b" "allow_gateway_transit" "use_remote_gateways" "global"
    ];
    UDR = "[[udr]]" ["vnet" "subnet" "prefix" "next_hop" "next_hop_ip"];
    NSG = "[[nsg]]" ["name" "rules"];
    NSG_RULE = "rules of an nsg" [
        "name" "priority" "direction" "access" "protocol" "source" "source_ports" "destination"
        "destination_ports"
    ];
    CONNECTION = "[[connection]]" ["circuit" "vnet" "weight" "fastpath"];
    SERVICE_ENDPOINT = "[service_endpoint.NAME]" ["prefix" "router" "port"];
    ROUTE = "[[route]]" ["circuit" "peering" "prefix" "prefixes" "link" "as_path_len"];
}
