//! Each stage on its own, over 64 packets.

use thruway::frame::{BATCH, Batch, Bits};
use thruway::stage::group::Groups;
use thruway::stage::{Context, classify, gateway, lookup, nsg, rewrite, steer, validate};

use super::Scenario;
use super::bench::with_room;
use super::rig::{Before, Frames, Rig, Stage, Staged};
use super::traffic::{self, IMIX, SMALL};

type Make = fn(&[usize]) -> Vec<Vec<u8>>;

fn stage(
    name: &str,
    (port, frames, sizes): (&'static str, Make, &'static [usize]),
    before: Before,
    stage: Stage,
) -> Scenario {
    Scenario::new(name, BATCH, move || {
        Staged::new(Rig::new(&with_room(), port), Frames::Same(frames(sizes)), before, stage)
    })
}

/// Bytes to fields, fields to bytes.
pub(super) fn wire() -> Vec<Scenario> {
    let hub = |sizes| ("msee-pri", traffic::to_hub as Make, sizes);
    let push = ("ce-1", traffic::cross_push as Make, SMALL);
    let pop = ("pe-pri", traffic::cross_pop as Make, SMALL);
    vec![
        stage("wire/validate/qinq-tcp/64B", hub(SMALL), received, valid),
        stage("wire/validate/qinq-tcp/imix", hub(IMIX), received, valid),
        stage("wire/push/qinq-tcp/64B", push, crossing, retag),
        stage("wire/pop/qinq-tcp/64B", pop, crossing, retag),
    ]
}

/// What a routed packet goes through.
pub(super) fn all() -> Vec<Scenario> {
    let hub = ("msee-pri", traffic::to_hub as Make, SMALL);
    let spoke = ("msee-pri", traffic::to_spoke as Make, SMALL);
    vec![
        stage("stage/classify/qinq-tcp/64B", hub, tagged, |cx, batch, _| {
            classify::run(cx, batch).ip
        }),
        stage("stage/steer/ipv4-tcp/64B", hub, classified, routed),
        stage("stage/lookup/ipv4-tcp/64B", hub, admitted, |cx, batch, set| {
            lookup::run(cx, batch, set).adjacency
        }),
        stage("stage/gateway/ipv4-tcp/64B", spoke, to_gateway, gateway::run),
        stage("stage/nsg/ipv4-tcp/64B", hub, to_adjacency, nsg::inbound),
        stage("stage/rewrite/qinq-tcp/64B", hub, to_adjacency, |cx, batch, set| {
            rewrite::routed(cx, batch, set, 0);
            set & !batch.live()
        }),
    ]
}

fn received(_: &mut Context<'_>, batch: &mut Batch) -> u64 {
    batch.live()
}

fn valid(cx: &mut Context<'_>, batch: &mut Batch, _: u64) -> u64 {
    validate::frame(cx, batch);
    validate::ip4(batch, batch.live())
}

fn tagged(cx: &mut Context<'_>, batch: &mut Batch) -> u64 {
    validate::frame(cx, batch);
    batch.live()
}

fn classified(cx: &mut Context<'_>, batch: &mut Batch) -> u64 {
    validate::frame(cx, batch);
    let sorted = classify::run(cx, batch);
    validate::ip4(batch, sorted.ip)
}

fn crossing(cx: &mut Context<'_>, batch: &mut Batch) -> u64 {
    validate::frame(cx, batch);
    classify::run(cx, batch).cross
}

fn retag(cx: &mut Context<'_>, batch: &mut Batch, set: u64) -> u64 {
    rewrite::crossed(cx, batch, &Groups::of(batch, set), set);
    set & !batch.live()
}

fn routed(cx: &mut Context<'_>, batch: &mut Batch, set: u64) -> u64 {
    steer::routed(cx, batch, &Groups::of(batch, set), set)
}

fn admitted(cx: &mut Context<'_>, batch: &mut Batch) -> u64 {
    let set = classified(cx, batch);
    routed(cx, batch, set)
}

fn to_gateway(cx: &mut Context<'_>, batch: &mut Batch) -> u64 {
    let set = admitted(cx, batch);
    lookup::run(cx, batch, set).gateway
}

fn to_adjacency(cx: &mut Context<'_>, batch: &mut Batch) -> u64 {
    let set = admitted(cx, batch);
    lookup::run(cx, batch, set).adjacency
}

/// IPv4 at the provider edge, where NAT begins.
pub(super) fn to_nat(cx: &mut Context<'_>, batch: &mut Batch) -> u64 {
    validate::frame(cx, batch);
    let sorted = classify::run(cx, batch);
    for i in Bits(sorted.nat) {
        let (frame, row) = batch.both(i);
        validate::header(frame, row).expect("IPv4");
    }
    steer::run(cx, batch, sorted.nat)
}
