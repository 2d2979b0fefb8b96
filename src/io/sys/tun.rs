//! The ioctls of `/dev/net/tun`.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::fs::{Mode, OFlags};

use super::answer;
use super::interface::request_for;

/// Where the driver is opened.
pub const DEVICE: &str = "/dev/net/tun";

// linux/if_tun.h; the direction bits of both are as the kernel has them.
const TUNGETIFF: libc::Ioctl = libc::_IOR::<libc::c_uint>(b'T' as u32, 210);
const TUNGETDEVNETNS: libc::Ioctl = libc::_IO(b'T' as u32, 227);

/// Opens the driver, non-blocking; devices attached to it belong to the calling thread's
/// namespace.
///
/// # Errors
/// `ENOENT` without the device node, `ENODEV` without the driver, `EACCES` or `EPERM`.
pub fn open() -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(rustix::fs::open(DEVICE, flags, Mode::empty())?)
}

/// Attaches a queue of the multi-queue TAP `name`, which is made if there is none. From then on a
/// `virtio_net_hdr` stands before each frame that is read or written.
///
/// # Errors
/// `EPERM` without CAP_NET_ADMIN, `EBUSY` when another process has it, `EINVAL` when an interface
/// of that name is no multi-queue TAP.
pub fn attach(fd: impl AsFd, name: &str) -> io::Result<()> {
    let mut request = request_for(name)?;
    let flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_MULTI_QUEUE | libc::IFF_VNET_HDR;
    request.ifr_ifru.ifru_flags = i16::try_from(flags).expect("TUN flags are 16 bits");
    // SAFETY: TUNSETIFF reads and writes one `ifreq`.
    let returned =
        unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
    answer(returned).map(drop)
}

/// The name of the interface behind `fd`, as it is now.
///
/// # Errors
/// `EBADFD` when the interface is gone.
pub fn name(fd: impl AsFd) -> io::Result<String> {
    let mut request = request_for("")?;
    // SAFETY: TUNGETIFF writes one `ifreq`.
    let returned = unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), TUNGETIFF, &raw mut request) };
    answer(returned)?;
    // SAFETY: the request was zeroed and the kernel ends names with a NUL inside the array.
    let name = unsafe { CStr::from_ptr(request.ifr_name.as_ptr()) };
    Ok(name.to_string_lossy().into_owned())
}

/// The network namespace that the interface behind `fd` stands in now.
///
/// # Errors
/// `EBADFD` when the interface is gone, `EPERM` without CAP_NET_ADMIN there, `EINVAL` from a
/// kernel before 5.9.
pub fn netns(fd: impl AsFd) -> io::Result<OwnedFd> {
    // SAFETY: TUNGETDEVNETNS takes no argument and returns a new descriptor.
    let returned = unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), TUNGETDEVNETNS, 0) };
    let raw = answer(returned)?;
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

fn set(fd: BorrowedFd<'_>, code: libc::Ioctl, value: libc::c_int) -> io::Result<()> {
    // SAFETY: these requests read one int through the pointer.
    answer(unsafe { libc::ioctl(fd.as_raw_fd(), code, &raw const value) }).map(drop)
}

/// What the reader of a TAP does itself, so that the kernel need not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offloads {
    /// Nothing: frames are whole.
    None,
    /// Checksums, and TCP segments.
    Tcp,
    /// Checksums, TCP segments and UDP segments.
    TcpAndUdp,
}

/// Says what the reader does itself; the device offers that to its senders.
///
/// # Errors
/// `EINVAL` from a kernel before 6.2 for UDP segments.
pub fn set_offloads(fd: impl AsFd, offloads: Offloads) -> io::Result<()> {
    let tcp = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6 | libc::TUN_F_TSO_ECN;
    let bits = match offloads {
        Offloads::None => 0,
        Offloads::Tcp => tcp,
        Offloads::TcpAndUdp => tcp | libc::TUN_F_USO4 | libc::TUN_F_USO6,
    };
    // SAFETY: TUNSETOFFLOAD reads its argument itself, no memory.
    let returned = unsafe {
        libc::ioctl(fd.as_fd().as_raw_fd(), libc::TUNSETOFFLOAD, libc::c_ulong::from(bits))
    };
    answer(returned).map(drop)
}

/// Sets the size of the header before each frame, in bytes.
///
/// # Errors
/// `EINVAL` for less than a `virtio_net_hdr`.
pub fn set_header_size(fd: impl AsFd, size: usize) -> io::Result<()> {
    let size = libc::c_int::try_from(size).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL));
    set(fd.as_fd(), libc::TUNSETVNETHDRSZ, size?)
}

/// Lets an eBPF program pick the queue: its result modulo the number of queues.
///
/// # Errors
/// `EINVAL` when `program` is no socket filter.
pub fn set_steering(fd: impl AsFd, program: impl AsFd) -> io::Result<()> {
    set(fd.as_fd(), libc::TUNSETSTEERINGEBPF, program.as_fd().as_raw_fd())
}

/// Lets an eBPF program say how many bytes of each frame are received; 0 drops it.
///
/// # Errors
/// `EINVAL` when `program` is no socket filter.
pub fn set_filter(fd: impl AsFd, program: impl AsFd) -> io::Result<()> {
    set(fd.as_fd(), libc::TUNSETFILTEREBPF, program.as_fd().as_raw_fd())
}

/// Plugs the cable in or out.
///
/// # Errors
/// `EBADFD` when the interface is gone.
pub fn set_carrier(fd: impl AsFd, on: bool) -> io::Result<()> {
    set(fd.as_fd(), libc::TUNSETCARRIER, libc::c_int::from(on))
}

/// Lets the device stay when nobody is attached to it, or go then.
///
/// # Errors
/// `EBADFD` when the interface is gone.
pub fn set_persistent(fd: impl AsFd, on: bool) -> io::Result<()> {
    // SAFETY: TUNSETPERSIST reads its argument itself, no memory.
    let returned = unsafe {
        libc::ioctl(fd.as_fd().as_raw_fd(), libc::TUNSETPERSIST, libc::c_ulong::from(on))
    };
    answer(returned).map(drop)
}
