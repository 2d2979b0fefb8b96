//! Frames out of an interface: made, recorded and sent as the clock allows, until the end.

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use miette::{IntoDiagnostic, Result, miette};

use super::pace::{BURST, Pace};
use super::record::Record;
use super::tally::Tally;
use super::{Args, most, stop};
use crate::bench::progress::{Planned, Progress, Step};
use crate::frame::{HEADROOM, Outgoing, Pool};
use crate::hostile::Stream;
use crate::io::{LinkState, PacketSpec, Port, PortKind, PortSpec, Queue, clock};
use crate::time::{Now, Span};

/// Runs shorter than this say nothing before their end.
const QUIET: Span = Span::secs(2);
/// Time between two words of progress.
const SAY: Span = Span::secs(1);
/// How long an interface that was set up may take until it has a link.
const LINK: Duration = Duration::from_secs(5);

/// Sends until the count, the time or the user ends it.
pub(super) fn run(
    args: &Args,
    interface: &str,
    stream: Stream,
    file: &Path,
    tally: &mut Tally,
) -> Result<Record> {
    let stop = stop::listen()?;
    let (port, mut queues) = open(args, interface)?;
    let queue = queues.pop().expect("one queue was asked for");
    // Not before the interface is taken: a refused run leaves no file.
    let record = Record::create(file, interface)?;
    let pool = Pool::new(usize::try_from(BURST).expect("a burst is small")).into_diagnostic()?;
    await_link(&port, interface, &stop)?;
    let mut sender = Sender { stream, queue, pool, record, ahead: clock::wall_ahead() };
    let began = clock::now();
    let done = sender.send_all(args, began, &stop, tally);
    tally.ended(clock::now().since(began));
    // What was sent stands in the capture, however it ended.
    sender.record.finish()?;
    done.map(|()| sender.record)
}

fn open(args: &Args, interface: &str) -> Result<(Port, Vec<Queue>)> {
    let spec = PacketSpec {
        needs_mtu: 0,
        allow_host_interface: args.allow_host_interface,
        ..PacketSpec::new(interface)
    };
    let opened = Port::open(PortSpec { kind: PortKind::Packet(spec), queues: 1 });
    opened.map_err(|error| match error {
        crate::io::PortError::HostInterface { name, why } => miette!(
            help = "hostile frames there can cut you off and harm others; if that is what you \
                    want, say --allow-host-interface",
            "`{name}` {why}: fuzz-traffic does not send on an interface that the host uses itself"
        ),
        other => miette!("{other}"),
    })
}

fn await_link(port: &Port, interface: &str, stop: &Receiver<()>) -> Result<()> {
    let began = clock::now();
    while port.link_state() != LinkState::Up {
        if clock::now().since(began) > Span(u64::try_from(LINK.as_nanos()).unwrap_or(u64::MAX)) {
            return Err(miette!(
                help = "plug its cable in, set the other end up, or start what holds the TAP",
                "`{interface}` has no link"
            ));
        }
        if stop.recv_timeout(Duration::from_millis(10)) != Err(RecvTimeoutError::Timeout) {
            return Err(miette!("interrupted before `{interface}` had a link: nothing was sent"));
        }
    }
    Ok(())
}

/// Everything that sends.
struct Sender {
    stream: Stream,
    queue: Queue,
    pool: Pool,
    record: Record,
    /// What the wall's clock is ahead of the monotonic one.
    ahead: Span,
}

impl Sender {
    fn send_all(
        &mut self,
        args: &Args,
        began: Now,
        stop: &Receiver<()>,
        tally: &mut Tally,
    ) -> Result<()> {
        let most = most(args);
        let time = Span(u64::try_from(args.time.as_nanos()).unwrap_or(u64::MAX));
        let name = format!("fuzz-traffic on {}", args.interface.as_deref().unwrap_or_default());
        let plan = vec![Planned { name, expected: expected(most, args.rate, time) }];
        let mut progress = Progress::to_stderr(plan, args.json, began);
        let mut say_at = began + QUIET;
        let mut pace = Pace::new(args.rate, began);
        let mut out = Vec::new();
        loop {
            let now = clock::now();
            let left = most - tally.made();
            if left == 0 || now.since(began) >= time || stop.try_recv().is_ok() {
                return Ok(());
            }
            let frames = pace.take(now, left);
            for _ in 0..frames {
                self.make(now, &mut out, tally)?;
            }
            tally.offered(self.queue.transmit(&mut out, &mut self.pool));
            if now >= say_at {
                say_at = now + SAY;
                let doing = format!("{} frames", tally.made());
                progress.step(now, &Step { doing: &doing, ..Step::default() });
            }
            let wait = Duration::from_nanos(pace.next().0.saturating_sub(clock::now().0));
            if !wait.is_zero() && stop.recv_timeout(wait) != Err(RecvTimeoutError::Timeout) {
                return Ok(());
            }
        }
    }

    /// Makes a frame and puts it with those that go next.
    fn make(&mut self, now: Now, out: &mut Vec<Outgoing>, tally: &mut Tally) -> Result<()> {
        let (kind, bytes) = self.stream.next_frame();
        self.record.keep(now + self.ahead, &bytes)?;
        tally.count(kind, bytes.len());
        let mut frame = self.pool.take().expect("transmit gives back what a burst takes");
        frame[HEADROOM..HEADROOM + bytes.len()].copy_from_slice(&bytes);
        let off = u16::try_from(HEADROOM).expect("it is short");
        out.push(Outgoing::plain(frame, off, bytes.len(), now));
        Ok(())
    }
}

/// How long so many frames take, if nobody ends it earlier.
fn expected(most: u64, rate: u32, time: Span) -> Span {
    Span(super::pace::due(most, rate).0.min(time.0))
}
