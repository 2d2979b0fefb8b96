//! Interfaces by name: flags, MTU, MAC address, carrier, offloads (netdevice(7), ethtool).
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType};

use super::answer;
use super::features::Command;
use crate::wire::eth::MacAddr;

/// Longest interface name in bytes.
pub const NAME_MAX: usize = libc::IFNAMSIZ - 1;

/// An `ifreq` that names an interface, everything else zero.
pub(super) fn request_for(name: &str) -> io::Result<libc::ifreq> {
    // SAFETY: all-zero bytes are a valid `ifreq`.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if name.len() > NAME_MAX {
        return Err(io::Error::from_raw_os_error(libc::ENAMETOOLONG));
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from.cast_signed();
    }
    Ok(request)
}

/// An offload of an interface that ethtool turns on and off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offload {
    /// Receive checksums.
    ReceiveChecksum,
    /// Transmit checksums: senders leave them partial while this is on.
    TransmitChecksum,
    /// Scatter-gather.
    ScatterGather,
    /// TCP segmentation.
    Tso,
    /// Generic segmentation.
    Gso,
    /// Generic receive offload.
    Gro,
}

impl Offload {
    /// All of them, in an order in which they can be turned off.
    pub const ALL: [Offload; 6] = [
        Offload::Gro,
        Offload::Tso,
        Offload::Gso,
        Offload::ScatterGather,
        Offload::TransmitChecksum,
        Offload::ReceiveChecksum,
    ];

    /// The command that sets it (linux/ethtool.h).
    const fn command(self) -> u32 {
        match self {
            Offload::ReceiveChecksum => 0x15,
            Offload::TransmitChecksum => 0x17,
            Offload::ScatterGather => 0x19,
            Offload::Tso => 0x1f,
            Offload::Gso => 0x24,
            Offload::Gro => 0x2c,
        }
    }
}

const ETHTOOL_GLINK: u32 = 0x0a;
const ETHTOOL_GFLAGS: u32 = 0x25;
const ETHTOOL_SFLAGS: u32 = 0x26;
const ETHTOOL_GCHANNELS: u32 = 0x3c;
/// A received frame's outer tag goes into metadata (`ETH_FLAG_RXVLAN`).
const TAGS_OUT: u32 = 1 << 8;

/// `struct ethtool_value`.
#[repr(C)]
struct EthtoolValue {
    command: u32,
    data: u32,
}

const ETHTOOL_GDRVINFO: u32 = 0x03;

/// `struct ethtool_drvinfo`: version, firmware, bus and counts follow the driver's name.
#[repr(C)]
struct DriverInfo {
    command: u32,
    driver: [u8; 32],
    rest: [u8; 160],
}

const _: () = assert!(size_of::<DriverInfo>() == 196);

/// `struct ethtool_channels`.
#[derive(Default)]
#[repr(C)]
struct EthtoolChannels {
    command: u32,
    most: [u32; 4],
    receive: u32,
    send: u32,
    other: u32,
    combined: u32,
}

/// A socket through which interfaces of one namespace are read and changed, from any thread.
#[derive(Debug)]
pub struct Interfaces(OwnedFd);

impl Interfaces {
    /// Opens the socket in the calling thread's namespace.
    ///
    /// # Errors
    /// When the process has no descriptors left.
    pub fn open() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::DGRAM, flags, None)?;
        Ok(Self(socket))
    }

    fn ask(
        &self,
        name: &str,
        code: libc::c_ulong,
        fill: impl FnOnce(&mut libc::ifreq),
    ) -> io::Result<libc::ifreq> {
        let mut request = request_for(name)?;
        fill(&mut request);
        // SAFETY: every request used here reads and writes one `ifreq`, and the data that
        // `fill` may point at (SIOCETHTOOL) lives in the caller's frame.
        let returned = unsafe { libc::ioctl(self.0.as_raw_fd(), code, &raw mut request) };
        answer(returned)?;
        Ok(request)
    }

    /// The interface's index.
    ///
    /// # Errors
    /// `ENODEV` when there is none of that name.
    pub fn index(&self, name: &str) -> io::Result<u32> {
        Ok(rustix::net::netdevice::name_to_index(&self.0, name)?)
    }

    /// The interface's MTU in bytes.
    ///
    /// # Errors
    /// `ENODEV` when there is none of that name.
    pub fn mtu(&self, name: &str) -> io::Result<u32> {
        let request = self.ask(name, libc::SIOCGIFMTU, |_| {})?;
        // SAFETY: SIOCGIFMTU fills this field.
        let mtu = unsafe { request.ifr_ifru.ifru_mtu };
        Ok(mtu.cast_unsigned())
    }

    /// Sets the MTU.
    ///
    /// # Errors
    /// `EINVAL` beyond what the driver takes, `EPERM`, `ENODEV`.
    pub fn set_mtu(&self, name: &str, mtu: u32) -> io::Result<()> {
        self.ask(name, libc::SIOCSIFMTU, |r| r.ifr_ifru.ifru_mtu = mtu.cast_signed()).map(drop)
    }

    fn flags(&self, name: &str) -> io::Result<i32> {
        let request = self.ask(name, libc::SIOCGIFFLAGS, |_| {})?;
        // SAFETY: SIOCGIFFLAGS fills this field.
        let flags = unsafe { request.ifr_ifru.ifru_flags };
        Ok(i32::from(flags))
    }

    /// Whether the interface is set up.
    ///
    /// # Errors
    /// `ENODEV` when there is none of that name.
    pub fn is_up(&self, name: &str) -> io::Result<bool> {
        Ok(self.flags(name)? & libc::IFF_UP != 0)
    }

    /// Whether the interface is up and its link works, as the kernel last found; never waits for
    /// the kernel's configuration lock, as [`Interfaces::has_carrier`] may.
    ///
    /// # Errors
    /// `ENODEV` when there is none of that name.
    pub fn is_running(&self, name: &str) -> io::Result<bool> {
        Ok(self.flags(name)? & libc::IFF_RUNNING != 0)
    }

    /// Sets the interface up or down.
    ///
    /// # Errors
    /// `EPERM`, `ENODEV`.
    pub fn set_up(&self, name: &str, up: bool) -> io::Result<()> {
        let now = self.flags(name)?;
        let wanted = if up { now | libc::IFF_UP } else { now & !libc::IFF_UP };
        if wanted == now {
            return Ok(());
        }
        let [a, b, ..] = wanted.to_ne_bytes();
        let flags = if cfg!(target_endian = "little") {
            i16::from_ne_bytes([a, b])
        } else {
            let [.., a, b] = wanted.to_ne_bytes();
            i16::from_ne_bytes([a, b])
        };
        self.ask(name, libc::SIOCSIFFLAGS, |r| r.ifr_ifru.ifru_flags = flags).map(drop)
    }

    /// Whether the driver sees a carrier; false while the interface is down.
    ///
    /// # Errors
    /// `ENODEV` when there is none of that name.
    pub fn has_carrier(&self, name: &str) -> io::Result<bool> {
        match self.ethtool(name, ETHTOOL_GLINK, 0) {
            Ok(carrier) => Ok(carrier != 0),
            // A driver without that command: the slower operational state.
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => self.is_running(name),
            Err(error) => Err(error),
        }
    }

    /// The interface's MAC address.
    ///
    /// # Errors
    /// `ENODEV` when there is none of that name.
    pub fn mac(&self, name: &str) -> io::Result<MacAddr> {
        let request = self.ask(name, libc::SIOCGIFHWADDR, |_| {})?;
        // SAFETY: SIOCGIFHWADDR fills this field.
        let address = unsafe { request.ifr_ifru.ifru_hwaddr };
        let mut mac = MacAddr::ZERO;
        for (to, from) in mac.0.iter_mut().zip(address.sa_data) {
            *to = from.cast_unsigned();
        }
        Ok(mac)
    }

    /// Sets the MAC address.
    ///
    /// # Errors
    /// `EADDRNOTAVAIL` for a group address, `EPERM`, `ENODEV`.
    pub fn set_mac(&self, name: &str, mac: MacAddr) -> io::Result<()> {
        let fill = |request: &mut libc::ifreq| {
            let mut data = [0; 14];
            for (to, from) in data.iter_mut().zip(mac.0) {
                *to = from.cast_signed();
            }
            request.ifr_ifru.ifru_hwaddr =
                libc::sockaddr { sa_family: libc::ARPHRD_ETHER, sa_data: data };
        };
        self.ask(name, libc::SIOCSIFHWADDR, fill).map(drop)
    }

    /// Turns an offload on or off.
    ///
    /// # Errors
    /// `EOPNOTSUPP` when the driver cannot, `EPERM`, `ENODEV`.
    pub fn set_offload(&self, name: &str, offload: Offload, on: bool) -> io::Result<()> {
        self.ethtool(name, offload.command(), u32::from(on)).map(drop)
    }

    /// The name of the interface's driver: `veth`, `tun`.
    ///
    /// # Errors
    /// `EOPNOTSUPP` when the driver does not say, `ENODEV`.
    pub fn driver(&self, name: &str) -> io::Result<String> {
        let mut info = DriverInfo { command: ETHTOOL_GDRVINFO, driver: [0; 32], rest: [0; 160] };
        self.ask(name, libc::SIOCETHTOOL, |r| {
            r.ifr_ifru.ifru_data = (&raw mut info).cast();
        })?;
        // SAFETY: `info` is a live local, as large as what the kernel writes (196 bytes), which it
        // has done behind the compiler's back through the pointer in the request.
        let driver = unsafe { (&raw const info.driver).read_volatile() };
        let text = driver.split(|byte| *byte == 0).next().unwrap_or_default();
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    /// Leaves the outer tag of received frames where it is, instead of moving it into metadata.
    ///
    /// # Errors
    /// `EOPNOTSUPP` or `EINVAL` when the driver cannot, `EPERM`, `ENODEV`.
    pub fn keep_tags(&self, name: &str) -> io::Result<()> {
        let flags = self.ethtool(name, ETHTOOL_GFLAGS, 0)?;
        if flags & TAGS_OUT == 0 {
            return Ok(());
        }
        self.ethtool(name, ETHTOOL_SFLAGS, flags & !TAGS_OUT).map(drop)
    }

    /// How many queues the interface receives on; 1 where the driver does not say.
    ///
    /// # Errors
    /// `ENODEV` when there is none of that name.
    pub fn receive_queues(&self, name: &str) -> io::Result<u32> {
        let mut channels =
            EthtoolChannels { command: ETHTOOL_GCHANNELS, ..EthtoolChannels::default() };
        let asked = self.ask(name, libc::SIOCETHTOOL, |r| {
            r.ifr_ifru.ifru_data = (&raw mut channels).cast();
        });
        match asked {
            Ok(_) => {}
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => return Ok(1),
            Err(error) => return Err(error),
        }
        // SAFETY: `channels` is a live local; the kernel may have written it behind the compiler's
        // back through the pointer in the request.
        let channels = unsafe { (&raw const channels).read_volatile() };
        Ok((channels.receive + channels.combined).max(1))
    }

    /// Has the kernel fill what one of ethtool's longer commands asks for.
    pub(super) fn ethtool_with<T: Command>(&self, name: &str, command: &mut T) -> io::Result<()> {
        let place: *mut T = command;
        self.ask(name, libc::SIOCETHTOOL, |r| r.ifr_ifru.ifru_data = place.cast()).map(drop)
    }

    fn ethtool(&self, name: &str, command: u32, data: u32) -> io::Result<u32> {
        let mut value = EthtoolValue { command, data };
        self.ask(name, libc::SIOCETHTOOL, |r| {
            r.ifr_ifru.ifru_data = (&raw mut value).cast();
        })?;
        // SAFETY: `value` is a live local; the kernel may have written it behind the compiler's
        // back through the pointer in the request.
        Ok(unsafe { (&raw const value.data).read_volatile() })
    }
}
