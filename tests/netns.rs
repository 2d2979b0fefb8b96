//! Does real traffic of real programs cross a running `thruway`? ping, iperf3, curl, tcpdump and
//! traceroute in network namespaces that each test makes for itself, on TAPs and on packet ports,
//! with one worker and two, in one process and in two.
//!
//! After every scenario the accounting sums balance, and the kernels of all ends have seen no
//! broken checksum and no reordering. One scenario runs at a time: they measure.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

#[path = "netns/bench.rs"]
mod bench;
#[path = "netns/bench_measure.rs"]
mod bench_measure;
#[path = "netns/cabled.rs"]
mod cabled;
#[path = "netns/config.rs"]
mod config;
#[path = "netns/crossing.rs"]
mod crossing;
#[path = "netns/fixture.rs"]
mod fixture;
#[path = "netns/hostile.rs"]
mod hostile;
#[path = "netns/life.rs"]
mod life;
#[path = "netns/limits.rs"]
mod limits;
#[path = "netns/measure.rs"]
mod measure;
#[path = "netns/paths.rs"]
mod paths;
#[path = "netns/programs.rs"]
mod programs;
#[path = "netns/questions.rs"]
mod questions;
#[path = "netns/soak.rs"]
mod soak;
