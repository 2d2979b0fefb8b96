//! `thruway demo`: a whole lab in network namespaces, and proofs of what the service promises.
//!
//! It builds the lab, tests one claim after the other with real packets, and takes it all away.
//! It measures only what crosses the lab: kernels at its ends, and thruway's own counters.

mod accounting;
mod microsoft;
mod plan;
mod policing;
mod private;
mod proof;
mod screen;
mod signals;
mod site;

use std::path::Path;
use std::process::ExitCode;

use miette::{IntoDiagnostic, Result, miette};

use crate::lab::{self, LabError, Scratch};
use proof::{Claim, Proof};
use screen::Screen;
use signals::Signals;
use site::Site;

/// Build a lab in network namespaces and prove what the circuit does.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Print one JSON object instead
    #[arg(long, conflicts_with_all = ["keep", "step"])]
    pub json: bool,
    /// Keep the lab afterwards, until Ctrl-C
    #[arg(long)]
    pub keep: bool,
    /// Say what comes next and wait for Enter
    #[arg(long)]
    pub step: bool,
}

/// What is proved, in order. The link's accounts come before the cut, which costs packets.
const CLAIMS: &[Claim] = &[
    Claim {
        name: "private_peering",
        says: "private peering reaches a spoke's VM through the hub's gateway",
        test: private::gateway,
    },
    Claim {
        name: "silent_gateway",
        says: "the gateway is a hop that does not answer traceroute",
        test: private::silent_gateway,
    },
    Claim {
        name: "fastpath",
        says: "FastPath goes past the gateway, whose counters stand still",
        test: private::fastpath,
    },
    Claim {
        name: "mtu",
        says: "FastPath carries 1,500 bytes, the gateway 1,400",
        test: private::mtu,
    },
    Claim {
        name: "tags",
        says: "frames cross the link in two tags of type 0x8100",
        test: private::tags,
    },
    Claim {
        name: "nsg",
        says: "a security group drops what its rule names, and nothing else",
        test: private::nsg,
    },
    Claim {
        name: "microsoft_nat",
        says: "Microsoft peering: the service sees an address of the provider's NAT pool",
        test: microsoft::nat,
    },
    Claim {
        name: "untranslated_source",
        says: "Microsoft peering: a private source is dropped by name",
        test: microsoft::untranslated,
    },
    Claim {
        name: "policing_to_azure",
        says: "1.5 times the bandwidth is policed to it, towards Azure",
        test: policing::to_azure,
    },
    Claim {
        name: "policing_to_onprem",
        says: "1.5 times the bandwidth is policed to it, towards on-premises",
        test: policing::to_onprem,
    },
    Claim {
        name: "links_agree",
        says: "every frame that one process sent on a link the other received",
        test: accounting::links_agree,
    },
    Claim {
        name: "link_cut",
        says: "the primary link is cut under NATed TCP: all transfers complete, no route is edited",
        test: microsoft::link_cut,
    },
    Claim { name: "checksums", says: "no host saw a broken checksum", test: accounting::checksums },
    Claim {
        name: "accounting",
        says: "in both processes the fate of every packet is known",
        test: accounting::balanced,
    },
];

/// Runs the command.
///
/// # Errors
/// When the lab cannot be built here, or nobody reads what it says; a claim that does not hold is no error but exit code 1.
pub fn main(args: &Args) -> Result<ExitCode> {
    // A user namespace can be entered only while there is no other thread.
    let _privilege = lab::prepare().map_err(impossible)?;
    need_tun()?;
    let screen = Screen::new(args.json, args.step);
    let scratch = Scratch::new("demo").into_diagnostic()?;
    let signals = Signals::listen(scratch.on_disk().map(Path::to_owned))?;
    screen.open()?;
    let site = Site::build(scratch, |what| screen.built(what))?;
    screen.line("")?;
    let mut proofs = Vec::new();
    for claim in CLAIMS {
        screen.next(claim)?;
        let proof = Proof::of(claim, &site);
        screen.proved(&proof)?;
        proofs.push(proof);
    }
    let all = proofs.iter().all(|proof| proof.ok);
    if args.keep {
        screen.hints(&site)?;
        signals.wait();
        screen.line("")?;
    }
    site.close()?;
    screen.close(&proofs)?;
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn impossible(error: LabError) -> miette::Report {
    miette!(
        help = "the demo makes namespaces of its own and changes nothing outside of them",
        "the demo cannot run here: {error}"
    )
}

/// TAP devices need the kernel's TUN driver, and a way to it.
fn need_tun() -> Result<()> {
    let device = "/dev/net/tun";
    std::fs::OpenOptions::new().read(true).write(true).open(device).map(drop).map_err(|error| {
        miette!(
            help = "load the driver with `modprobe tun`; in a container pass the device in \
                    (docker: --device /dev/net/tun); where permission is denied, run as root or \
                    let this user have the device",
            "the demo needs TAP devices, and {device} cannot be opened: {error}"
        )
    })
}
