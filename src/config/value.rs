//! Single values: each reader reports what it cannot take and says what it would.

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use toml::de::DeValue;

use super::problem::Problem;
use super::read::{Ctx, Node, suggest};
use crate::model::{BadName, VlanId};
use crate::wire::eth::MacAddr;

/// A string that is not empty.
pub(super) fn text<'a>(ctx: &Ctx, node: &Node<'a>) -> Option<&'a str> {
    match node.value.as_str() {
        Some("") => ctx.report(
            Problem::error(node.span.clone(), format!("`{}` is empty", node.name))
                .help("give it a value, or leave the key out"),
        ),
        Some(text) => Some(text),
        None => node.wrong_type(ctx, "a string"),
    }
}

/// A string of its own.
pub(super) fn string(ctx: &Ctx, node: &Node<'_>) -> Option<String> {
    text(ctx, node).map(str::to_owned)
}

/// True or false.
pub(super) fn boolean(ctx: &Ctx, node: &Node<'_>) -> Option<bool> {
    match node.value.as_bool() {
        Some(value) => Some(value),
        None => node.wrong_type(ctx, "true or false"),
    }
}

/// An integer in a range.
pub(super) fn integer<T>(ctx: &Ctx, node: &Node<'_>, range: RangeInclusive<T>) -> Option<T>
where
    T: TryFrom<i64> + PartialOrd + Copy + std::fmt::Display,
{
    let DeValue::Integer(digits) = node.value else {
        return node.wrong_type(ctx, "an integer");
    };
    let number = i64::from_str_radix(digits.as_str(), digits.radix()).ok();
    let value = number.and_then(|number| T::try_from(number).ok());
    value.filter(|value| range.contains(value)).or_else(|| {
        let message = format!("`{}` is {}", node.name, digits.as_str());
        let accepted = format!("{} to {}", range.start(), range.end());
        ctx.report(
            Problem::error(node.span.clone(), message)
                .label("out of range")
                .help(format!("`{}` is {accepted}", node.name)),
        )
    })
}

/// A VLAN identifier.
pub(super) fn vlan(ctx: &Ctx, node: &Node<'_>) -> Option<VlanId> {
    integer(ctx, node, 1..=4094).and_then(VlanId::new)
}

/// Something that is written as a string; `accepted` says how.
pub(super) fn parsed<T: FromStr>(ctx: &Ctx, node: &Node<'_>, accepted: &str) -> Option<T> {
    let text = text(ctx, node)?;
    text.parse().ok().or_else(|| {
        let message = format!("`{}` = \"{text}\" is not {accepted}", node.name);
        ctx.report(Problem::error(node.span.clone(), message).label(format!("expected {accepted}")))
    })
}

/// An IPv4 address.
pub(super) fn address(ctx: &Ctx, node: &Node<'_>) -> Option<Ipv4Addr> {
    parsed(ctx, node, "an IPv4 address such as 10.10.1.4")
}

/// A MAC address of one interface.
pub(super) fn mac(ctx: &Ctx, node: &Node<'_>) -> Option<MacAddr> {
    let mac: MacAddr = parsed(ctx, node, "a MAC address such as 02:00:00:00:00:01")?;
    if mac.is_group() || mac == MacAddr::ZERO {
        let message = format!("{mac} is no interface's address");
        return ctx.report(
            Problem::error(node.span.clone(), message)
                .help("the lowest bit of the first byte is 0, as in 02:00:00:00:00:01"),
        );
    }
    Some(mac)
}

/// An IPv4 or IPv6 prefix without host bits.
pub(super) fn prefix(ctx: &Ctx, node: &Node<'_>) -> Option<IpNet> {
    let text = text(ctx, node)?;
    let Ok(net) = text.parse::<IpNet>() else {
        let message = format!("`{}` = \"{text}\" is not a prefix", node.name);
        return ctx.report(
            Problem::error(node.span.clone(), message)
                .label("expected address/length")
                .help("a prefix is written as 10.10.0.0/16; one address as 10.10.1.4/32"),
        );
    };
    if net.trunc() != net {
        let message = format!("{net} has bits beyond its length");
        return ctx.report(
            Problem::error(node.span.clone(), message)
                .label("host bits are set")
                .help(format!("the prefix that holds it is {}", net.trunc())),
        );
    }
    Some(net)
}

/// An IPv4 prefix without host bits.
pub(super) fn prefix4(ctx: &Ctx, node: &Node<'_>) -> Option<Ipv4Net> {
    match prefix(ctx, node)? {
        IpNet::V4(net) => Some(net),
        IpNet::V6(net) => ctx.report(
            Problem::error(node.span.clone(), format!("`{}` is IPv6: {net}", node.name))
                .label("expected an IPv4 prefix")
                .help("this build forwards IPv4; write an IPv4 prefix such as 10.10.0.0/16"),
        ),
    }
}

/// An IPv6 prefix without host bits.
pub(super) fn prefix6(ctx: &Ctx, node: &Node<'_>) -> Option<Ipv6Net> {
    match prefix(ctx, node)? {
        IpNet::V6(net) => Some(net),
        IpNet::V4(net) => ctx.report(
            Problem::error(node.span.clone(), format!("`{}` is IPv4: {net}", node.name))
                .label("expected an IPv6 prefix"),
        ),
    }
}

/// One of a few words.
pub(super) fn choice<T: Copy>(ctx: &Ctx, node: &Node<'_>, words: &[(&str, T)]) -> Option<T> {
    let text = text(ctx, node)?;
    match words.iter().find(|(word, _)| *word == text) {
        Some(&(_, value)) => Some(value),
        None => ctx.report(
            Problem::error(node.span.clone(), format!("`{}` = \"{text}\" is unknown", node.name))
                .label("unknown value")
                .help(suggest(text, words.iter().map(|&(word, _)| word), "values")),
        ),
    }
}

/// An array, each value read by `read`; `None` when one of them cannot be.
pub(super) fn list<'a, T>(
    ctx: &Ctx,
    node: &Node<'a>,
    mut read: impl FnMut(&Ctx, &Node<'a>) -> Option<T>,
) -> Option<Vec<T>> {
    if !node.value.is_array() {
        return node.wrong_type(ctx, "an array");
    }
    let all: Vec<Option<T>> = node.items().iter().map(|item| read(ctx, item)).collect();
    all.into_iter().collect()
}

/// An array that is not empty.
pub(super) fn some<'a, T>(
    ctx: &Ctx,
    node: &Node<'a>,
    read: impl FnMut(&Ctx, &Node<'a>) -> Option<T>,
) -> Option<Vec<T>> {
    let values = list(ctx, node, read)?;
    if values.is_empty() {
        return ctx.report(
            Problem::error(node.span.clone(), format!("`{}` is empty", node.name))
                .label("expected at least one value"),
        );
    }
    Some(values)
}

/// A name; `make` is its type's constructor.
pub(super) fn name<T>(
    ctx: &Ctx,
    node: &Node<'_>,
    text: &str,
    make: impl FnOnce(&str) -> Result<T, BadName>,
) -> Option<T> {
    make(text).map_err(|bad| bad_name(ctx, node, text, bad)).ok()
}

fn bad_name(ctx: &Ctx, node: &Node<'_>, text: &str, bad: BadName) {
    ctx.report::<()>(
        Problem::error(node.span.clone(), format!("{text:?} is no name: {bad}"))
            .label("not a name")
            .help(
                "a name has 1 to 80 letters, digits, -, _ and ., and begins with a letter or digit",
            ),
    );
}
