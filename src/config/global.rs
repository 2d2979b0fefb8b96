//! The tables for the whole process: service, workers, api, icmp.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::problem::Problem;
use super::read::{Ctx, Node, Section};
use super::schema;
use super::value::{boolean, choice, integer, list, text};
use crate::ids::SHARDS;
use crate::model::{Api, Edition, Icmp, Service, Workers};

/// The longest path of a Unix socket, in bytes (`sun_path` less the final zero).
const MAX_SOCKET: usize = 107;
/// The highest number of a core.
const MAX_CORE: u16 = 8191;

pub(super) fn service(ctx: &Ctx, node: &Node<'_>) -> Option<Service> {
    let table = Section::open(ctx, node, "service", &schema::SERVICE)?;
    let editions = [("today", Edition::Today), ("seed", Edition::Seed)];
    Some(Service {
        edition: table.read("edition", |c, n| choice(c, n, &editions)).unwrap_or_default(),
        limits: table
            .read("limits", |c, n| choice(c, n, &[("enforce", true), ("off", false)]))
            .unwrap_or(true),
    })
}

pub(super) fn workers(ctx: &Ctx, node: &Node<'_>) -> Option<Workers> {
    // A worker owns at least one shard.
    let most = u8::try_from(SHARDS).unwrap_or(u8::MAX);
    let table = Section::open(ctx, node, "workers", &schema::WORKERS)?;
    let count = table.read("count", |c, n| integer(c, n, 1..=most));
    let pin = table
        .read("pin", |c, n| list(c, n, |c, n| integer(c, n, 0..=MAX_CORE)))
        .unwrap_or_default();
    let poll = table.read("poll", boolean).unwrap_or(false);
    if pin.iter().collect::<BTreeSet<_>>().len() != pin.len() {
        table.error("pin", "a core is pinned twice", "give each worker a core of its own");
    }
    let wanted = count.map(usize::from);
    if !pin.is_empty() && (pin.len() > SHARDS || wanted.is_some_and(|count| count != pin.len())) {
        let message = format!("{} cores for {} workers", pin.len(), wanted.unwrap_or(SHARDS));
        table.error("pin", message, "list one core for each worker, or leave `count` out");
    }
    let count = count.or_else(|| u8::try_from(pin.len()).ok().filter(|&cores| cores > 0));
    Some(Workers { count, pin, poll })
}

pub(super) fn api(ctx: &Ctx, node: &Node<'_>) -> Option<Api> {
    let table = Section::open(ctx, node, "api", &schema::API)?;
    let socket = table.read("socket", |ctx, node| {
        let path = text(ctx, node)?;
        if path.len() > MAX_SOCKET || path.contains('\0') {
            return ctx.report(
                Problem::error(node.span.clone(), "the socket's path is too long")
                    .help(format!("a Unix socket's path has at most {MAX_SOCKET} bytes")),
            );
        }
        Some(PathBuf::from(path))
    });
    Some(Api { socket })
}

pub(super) fn icmp(ctx: &Ctx, node: &Node<'_>) -> Option<Icmp> {
    let table = Section::open(ctx, node, "icmp", &schema::ICMP)?;
    let default = Icmp::default();
    Some(Icmp {
        rate: table.read("rate", |c, n| integer(c, n, 0..=1_000_000)).unwrap_or(default.rate),
        burst: table.read("burst", |c, n| integer(c, n, 1..=1_000_000)).unwrap_or(default.burst),
    })
}
