//! XDP sockets (Documentation/networking/af_xdp.rst): frames that the kernel and this process pass
//! to each other by number.
//!
//! [`Xsk`] is one socket with its four rings and the frames that are lent to the kernel through
//! them; the files below make them. The memory of a family of pools is registered whole, in
//! unaligned mode, so that a frame that one socket received can be sent by another.
#![allow(unsafe_code)]

mod lent;
mod ring;
mod slab;

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::{answer, sockopt};
use crate::frame::{FRAME_SIZE, Memory};

pub use lent::{HEADROOM, Kick, LONGEST, Received, Xsk};
pub use slab::Socket;

/// `struct xdp_umem_reg`.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct Registration {
    address: u64,
    size: u64,
    chunk_size: u32,
    headroom: u32,
    flags: u32,
    metadata_size: u32,
}

/// `struct xdp_ring_offset`: where the parts of a ring stand in its mapping.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes)]
#[repr(C)]
struct Offsets {
    producer: u64,
    consumer: u64,
    entries: u64,
    flags: u64,
}

/// `struct xdp_mmap_offsets`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes)]
#[repr(C)]
struct AllOffsets {
    receive: Offsets,
    send: Offsets,
    fill: Offsets,
    completion: Offsets,
}

/// `struct xdp_statistics`: since the socket was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes)]
#[repr(C)]
pub struct Statistics {
    /// Frames that found no free frame in the fill ring, or were too long.
    pub dropped: u64,
    /// Addresses in the fill ring that name no frame.
    pub bad_fill: u64,
    /// Descriptors in the send ring that name no frame.
    pub bad_send: u64,
    /// Frames that found the receive ring full.
    pub ring_full: u64,
    /// How often the fill ring was found empty; in copy mode each is in `dropped` as well.
    pub fill_empty: u64,
    /// How often the send ring was found empty.
    pub send_empty: u64,
}

/// Which ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Fill,
    Completion,
    Receive,
    Send,
}

impl Which {
    /// The option that makes it, and the offset at which it is mapped.
    fn numbers(self) -> (i32, u64) {
        let offset = |page: libc::off_t| page.cast_unsigned();
        match self {
            Which::Fill => (libc::XDP_UMEM_FILL_RING, libc::XDP_UMEM_PGOFF_FILL_RING),
            Which::Completion => {
                (libc::XDP_UMEM_COMPLETION_RING, libc::XDP_UMEM_PGOFF_COMPLETION_RING)
            }
            Which::Receive => (libc::XDP_RX_RING, offset(libc::XDP_PGOFF_RX_RING)),
            Which::Send => (libc::XDP_TX_RING, offset(libc::XDP_PGOFF_TX_RING)),
        }
    }
}

/// Most frames that one call sends in copy mode; since Linux 6.17.
const XDP_MAX_TX_SKB_BUDGET: i32 = 9;

/// `EPERM` without CAP_NET_RAW, `EAFNOSUPPORT` on a kernel without XDP sockets.
fn open() -> io::Result<OwnedFd> {
    // SAFETY: socket(2) takes numbers.
    let fd = unsafe { libc::socket(libc::AF_XDP, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
    let fd = answer(fd)?;
    // SAFETY: the kernel just returned this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Registers the whole memory; `ENOBUFS` or `ENOMEM` beyond the limit of locked memory.
///
/// The kernel writes only into frames whose addresses stand in the fill ring.
fn register(fd: impl AsFd, memory: &Memory, headroom: u32) -> io::Result<()> {
    let (base, size) = memory.extent();
    let registration = Registration {
        address: base.addr().get() as u64,
        size: size as u64,
        chunk_size: u32::try_from(FRAME_SIZE).expect("a frame is small"),
        headroom,
        flags: libc::XDP_UMEM_UNALIGNED_CHUNK_FLAG,
        metadata_size: 0,
    };
    sockopt::set(fd, libc::SOL_XDP, libc::XDP_UMEM_REG, &registration)
}

/// Binds the socket to a queue of an interface, with zero-copy where the driver can and `copy` does
/// not forbid it. `EBUSY` when another socket has the queue.
fn bind(fd: impl AsFd, index: u32, queue: u32, copy: bool) -> io::Result<()> {
    let copy = if copy { libc::XDP_COPY } else { 0 };
    let address = libc::sockaddr_xdp {
        sxdp_family: u16::try_from(libc::AF_XDP).expect("address families are small"),
        sxdp_flags: libc::XDP_USE_NEED_WAKEUP | copy,
        sxdp_ifindex: index,
        sxdp_queue_id: queue,
        sxdp_shared_umem_fd: 0,
    };
    let size = libc::socklen_t::try_from(size_of_val(&address)).expect("an address is small");
    // SAFETY: `address` is a `sockaddr_xdp` of `size` bytes.
    let returned = unsafe { libc::bind(fd.as_fd().as_raw_fd(), (&raw const address).cast(), size) };
    answer(returned).map(drop)
}

/// Reads the statistics.
///
/// # Errors
/// As getsockopt(2).
pub fn statistics(fd: impl AsFd) -> io::Result<Statistics> {
    sockopt::value(fd, libc::SOL_XDP, libc::XDP_STATISTICS)
}

/// Whether driver and process share the frames without a copy.
fn is_zero_copy(fd: impl AsFd) -> io::Result<bool> {
    let flags: u32 = sockopt::value(fd, libc::SOL_XDP, libc::XDP_OPTIONS)?;
    Ok(flags & libc::XDP_OPTIONS_ZEROCOPY != 0)
}

/// Lets one call send so many frames in copy mode instead of 32; older kernels refuse.
fn set_send_budget(fd: impl AsFd, frames: u32) -> io::Result<()> {
    sockopt::set(fd, libc::SOL_XDP, XDP_MAX_TX_SKB_BUDGET, &frames)
}

/// Lets calls on the socket drive the interface's receive queue, `budget` frames at a time, instead
/// of an interrupt.
fn set_busy_poll(fd: impl AsFd, micros: i32, budget: i32) -> io::Result<()> {
    let fd = fd.as_fd();
    sockopt::set(fd, libc::SOL_SOCKET, libc::SO_PREFER_BUSY_POLL, &1i32)?;
    sockopt::set(fd, libc::SOL_SOCKET, libc::SO_BUSY_POLL, &micros)?;
    sockopt::set(fd, libc::SOL_SOCKET, libc::SO_BUSY_POLL_BUDGET, &budget)
}

/// Lets the kernel send what stands in the send ring.
fn kick_send(fd: impl AsFd) -> io::Result<()> {
    // SAFETY: no buffer is given: the kernel takes frames from the ring.
    let sent =
        unsafe { libc::send(fd.as_fd().as_raw_fd(), std::ptr::null(), 0, libc::MSG_DONTWAIT) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Lets the kernel receive into the frames of the fill ring.
fn kick_receive(fd: impl AsFd) -> io::Result<()> {
    let fd = fd.as_fd().as_raw_fd();
    // SAFETY: no buffer is given: the kernel fills frames of the ring.
    let came = unsafe { libc::recv(fd, std::ptr::null_mut(), 0, libc::MSG_DONTWAIT) };
    if came < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
