//! The lab against the kernel itself: each test makes its own namespaces and leaves nothing.

mod frames;
mod processes;
mod topology;
mod traffic;

use std::net::Ipv4Addr;
use std::time::Duration;

use ipnet::Ipv4Net;

use super::{Interface, Lab, LabError, Netns, Route, veth};

const SOON: Duration = Duration::from_secs(3);

fn net(text: &str) -> Ipv4Net {
    text.parse().unwrap()
}

fn ip(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

/// A lab, or `None` with a printed reason where there can be none.
fn lab() -> Option<Lab> {
    match Lab::new() {
        Ok(lab) => Some(lab),
        Err(error @ LabError::NotPermitted { .. }) => {
            println!("skipped: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// Joins two namespaces with a wire, an address at each end.
fn wire(a: (&Netns, &str, &str), b: (&Netns, &str, &str)) -> (Interface, Interface) {
    let (left, right) = veth((a.0, a.1), (b.0, b.1)).unwrap();
    for (end, address) in [(&left, a.2), (&right, b.2)] {
        end.netns().silence_ip6().unwrap();
        end.add_address(net(address)).unwrap();
        end.up().unwrap();
    }
    left.wait_carrier(true, SOON).unwrap();
    right.wait_carrier(true, SOON).unwrap();
    (left, right)
}

struct Pair {
    _lab: Lab,
    a: Netns,
    b: Netns,
    left: Interface,
    right: Interface,
}

/// 10.9.0.1 - 10.9.0.2.
fn pair() -> Option<Pair> {
    let mut lab = lab()?;
    let (a, b) = (lab.netns("a").unwrap(), lab.netns("b").unwrap());
    let (left, right) = wire((&a, "left", "10.9.0.1/24"), (&b, "right", "10.9.0.2/24"));
    Some(Pair { _lab: lab, a, b, left, right })
}

/// 10.1.0.1 - 10.1.0.254 (router) 10.2.0.254 - 10.2.0.1.
struct Routed {
    _lab: Lab,
    a: Netns,
    router: Netns,
    b: Netns,
}

fn routed() -> Option<Routed> {
    let mut lab = lab()?;
    let mut make = |name| lab.netns(name).unwrap();
    let (a, router, b) = (make("a"), make("router"), make("b"));
    wire((&a, "up", "10.1.0.1/24"), (&router, "to-a", "10.1.0.254/24"));
    wire((&b, "up", "10.2.0.1/24"), (&router, "to-b", "10.2.0.254/24"));
    router.make_router().unwrap();
    a.add_route(&Route::via(net("0.0.0.0/0"), ip("10.1.0.254"))).unwrap();
    b.add_route(&Route::via(net("0.0.0.0/0"), ip("10.2.0.254"))).unwrap();
    Some(Routed { _lab: lab, a, router, b })
}
