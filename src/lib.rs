//! thruway: an open ExpressRoute on one Linux host.
//!
//! ```text
//!  on-premises            provider edge                     Microsoft                     Azure
//!  ┌────────┐ access  ┌──────────────────┐  link primary  ┌────────┐
//!  │ router │─ports──>│ push S-tag,C-tag │═══════════════>│ edge 1 │  private VRF ──> gateway ──> VNet port ── VM
//!  │  (CE)  │         │ police, NAT44    │  link secondary├────────┤──<           └── FastPath ──────┘
//!  │        │<────────│ pop              │═══════════════>│ edge 2 │  Microsoft VRF ────────────> service port
//!  └────────┘         └──────────────────┘   QinQ frames  └────────┘
//! ```
//!
//! Modules in dependency order; each names only what stands above it.

// Level 0: values and bytes.
pub mod ids;
pub mod mem;
pub mod planted;
pub mod sync;
pub mod time;
pub mod wire;

// Level 1: structures, each pure and testable alone.
pub mod fib;
pub mod flow;
pub mod frame;
pub mod hostile;
pub mod nat;
pub mod neighbour;
pub mod police;

// Level 2: the product.
pub mod compile;
pub mod config;
pub mod model;
pub mod tables;

// Level 3: the data plane.
pub mod pipeline;
pub mod stage;
pub mod worker;

// Level 4: the outside.
pub mod bench;
pub mod cli;
pub mod control;
pub mod dissect;
pub mod io;
pub mod lab;
pub mod replay;
