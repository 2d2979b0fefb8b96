//! Which machine was it, and what can it do when nothing is measured?

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Quantity, trial::Verdict};

/// The machine and the program, as far as they bear on speed. What cannot be read is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Environment {
    /// The processor's name.
    pub cpu: String,
    /// Cores that this process may use.
    pub cores: u32,
    /// Ticks of the time stamp counter in a second, measured against the monotonic clock.
    pub tsc_hz: u64,
    /// The kernel's release.
    pub kernel: String,
    /// The hypervisor's name, or none.
    pub virtualization: Option<String>,
    /// The frequency governor, where there is one.
    pub governor: Option<String>,
    /// The kernel's clock source.
    pub clock_source: Option<String>,
    /// The kernel's transparent huge page mode.
    pub huge_pages: Option<String>,
    /// Memory in bytes.
    pub memory: u64,
    /// Everything else by name: mitigations, build profile, and versions of peers.
    pub more: BTreeMap<String, String>,
}

/// How long the machine kept a thread from running that wanted to: the floor of every latency.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Hiccup {
    /// How long the probe spun.
    pub duration: Quantity,
    /// How long a moment chosen at random waits for the next clock read: half of them less.
    pub p50: Quantity,
    /// The 99.9th percentile of that wait.
    pub p999: Quantity,
    /// The longest gap between two reads.
    pub max: Quantity,
    /// Gaps over 100 microseconds, in each second.
    pub long_gaps_per_second: f64,
}

/// Generator, medium and sink with a wire in the forwarder's place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Calibration {
    /// Most frames a second that the generator sent.
    pub sent: Quantity,
    /// Most frames a second that the sink took.
    pub received: Quantity,
    /// Frames a second through a forwarder that does nothing, where there is one for the medium.
    pub null_forwarder: Option<Quantity>,
    /// How that went.
    pub verdict: Verdict,
}
