//! A `sudare connect` process and the events it tells.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::Value;

/// One line of `sudare connect --json`.
pub type Event = Value;

#[derive(Debug)]
pub struct Client {
    child: Child,
    stdin: ChildStdin,
    events: Receiver<Event>,
    /// Everything told so far.
    pub seen: Vec<Event>,
}

impl Client {
    pub fn start(command: &mut Command, arguments: &[&str], log: &Path) -> anyhow::Result<Self> {
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
                if told.send(event).is_err() {
                    return;
                }
            }
        });
        Ok(Client { child, stdin, events, seen: Vec::new() })
    }

    /// Waits for the first new event that `wanted` accepts.
    pub fn wait(
        &mut self,
        what: &str,
        limit: Duration,
        wanted: impl Fn(&Event) -> bool,
    ) -> anyhow::Result<Event> {
        let until = Instant::now() + limit;
        loop {
            match self.events.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(event) => {
                    self.seen.push(event.clone());
                    if wanted(&event) {
                        return Ok(event);
                    }
                }
                Err(_) => {
                    let last: Vec<String> = self.seen.iter().rev().take(6).map(Value::to_string).collect();
                    bail!("waited {limit:?} in vain for: {what}. Last events: {last:#?}")
                }
            }
        }
    }

    /// Has the client save what it decoded, and waits until it is there.
    pub fn save(&mut self, path: &Path) -> anyhow::Result<()> {
        writeln!(self.stdin, "save remote {}", path.display())?;
        self.wait("a saved picture", Duration::from_secs(10), |e| e["event"] == "saved")?;
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

    /// Ends it without a word, and reaps it.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Killing what has ended is no error worth telling.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
