//! Address translation by the kernel: one rule, given to it by the program nft.

use std::fs;
use std::process::Command;
use std::time::Duration;

use super::super::error::{Doing, MediumError};
use super::kernel::Nat;
use crate::lab::{LabError, Netns, Process, Scratch};

/// How long nft may take.
const RULES: Duration = Duration::from_secs(10);

/// Translates in `netns` what leaves by `interface`.
pub(in crate::bench) fn translate(
    netns: &Netns,
    nat: &Nat,
    interface: &str,
) -> Result<(), MediumError> {
    let scratch = Scratch::new("bench")?;
    let file = scratch.file("nat.nft");
    fs::write(&file, rules(nat, interface)).doing(|| format!("writing {}", file.display()))?;
    let mut command = Command::new("nft");
    command.arg("-f").arg(&file);
    let process = Process::spawn(netns, command).map_err(|error| match error {
        LabError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            MediumError::refused(
                "the program nft is not installed, and the kernel translates by its rules: \
                 install it (Debian and Ubuntu: apt-get install nftables), or leave NAT out",
            )
        }
        other => other.into(),
    })?;
    let status = process.wait(RULES)?;
    if status.success() {
        return Ok(());
    }
    Err(MediumError::refused(format!(
        "nft refused the rules ({status}): {}; the kernel needs nf_tables with NAT for this",
        process.lines().join(" ")
    )))
}

fn rules(nat: &Nat, interface: &str) -> String {
    let action = match nat.pool {
        None => "masquerade".to_owned(),
        Some((first, last)) if first == last => format!("snat to {first}"),
        Some((first, last)) => format!("snat to {first}-{last}"),
    };
    format!(
        "table ip thruway_bench {{\n chain out {{\n  \
         type nat hook postrouting priority srcnat; policy accept;\n  \
         oifname \"{interface}\" ip saddr {} {action}\n }}\n}}\n",
        nat.inside
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_names_interface_sources_and_pool() {
        let nat = |pool| Nat { inside: "10.0.0.0/8".parse().unwrap(), pool, out: 1, sessions: 1 };
        let pool = Some(([203, 0, 113, 64].into(), [203, 0, 113, 79].into()));
        let rule = "oifname \"m365\" ip saddr 10.0.0.0/8";
        assert!(rules(&nat(None), "m365").contains(&format!("{rule} masquerade\n")));
        let text = rules(&nat(pool), "m365");
        assert!(text.contains(&format!("{rule} snat to 203.0.113.64-203.0.113.79\n")), "{text}");
    }
}
