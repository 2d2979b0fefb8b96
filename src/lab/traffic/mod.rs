//! Traffic between namespaces, measured: what was sent, what came, what came wrong.
//!
//! Every function makes its sockets inside the namespaces it is given, so no packet leaves them;
//! every report is a plain value that serialises. Rates are in bit/s, times in the unit of the
//! field's name.

pub mod arp;
pub mod capture;
pub mod counters;
pub mod echo;
mod icmp;
pub mod latency;
mod pace;
mod pattern;
pub mod ping;
mod sequence;
pub mod tcp;
mod tcp_ends;
pub mod traceroute;
pub mod udp;

pub use arp::{ArpServer, Station};
pub use capture::{Capture, CaptureLimits, CapturedFrame, FrameSocket};
pub use counters::{KernelCounters, kernel_counters};
pub use echo::{EchoReply, EchoServer, tcp_request, udp_probe};
pub use latency::Latency;
pub use ping::{IcmpError, PingOptions, PingReport, ping, start_ping};
pub use tcp::{Amount, TcpOptions, TcpReport, Transfer, Way, start_tcp, tcp_transfer};
pub use traceroute::traceroute;
pub use udp::{UdpOptions, UdpReport, start_udp, udp_paced};
