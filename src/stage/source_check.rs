//! May this source use Microsoft peering? Only public addresses inside the prefixes that were
//! advertised; all else is dropped by name.
//!
//! - **Reads** `attachment`, `src`.
//! - **Writes** nothing.
//! - **Ends** `source_not_public`, `source_not_advertised`.

use super::Context;
use super::group::Groups;
use crate::frame::{Batch, Bits, DropReason};
use crate::tables::Role;

/// Checks the packets of `groups` that came in on a Microsoft peering; returns what is left of
/// `set`.
pub fn run(cx: &Context<'_>, batch: &mut Batch, groups: &Groups, set: u64) -> u64 {
    let mut good = set;
    for group in groups.iter() {
        let Role::Peering(side) = &cx.tables.attachment(group.attachment).role else { continue };
        let Some(sources) = &side.sources else { continue };
        for i in Bits(group.members & set) {
            let src = batch.row(i).src;
            if sources.iter().any(|(prefix, mask)| src & mask == *prefix) {
                continue;
            }
            let public = is_public(src);
            let reason =
                if public { DropReason::SourceNotAdvertised } else { DropReason::SourceNotPublic };
            batch.drop(i, reason);
            good &= !(1 << i);
        }
    }
    good
}

/// Whether an address is public in the sense of Microsoft peering: not RFC 1918, RFC 6598,
/// loopback, link-local, multicast or class E. Documentation and benchmark ranges count as public.
pub const fn is_public(address: u32) -> bool {
    let private = address >> 24 == 10
        || address >> 20 == 0xac1
        || address >> 16 == 0xc0a8
        || address >> 22 == 0x6440 >> 6
        || address >> 24 == 127
        || address >> 16 == 0xa9fe
        || address >> 28 >= 14
        || address >> 24 == 0;
    !private
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn public_is_what_the_service_calls_public() {
        let public = |text: &str| is_public(text.parse::<Ipv4Addr>().unwrap().into());
        for private in [
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "169.254.1.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "0.0.0.1",
        ] {
            assert!(!public(private), "{private}");
        }
        for address in [
            "203.0.113.64",
            "198.51.100.1",
            "192.0.2.1",
            "198.18.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "100.63.255.255",
            "100.128.0.0",
            "8.8.8.8",
        ] {
            assert!(public(address), "{address}");
        }
    }
}
