//! The provider's side of circuits: access ports and their hand-over.

use super::circuit::port_pair;
use super::names::reference;
use super::nat::nat;
use super::problem::Problem;
use super::read::{Ctx, Entry, Node, Section};
use super::schema;
use super::value::{boolean, name, vlan};
use crate::model::{Access, CircuitName, PerLink, PortName, Provider, ProviderName};
use crate::wire::vlan::TagStack;

pub(super) fn provider<'a>(ctx: &Ctx, node: &Node<'a>) -> Option<Entry<'a, Provider>> {
    let title = format!("provider {}", node.name);
    let table = Section::open(ctx, node, title, &schema::PROVIDER)?;
    let name = name(ctx, node, &node.name, ProviderName::new);
    let circuit = table.need("circuit", "circuit = \"NAME\"", |c, n| {
        reference(c, n, &c.names.circuits, CircuitName::new)
    });
    let help = "links = { primary = \"PORT\", secondary = \"PORT\" }, the ports towards the edges";
    let links = table.need("links", help, port_pair);
    let private = table.read("private", hand_over);
    let microsoft = table.read("microsoft", hand_over);
    let nat = table.read("nat", nat);
    if ["private", "microsoft"].iter().all(|key| table.get(key).is_none()) {
        ctx.report::<()>(
            Problem::error(table.node.span.clone(), format!("{} hands over nothing", table.title))
                .help(
                    "add private or microsoft = { primary = { port = \"PORT\", c_tag = 200 }, \
                     secondary = { port = \"PORT\", c_tag = 200 } }",
                ),
        );
    }
    let value = (|| {
        Some(Provider { name: name?, circuit: circuit?, links: links?, private, microsoft, nat })
    })();
    table.entry(value)
}

fn hand_over(ctx: &Ctx, node: &Node<'_>) -> Option<PerLink<Option<Access>>> {
    let title = format!("`{}`", node.name);
    let table = Section::open(ctx, node, title, &schema::PER_LINK)?;
    let primary = table.read("primary", access);
    let secondary = table.read("secondary", access);
    if table.get("primary").or(table.get("secondary")).is_none() {
        ctx.report::<()>(
            Problem::error(node.span.clone(), format!("{} has no link", table.title))
                .help("add primary = { port = \"PORT\", c_tag = 200 }, secondary, or both"),
        );
    }
    Some(PerLink { primary, secondary })
}

fn access(ctx: &Ctx, node: &Node<'_>) -> Option<Access> {
    let title = format!("`{}`", node.name);
    let table = Section::open(ctx, node, title, &schema::ACCESS)?;
    let port = table.need("port", "port = \"PORT\", towards the customer", |c, n| {
        reference(c, n, &c.names.ports, PortName::new)
    });
    let c_tag = table.read("c_tag", vlan);
    let s_tag = table.read("s_tag", vlan);
    let untagged = table.read("untagged", boolean);
    if !table.ok() {
        return None;
    }
    let tags = match (s_tag, c_tag, untagged) {
        (None, None, Some(true)) => TagStack::UNTAGGED,
        (None, Some(c), None | Some(false)) => TagStack::single(c.value()),
        (Some(s), Some(c), None | Some(false)) => TagStack::double(s.value(), c.value()),
        _ => {
            return ctx.report(
                Problem::error(node.span.clone(), "these are no tags of a hand-over")
                    .label("how are frames tagged on this port?")
                    .help("give `c_tag`, or `s_tag` and `c_tag`, or untagged = true"),
            );
        }
    };
    Some(Access { port: port?, tags })
}
