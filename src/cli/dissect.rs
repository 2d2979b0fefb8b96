//! `thruway dissect`: a capture as the parser of the data plane sees it, beside other parsers.

mod text;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use miette::{IntoDiagnostic, Result, miette};
use serde_json::{Value, json};

use super::output;
use crate::dissect::user::{self, Answer, Parser};
use crate::dissect::{Difference, Dissection, Keeper, Kept, Sign, Totals, Whole, compare};
use crate::io::pcap::{CaptureError, Captured, Reader};
use crate::time::{Now, Span};
use crate::wire::{eth, show};

/// Show a capture as the parser of the data plane sees it.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A pcap or pcapng file of any link
    #[arg(required_unless_present = "differences")]
    pub file: Option<PathBuf>,
    /// Show each field with its position, as thruway and as etherparse sees it
    #[arg(short, long)]
    pub verbose: bool,
    /// Print JSON lines: one object a packet, then the sums
    #[arg(long, conflicts_with = "verbose")]
    pub json: bool,
    /// List the differences from etherparse that are on purpose, and nothing else
    #[arg(long)]
    pub differences: bool,
    /// Fail when something differs that is not on purpose, or your parser differs
    #[arg(long)]
    pub strict: bool,
    /// Your own parser, run by `sh -c` for each frame: the frame comes on its standard input, one
    /// JSON object is read from its standard output
    #[arg(long, value_name = "CMD")]
    pub with: Option<String>,
    /// How long your parser may take for a frame, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 5, requires = "with",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub timeout: u64,
    /// Make the first frame of each kind of difference as small as possible, and write it to a
    /// capture in this folder: of your parser's differences, or of unexplained ones
    #[arg(long, value_name = "DIR")]
    pub shrink: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// When the capture cannot be read to its end, your parser cannot be started, or nobody reads the
/// answer.
pub fn main(args: &Args) -> Result<ExitCode> {
    let Some(file) = args.file.as_deref().filter(|_| !args.differences) else {
        output::print(text::names(compare::NAMES))?;
        return Ok(ExitCode::SUCCESS);
    };
    let mut reader = Reader::open(file).map_err(|error| {
        miette!(help = "`dissect` takes a pcap or pcapng file", "cannot read {error}")
    })?;
    let mut run = Run::new(args, file);
    let broken = run.all(&mut reader)?;
    run.totals.skipped = reader.skipped();
    if args.json {
        output::line(json!({ "summary": run.totals }))?;
    } else {
        output::print(&run.totals)?;
    }
    if let Some(error) = broken {
        let help = "what stands before that was read";
        return Err(miette!(help = help, "cannot read {error}"));
    }
    let strange = args.strict && run.totals.is_strange();
    Ok(if strange { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What the user's parser said of one frame.
struct Asked {
    answer: Answer,
    differences: Vec<Difference>,
}

/// A capture on its way through the parsers.
struct Run<'a> {
    args: &'a Args,
    parser: Option<Parser>,
    keeper: Option<Keeper>,
    begin: Option<Now>,
    totals: Totals,
}

impl<'a> Run<'a> {
    fn new(args: &'a Args, file: &Path) -> Self {
        let limit = Span::secs(args.timeout);
        Self {
            args,
            parser: args.with.clone().map(|command| Parser { command, limit }),
            keeper: args.shrink.as_deref().map(|folder| Keeper::new(folder, file)),
            begin: None,
            totals: Totals::default(),
        }
    }

    /// Takes all packets up to the end, or to where the capture is broken.
    fn all(&mut self, reader: &mut Reader<File>) -> Result<Option<CaptureError>> {
        loop {
            match reader.next() {
                Ok(Some(packet)) => self.packet(&packet)?,
                Ok(None) => return Ok(None),
                Err(error) => return Ok(Some(error)),
            }
        }
    }

    fn packet(&mut self, packet: &Captured<'_>) -> Result<()> {
        let frame = Whole::of(packet);
        let seen = Dissection::of(&frame);
        self.totals.add(&seen);
        let asked = self.ask(&frame, &seen)?;
        let kept = self.keep(packet.number, &frame, &seen, asked.as_ref())?;
        if self.args.json {
            return output::line(json(packet, &frame, &seen, asked.as_ref(), kept.as_ref()));
        }
        let begin = *self.begin.get_or_insert(packet.at);
        output::print(text::line(packet, begin, &seen))?;
        if let Some(asked) = &asked {
            output::print(text::asked(&asked.differences))?;
        }
        if let Some(kept) = &kept {
            let (size, runs, path) = (kept.size, kept.runs, kept.path.display());
            output::line(format_args!("      small: {size} bytes after {runs} runs in {path}"))?;
        }
        if self.args.verbose {
            output::print(text::table(packet, &seen, asked.as_ref().map(|asked| &asked.answer)))?;
        }
        Ok(())
    }

    fn ask(&mut self, frame: &Whole, seen: &Dissection) -> Result<Option<Asked>> {
        let Some(parser) = &self.parser else { return Ok(None) };
        let answer = parser.ask(&frame.bytes).map_err(|error| {
            miette!(help = "`--with` needs a shell in PATH", "cannot start `sh`: {error}")
        })?;
        let differences = user::differences(&seen.ours, &answer);
        self.totals.add_parser(&differences, user::strangers(&answer));
        Ok(Some(Asked { answer, differences }))
    }

    /// Makes a frame small that shows something new.
    fn keep(
        &mut self,
        number: u64,
        frame: &Whole,
        seen: &Dissection,
        asked: Option<&Asked>,
    ) -> Result<Option<Kept>> {
        let differs = match asked {
            Some(asked) => !asked.differences.is_empty(),
            None => seen.differences.iter().any(|own| own.name.is_none()),
        };
        let (Some(keeper), true) = (&mut self.keeper, differs) else { return Ok(None) };
        let parser = self.parser.as_ref();
        let sign = |bytes: &[u8]| {
            let seen = Dissection::of(&Whole::all(bytes.to_vec()));
            let Some(parser) = parser else {
                let unexplained = seen.differences.iter().filter(|own| own.name.is_none());
                return Ok(Sign::of(&seen.ours, unexplained));
            };
            Ok(Sign::of(&seen.ours, &user::differences(&seen.ours, &parser.ask(bytes)?)))
        };
        keeper.keep(number, &frame.bytes, sign).into_diagnostic()
    }
}

/// A packet for programs; docs/dissect.md describes it.
fn json(
    packet: &Captured<'_>,
    frame: &Whole,
    seen: &Dissection,
    asked: Option<&Asked>,
    kept: Option<&Kept>,
) -> Value {
    let mut object = json!({
        "packet": packet.number,
        "at": text::stamp(packet.at),
        "interface": packet.interface,
        "link": packet.link,
        "moved": moved(packet),
        "size": packet.original_size,
        "captured": frame.captured,
        "show": show(packet.bytes),
        "thruway": seen.ours,
        "etherparse": seen.theirs,
        "differences": seen.differences,
    });
    if let Some(asked) = asked {
        let said = match &asked.answer {
            Answer::Said(said) => Value::Object(said.clone()),
            _ => Value::Null,
        };
        object["parser"] = json!({ "said": said, "differences": asked.differences });
    }
    if let Some(kept) = kept {
        object["small"] = json!({ "path": kept.path, "size": kept.size, "runs": kept.runs });
    }
    object
}

/// How many bytes more positions count than in the capture, where the Ethernet header was made up.
fn moved(packet: &Captured<'_>) -> i64 {
    let signed = |size: usize| i64::try_from(size).expect("headers are short");
    signed(eth::HEADER) - signed(packet.link_size)
}
