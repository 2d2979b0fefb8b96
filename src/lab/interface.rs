//! How do interfaces come to be, change and go? By rtnetlink, from inside their namespace.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use futures_util::TryStreamExt;
use ipnet::Ipv4Net;
use rtnetlink::packet_route::link::{InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags};
use rtnetlink::packet_route::link::{LinkInfo, LinkMessage, Stats64};
use rtnetlink::{AddressMessageBuilder, Handle, LinkMessageBuilder, LinkUnspec, LinkVeth};
use rustix::net::{AddressFamily, SocketType};
use serde::Serialize;

use super::error::{Doing, LabError};
use super::netns::Netns;
use super::{sys, wait};
use crate::wire::eth::MacAddr;

/// How often a wait looks.
const LOOK: Duration = Duration::from_millis(5);

/// An interface of a namespace, by name; it need not exist yet.
#[derive(Clone, Debug)]
pub struct Interface {
    netns: Netns,
    name: String,
}

/// What crossed an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct InterfaceCounters {
    /// Frames received.
    pub rx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Frames received and dropped.
    pub rx_dropped: u64,
    /// Frames that the network card had no room for.
    pub rx_missed: u64,
    /// Frames sent.
    pub tx_packets: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Frames not sent.
    pub tx_dropped: u64,
}

/// Makes a veth pair with one end in each namespace; both ends are down.
///
/// # Errors
/// When a name is taken or too long (15 bytes).
pub fn veth(a: (&Netns, &str), b: (&Netns, &str)) -> Result<(Interface, Interface), LabError> {
    let peer = LinkUnspec::new_with_name(b.1).setns_by_fd(b.0.as_fd().as_raw_fd()).build();
    let message = LinkMessageBuilder::<LinkVeth>::new_with_info_kind(InfoKind::Veth)
        .name(a.1.to_owned())
        .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
        .build();
    let what = || format!("making the veth pair {} - {}", a.1, b.1);
    netlink(a.0, what, async |handle| handle.link().add(message).execute().await)?;
    Ok((a.0.interface(a.1), b.0.interface(b.1)))
}

impl Netns {
    /// The interface of that name.
    pub fn interface(&self, name: &str) -> Interface {
        Interface { netns: self.clone(), name: name.to_owned() }
    }
}

impl Interface {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The namespace it is in.
    pub fn netns(&self) -> &Netns {
        &self.netns
    }

    /// Whether it exists.
    ///
    /// # Errors
    /// When the namespace cannot be entered.
    pub fn exists(&self) -> Result<bool, LabError> {
        match self.index() {
            Ok(_) => Ok(true),
            Err(LabError::NoInterface { .. }) => Ok(false),
            Err(other) => Err(other),
        }
    }

    /// Waits until it exists, as a TAP does once its process has opened it.
    ///
    /// # Errors
    /// [`LabError::Timeout`] when it does not.
    pub fn wait_exists(&self, within: Duration) -> Result<(), LabError> {
        self.wait("does not exist", within, || self.exists())
    }

    /// Waits until it is gone.
    ///
    /// # Errors
    /// [`LabError::Timeout`] when it stays.
    pub fn wait_gone(&self, within: Duration) -> Result<(), LabError> {
        self.wait("is still there", within, || self.exists().map(|there| !there))
    }

    /// Waits until it has carrier, or has none.
    ///
    /// # Errors
    /// [`LabError::Timeout`] when it does not change.
    pub fn wait_carrier(&self, carrier: bool, within: Duration) -> Result<(), LabError> {
        let what = if carrier { "has no carrier" } else { "still has carrier" };
        self.wait(what, within, || self.carrier().map(|now| now == carrier))
    }

    fn wait(
        &self,
        what: &str,
        within: Duration,
        mut holds: impl FnMut() -> Result<bool, LabError>,
    ) -> Result<(), LabError> {
        let mut result = Ok(false);
        wait::until(within, LOOK, || {
            result = holds();
            !matches!(result, Ok(false))
        });
        match result? {
            true => Ok(()),
            false => Err(LabError::Timeout { what: format!("{} {what}", self.name), within }),
        }
    }

    /// Sets it up.
    ///
    /// # Errors
    /// When it does not exist.
    pub fn up(&self) -> Result<(), LabError> {
        self.change("setting up", LinkMessageBuilder::up)
    }

    /// Sets it down; its routes go, its addresses stay.
    ///
    /// # Errors
    /// When it does not exist.
    pub fn down(&self) -> Result<(), LabError> {
        self.change("setting down", LinkMessageBuilder::down)
    }

    /// Sets its MTU in bytes: what an IP packet and a VLAN tag may take together.
    ///
    /// # Errors
    /// When its driver refuses the size.
    pub fn set_mtu(&self, mtu: u32) -> Result<(), LabError> {
        self.change("setting the MTU of", |message| message.mtu(mtu))
    }

    /// Sets its MAC address.
    ///
    /// # Errors
    /// When it is no unicast address.
    pub fn set_mac(&self, mac: MacAddr) -> Result<(), LabError> {
        self.change("setting the MAC address of", |message| message.address(mac.0.to_vec()))
    }

    /// Its MAC address.
    ///
    /// # Errors
    /// When it does not exist or has none.
    pub fn mac(&self) -> Result<MacAddr, LabError> {
        let address = |attribute| match attribute {
            LinkAttribute::Address(bytes) => <[u8; 6]>::try_from(bytes).ok().map(MacAddr),
            _ => None,
        };
        let found = self.message()?.attributes.into_iter().find_map(address);
        found.ok_or_else(|| LabError::Invalid { what: format!("{} has no MAC address", self.name) })
    }

    /// What the driver calls such interfaces: `veth`, `tun`, `bridge`; nothing for a network card.
    ///
    /// # Errors
    /// When it does not exist.
    pub fn kind(&self) -> Result<Option<String>, LabError> {
        let kind = |info| match info {
            LinkInfo::Kind(kind) => Some(kind.to_string()),
            _ => None,
        };
        let found = self.message()?.attributes.into_iter().find_map(|attribute| match attribute {
            LinkAttribute::LinkInfo(infos) => infos.into_iter().find_map(kind),
            _ => None,
        });
        Ok(found)
    }

    /// Its MTU in bytes.
    ///
    /// # Errors
    /// When it does not exist.
    pub fn mtu(&self) -> Result<u32, LabError> {
        let mtu = |attribute| match attribute {
            LinkAttribute::Mtu(mtu) => Some(mtu),
            _ => None,
        };
        Ok(self.message()?.attributes.into_iter().find_map(mtu).unwrap_or(0))
    }

    /// Whether it is up and its other end is too.
    ///
    /// # Errors
    /// When it does not exist.
    pub fn carrier(&self) -> Result<bool, LabError> {
        let flags = self.message()?.header.flags;
        Ok(flags.contains(LinkFlags::Up | LinkFlags::LowerUp))
    }

    /// What crossed it so far.
    ///
    /// # Errors
    /// When it does not exist.
    pub fn counters(&self) -> Result<InterfaceCounters, LabError> {
        let stats = |attribute| match attribute {
            LinkAttribute::Stats64(stats) => Some(stats),
            _ => None,
        };
        let stats: Stats64 =
            self.message()?.attributes.into_iter().find_map(stats).unwrap_or_default();
        Ok(InterfaceCounters {
            rx_packets: stats.rx_packets,
            rx_bytes: stats.rx_bytes,
            rx_dropped: stats.rx_dropped,
            rx_missed: stats.rx_missed_errors,
            tx_packets: stats.tx_packets,
            tx_bytes: stats.tx_bytes,
            tx_dropped: stats.tx_dropped,
        })
    }

    /// Gives it an address with its subnet.
    ///
    /// # Errors
    /// When it has that address already.
    pub fn add_address(&self, address: Ipv4Net) -> Result<(), LabError> {
        let index = self.index()?;
        let what = || format!("adding {address} to {}", self.name);
        let ip = IpAddr::V4(address.addr());
        netlink(&self.netns, what, async |handle| {
            handle.address().add(index, ip, address.prefix_len()).execute().await
        })
    }

    /// Takes an address away.
    ///
    /// # Errors
    /// When it does not have that address.
    pub fn remove_address(&self, address: Ipv4Net) -> Result<(), LabError> {
        let message = AddressMessageBuilder::<Ipv4Addr>::new()
            .index(self.index()?)
            .address(address.addr(), address.prefix_len())
            .build();
        let what = || format!("removing {address} from {}", self.name);
        netlink(&self.netns, what, async |handle| handle.address().del(message).execute().await)
    }

    /// Enters a neighbour for good, so that no ARP is sent for it.
    ///
    /// # Errors
    /// When the interface does not exist.
    pub fn add_neighbour(&self, address: Ipv4Addr, mac: MacAddr) -> Result<(), LabError> {
        let index = self.index()?;
        let what = || format!("adding neighbour {address} on {}", self.name);
        netlink(&self.netns, what, async |handle| {
            let request = handle.neighbours().add(index, IpAddr::V4(address));
            request.link_local_address(&mac.0).replace().execute().await
        })
    }

    /// Enters many neighbours for good.
    ///
    /// # Errors
    /// When the interface does not exist, or the table is full.
    pub fn add_neighbours(
        &self,
        neighbours: impl IntoIterator<Item = (Ipv4Addr, MacAddr)>,
    ) -> Result<(), LabError> {
        let index = self.index()?;
        let neighbours: Vec<_> = neighbours.into_iter().collect();
        let what = || format!("adding {} neighbours on {}", neighbours.len(), self.name);
        netlink(&self.netns, what, async |handle| {
            for (address, mac) in &neighbours {
                let request = handle.neighbours().add(index, IpAddr::V4(*address));
                request.link_local_address(&mac.0).replace().execute().await?;
            }
            Ok(())
        })
    }

    /// Turns offloads off, so that frames cross as they would cross a wire: complete checksums,
    /// no segment larger than the MTU.
    ///
    /// # Errors
    /// When the interface does not exist or its driver keeps an offload on.
    pub fn offloads_off(&self) -> Result<(), LabError> {
        self.netns.run(|| {
            let socket = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None)
                .doing(|| "opening a socket to switch offloads".into())?;
            for (what, read, write) in OFFLOADS {
                let result = sys::ethtool_value(socket.as_fd(), &self.name, write, 0);
                let left = sys::ethtool_value(socket.as_fd(), &self.name, read, 0).unwrap_or(0);
                if left != 0 {
                    // A driver that has no such switch has no such offload either.
                    result.doing(|| format!("turning {what} off on {}", self.name))?;
                    let what = format!("{} keeps {what} on", self.name);
                    return Err(LabError::Invalid { what });
                }
            }
            Ok(())
        })?
    }

    /// Deletes it; of a veth pair both ends go.
    ///
    /// # Errors
    /// When it does not exist.
    pub fn delete(&self) -> Result<(), LabError> {
        let index = self.index()?;
        let what = || format!("deleting {}", self.name);
        netlink(&self.netns, what, async |handle| handle.link().del(index).execute().await)
    }

    /// Its index in its namespace.
    ///
    /// # Errors
    /// [`LabError::NoInterface`] when it does not exist.
    pub fn index(&self) -> Result<u32, LabError> {
        self.netns.run(|| {
            let socket = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None)
                .doing(|| "opening a socket to name interfaces".into())?;
            rustix::net::netdevice::name_to_index(&socket, &self.name).map_err(|_| {
                LabError::NoInterface {
                    netns: self.netns.label().to_owned(),
                    name: self.name.clone(),
                }
            })
        })?
    }

    fn change(
        &self,
        what: &str,
        edit: impl FnOnce(LinkMessageBuilder<LinkUnspec>) -> LinkMessageBuilder<LinkUnspec>,
    ) -> Result<(), LabError> {
        let message = edit(LinkUnspec::new_with_index(self.index()?)).build();
        let what = || format!("{what} {}", self.name);
        netlink(&self.netns, what, async |handle| handle.link().set(message).execute().await)
    }

    fn message(&self) -> Result<LinkMessage, LabError> {
        let index = self.index()?;
        let what = || format!("asking for {}", self.name);
        let found = netlink(&self.netns, what, async |handle| {
            handle.link().get().match_index(index).execute().try_next().await
        })?;
        found.ok_or_else(|| LabError::NoInterface {
            netns: self.netns.label().to_owned(),
            name: self.name.clone(),
        })
    }
}

/// Offloads with the commands of linux/ethtool.h that read and write them. Without transmit
/// checksums the kernel drops TCP and UDP segmentation too.
const OFFLOADS: [(&str, u32, u32); 5] = [
    ("transmit checksums", 0x16, 0x17),
    ("scatter-gather", 0x18, 0x19),
    ("TCP segmentation", 0x1e, 0x1f),
    ("generic segmentation", 0x23, 0x24),
    ("generic receive offload", 0x2b, 0x2c),
];

/// Talks to rtnetlink inside `netns`; `what` is for the error.
pub(crate) fn netlink<T: Send>(
    netns: &Netns,
    what: impl Fn() -> String + Send,
    work: impl AsyncFnOnce(Handle) -> Result<T, rtnetlink::Error> + Send,
) -> Result<T, LabError> {
    netns.run(move || {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_io().build().doing(&what)?;
        runtime.block_on(async {
            let (connection, handle, _) = rtnetlink::new_connection().doing(&what)?;
            let connection = tokio::spawn(connection);
            let result = work(handle).await;
            connection.abort();
            result.map_err(|source| LabError::Netlink { what: what(), source })
        })
    })?
}
