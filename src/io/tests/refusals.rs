use super::support::*;
use crate::io::{Netns, PacketSpec, Port, PortError, PortKind, PortSpec, TapSpec};

fn packet(spec: PacketSpec) -> Result<(), PortError> {
    Port::open(PortSpec { kind: PortKind::Packet(spec), queues: 1 }).map(drop)
}

fn tap(spec: TapSpec, queues: usize) -> Result<(), PortError> {
    Port::open(PortSpec { kind: PortKind::Tap(spec), queues }).map(drop)
}

#[test]
fn names_and_sizes_are_checked_before_the_kernel_is_asked() {
    let too_long = tap(TapSpec::new("a-name-of-16-byt"), 1).unwrap_err();
    assert!(matches!(too_long, PortError::NameTooLong { .. }), "{too_long}");
    for bad in ["", ".", "a/b", "a b", "tap%d"] {
        let error = tap(TapSpec::new(bad), 1).unwrap_err();
        assert!(matches!(error, PortError::BadName { .. }), "{error}");
    }
    assert!(matches!(tap(TapSpec::new("x"), 0), Err(PortError::NoQueues { .. })));
    let large = tap(TapSpec { mtu: 9000, ..TapSpec::new("x") }, 1).unwrap_err();
    assert!(large.to_string().contains("fit up to 1954"), "{large}");
    let path = "/proc/no-such-process/ns/net".into();
    let lost = tap(TapSpec { netns: Some(Netns::Path(path)), ..TapSpec::new("x") }, 1);
    assert!(lost.unwrap_err().to_string().contains("/proc/no-such-process/ns/net"));
}

#[test]
fn an_interface_that_the_host_uses_is_refused() {
    in_namespace(|net| {
        net.veth("a", "b");
        net.address("a", [10, 9, 0, 1], [10, 9, 0, 2], FAR);
        let error = packet(PacketSpec::new("a")).unwrap_err().to_string();
        assert!(error.contains("has the address 10.9.0.1"), "{error}");
        assert!(error.contains("allow = \"host-interface\""), "{error}");
        packet(PacketSpec { allow_host_interface: true, ..PacketSpec::new("a") }).unwrap();
        packet(PacketSpec::new("b")).unwrap();
    });
}

#[test]
fn an_mtu_too_small_for_two_tags_is_refused_with_the_command() {
    in_namespace(|net| {
        net.veth("a", "b");
        net.interfaces.set_mtu("b", 1500).unwrap();
        let error = packet(PacketSpec::new("b")).unwrap_err().to_string();
        assert!(error.contains("ip link set dev b mtu 1504"), "{error}");
        packet(PacketSpec { needs_mtu: 1500, ..PacketSpec::new("b") }).unwrap();
    });
}

#[test]
fn a_missing_interface_is_named() {
    in_namespace(|_| {
        let error = packet(PacketSpec::new("nic7")).unwrap_err().to_string();
        assert!(error.contains("no interface `nic7` in this network namespace"), "{error}");
    });
}

#[test]
fn a_name_that_is_no_tap_is_refused() {
    in_namespace(|net| {
        net.veth("a", "b");
        let error = tap(TapSpec::new("a"), 1).unwrap_err();
        assert!(matches!(error, PortError::NotATap { .. }), "{error}");
    });
}
