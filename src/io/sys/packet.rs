//! Sockets of family AF_PACKET (packet(7)).
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::answer;
use super::bpf::Classic;
use super::sockopt;

/// `struct packet_mreq`.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct Membership {
    index: u32,
    kind: u16,
    address_len: u16,
    address: [u8; 8],
}

/// `struct tpacket_stats`: frames since they were last read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes)]
#[repr(C)]
pub struct Statistics {
    /// Frames that came, the dropped ones with them.
    pub packets: u32,
    /// Frames that found the ring full.
    pub drops: u32,
}

/// Whether a socket receives or only sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Nothing is received.
    None,
    /// Frames of every EtherType.
    All,
}

/// Opens a raw, non-blocking packet socket in the calling thread's namespace; it receives nothing
/// until it is bound.
///
/// # Errors
/// `EPERM` without CAP_NET_RAW.
pub fn open() -> io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    Ok(rustix::net::socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None)?)
}

/// Binds the socket to an interface.
///
/// # Errors
/// `ENODEV` without such an interface, `ENETDOWN` when it is down (the binding holds even so).
pub fn bind(fd: impl AsFd, index: u32, protocol: Protocol) -> io::Result<()> {
    // SAFETY: all-zero bytes are a valid `sockaddr_ll`.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = u16::try_from(libc::AF_PACKET).expect("address families are small");
    address.sll_ifindex = index.cast_signed();
    if protocol == Protocol::All {
        address.sll_protocol =
            u16::try_from(libc::ETH_P_ALL).expect("EtherTypes are 16 bits").to_be();
    }
    let size = libc::socklen_t::try_from(size_of_val(&address)).expect("an address is small");
    // SAFETY: `address` is a `sockaddr_ll` of `size` bytes.
    let returned = unsafe { libc::bind(fd.as_fd().as_raw_fd(), (&raw const address).cast(), size) };
    answer(returned).map(drop)
}

/// Receives frames for every MAC address.
///
/// # Errors
/// `ENODEV` without such an interface.
pub fn set_promiscuous(fd: impl AsFd, index: u32) -> io::Result<()> {
    let kind = u16::try_from(libc::PACKET_MR_PROMISC).expect("membership kinds are small");
    let membership = Membership { index, kind, address_len: 0, address: [0; 8] };
    sockopt::set(fd, libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, &membership)
}

fn set(fd: impl AsFd, name: i32, value: i32) -> io::Result<()> {
    sockopt::set(fd, libc::SOL_PACKET, name, &value)
}

/// Frames that this host sends are not received.
///
/// # Errors
/// As setsockopt(2).
pub fn ignore_outgoing(fd: impl AsFd) -> io::Result<()> {
    set(fd, libc::PACKET_IGNORE_OUTGOING, 1)
}

/// Frames go straight to the driver.
///
/// # Errors
/// As setsockopt(2).
pub fn bypass_qdisc(fd: impl AsFd) -> io::Result<()> {
    set(fd, libc::PACKET_QDISC_BYPASS, 1)
}

/// A `virtio_net_hdr` of 10 bytes stands before each received frame.
///
/// # Errors
/// `EBUSY` once there is a ring.
pub fn offload_header(fd: impl AsFd) -> io::Result<()> {
    set(fd, libc::PACKET_VNET_HDR, 1)
}

/// Frames too long for a slot of the ring are put into the socket's queue as well, whole.
///
/// # Errors
/// As setsockopt(2).
pub fn copy_long_frames(fd: impl AsFd) -> io::Result<()> {
    set(fd, libc::PACKET_COPY_THRESH, 1)
}

/// Bytes that may wait in the socket's queues; more than the system's limit where permitted.
///
/// # Errors
/// As setsockopt(2).
pub fn set_buffers(fd: impl AsFd, bytes: i32) -> io::Result<()> {
    let fd = fd.as_fd();
    for (force, plain) in
        [(libc::SO_RCVBUFFORCE, libc::SO_RCVBUF), (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF)]
    {
        if sockopt::set(fd, libc::SOL_SOCKET, force, &bytes).is_err() {
            sockopt::set(fd, libc::SOL_SOCKET, plain, &bytes)?;
        }
    }
    Ok(())
}

/// Refuses or accepts every frame that would be received.
///
/// # Errors
/// As setsockopt(2).
pub fn set_shut(fd: impl AsFd, shut: bool) -> io::Result<()> {
    // "Return 0": no byte of any frame is accepted.
    const REFUSE_ALL: [Classic; 1] = [Classic { code: 0x06, jump_true: 0, jump_false: 0, k: 0 }];
    if shut {
        return sockopt::set_program(fd, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &REFUSE_ALL);
    }
    sockopt::set(fd, libc::SOL_SOCKET, libc::SO_DETACH_FILTER, &0i32)
}

/// Lets only those frames in that the program takes; it runs before the first frame comes when the
/// socket is not bound yet.
///
/// # Errors
/// `EINVAL` when the kernel's checker refuses the program.
pub fn set_filter(fd: impl AsFd, program: &[Classic]) -> io::Result<()> {
    sockopt::set_program(fd, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, program)
}

/// A transmit ring passes over frames that are badly formed, where it would stop.
///
/// # Errors
/// `EBUSY` once there is a ring.
pub fn skip_bad_frames(fd: impl AsFd) -> io::Result<()> {
    set(fd, libc::PACKET_LOSS, 1)
}

/// Frames are spread over the sockets of a group by a classic BPF program; returns the group.
///
/// With `group` `None` a new one is made, and `program` tells it how to spread.
///
/// # Errors
/// `EINVAL` when the socket is not bound, or not as the group's others are.
pub fn join_fanout(fd: impl AsFd, group: Option<u16>, program: &[Classic]) -> io::Result<u16> {
    let fd = fd.as_fd();
    let mut flags = libc::PACKET_FANOUT_CBPF | libc::PACKET_FANOUT_FLAG_IGNORE_OUTGOING;
    if group.is_none() {
        flags |= libc::PACKET_FANOUT_FLAG_UNIQUEID;
    }
    let join = flags << 16 | u32::from(group.unwrap_or(0));
    sockopt::set(fd, libc::SOL_PACKET, libc::PACKET_FANOUT, &join)?;
    if let Some(group) = group {
        return Ok(group);
    }
    sockopt::set_program(fd, libc::SOL_PACKET, libc::PACKET_FANOUT_DATA, program)?;
    let joined: u32 = sockopt::value(fd, libc::SOL_PACKET, libc::PACKET_FANOUT)?;
    Ok(u16::try_from(joined & 0xffff).expect("masked"))
}

/// Reads and resets the receive statistics.
///
/// # Errors
/// As getsockopt(2).
pub fn statistics(fd: impl AsFd) -> io::Result<Statistics> {
    sockopt::value(fd, libc::SOL_PACKET, libc::PACKET_STATISTICS)
}

/// Reads and clears the socket's pending error.
pub fn take_error(fd: impl AsFd) -> Option<io::Error> {
    match rustix::net::sockopt::socket_error(fd) {
        Ok(Ok(())) => None,
        Ok(Err(error)) | Err(error) => Some(error.into()),
    }
}
