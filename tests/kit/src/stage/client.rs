//! A `sudare connect` process and the events it prints.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel};
use std::time::Instant;

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::scene::Glow;
use crate::wait::{PATIENCE, in_vain};

/// One line of `sudare connect --json`.
pub type Event = Value;

#[derive(Debug)]
pub struct Client {
    child: Child,
    stdin: ChildStdin,
    events: Receiver<Event>,
    /// All events so far.
    pub seen: Vec<Event>,
    has_ended: bool,
}

impl Client {
    pub fn start(command: &mut Command, arguments: &[&str], log: &Path) -> anyhow::Result<Self> {
        Self::start_before(command, arguments, log, Glow::default())
    }

    /// The same before people of a scene, on whom the light of its window falls at once: not only when its events are
    /// taken, for a check by light does not wait for that.
    pub fn start_before(
        command: &mut Command,
        arguments: &[&str],
        log: &Path,
        glow: Glow,
    ) -> anyhow::Result<Self> {
        let mut child = command
            .arg("connect")
            .args(arguments)
            .arg("--json")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::OpenOptions::new().create(true).append(true).open(log)?)
            .spawn()
            .context("sudare cannot be started. Build it with `cargo build --workspace --bins`")?;
        let stdout = child.stdout.take().context("no output of the client")?;
        let stdin = child.stdin.take().context("no input of the client")?;
        let (told, events) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let Ok(event) = serde_json::from_str(&line) else { continue };
                glow.take(&event);
                if told.send(event).is_err() {
                    break;
                }
            }
            glow.go_out();
        });
        Ok(Client { child, stdin, events, seen: Vec::new(), has_ended: false })
    }

    /// Waits for the first new event that `wanted` accepts.
    ///
    /// # Errors
    /// It did not come within minutes, or the client ended before; with the last events either way.
    pub fn wait(&mut self, what: &str, wanted: impl Fn(&Event) -> bool) -> anyhow::Result<Event> {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.events.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(event) => {
                    self.seen.push(event.clone());
                    if wanted(&event) {
                        return Ok(event);
                    }
                }
                Err(RecvTimeoutError::Timeout) => bail!("{}", in_vain(what, &self.last_events())),
                Err(RecvTimeoutError::Disconnected) => {
                    self.has_ended = true;
                    bail!("the client ended before {what}; its last events: {}", self.last_events());
                }
            }
        }
    }

    /// Whether its last event has been read.
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Takes the events that have come meanwhile.
    pub fn catch_up(&mut self) {
        loop {
            match self.events.try_recv() {
                Ok(event) => self.seen.push(event),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    self.has_ended = true;
                    return;
                }
            }
        }
    }

    fn last_events(&self) -> String {
        let from = self.seen.len().saturating_sub(6);
        let last = self.seen.get(from..).unwrap_or_default().iter().map(Value::to_string);
        last.collect::<Vec<_>>().join(" ")
    }

    /// Has the client save the picture it decoded, and waits for the file.
    pub fn save(&mut self, path: &Path) -> anyhow::Result<()> {
        writeln!(self.stdin, "save remote {}", path.display())?;
        self.wait("a saved picture", |e| e["event"] == "saved")?;
        Ok(())
    }

    pub fn signal(&self, signal: rustix::process::Signal) -> anyhow::Result<()> {
        Ok(rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal)?)
    }

    /// Peak resident memory so far.
    pub fn peak_mb(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|l| l.starts_with("VmHWM:")).context("no VmHWM")?;
        let kb: f64 = line.split_whitespace().nth(1).context("no figure")?.parse()?;
        Ok(kb / 1024.0)
    }

    /// SIGKILL, and reaps it.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // The process may have exited already; failing to kill it is not worth reporting.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
