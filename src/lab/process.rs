//! How do the lab's processes start, speak and end?
//!
//! A child never outlives us: it asks the kernel for that at its start ([`die_with_parent`]), and
//! dropping its [`Process`] kills it. The kernel means the *thread* that made the child, so that
//! thread lives as long as the child: it is the one that waits for it.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::error::{Doing, LabError};
use super::netns::Netns;
use super::wait::Deadline;

/// The variable that tells a child which process it must not outlive.
pub const PARENT: &str = "THRUWAY_PARENT";

/// Lines of output that are kept; older ones are forgotten.
const KEPT_LINES: usize = 10_000;
/// Lines that an error quotes.
const QUOTED_LINES: usize = 12;
/// How long output may trail behind the end of its process.
const TRAIL: Duration = Duration::from_millis(500);

/// Makes this process die when the one that started it does, if that asked for it by
/// [`PARENT`]; for `main` to call first.
///
/// # Errors
/// [`LabError::ParentGone`] when the parent ended before the kernel could be asked.
pub fn die_with_parent() -> Result<(), LabError> {
    let Some(parent) = std::env::var(PARENT).ok().and_then(|text| text.parse::<i32>().ok()) else {
        return Ok(());
    };
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .doing(|| "asking to die with the parent".into())?;
    match rustix::process::getppid() {
        Some(now) if now.as_raw_nonzero().get() == parent => Ok(()),
        _ => Err(LabError::ParentGone { parent }),
    }
}

/// A command that runs this very program.
///
/// # Errors
/// When the program's own file cannot be found.
pub fn own_program<'a>(args: impl IntoIterator<Item = &'a str>) -> Result<Command, LabError> {
    let program = std::env::current_exe().doing(|| "finding this program's file".into())?;
    let mut command = Command::new(program);
    command.args(args);
    Ok(command)
}

/// A child process in a namespace; dropping it kills it.
#[derive(Debug)]
pub struct Process {
    pid: u32,
    handle: OwnedFd,
    shared: Arc<Shared>,
    waiter: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<String>,
    open_streams: usize,
    exit: Option<ExitStatus>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// Waits until `found` finds something or `within` has passed.
    fn wait<T>(&self, within: Duration, mut found: impl FnMut(&State) -> Option<T>) -> Option<T> {
        let deadline = Deadline::after(within);
        let mut state = self.lock();
        loop {
            if let Some(result) = found(&state) {
                return Some(result);
            }
            let remaining = deadline.remaining();
            if remaining.is_zero() {
                return None;
            }
            let wait = self.changed.wait_timeout(state, remaining);
            state = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Process {
    /// Starts `command` inside `netns`, with its input closed and its output kept.
    ///
    /// # Errors
    /// When the namespace cannot be entered or the program cannot be started.
    pub fn spawn(netns: &Netns, mut command: Command) -> Result<Self, LabError> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env(PARENT, std::process::id().to_string());
        let shared = Arc::new(Shared::default());
        let (started, start) = mpsc::channel();
        let (netns, theirs) = (netns.clone(), Arc::clone(&shared));
        let waiter = std::thread::Builder::new()
            .name("child".into())
            .spawn(move || match begin(&netns, &mut command, &theirs) {
                Ok((mut child, handle)) => {
                    let _ = started.send(Ok((child.id(), handle)));
                    if let Ok(status) = child.wait() {
                        theirs.update(|state| state.exit = Some(status));
                    }
                }
                Err(error) => drop(started.send(Err(error))),
            })
            .doing(|| "starting a thread for a child process".into())?;
        let (pid, handle) = start.recv().expect("the thread answers before it ends")?;
        Ok(Self { pid, handle, shared, waiter: Some(waiter) })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.pid
    }

    /// Waits for a line of output that `matches`, from its start on, and returns it.
    ///
    /// # Errors
    /// [`LabError::Exited`] with its last lines when it ends first, [`LabError::Timeout`] when
    /// the line does not come.
    pub fn wait_line(
        &self,
        what: &str,
        within: Duration,
        matches: impl Fn(&str) -> bool,
    ) -> Result<String, LabError> {
        let outcome = self.shared.wait(within, |state| {
            if let Some(line) = state.lines.iter().find(|line| matches(line)) {
                return Some(Ok(line.clone()));
            }
            let status = state.exit.filter(|_| state.open_streams == 0)?;
            let what = format!("waiting for {what}");
            Some(Err(LabError::Exited { what, status, tail: tail(state) }))
        });
        outcome.unwrap_or_else(|| Err(LabError::Timeout { what: what.to_owned(), within }))
    }

    /// Its output so far, both streams as they came.
    pub fn lines(&self) -> Vec<String> {
        self.shared.lock().lines.iter().cloned().collect()
    }

    /// How it ended, if it has.
    pub fn exit_status(&self) -> Option<ExitStatus> {
        self.shared.lock().exit
    }

    /// Waits until it has ended and its output is complete.
    ///
    /// # Errors
    /// [`LabError::Timeout`] when it runs on.
    pub fn wait(&self, within: Duration) -> Result<ExitStatus, LabError> {
        let what = || format!("waiting for process {} to end", self.pid);
        let status = self
            .shared
            .wait(within, |state| state.exit)
            .ok_or_else(|| LabError::Timeout { what: what(), within })?;
        // A grandchild may hold the streams open for longer: that is not waited for.
        let _ = self.shared.wait(TRAIL, |state| (state.open_streams == 0).then_some(()));
        Ok(status)
    }

    /// Sends it a signal; one that has ended gets none.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn signal(&self, signal: Signal) -> Result<(), LabError> {
        match pidfd_send_signal(&self.handle, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error).doing(|| format!("sending a signal to process {}", self.pid)),
        }
    }

    /// Asks it to end (SIGTERM) and does not wait.
    pub fn request_end(&self) {
        // What it does not hear now, `terminate` says again.
        let _ = self.signal(Signal::TERM);
    }

    /// Asks it to end (SIGTERM) and waits; kills it when it does not.
    ///
    /// # Errors
    /// [`LabError::Timeout`] when it had to be killed.
    pub fn terminate(&self, within: Duration) -> Result<ExitStatus, LabError> {
        if let Some(status) = self.exit_status() {
            return Ok(status);
        }
        self.signal(Signal::TERM)?;
        self.wait(within).inspect_err(|_| {
            let _ = self.kill();
        })
    }

    /// Kills it (SIGKILL) and waits for its end.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn kill(&self) -> Result<ExitStatus, LabError> {
        self.signal(Signal::KILL)?;
        self.wait(Duration::from_secs(5))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.exit_status().is_none() {
            let _ = self.signal(Signal::KILL);
        }
        if let Some(waiter) = self.waiter.take() {
            // It panics nowhere, and ends with the child.
            let _ = waiter.join();
        }
    }
}

fn begin(
    netns: &Netns,
    command: &mut Command,
    shared: &Arc<Shared>,
) -> Result<(Child, OwnedFd), LabError> {
    netns.enter()?;
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command.spawn().doing(|| format!("starting {program}"))?;
    match follow(&mut child, shared) {
        Ok(handle) => Ok((child, handle)),
        Err(error) => {
            // Not reaped yet, so the id is still this child's.
            let _ = child.kill();
            let _ = child.wait();
            Err(error)
        }
    }
}

/// Takes a handle of the child, and its output.
fn follow(child: &mut Child, shared: &Arc<Shared>) -> Result<OwnedFd, LabError> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a child has an id");
    let handle =
        pidfd_open(pid, PidfdFlags::empty()).doing(|| "opening a child's handle".into())?;
    let streams: [Option<Box<dyn Read + Send>>; 2] = [
        child.stdout.take().map(|s| Box::new(s) as Box<dyn Read + Send>),
        child.stderr.take().map(|s| Box::new(s) as Box<dyn Read + Send>),
    ];
    for stream in streams.into_iter().flatten() {
        let theirs = Arc::clone(shared);
        shared.update(|state| state.open_streams += 1);
        std::thread::Builder::new()
            .name("child output".into())
            .spawn(move || {
                keep_lines(stream, &theirs);
                theirs.update(|state| state.open_streams -= 1);
            })
            .doing(|| "starting a thread for a child's output".into())?;
    }
    Ok(handle)
}

fn keep_lines(stream: impl Read, shared: &Shared) {
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        let text = String::from_utf8_lossy(line.trim_ascii_end()).into_owned();
        shared.update(|state| {
            if state.lines.len() == KEPT_LINES {
                state.lines.pop_front();
            }
            state.lines.push_back(text);
        });
        line.clear();
    }
}

fn tail(state: &State) -> String {
    let skip = state.lines.len().saturating_sub(QUOTED_LINES);
    state.lines.iter().skip(skip).map(|line| format!("\n  {line}")).collect()
}
