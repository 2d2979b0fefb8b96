//! How do frames get from the driver to the sockets? The program at the interface, and the sockets
//! of its receive queues.
//!
//! The program has six instructions and is written here, as those of [`super::super::steer`] are:
//! each frame goes to the socket of the queue that it came in by, or to the kernel where a queue has
//! none. The kernel takes it away when its descriptor is closed, however the process ends.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use super::super::error::{Context, PortError};
use super::super::sys::bpf::{self, Extended, Hook, Kind};
use super::super::sys::interface::{Interfaces, Offload};
use super::super::sys::packet::{self, Protocol};
use super::super::sys::xsk::{LONGEST, Xsk};
use super::{XdpMode, XdpSpec};
use crate::wire::{eth, vlan};

/// What keeps frames coming; they stop when it is dropped.
#[derive(Debug)]
pub(super) struct Attached {
    _link: OwnedFd,
    /// A socket that asks for frames to every address.
    _promiscuous: OwnedFd,
    /// Where the program runs.
    pub(super) hook: Hook,
    /// What the user should know: why it is not native, and what is lost.
    pub(super) notes: Vec<String>,
}

/// Attaches the program, and opens a socket for each receive queue, by queue.
pub(super) fn attach(
    spec: &XdpSpec,
    interfaces: &Interfaces,
    index: u32,
    context: &Context<'_>,
) -> Result<(Attached, Vec<Xsk>), PortError> {
    let name = &spec.name;
    let mut notes = Vec::new();
    if let Err(error) = interfaces.keep_tags(name) {
        notes.push(format!(
            "the driver of `{name}` may take the outer tag out of frames, where this port does not \
             see it: {error}"
        ));
    }
    let queues = interfaces.receive_queues(name).map_err(context.to("count its queues"))?;
    let map = bpf::socket_map(queues).map_err(|error| refused(spec, error, context))?;
    let program = bpf::load(Kind::Xdp, &program(&map));
    let program = program.map_err(|error| refused(spec, error, context))?;
    let (link, hook) = hook(spec, &program, index, &mut notes, context)?;
    if hook == Hook::Generic {
        // Frames that the kernel has put together are too long.
        let _ = interfaces.set_offload(name, Offload::Gro, false);
    }
    note_long_frames(spec, interfaces, hook, &mut notes);
    let mut sockets = Vec::new();
    for queue in 0..queues {
        let open = |queue| -> io::Result<Xsk> {
            // Frames that cross a page of 4 KiB cannot be shared without a copy, and half of them do
            // where there are no huge pages; no driver was here to try it with.
            let mut xsk = Xsk::open(&spec.memory, index, queue, true)?;
            if spec.busy_poll {
                xsk.set_busy_poll(BUSY_MICROS, BUSY_BUDGET)?;
            }
            bpf::put_socket(&map, queue, &xsk)?;
            Ok(xsk)
        };
        sockets.push(open(queue).map_err(|error| not_opened(spec, queue, error, context))?);
    }
    let promiscuous = promiscuous(index).map_err(context.to("open a packet socket"))?;
    Ok((Attached { _link: link, _promiscuous: promiscuous, hook, notes }, sockets))
}

/// How long a call may wait for frames when it polls the queue, at the kernel's least.
const BUSY_MICROS: i32 = 20;
/// Frames of one such call.
const BUSY_BUDGET: i32 = 64;

/// Redirects each frame to the socket that stands in `map` under the frame's queue, and passes it
/// to the kernel when there is none.
fn program(map: &OwnedFd) -> [Extended; 6] {
    /// `struct xdp_md`, in bytes.
    const RX_QUEUE_INDEX: i16 = 16;
    const PASS: i32 = 2;
    const REDIRECT_MAP: i32 = 51;
    const MAP_BY_FD: u8 = 1;
    let plain = |code, dst: u8, src: u8, offset, immediate| Extended {
        code,
        registers: dst | src << 4,
        offset,
        immediate,
    };
    [
        // r2 = context.rx_queue_index
        plain(0x61, 2, 1, RX_QUEUE_INDEX, 0),
        // r1 = map, in two halves
        plain(0x18, 1, MAP_BY_FD, 0, map.as_raw_fd()),
        plain(0, 0, 0, 0, 0),
        // r3 = what to do without a socket
        plain(0xb7, 3, 0, 0, PASS),
        plain(0x85, 0, 0, 0, REDIRECT_MAP),
        plain(0x95, 0, 0, 0, 0),
    ]
}

/// Attaches the program in the driver or, where that is wished for or the driver cannot, behind it.
fn hook(
    spec: &XdpSpec,
    program: &OwnedFd,
    index: u32,
    notes: &mut Vec<String>,
    context: &Context<'_>,
) -> Result<(OwnedFd, Hook), PortError> {
    let name = &spec.name;
    if spec.mode != XdpMode::Generic {
        match bpf::attach(program, index, Hook::Native) {
            Ok(link) => return Ok((link, Hook::Native)),
            Err(error) if matches!(error.raw_os_error(), Some(libc::EBUSY | libc::EEXIST)) => {
                return Err(PortError::XdpOccupied { name: name.clone() });
            }
            Err(error) if matches!(error.raw_os_error(), Some(libc::EPERM | libc::ENODEV)) => {
                return Err(refused(spec, error, context));
            }
            Err(source) if spec.mode == XdpMode::Native => {
                return Err(PortError::NoNativeXdp { name: name.clone(), source });
            }
            Err(error) => notes.push(format!(
                "the driver of `{name}` takes no XDP program ({error}): it runs in generic mode, \
                 which is slower"
            )),
        }
    }
    match bpf::attach(program, index, Hook::Generic) {
        Ok(link) => Ok((link, Hook::Generic)),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EBUSY | libc::EEXIST)) => {
            Err(PortError::XdpOccupied { name: name.clone() })
        }
        Err(error) => Err(refused(spec, error, context)),
    }
}

/// Frames that may come and do not fit.
fn note_long_frames(spec: &XdpSpec, interfaces: &Interfaces, hook: Hook, notes: &mut Vec<String>) {
    let name = &spec.name;
    let most = LONGEST - eth::HEADER - vlan::TAG;
    if interfaces.mtu(name).is_ok_and(|mtu| mtu as usize > most) {
        notes.push(format!(
            "`{name}` may bring frames for an MTU above {most}, which an xdp port drops; \
             `packet = \"{name}\"` takes up to 1,954"
        ));
    }
    if hook == Hook::Generic {
        notes.push(format!(
            "super-frames that reach `{name}` are dropped: if it is one end of a veth pair, turn \
             them off at the other with `ethtool -K PEER tso off gso off`"
        ));
    }
}

/// A socket that receives nothing and lets the interface receive frames to every address.
fn promiscuous(index: u32) -> io::Result<OwnedFd> {
    let socket = packet::open()?;
    packet::bind(&socket, index, Protocol::None)?;
    packet::set_promiscuous(&socket, index)?;
    Ok(socket)
}

/// The kernel's answer about programs and maps.
fn refused(spec: &XdpSpec, error: io::Error, context: &Context<'_>) -> PortError {
    let name = spec.name.clone();
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => PortError::XdpNotPermitted { name },
        Some(libc::ENOSYS) => PortError::NoXdp { name },
        Some(libc::ENOMEM) => PortError::XdpMemory { name, source: error },
        _ => context.failed("attach an XDP program", error),
    }
}

/// The kernel's answer about a queue's socket.
fn not_opened(spec: &XdpSpec, queue: u32, error: io::Error, context: &Context<'_>) -> PortError {
    let name = spec.name.clone();
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => PortError::XdpNotPermitted { name },
        Some(libc::EAFNOSUPPORT | libc::EPROTONOSUPPORT) => PortError::NoXdp { name },
        Some(libc::EBUSY) => PortError::XdpQueueTaken { name, queue },
        Some(libc::ENOBUFS | libc::ENOMEM) => PortError::XdpMemory { name, source: error },
        _ => context.failed("open an XDP socket", error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verifier_takes_the_program() {
        match bpf::socket_map(1) {
            Ok(map) => drop(bpf::load(Kind::Xdp, &program(&map)).unwrap()),
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
                eprintln!("skipped: loading eBPF is not permitted here");
            }
            Err(error) => panic!("{error}"),
        }
    }
}
