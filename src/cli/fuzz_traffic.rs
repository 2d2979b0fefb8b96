//! `thruway fuzz-traffic`: hostile frames out of an interface of the user's own lab.
//!
//! A seed, the kinds, the hosts and the captures make the frames, and nothing else does: not the
//! rate, not the interface, not what it refuses. So a run is repeated by its command, or written
//! without an interface by `--dry-run`. Every run is bounded in time and rate, and an interface
//! that the host uses itself is refused as `run` refuses it.

mod again;
mod pace;
mod record;
mod send;
mod stop;
mod tally;
mod target;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use miette::{IntoDiagnostic, Result, miette};

use super::{output, show};
use crate::frame::ROOM;
use crate::hostile::{Hosts, Kind, Sizes, Stream};
use crate::io::clock;
use crate::io::pcap::Reader;
use record::Record;
use tally::Tally;
use target::{Station, Tagged};

/// Shortest frame in bytes that the kernel sends: an Ethernet header.
const MIN_SIZE: usize = 14;
/// Most frames that are taken out of captures.
const MOST_CAPTURED: usize = 100_000;

/// Send hostile frames out of an interface, to try the device behind it.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The interface; a TAP of a running thruway or an interface of your lab
    #[arg(required_unless_present = "dry_run")]
    interface: Option<String>,
    /// The number that the frames are made from; a new one without it
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// mutated, grammar, fragments, vlan, arp, icmp, tcp, with commas; all without it
    #[arg(long, value_name = "KINDS", value_delimiter = ',')]
    kinds: Vec<Kind>,
    /// A capture of frames to change, and of hosts to speak as; may be given several times
    #[arg(long, value_name = "CAPTURE")]
    from: Vec<PathBuf>,
    /// Whom the frames are for, as MAC or MAC/IP; may be given several times
    #[arg(long, value_name = "MAC[/IP]")]
    to: Vec<Station>,
    /// Whom the frames seem to come from; may be given several times
    #[arg(long = "as", value_name = "MAC[/IP]")]
    sender: Vec<Station>,
    /// Tags of these hosts, as VID or OUTER.INNER; may be given several times
    #[arg(long, value_name = "VID")]
    vlan: Vec<Tagged>,
    /// Packets a second, at most
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    rate: u32,
    /// How long, at most
    #[arg(long = "for", value_name = "TIME", default_value = "60s", value_parser = humantime::parse_duration)]
    time: Duration,
    /// How many frames, at most
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Bytes of the longest frame, 60 to 1976
    #[arg(long, value_name = "BYTES", default_value_t = 1514, value_parser = max_size)]
    max_size: usize,
    /// The capture of the frames; fuzz-traffic-SEED.pcapng without it
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
    /// Write the capture alone, and send nothing
    #[arg(long)]
    dry_run: bool,
    /// Allow an interface that has an address or the default route
    #[arg(long)]
    allow_host_interface: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn max_size(text: &str) -> Result<usize, String> {
    let size = text.parse().ok().filter(|size| (60..=ROOM).contains(size));
    size.ok_or_else(|| format!("a size is a number from 60 to {ROOM}"))
}

/// Runs the command.
///
/// # Errors
/// When a capture cannot be read or written, or the interface cannot be taken.
pub fn main(args: &Args) -> Result<ExitCode> {
    let seed = args.seed.unwrap_or_else(|| clock::now().0 ^ clock::wall_ahead().0);
    let (hosts, captured) = read(args)?;
    let kinds = kinds(args, !captured.is_empty())?;
    let sizes = Sizes { min: MIN_SIZE, max: args.max_size };
    let stream = Stream::new(seed, &kinds, hosts, captured, sizes);
    let file = args.write.clone().unwrap_or_else(|| format!("fuzz-traffic-{seed}.pcapng").into());
    refuse_input(args, &file)?;
    let mut tally = Tally::default();
    let record = match (&args.interface, args.dry_run) {
        (Some(name), false) => send::run(args, name, stream, &file, &mut tally)?,
        _ => dry_run(args, stream, &file, &mut tally)?,
    };
    let again = again::command(args, seed, &kinds, (tally.made(), tally.took()));
    let summary = tally.summary(args, seed, &record, &again);
    if args.json {
        output::line(format_args!("{summary:#}"))?;
    } else {
        output::print(show::render(&summary))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Refuses to write over a capture that frames are made from.
fn refuse_input(args: &Args, file: &Path) -> Result<()> {
    let Ok(to) = file.canonicalize() else { return Ok(()) };
    if args.from.iter().any(|path| path.canonicalize().is_ok_and(|from| from == to)) {
        return Err(miette!(
            help = "give another file with --write",
            "{} is read by --from and would be written over",
            file.display()
        ));
    }
    Ok(())
}

/// The hosts that are given and learned, and the captured frames.
fn read(args: &Args) -> Result<(Hosts, Vec<Vec<u8>>)> {
    let mut hosts = target::hosts(&args.to, &args.sender, &args.vlan);
    let mut captured = Vec::new();
    for path in &args.from {
        take(path, &mut hosts, &mut captured)?;
    }
    Ok((hosts, captured))
}

fn take(path: &Path, hosts: &mut Hosts, captured: &mut Vec<Vec<u8>>) -> Result<()> {
    let mut reader = Reader::open(path).into_diagnostic()?;
    while captured.len() < MOST_CAPTURED {
        let Some(packet) = reader.next().into_diagnostic()? else { break };
        hosts.learn(packet.bytes);
        captured.push(packet.bytes.to_vec());
    }
    Ok(())
}

/// The kinds that were asked for; all that can be made when none were.
fn kinds(args: &Args, has_captured: bool) -> Result<Vec<Kind>> {
    if args.kinds.contains(&Kind::Mutated) && !has_captured {
        return Err(miette!(
            help = "name a capture with --from, or leave `mutated` out of --kinds",
            "there are no captured frames to change"
        ));
    }
    let can = |kind: &Kind| *kind != Kind::Mutated || has_captured;
    Ok(match args.kinds.as_slice() {
        [] => Kind::ALL.into_iter().filter(can).collect(),
        kinds => kinds.to_vec(),
    })
}

/// Writes what would be sent, with the times at which it would be due.
fn dry_run(args: &Args, mut stream: Stream, file: &Path, tally: &mut Tally) -> Result<Record> {
    let mut record = Record::create(file, args.interface.as_deref().unwrap_or("dry-run"))?;
    let stop = stop::listen()?;
    for i in 0..most(args) {
        if stop.try_recv().is_ok() {
            break;
        }
        let (kind, frame) = stream.next_frame();
        record.keep(pace::due(i, args.rate), &frame)?;
        tally.count(kind, frame.len());
    }
    record.finish()?;
    Ok(record)
}

/// How many frames a run has at most: by count, and by rate and time.
fn most(args: &Args) -> u64 {
    let by_time = args.time.as_nanos() * u128::from(args.rate) / 1_000_000_000;
    let by_time = u64::try_from(by_time).unwrap_or(u64::MAX);
    args.count.map_or(by_time, |count| count.min(by_time))
}
