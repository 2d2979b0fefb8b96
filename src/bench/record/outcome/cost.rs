//! What does a packet cost, and what do several workers carry?

use serde::{Deserialize, Serialize};

use super::super::Quantity;
use super::super::trial::Verdict;

/// What a packet costs, with generator and sink left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Cost {
    /// Few frames that stay in the cache.
    pub hot: CostSpread,
    /// Many frames that do not.
    pub cold: Option<CostSpread>,
    /// Several workers beside each other, where that was asked for; `hot` is then one of them alone.
    #[serde(default)]
    pub abreast: Option<Abreast>,
    /// How it went.
    pub verdict: Verdict,
}

/// What several workers carry beside one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Abreast {
    /// How many.
    pub workers: u32,
    /// What they carry together, the median of the runs.
    pub rate: Quantity,
    /// That over what one of them carries alone, the median of the runs.
    pub ratio: f64,
    /// Each run's ratio, in order.
    pub ratios: Vec<f64>,
}

/// A cost over several runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CostSpread {
    /// Median ticks a packet.
    pub ticks: Quantity,
    /// Each run's ticks a packet, in order.
    pub runs: Vec<f64>,
    /// Packets a second at the median.
    pub rate: Quantity,
}
