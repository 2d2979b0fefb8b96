//! Which command makes the same frames again? All that they depend on, and how many.

use std::borrow::Cow;

use super::Args;
use crate::hostile::Kind;
use crate::time::Span;

/// The time that a run has without a word of the user.
const USUAL_SECS: u64 = 60;
const USUAL_RATE: u32 = 10_000;
const USUAL_SIZE: usize = 1514;

/// The command, as one would type it in a shell.
pub(super) fn command(args: &Args, seed: u64, kinds: &[Kind], (made, took): (u64, Span)) -> String {
    let mut words = vec!["thruway".to_owned(), "fuzz-traffic".to_owned()];
    let mut add = |name: &str, value: &str| {
        words.push(name.to_owned());
        words.push(quoted(value).into_owned());
    };
    add("--seed", &seed.to_string());
    let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
    add("--kinds", &names.join(","));
    args.from.iter().for_each(|path| add("--from", &path.display().to_string()));
    args.to.iter().for_each(|station| add("--to", &station.to_string()));
    args.sender.iter().for_each(|station| add("--as", &station.to_string()));
    args.vlan.iter().for_each(|vlan| add("--vlan", &vlan.to_string()));
    if args.max_size != USUAL_SIZE {
        add("--max-size", &args.max_size.to_string());
    }
    if args.rate != USUAL_RATE {
        add("--rate", &args.rate.to_string());
    }
    add("--count", &made.to_string());
    if let Some(secs) = time(made, args.rate, took) {
        add("--for", &format!("{secs}s"));
    }
    if args.allow_host_interface {
        words.push("--allow-host-interface".to_owned());
    }
    match &args.interface {
        Some(interface) if !args.dry_run => words.push(quoted(interface).into_owned()),
        _ => words.push("--dry-run".to_owned()),
    }
    words.join(" ")
}

/// Seconds that so many frames may take, where the usual time may end them: twice what the rate says
/// and what they took, so that no slow machine ends them earlier.
fn time(made: u64, rate: u32, took: Span) -> Option<u64> {
    let secs = made.div_ceil(rate.into()).max(took.0.div_ceil(1_000_000_000));
    Some(secs.saturating_mul(2)).filter(|secs| *secs > USUAL_SECS)
}

/// A word that a shell takes as it stands.
fn quoted(word: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,=@+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return Cow::Borrowed(word);
    }
    Cow::Owned(format!("'{}'", word.replace('\'', r"'\''")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_took_longer_than_its_rate_says_gets_as_long_again() {
        assert_eq!(time(200_000, 10_000, Span::secs(20)), None);
        assert_eq!(time(600_000, 10_000, Span::secs(61)), Some(122));
        // 120 million frames at ten million a second, of which the machine made 400,000.
        assert_eq!(time(120_000_000, 10_000_000, Span::secs(300)), Some(600));
    }

    #[test]
    fn words_reach_the_program_through_a_shell_as_they_were() {
        for word in ["a b", "it's", "plain.pcapng", "", "$HOME", "ü"] {
            let line = format!("printf %s {}", quoted(word));
            let output = std::process::Command::new("sh").args(["-c", &line]).output().unwrap();
            assert_eq!(output.stdout, word.as_bytes());
        }
    }
}
