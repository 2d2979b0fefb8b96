//! The kernel's table of sessions: how many there are, how many there may be, and how it is
//! emptied.

use std::fs;
use std::io;

use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use super::super::error::MediumError;
use crate::lab::{LabError, Netns};

/// Where the limits of all namespaces stand; only the first namespace may change them.
const MAX: &str = "/proc/sys/net/netfilter/nf_conntrack_max";
const BUCKETS: &str = "/proc/sys/net/netfilter/nf_conntrack_buckets";
/// Seconds that an idle UDP session lives while it is measured; the kernel's 30 would end the
/// sessions of a long trial.
const UDP_TIMEOUT: &str = "600";

/// Limits of the host that were raised; they are as before when this is dropped.
#[derive(Debug)]
pub(super) struct Limits {
    before: Vec<(&'static str, String)>,
}

impl Limits {
    /// Makes room for twice as many `sessions`, if there is not enough; `notes` hears of what could
    /// not be done.
    pub(super) fn raise(
        netns: &Netns,
        sessions: u32,
        notes: &mut Vec<String>,
    ) -> Result<Option<Self>, MediumError> {
        for key in ["nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream"] {
            netns.sysctl(&format!("net/netfilter/{key}"), UDP_TIMEOUT)?;
        }
        let mut limits = Self { before: Vec::new() };
        let wanted = u64::from(sessions) * 2;
        // A chain of the hash table holds one session each way in the mean.
        for (file, wanted) in [(MAX, wanted), (BUCKETS, wanted)] {
            let before = fs::read_to_string(file).unwrap_or_default();
            let has = before.trim().parse::<u64>().unwrap_or(0);
            if has >= wanted {
                continue;
            }
            match fs::write(file, wanted.to_string()) {
                Ok(()) => limits.before.push((file, before)),
                Err(error) => notes.push(format!(
                    "The kernel's NAT has {has} in {file} where {wanted} would be right for \
                     {sessions} sessions, and this process may not change it ({error})."
                )),
            }
        }
        Ok((!limits.before.is_empty()).then_some(limits))
    }
}

impl Drop for Limits {
    fn drop(&mut self) {
        for (file, before) in &self.before {
            // Whoever runs as root here could do it before, and can again.
            let _ = fs::write(file, before);
        }
    }
}

/// Sessions that the namespace has.
pub(super) fn count(netns: &Netns) -> Result<u64, LabError> {
    let text = netns.read_sysctl("net/netfilter/nf_conntrack_count")?;
    text.parse().map_err(|_| LabError::Invalid {
        what: format!("nf_conntrack_count is {text:?}, and should be a number"),
    })
}

/// Packets that were dropped for want of a session.
pub(super) fn drops(netns: &Netns) -> Result<u64, LabError> {
    // thread-self: /proc/net is the main thread's namespace.
    let read = || fs::read_to_string("/proc/thread-self/net/stat/nf_conntrack");
    let text = netns.run(read)?.unwrap_or_default();
    Ok(["drop", "chaintoolong"].iter().map(|name| column(&text, name)).sum())
}

/// The sum of one column over all cores: a line of names, then a line of hexadecimal numbers each.
fn column(text: &str, name: &str) -> u64 {
    let mut lines = text.lines();
    let place = lines.next().and_then(|names| names.split_whitespace().position(|own| own == name));
    let Some(place) = place else { return 0 };
    lines
        .filter_map(|line| line.split_whitespace().nth(place))
        .filter_map(|value| u64::from_str_radix(value, 16).ok())
        .sum()
}

/// Forgets all sessions of the namespace.
pub(super) fn flush(netns: &Netns) -> Result<(), LabError> {
    netns.run(ask_to_flush)?.map_err(|source| LabError::Io {
        what: format!("flushing the sessions of namespace {}", netns.label()),
        source,
    })
}

// linux/netlink.h, linux/netfilter/nfnetlink.h
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NFNL_SUBSYS_CTNETLINK: u16 = 1;
const IPCTNL_MSG_CT_DELETE: u16 = 2;
/// Bytes of a netlink header and of netfilter's behind it.
const REQUEST: usize = 20;

/// A request to delete that names no session means all of them.
fn ask_to_flush() -> io::Result<()> {
    let socket = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        Some(netlink::NETFILTER),
    )?;
    let mut request = [0_u8; REQUEST];
    let size = u32::try_from(REQUEST).expect("20 bytes");
    request[..4].copy_from_slice(&size.to_ne_bytes());
    let kind = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE;
    request[4..6].copy_from_slice(&kind.to_ne_bytes());
    request[6..8].copy_from_slice(&(NLM_F_REQUEST | NLM_F_ACK).to_ne_bytes());
    // Sequence number and port stay 0, and so do family and version: all families.
    let kernel = SocketAddrNetlink::new(0, 0);
    rustix::net::sendto(&socket, &request, SendFlags::empty(), &kernel)?;
    let mut answer = [0_u8; 256];
    let (_, size) = rustix::net::recv(&socket, &mut answer[..], RecvFlags::empty())?;
    // An error message: its number stands behind the netlink header, 0 for an acknowledgement.
    let error = answer.get(16..20).filter(|_| size >= REQUEST);
    let error = error.and_then(|bytes| bytes.try_into().ok()).map_or(0, i32::from_ne_bytes);
    if error < 0 { Err(io::Error::from_raw_os_error(-error)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_summed_over_cores() {
        let text = "entries  clashres found drop early_drop\n\
                    0000001f 00000000 00000000 00000010 00000000\n\
                    0000001f 00000000 00000001 0000000a 00000002\n";
        assert_eq!(column(text, "drop"), 26);
        assert_eq!(column(text, "early_drop"), 2);
        assert_eq!(column(text, "none"), 0);
        assert_eq!(column("", "drop"), 0);
    }
}
