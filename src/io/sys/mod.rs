//! The system calls under the ports, as safe functions over `OwnedFd`.
//!
//! This is the only place under `io` with `unsafe`. Each file wraps one family of calls and
//! decides nothing: what an error means for a port is the port's business.

pub mod affinity;
pub mod bpf;
pub mod features;
pub mod interface;
pub mod netlink;
pub mod netns;
pub mod packet;
pub mod ring;
pub mod sockopt;
pub mod tsc;
pub mod tun;
pub mod tx_ring;
pub mod xsk;

use std::io;

/// The kernel's answer as a result: -1 stands for `errno`.
fn answer(returned: libc::c_int) -> io::Result<libc::c_int> {
    if returned < 0 { Err(io::Error::last_os_error()) } else { Ok(returned) }
}
