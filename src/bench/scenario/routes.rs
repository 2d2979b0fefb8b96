//! Which prefixes are in the table, and which addresses in them are sent to?
//!
//! Either the routes are VMs, each a /32 of FastPath below the VNet's prefix, as the service has
//! them; or they are prefixes, from a file or with the Internet's mix of lengths. In this process
//! these lead to the VMs and, on the way back, to on-premises; a process of its own has them as
//! routes of on-premises. What overlaps the scenario's own addresses is left out.

use std::sync::Arc;

use super::places;
use crate::fib::prefix::Prefix as _;
use crate::fib::synth::{self, Numbers};
use crate::fib::{Prefix4, Trie};
use crate::ids::NextHopId;

/// Most VMs with FastPath on a circuit of a provider.
const MOST_HOSTS: u32 = 25_000;
const _: () = assert!(MOST_HOSTS as usize == crate::model::limits::FASTPATH_PROVIDER);
/// VMs that prefixes lead to.
const VMS: u32 = 10_000;
/// Most prefixes that are generated.
const MOST_PREFIXES: u32 = 1_900_000;

/// Prefixes that the scenario itself uses, and those that no packet may be for: address and bits.
const KEPT: [([u8; 4], u8); 9] = [
    ([198, 18, 0, 0], 15),
    ([172, 16, 0, 0], 12),
    ([203, 0, 113, 0], 24),
    ([10, 0, 0, 0], 8),
    ([0, 0, 0, 0], 8),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([168, 63, 129, 16], 32),
    ([224, 0, 0, 0], 3),
];

/// The routes of a scenario.
#[derive(Clone, Debug)]
pub struct Routes {
    /// Prefixes beside the VMs' own; empty where the VMs are the routes.
    prefixes: Arc<[Prefix4]>,
    vms: u32,
    from: String,
}

/// Why there are no such routes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RoutesError {
    /// A line that is no prefix.
    #[error("line {line}: {text:?} is no IPv4 prefix, such as 192.0.2.0/24")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What stands there.
        text: String,
    },
    /// No line is left.
    #[error(
        "no prefix is left: lines are prefixes such as 192.0.2.0/24, outside the addresses of the scenario itself (198.18.0.0/15, 172.16.0.0/12, 203.0.113.0/24, 10.0.0.0/8)"
    )]
    Empty,
}

impl Routes {
    /// So many VMs, each with its own /32; more than a circuit's FastPath holds become prefixes
    /// with the Internet's mix of lengths.
    pub fn sized(seed: u64, len: u32) -> Self {
        if len <= MOST_HOSTS { Self::hosts(len) } else { Self::internet(seed, len) }
    }

    /// VMs: 1 to 25,000, else the nearest of these.
    pub fn hosts(len: u32) -> Self {
        let vms = len.clamp(1, MOST_HOSTS);
        Self { prefixes: Arc::new([]), vms, from: String::new() }
    }

    /// Prefixes with the Internet's mix of lengths: 1 to 1.9 million, else the nearest of these.
    pub fn internet(seed: u64, len: u32) -> Self {
        let len = len.clamp(1, MOST_PREFIXES) as usize;
        // A few more, for those that are left out.
        let routes = synth::internet(seed, len + len / 50 + 16, 1);
        let free = routes.into_iter().map(|(prefix, _)| prefix).filter(|prefix| is_free(*prefix));
        let prefixes: Arc<[Prefix4]> = free.take(len).collect();
        let from = format!("with the Internet's mix of lengths, seed {seed}");
        Self { prefixes, vms: VMS, from }
    }

    /// Prefixes of a text, one a line; what follows a `#` is a comment.
    ///
    /// # Errors
    /// Names the first line that is no prefix.
    pub fn read(name: &str, text: &str) -> Result<Self, RoutesError> {
        let mut all = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.split('#').next().unwrap_or_default().trim();
            if text.is_empty() {
                continue;
            }
            let bad = || RoutesError::Line { line, text: text.to_owned() };
            let net: ipnet::Ipv4Net = text.parse().map_err(|_| bad())?;
            all.push(Prefix4::from(net.trunc()));
        }
        let before = all.len();
        all.sort_unstable();
        all.dedup();
        all.retain(|prefix| is_free(*prefix));
        if all.is_empty() {
            return Err(RoutesError::Empty);
        }
        let left_out = before - all.len();
        let from = match left_out {
            0 => format!("from {name}"),
            _ => format!("from {name}, {left_out} lines left out (doubled, or the scenario's own)"),
        };
        Ok(Self { prefixes: all.into(), vms: VMS, from })
    }

    /// How many routes there are.
    pub fn len(&self) -> usize {
        if self.prefixes.is_empty() { self.vms as usize } else { self.prefixes.len() }
    }

    /// Never: there is at least a VM.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Prefixes beside the VMs' own.
    pub fn prefixes(&self) -> &[Prefix4] {
        &self.prefixes
    }

    /// How many VMs there are.
    pub fn vms(&self) -> u32 {
        self.vms
    }

    pub(super) fn note(&self) -> Option<String> {
        let Self { prefixes, vms, from } = self;
        (!prefixes.is_empty()).then(|| {
            format!(
                "{} routes {from}: in this process they lead to {vms} VMs and back to on-premises; \
                 another one has them from its file, as routes of on-premises.",
                prefixes.len(),
            )
        })
    }
}

fn is_free(prefix: Prefix4) -> bool {
    KEPT.iter().all(|(addr, len)| {
        let kept = Prefix4::around(u32::from_be_bytes(*addr), *len);
        !kept.covers(prefix) && !prefix.covers(kept)
    })
}

/// Addresses that frames are sent to, in random order.
#[derive(Clone, Debug)]
pub(super) struct Destinations {
    /// One for each route.
    pub(super) azure: Arc<[u32]>,
    /// One for each route towards on-premises; none where that is the hosts' prefix.
    pub(super) onprem: Option<Arc<[u32]>>,
}

impl Destinations {
    pub(super) fn draw(routes: &Routes, seed: u64) -> Self {
        let mut numbers = Numbers::new(seed);
        let mut list: Vec<u32> = if routes.prefixes.is_empty() {
            (0..routes.vms).map(|vm| places::FIRST_VM + vm).collect()
        } else {
            let inside = |prefix: &Prefix4| {
                prefix.addr() | numbers.next_u32() & (prefix.last_addr() - prefix.addr())
            };
            routes.prefixes.iter().map(inside).collect()
        };
        for i in (1..list.len()).rev() {
            let other = numbers.below(u32::try_from(i + 1).expect("two million at most"));
            list.swap(i, other as usize);
        }
        let azure: Arc<[u32]> = list.into();
        let onprem = (!routes.prefixes.is_empty()).then(|| Arc::clone(&azure));
        Self { azure, onprem }
    }
}

/// Which VM each prefix leads to: any, by the seed.
pub(super) fn spread(routes: &Routes, seed: u64, hops: &[NextHopId]) -> Trie<Prefix4, NextHopId> {
    let mut numbers = Numbers::new(seed ^ 0x7665_6e75);
    let count = u32::try_from(hops.len()).expect("as many as VMs");
    let hop = |prefix: &Prefix4| (*prefix, hops[numbers.below(count) as usize]);
    routes.prefixes.iter().map(hop).collect()
}
