//! The system calls that neither std nor rustix has: packet sockets with metadata, TCP's own
//! figures, offload switches, leaving a namespace.
#![allow(unsafe_code)]

use std::io;
use std::mem::{size_of, size_of_val};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::thread::UnshareFlags;

/// Moves the calling thread into new namespaces.
pub(crate) fn unshare(flags: UnshareFlags) -> rustix::io::Result<()> {
    assert!(!flags.contains(UnshareFlags::FILES), "descriptors stay shared");
    // SAFETY: the function is unsafe for CLONE_FILES alone, which is refused above.
    unsafe { rustix::thread::unshare_unsafe(flags) }
}

fn checked(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn socklen(size: usize) -> libc::socklen_t {
    libc::socklen_t::try_from(size).expect("socket structures are small")
}

/// Sets a socket option that is one `int`.
fn set_int(fd: BorrowedFd<'_>, level: i32, name: i32, value: i32) -> io::Result<()> {
    let size = socklen(size_of::<i32>());
    // SAFETY: the pointer and the size are those of `value`, which outlives the call.
    checked(unsafe {
        libc::setsockopt(fd.as_raw_fd(), level, name, (&raw const value).cast(), size)
    })
}

/// What the kernel says of one TCP connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TcpFigures {
    /// Segments sent again.
    pub(crate) retransmits: u32,
    /// Smoothed round-trip time in microseconds.
    pub(crate) rtt_us: u32,
    /// Segment size in bytes.
    pub(crate) mss: u32,
}

/// Reads `TCP_INFO`.
pub(crate) fn tcp_figures(socket: impl AsFd) -> io::Result<TcpFigures> {
    // SAFETY: tcp_info holds integers alone, for which all zeroes are a value.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut size = socklen(size_of_val(&info));
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: the kernel writes at most `size` bytes, the size of `info`; both outlive the call.
    checked(unsafe {
        libc::getsockopt(
            fd,
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut size,
        )
    })?;
    Ok(TcpFigures {
        retransmits: info.tcpi_total_retrans,
        rtt_us: info.tcpi_rtt,
        mss: info.tcpi_snd_mss,
    })
}

// linux/if_packet.h
const PACKET_AUXDATA: i32 = 8;
const TP_STATUS_CSUMNOTREADY: u32 = 1 << 3;
const TP_STATUS_VLAN_VALID: u32 = 1 << 4;
const TP_STATUS_VLAN_TPID_VALID: u32 = 1 << 6;

/// Makes a packet socket report metadata and time stamps, then binds it to an interface; frames
/// come in from here on.
pub(crate) fn bind_packet(fd: BorrowedFd<'_>, index: u32) -> io::Result<()> {
    set_int(fd, libc::SOL_PACKET, PACKET_AUXDATA, 1)?;
    set_int(fd, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)?;
    // SAFETY: sockaddr_ll holds integers alone, for which all zeroes are a value.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = u16::try_from(libc::AF_PACKET).expect("address families are small");
    address.sll_protocol = u16::try_from(libc::ETH_P_ALL).expect("an EtherType").to_be();
    address.sll_ifindex =
        i32::try_from(index).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let size = socklen(size_of_val(&address));
    // SAFETY: the pointer and the size are those of `address`, which outlives the call.
    checked(unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), size) })
}

/// A received frame's metadata.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PacketMeta {
    /// Bytes written to the buffer.
    pub(crate) len: usize,
    /// Bytes of the frame without a stripped tag, whether they fit or not.
    pub(crate) wire_len: usize,
    /// Whether this host sent the frame.
    pub(crate) outgoing: bool,
    /// The tag that the kernel took out of the frame: tag protocol and TCI.
    pub(crate) stripped: Option<(u16, u16)>,
    /// Whether the transport checksum is still to be completed.
    pub(crate) checksum_partial: bool,
    /// Nanoseconds since 1970.
    pub(crate) at_ns: u64,
}

#[repr(C, align(8))]
struct Control([u8; 256]);

/// Receives one frame without waiting.
pub(crate) fn receive_packet(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<PacketMeta> {
    let mut control = Control([0; 256]);
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: sockaddr_ll holds integers alone, for which all zeroes are a value.
    let mut from: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    // SAFETY: msghdr holds integers and pointers, for which all zeroes are a value.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_name = (&raw mut from).cast();
    message.msg_namelen = socklen(size_of_val(&from));
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = control.0.len();
    let flags = libc::MSG_DONTWAIT | libc::MSG_TRUNC;
    // SAFETY: every pointer in `message` is to a local or to `buffer`, with its own length, and
    // all outlive the call.
    let received = unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut message, flags) };
    let wire_len = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
    let mut meta = PacketMeta {
        len: wire_len.min(buffer.len()),
        wire_len,
        outgoing: from.sll_pkttype == libc::PACKET_OUTGOING,
        ..PacketMeta::default()
    };
    let filled = message.msg_controllen.min(control.0.len());
    read_control(&control.0[..filled], &mut meta);
    Ok(meta)
}

/// Reads control messages as cmsg(3) lays them out: length, level, type, data, each at a
/// multiple of eight bytes.
fn read_control(mut bytes: &[u8], meta: &mut PacketMeta) {
    const HEADER: usize = size_of::<libc::cmsghdr>();
    while let Some(header) = bytes.first_chunk::<HEADER>() {
        let word = |at: usize| i32::from_ne_bytes(std::array::from_fn(|i| header[at + i]));
        let len = usize::from_ne_bytes(std::array::from_fn(|i| header[i]));
        let Some(data) = bytes.get(HEADER..len) else { return };
        match (word(8), word(12)) {
            (libc::SOL_PACKET, PACKET_AUXDATA) => read_auxdata(data, meta),
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => read_timespec(data, meta),
            _ => {}
        }
        bytes = bytes.get(len.next_multiple_of(8)..).unwrap_or_default();
    }
}

/// struct tpacket_auxdata: status, len, snaplen (u32), mac, net, vlan_tci, vlan_tpid (u16).
fn read_auxdata(data: &[u8], meta: &mut PacketMeta) {
    let Some(data) = data.first_chunk::<20>() else { return };
    let status = u32::from_ne_bytes(std::array::from_fn(|i| data[i]));
    let half = |at: usize| u16::from_ne_bytes([data[at], data[at + 1]]);
    meta.checksum_partial = status & TP_STATUS_CSUMNOTREADY != 0;
    if status & TP_STATUS_VLAN_VALID != 0 {
        let known = status & TP_STATUS_VLAN_TPID_VALID != 0;
        let tpid = if known { half(18) } else { crate::wire::eth::ether_type::VLAN };
        meta.stripped = Some((tpid, half(16)));
    }
}

fn read_timespec(data: &[u8], meta: &mut PacketMeta) {
    let Some(data) = data.first_chunk::<16>() else { return };
    let word = |at: usize| u64::from_ne_bytes(std::array::from_fn(|i| data[at + i]));
    meta.at_ns = word(0).saturating_mul(1_000_000_000).saturating_add(word(8));
}

/// Reads or writes one offload switch of an interface (linux/ethtool.h, `struct ethtool_value`);
/// returns the value that the kernel left there.
pub(crate) fn ethtool_value(
    fd: BorrowedFd<'_>,
    name: &str,
    command: u32,
    value: u32,
) -> io::Result<u32> {
    #[repr(C)]
    struct Request {
        name: [u8; libc::IFNAMSIZ],
        data: *mut [u32; 2],
        rest: [u8; 16],
    }
    let mut argument = [command, value];
    let mut request = Request { name: [0; libc::IFNAMSIZ], data: &raw mut argument, rest: [0; 16] };
    let room = request.name.get_mut(..name.len()).filter(|room| room.len() < libc::IFNAMSIZ);
    room.ok_or(io::ErrorKind::InvalidInput)?.copy_from_slice(name.as_bytes());
    // SAFETY: the request is laid out as struct ifreq and as long; its data pointer is to a
    // struct ethtool_value. Both outlive the call.
    checked(unsafe {
        libc::ioctl(fd.as_raw_fd(), libc::Ioctl::from(libc::SIOCETHTOOL), &raw mut request)
    })?;
    Ok(argument[1])
}
