use std::collections::HashSet;

use super::places::{AZURE_MAC, ONPREM_MAC, ONPREM_PORT_MAC};
use super::*;
use crate::bench::traffic::Genome;
use crate::model;
use crate::wire::arp;
use crate::wire::build;
use crate::wire::eth::MacAddr;

fn small(way: Way, hand_over: HandOver) -> Scenario {
    let spec = Spec { hand_over, routes: Routes::hosts(20), flows: 300, ..Spec::new(way) };
    Scenario::new(spec).unwrap()
}

fn wire() -> Ports {
    Ports {
        secondary: None,
        onprem: PortKind::Packet("onprem0".to_owned(), Some("/proc/1/ns/net".into())),
        azure: PortKind::Tap("azure0".to_owned(), None),
    }
}

#[test]
fn every_configuration_is_accepted_and_has_the_tester_s_ports() {
    for way in Way::ALL {
        for hand_over in HandOver::ALL {
            let scenario = small(*way, *hand_over);
            for ports in [Ports::MEMORY, wire()] {
                let text = scenario.config(&ports).unwrap();
                let loaded = crate::config::parse("bench.toml", &text)
                    .unwrap_or_else(|report| panic!("{report:?}\n{text}"));
                let model = loaded.model.for_role(scenario.role()).expect("no cable is split");
                let kind = |name: &str| {
                    let port = model.ports.iter().find(|own| own.name.as_str() == name);
                    port.expect("the port is there").kind.clone()
                };
                let memory = ports == Ports::MEMORY;
                assert_eq!(kind("onprem") == model::PortKind::Memory, memory);
                assert_eq!(kind("azure") == model::PortKind::Memory, memory);
                // All other memory ports are joined: `thruway run` takes no loose ones.
                let cabled: HashSet<_> =
                    model.cables.iter().flat_map(|own| &own.ends).map(|own| own.as_str()).collect();
                for port in &model.ports {
                    let name = port.name.as_str();
                    let testers = ["onprem", "azure"].contains(&name);
                    assert_eq!(cabled.contains(name), !testers, "{way} {name}");
                }
            }
        }
    }
}

#[test]
fn the_nat_has_room_and_addresses_for_every_scale() {
    for (flows, pool) in [(64_512, 29), (1_032_192, 25), (10_000_000, 21)] {
        let scenario = Scenario::new(Spec { flows, ..Spec::new(Way::Nat) }).unwrap();
        assert_eq!(scenario.pool().prefix_len(), pool);
        assert!(u64::from(scenario.session_room()) >= flows);
        assert!(u64::from(scenario.session_room()) < flows * 2);
    }
}

#[test]
fn arp_for_the_tester_s_stations_is_answered_with_the_tags_it_came_with() {
    let scenario = small(Way::FastPath, HandOver::QinQ);
    let asks = |target: [u8; 4]| {
        build::arp(arp::REQUEST, ONPREM_PORT_MAC, [172, 16, 0, 2], MacAddr::ZERO, target)
            .tags(scenario.lane(TO_AZURE).enters.tags)
            .build()
    };
    let reply = scenario.answer(TO_AZURE, &asks([172, 16, 0, 1])).expect("an answer");
    let expected =
        build::arp(arp::REPLY, ONPREM_MAC, [172, 16, 0, 1], ONPREM_PORT_MAC, [172, 16, 0, 2])
            .tags(scenario.lane(TO_AZURE).enters.tags)
            .pad(60);
    assert_eq!(reply, expected.build());
    assert_eq!(scenario.answer(TO_AZURE, &asks([172, 16, 0, 5])), None, "the other link's");
    assert_eq!(scenario.answer(TO_AZURE, &reply), None, "a reply");
    assert_eq!(scenario.answer(TO_AZURE, &asks([172, 16, 0, 1])[..30]), None, "cut off");
    let services = small(Way::Microsoft, HandOver::QinQ);
    let asks = |target: [u8; 4]| {
        build::arp(arp::REQUEST, EDGE, [198, 19, 0, 1], MacAddr::ZERO, target).build()
    };
    const EDGE: MacAddr = MacAddr([2, 0, 0, 0, 9, 9]);
    let reply = services.answer(TO_ONPREM, &asks([198, 19, 1, 77])).expect("any service");
    assert_eq!(reply[6..12], AZURE_MAC.0);
    assert_eq!(services.answer(TO_ONPREM, &asks([198, 19, 0, 1])), None, "thruway's own");
    assert_eq!(small(Way::Nat, HandOver::QinQ).answer(TO_AZURE, &asks([203, 0, 113, 1])), None);
}

#[test]
fn what_cannot_be_had_is_said() {
    let sentence = |spec: Spec| Scenario::new(spec).unwrap_err().to_string();
    let fast = Spec::new(Way::FastPath);
    assert_eq!(sentence(Spec { flows: 0, ..fast.clone() }), "flows are 1 to 2147483648, not 0");
    assert_eq!(
        sentence(Spec { new_flows: 5, ..fast.clone() }),
        "way fastpath has no sessions: all its flows are alike"
    );
    assert_eq!(
        sentence(Spec { rules: 50, ..Spec::new(Way::Nat) }),
        "way nat has no subnet for a security group"
    );
    let genome = Genome::one(1518).unwrap();
    let gateway = Scenario::new(Spec::new(Way::Gateway)).unwrap();
    assert_eq!(
        gateway.frames(TO_AZURE, &genome, Mix::Known, None).unwrap_err().to_string(),
        "way gateway carries frames of 1418 bytes at most (untagged, with check sequence), not 1518"
    );
    let nat = Scenario::new(Spec::new(Way::Nat)).unwrap();
    let genome = Genome::one(64).unwrap();
    assert_eq!(
        nat.frames(TO_ONPREM, &genome, Mix::Known, None).unwrap_err(),
        ScenarioError::NotOpened(Way::Nat)
    );
    assert!("west".parse::<Way>().unwrap_err().to_string().ends_with("nat, provider, microsoft"));
}

#[test]
fn prefixes_are_read_from_a_file_and_its_own_are_left_out() {
    let text = "# a table\n192.0.2.0/24\n\n198.18.5.0/24 # ours\n8.8.8.8/16\n192.0.2.0/24\n";
    let routes = Routes::read("table.txt", text).unwrap();
    let shown: Vec<String> = routes.prefixes().iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["8.8.0.0/16", "192.0.2.0/24"]);
    assert!(routes.note().unwrap().contains("2 lines left out"), "{:?}", routes.note());
    assert_eq!(
        Routes::read("x", "10.0.0.0/33").unwrap_err().to_string(),
        "line 1: \"10.0.0.0/33\" is no IPv4 prefix, such as 192.0.2.0/24"
    );
    assert_eq!(Routes::read("x", "0.0.0.0/0").unwrap_err(), RoutesError::Empty);
}

#[test]
fn tables_are_as_large_as_asked_for() {
    for len in [1, 10_000] {
        assert_eq!(
            (Routes::sized(1, len).len(), Routes::sized(1, len).prefixes().len()),
            (len as usize, 0)
        );
    }
    let large = Routes::sized(1, 100_000);
    assert_eq!((large.len(), large.prefixes().len()), (100_000, 100_000));
}

#[test]
fn a_record_counts_tags_and_says_what_is_in_the_tables() {
    let scenario = Scenario::new(Spec::new(Way::FastPath)).unwrap();
    let genome = Genome::one(64).unwrap();
    let run = Run {
        device: "thruway",
        medium: "memory",
        genome: &genome,
        workers: 1,
        direction: Direction::ToAzure,
        layout: "all on one core",
    };
    let record = scenario.record(&run);
    assert_eq!(record.name, "fastpath/memory/QinQ/64/10000");
    assert_eq!(record.frame_sizes, [72]);
    assert_eq!((record.routes, record.sessions, record.flows), (10_000, 0, 10_000));
    assert!(scenario.notes()[0].contains("limits are off"));
}

#[test]
fn what_no_file_can_say_is_for_memory_ports_alone() {
    let ample = Spec { limits: Limits::Ample, ..Spec::new(Way::Nat) };
    let scenario = Scenario::new(ample).unwrap();
    assert!(scenario.config(&Ports::MEMORY).is_ok());
    let refused = scenario.config(&wire()).unwrap_err();
    assert!(matches!(refused, ScenarioError::MemoryOnly { .. }), "{refused}");
}

#[test]
fn a_process_of_its_own_has_prefixes_as_routes_of_on_premises() {
    let spec = Spec { routes: Routes::internet(1, 1000), ..Spec::new(Way::FastPath) };
    let scenario = Scenario::new(spec.clone()).unwrap();
    let loaded = crate::config::parse("bench", &scenario.config(&wire()).unwrap()).unwrap();
    let mut listed: Vec<_> =
        loaded.model.routes.iter().flat_map(|own| own.prefixes.iter().copied()).collect();
    listed.sort_unstable();
    let wanted = spec.routes.prefixes().iter().map(|own| ipnet::Ipv4Net::from(*own));
    let mut wanted: Vec<_> = wanted.chain([super::places::ONPREM_HOSTS]).collect();
    wanted.sort_unstable();
    assert_eq!(listed, wanted);
    // What is sent towards on-premises is for one of them.
    let genome = Genome::one(64).unwrap();
    let mut frames = scenario.frames(TO_ONPREM, &genome, Mix::Known, None).unwrap();
    let mut buf = [0; 100];
    for seq in 0..300 {
        let probe = crate::bench::traffic::Probe { seq, ..Default::default() };
        crate::bench::traffic::Stream::write(&mut frames, &probe, &mut buf);
        let dst = std::net::Ipv4Addr::new(buf[30], buf[31], buf[32], buf[33]);
        assert!(wanted.iter().any(|prefix| prefix.contains(&dst)), "{dst}");
    }
}

#[test]
fn another_router_gets_the_same_frames() {
    let plain = small(Way::FastPath, HandOver::Untagged);
    let router = plain.router().expect("plain forwarding");
    for (lane, here, there) in
        [(TO_AZURE, &router.onprem, &router.azure), (TO_ONPREM, &router.azure, &router.onprem)]
    {
        let genome = Genome::one(64).unwrap();
        let mut frames = plain.frames(lane, &genome, Mix::Known, None).unwrap();
        let mut buf = [0; 100];
        for seq in 0..300 {
            let probe = crate::bench::traffic::Probe { seq, ..Default::default() };
            crate::bench::traffic::Stream::write(&mut frames, &probe, &mut buf);
            assert_eq!(buf[..6], here.own_mac.0, "for the router's port");
            let dst = std::net::Ipv4Addr::new(buf[30], buf[31], buf[32], buf[33]);
            assert!(there.prefixes.iter().any(|prefix| prefix.contains(&dst)), "{dst}");
        }
    }
    assert_eq!(router.translation, None);
    let nat = small(Way::Nat, HandOver::Untagged).router().expect("source translation");
    assert_eq!(nat.translation.map(|own| own.0.to_string()), Some("10.0.0.0/8".to_owned()));
    assert_eq!(small(Way::FastPath, HandOver::Dot1Q).router(), None);
    assert_eq!(small(Way::Gateway, HandOver::Untagged).router(), None);
}
