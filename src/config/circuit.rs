//! Circuits and the port pairs of ExpressRoute Direct.

use super::names::reference;
use super::peering::peering;
use super::problem::Problem;
use super::read::{Ctx, Entry, Node, Section};
use super::schema;
use super::value::{boolean, choice, integer, name, parsed, string, vlan};
use crate::ids::PeeringKind;
use crate::model::{
    Accounting, Bandwidth, Billing, Burst, Circuit, CircuitName, CircuitSku, CircuitState,
    DEFAULT_BURST, Direct, DirectName, DirectSpeed, Encapsulation, MIN_BURST_BYTES, Peering,
    PerLink, Policing, PortName, ProviderState, ServiceKey,
};

const ENCAPSULATIONS: [(&str, Encapsulation); 3] = [
    ("QinQ", Encapsulation::QinQ),
    ("Dot1Q", Encapsulation::Dot1Q),
    ("Untagged", Encapsulation::Untagged),
];
/// The longest bucket: one second.
const MAX_BURST_MS: u32 = 1000;
/// The largest bucket: a tenth of a second at 400 Gbit/s is more than any buffer.
const MAX_BURST_BYTES: u32 = 1 << 30;

/// Two different ports, one for each link.
pub(super) fn port_pair(ctx: &Ctx, node: &Node<'_>) -> Option<PerLink<PortName>> {
    let title = format!("`{}`", node.name);
    let table = Section::open(ctx, node, title, &schema::PER_LINK)?;
    let port = |c: &Ctx, n: &Node<'_>| reference(c, n, &c.names.ports, PortName::new);
    let primary = table.need("primary", "primary = \"PORT\"", port);
    let secondary = table.need("secondary", "secondary = \"PORT\"", port);
    let pair = PerLink { primary: primary?, secondary: secondary? };
    if pair.primary == pair.secondary {
        let message = format!("both links are on port {}", pair.primary);
        table.error("secondary", message, "each link has a port of its own");
        return None;
    }
    Some(pair)
}

pub(super) fn direct<'a>(ctx: &Ctx, node: &Node<'a>) -> Option<Entry<'a, Direct>> {
    let title = format!("direct {}", node.name);
    let table = Section::open(ctx, node, title, &schema::DIRECT)?;
    let name = name(ctx, node, &node.name, DirectName::new);
    let speed = table.need("speed", "speed = \"10 Gbps\", \"100 Gbps\" or \"400 Gbps\"", speed);
    let encapsulation =
        table.need("encapsulation", "encapsulation = \"QinQ\" or \"Dot1Q\"", |c, n| {
            choice(c, n, &ENCAPSULATIONS[..2])
        });
    let ports =
        table.need("ports", "ports = { primary = \"PORT\", secondary = \"PORT\" }", port_pair);
    let value = (|| {
        Some(Direct { name: name?, speed: speed?, encapsulation: encapsulation?, ports: ports? })
    })();
    table.entry(value)
}

fn speed(ctx: &Ctx, node: &Node<'_>) -> Option<DirectSpeed> {
    let bandwidth = bandwidth(ctx, node)?;
    let speed = DirectSpeed::ALL.into_iter().find(|speed| speed.bandwidth() == bandwidth);
    speed.or_else(|| {
        ctx.report(
            Problem::error(node.span.clone(), format!("there are no ports of {bandwidth}"))
                .help("`speed` is 10 Gbps, 100 Gbps or 400 Gbps"),
        )
    })
}

fn bandwidth(ctx: &Ctx, node: &Node<'_>) -> Option<Bandwidth> {
    parsed(ctx, node, "a bandwidth such as \"500 Mbps\" or \"1 Gbps\"")
}

/// What is known of the Direct that a circuit is on, while the circuit is read.
type OnDirect<'d> = Option<&'d Direct>;

pub(super) fn circuit<'a>(
    ctx: &Ctx,
    node: &Node<'a>,
    directs: &[Entry<'_, Direct>],
) -> Option<Entry<'a, Circuit>> {
    let title = format!("circuit {}", node.name);
    let table = Section::open(ctx, node, title, &schema::CIRCUIT)?;
    let name = name(ctx, node, &node.name, CircuitName::new);
    let pair = table.read("direct", |c, n| reference(c, n, &c.names.directs, DirectName::new));
    // A Direct with errors of its own leaves what depends on it unchecked.
    let known = pair.as_ref().and_then(|own| directs.iter().find(|d| d.value.name == *own));
    let on_direct: OnDirect<'_> = known.map(|entry| &entry.value);
    let is_direct = table.get("direct").is_some();

    let subscription = table.read("subscription", string).unwrap_or_else(|| "lab".to_owned());
    let resource_group = table.read("resource_group", string).unwrap_or_else(|| "lab".to_owned());
    let service_provider = if is_direct {
        table.read("provider", string)
    } else {
        table.need("provider", "provider = \"Lab Exchange\"", string)
    };
    let peering_location =
        table.need("peering_location", "peering_location = \"Amsterdam\"", string);
    let bandwidth = table.need("bandwidth", "bandwidth = \"1 Gbps\"", bandwidth);
    if let Some(bandwidth) = bandwidth {
        check_bandwidth(&table, bandwidth, is_direct, on_direct);
    }
    let (sku, billing) = plan(&table);
    let service_key = table.read("service_key", |c, n| {
        parsed(c, n, "a GUID such as 3f6cf8b0-1c3a-4d21-9a34-0c2f6a8e7b55")
    });
    let encapsulation = encapsulation(&table, on_direct);
    let s_tag = s_tag(&table, encapsulation, is_direct && on_direct.is_none());
    let links = links(&table, is_direct, on_direct);
    let policing = policing(&table, is_direct);
    let (state, provider_state) = states(&table);
    let private = table.read("private", |c, n| peering(c, n, &table.title, PeeringKind::Private));
    let microsoft =
        table.read("microsoft", |c, n| peering(c, n, &table.title, PeeringKind::Microsoft));

    if let (Some(private), Some(microsoft)) = (&private, &microsoft) {
        check_peerings(&table, encapsulation, private, microsoft);
    }
    let value = (|| {
        let name = name?;
        let derived = ServiceKey::derive(&subscription, &resource_group, name.as_str());
        Some(Circuit {
            name,
            subscription,
            resource_group,
            service_provider: service_provider.unwrap_or_default(),
            peering_location: peering_location?,
            bandwidth: bandwidth?,
            sku,
            billing,
            service_key: service_key.unwrap_or(derived),
            encapsulation,
            s_tag,
            links: Some(links?),
            direct: on_direct.map(|direct| (direct.name.clone(), direct.speed)),
            policing,
            state,
            provider_state,
            private,
            microsoft,
        })
    })();
    table.entry(value)
}

fn check_bandwidth(
    table: &Section<'_, '_>,
    bandwidth: Bandwidth,
    is_direct: bool,
    on_direct: OnDirect<'_>,
) {
    let (sold, whose): (&[Bandwidth], _) = match on_direct {
        Some(direct) => (direct.speed.circuits(), format!("ports of {}", direct.speed.bandwidth())),
        None if is_direct => return,
        None => (&Bandwidth::PROVIDER, "a provider's ports".to_owned()),
    };
    if !sold.contains(&bandwidth) {
        let sold: Vec<String> = sold.iter().map(Bandwidth::to_string).collect();
        let message = format!("{bandwidth} is no bandwidth of a circuit on {whose}");
        table.error("bandwidth", message, format!("`bandwidth` is one of: {}", sold.join(", ")));
    }
}

fn plan(table: &Section<'_, '_>) -> (CircuitSku, Billing) {
    let skus = [
        ("Local", CircuitSku::Local),
        ("Standard", CircuitSku::Standard),
        ("Premium", CircuitSku::Premium),
    ];
    let billings = [("Metered", Billing::Metered), ("Unlimited", Billing::Unlimited)];
    let sku = table.read("sku", |c, n| choice(c, n, &skus)).unwrap_or_default();
    let billing = table.read("billing", |c, n| choice(c, n, &billings));
    if sku == CircuitSku::Local && billing == Some(Billing::Metered) {
        let help = "write billing = \"Unlimited\", or another `sku`";
        table.error("billing", "a Local circuit is not metered", help);
    }
    let default = if sku == CircuitSku::Local { Billing::Unlimited } else { Billing::Metered };
    (sku, billing.unwrap_or(default))
}

fn encapsulation(table: &Section<'_, '_>, on_direct: OnDirect<'_>) -> Encapsulation {
    let own = table.read("encapsulation", |c, n| choice(c, n, &ENCAPSULATIONS));
    match (own, on_direct) {
        (Some(own), Some(direct)) if own != direct.encapsulation => {
            table.error(
                "encapsulation",
                format!("direct {} has another encapsulation", direct.name),
                "a circuit on a Direct is tagged as its ports are: leave `encapsulation` out",
            );
            own
        }
        (_, Some(direct)) => direct.encapsulation,
        (own, None) => own.unwrap_or(Encapsulation::QinQ),
    }
}

fn s_tag(
    table: &Section<'_, '_>,
    encapsulation: Encapsulation,
    unknown: bool,
) -> Option<crate::model::VlanId> {
    let own = table.read("s_tag", vlan);
    // A wrong value of either key is an error already.
    if unknown || !table.ok() {
        return own;
    }
    match (encapsulation, own) {
        (Encapsulation::QinQ, None) => {
            table.need("s_tag", "s_tag = 1001, the circuit's outer tag on both links", vlan)
        }
        (Encapsulation::QinQ, own) => own,
        (_, None) => None,
        (_, Some(_)) => {
            let message = "an S-tag needs QinQ";
            table.error("s_tag", message, "leave `s_tag` out, or write encapsulation = \"QinQ\"");
            None
        }
    }
}

fn links(
    table: &Section<'_, '_>,
    is_direct: bool,
    on_direct: OnDirect<'_>,
) -> Option<PerLink<PortName>> {
    if !is_direct {
        let help = "links = { primary = \"PORT\", secondary = \"PORT\" }, the edges' ports";
        return table.need("links", help, port_pair);
    }
    if table.get("links").is_some() {
        let help = "a circuit on a Direct uses its ports: leave `links` out";
        table.error("links", "the links are those of the Direct", help);
    }
    on_direct.map(|direct| direct.ports.clone())
}

fn policing(table: &Section<'_, '_>, is_direct: bool) -> Policing {
    let mut policing = Policing {
        enabled: !is_direct,
        burst: DEFAULT_BURST,
        accounting: Accounting::default(),
        police_control: false,
    };
    table.read("policing", |ctx, node| {
        let own = Section::open(ctx, node, "`policing`", &schema::POLICING)?;
        let kinds = [("l1", Accounting::L1), ("l2", Accounting::L2), ("l3", Accounting::L3)];
        policing.enabled = own.read("enabled", boolean).unwrap_or(policing.enabled);
        policing.police_control = own.read("police_control", boolean).unwrap_or(false);
        policing.accounting =
            own.read("accounting", |c, n| choice(c, n, &kinds)).unwrap_or_default();
        let millis = own.read("burst_ms", |c, n| integer(c, n, 1..=MAX_BURST_MS));
        let bytes =
            own.read("burst_bytes", |c, n| integer(c, n, MIN_BURST_BYTES..=MAX_BURST_BYTES));
        if let (Some(_), Some(_)) = (millis, bytes) {
            own.error(
                "burst_bytes",
                "the burst is given twice",
                "keep `burst_ms` or `burst_bytes`",
            );
        }
        policing.burst =
            bytes.map(Burst::Bytes).or(millis.map(Burst::Millis)).unwrap_or(DEFAULT_BURST);
        Some(())
    });
    policing
}

fn check_peerings(
    table: &Section<'_, '_>,
    encapsulation: Encapsulation,
    private: &Peering,
    microsoft: &Peering,
) {
    let vlan = |kind: &str| table.node.at(kind).at("vlan").span;
    if encapsulation == Encapsulation::Untagged {
        let help = "an untagged link carries one peering: write \"Dot1Q\" or \"QinQ\"";
        table.error("encapsulation", "two peerings on untagged links", help);
    } else if private.vlan == microsoft.vlan {
        let message = format!("both peerings of {} use VLAN {}", table.title, private.vlan);
        table.ctx.report::<()>(
            Problem::error(vlan("microsoft"), message)
                .label("the Microsoft peering")
                .also(vlan("private"), "the private peering")
                .help("each peering of a circuit has a VLAN of its own"),
        );
    }
}

fn states(table: &Section<'_, '_>) -> (CircuitState, ProviderState) {
    let states = [
        ("Enabled", CircuitState::Enabled),
        ("Enabling", CircuitState::Enabling),
        ("Disabling", CircuitState::Disabling),
    ];
    let providers = [
        ("NotProvisioned", ProviderState::NotProvisioned),
        ("Provisioning", ProviderState::Provisioning),
        ("Provisioned", ProviderState::Provisioned),
        ("Deprovisioning", ProviderState::Deprovisioning),
    ];
    (
        table.read("state", |c, n| choice(c, n, &states)).unwrap_or(CircuitState::Enabled),
        table
            .read("provider_state", |c, n| choice(c, n, &providers))
            .unwrap_or(ProviderState::Provisioned),
    )
}
