//! Whom are the frames for? Stations and tags as the user writes them, and the hosts they make.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::hostile::{Hosts, Lane};
use crate::wire::eth::{MacAddr, ether_type};
use crate::wire::vlan::Tag;

/// A MAC address, and the IP address that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Station {
    mac: MacAddr,
    ip: Option<IpAddr>,
}

impl FromStr for Station {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (mac, ip) = match text.split_once('/') {
            Some((mac, ip)) => {
                let ip = ip.parse().map_err(|_| format!("`{ip}` is no IP address"))?;
                (mac, Some(ip))
            }
            None => (text, None),
        };
        Ok(Self { mac: mac.parse().map_err(|error| format!("{error}"))?, ip })
    }
}

impl fmt::Display for Station {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.mac)?;
        self.ip.map_or(Ok(()), |ip| write!(f, "/{ip}"))
    }
}

/// VLAN identifiers, outer first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tagged(Vec<u16>);

impl FromStr for Tagged {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, &'static str> {
        let vid = |text: &str| text.parse().ok().filter(|vid| *vid < 4096_u16);
        let vids: Option<Vec<u16>> = text.split('.').map(vid).collect();
        let vids = vids.filter(|vids| vids.len() <= 2);
        vids.map(Self).ok_or("write it as VID or OUTER.INNER, each 0 to 4095")
    }
}

impl fmt::Display for Tagged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let vids: Vec<String> = self.0.iter().map(u16::to_string).collect();
        f.write_str(&vids.join("."))
    }
}

/// Everybody who was named, behind each stack of tags; nobody when nothing was said.
pub(super) fn hosts(to: &[Station], from: &[Station], vlans: &[Tagged]) -> Hosts {
    if to.is_empty() && from.is_empty() && vlans.is_empty() {
        return Hosts::default();
    }
    let untagged = [Tagged(Vec::new())];
    let vlans = if vlans.is_empty() { &untagged } else { vlans };
    Hosts::new(vlans.iter().map(|vlan| lane(to, from, vlan)).collect())
}

fn lane(to: &[Station], from: &[Station], vlan: &Tagged) -> Lane {
    let tag = |vid: &u16| Tag { tpid: ether_type::VLAN, tci: *vid };
    let mut lane = Lane { tags: vlan.0.iter().map(tag).collect(), ..Lane::default() };
    // A side that was not named is somebody unknown, and everybody.
    let nobody = [Station { mac: MacAddr([2, 0, 0, 0, 0, 1]), ip: None }];
    let all = [Station { mac: MacAddr::BROADCAST, ip: None }];
    for src in if from.is_empty() { &nobody } else { from } {
        for dst in if to.is_empty() { &all } else { to } {
            lane.macs.push((src.mac, dst.mac));
            match (src.ip, dst.ip) {
                (Some(IpAddr::V4(src)), Some(IpAddr::V4(dst))) => lane.ip4.push((src, dst)),
                (Some(IpAddr::V6(src)), Some(IpAddr::V6(dst))) => lane.ip6.push((src, dst)),
                (None, Some(IpAddr::V4(dst))) => {
                    // A neighbour of whom it is for.
                    lane.ip4.push(((dst.to_bits() ^ 3).into(), dst));
                }
                (None, Some(IpAddr::V6(dst))) => lane.ip6.push(((dst.to_bits() ^ 3).into(), dst)),
                _ => {}
            }
        }
    }
    lane
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written_the_same() {
        for text in ["02:00:00:00:00:01", "02:00:00:00:00:01/10.0.0.1", "02:00:00:00:00:01/::1"] {
            assert_eq!(text.parse::<Station>().unwrap().to_string(), text);
        }
        for text in ["200", "501.200", "0"] {
            assert_eq!(text.parse::<Tagged>().unwrap().to_string(), text);
        }
        for text in ["", "4096", "1.2.3", "a", "1."] {
            assert!(text.parse::<Tagged>().is_err(), "{text}");
        }
        assert!("02:00:00:00:00:01/10.0.0".parse::<Station>().is_err());
    }

    #[test]
    fn everybody_speaks_to_everybody_behind_every_tag() {
        let station = |text: &str| text.parse::<Station>().unwrap();
        let to = [station("02:00:00:00:00:01/10.0.0.1"), station("02:00:00:00:00:02/10.0.0.2")];
        let from = [station("02:00:00:00:00:09/10.9.0.9")];
        let vlans = ["200".parse().unwrap(), "501.300".parse().unwrap()];
        let hosts = hosts(&to, &from, &vlans);
        let vids = |lane: &Lane| lane.tags.iter().map(|tag| tag.vid()).collect::<Vec<_>>();
        let all: Vec<_> = hosts.lanes().iter().map(vids).collect();
        assert_eq!(all, [vec![200], vec![501, 300]]);
        for lane in hosts.lanes() {
            let far = "10.9.0.9".parse().unwrap();
            let pairs = ["10.0.0.1", "10.0.0.2"].map(|near| (far, near.parse().unwrap()));
            assert!(lane.macs.len() == 2 && lane.ip4 == pairs);
        }
        assert!(super::hosts(&[], &[], &[]).is_empty());
    }
}
