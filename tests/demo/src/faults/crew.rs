//! The running processes: started, killed, started again.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, ensure};
use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};
use sudare_test_kit::wait_until;

use super::place::{DEVICES, Place};

/// A client changes its device after so many lives, so that no device uses up what it may store in a day.
const LIVES_PER_DEVICE: usize = 20;

/// Which files are run.
#[derive(Debug, Clone)]
pub struct Programs {
    pub recorder: PathBuf,
    pub sudare_faults: PathBuf,
}

/// A kind of process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Who {
    Recorder,
    Guard(usize),
    Client(usize),
}

impl Who {
    pub(super) fn kind(self) -> &'static str {
        match self {
            Who::Recorder => "recorder",
            Who::Guard(_) => "guard",
            Who::Client(_) => "client",
        }
    }
}

/// All processes of a run; ended with it.
#[derive(Debug)]
pub(super) struct Crew {
    place: Place,
    programs: Programs,
    recorder: Running,
    guards: Vec<Running>,
    clients: Vec<Running>,
    lives: Vec<usize>,
    quiet: bool,
}

impl Crew {
    /// Starts a recorder and so many guards with a client each.
    pub(super) fn start(place: &Place, programs: &Programs, pairs: usize) -> anyhow::Result<Self> {
        let recorder = recorder(place, programs)?;
        await_socket(&place.recorder_socket())?;
        let (place, programs, lives) = (place.clone(), programs.clone(), vec![0; pairs]);
        let mut crew =
            Crew { place, programs, recorder, guards: vec![], clients: vec![], lives, quiet: false };
        for number in 0..pairs {
            crew.guards.push(crew.run(Who::Guard(number))?);
            crew.clients.push(crew.run(Who::Client(number))?);
        }
        Ok(crew)
    }

    /// SIGKILL. It must have been alive: what ends by itself is a fault of its own.
    pub(super) fn kill(&mut self, who: Who) -> anyhow::Result<()> {
        let process = self.process(who)?;
        let ended = process.0.try_wait()?;
        ensure!(ended.is_none(), "the {} ended by itself: {ended:?}; its log says why", who.kind());
        process.kill()
    }

    pub(super) fn restart(&mut self, who: Who) -> anyhow::Result<()> {
        if let Who::Client(number) = who
            && let Some(lives) = self.lives.get_mut(number)
        {
            *lives += 1;
        }
        let process = self.run(who)?;
        *self.process(who)? = process;
        Ok(())
    }

    /// From now on clients only deliver what they have.
    pub(super) fn quiet(&mut self) -> anyhow::Result<()> {
        self.quiet = true;
        for number in 0..self.clients.len() {
            self.kill(Who::Client(number))?;
            self.restart(Who::Client(number))?;
        }
        Ok(())
    }

    /// Ends clients and guards, then the recorder properly.
    pub(super) fn end(mut self) -> anyhow::Result<()> {
        self.clients.clear();
        self.guards.clear();
        kill_process(Pid::from_child(&self.recorder.0), Signal::TERM)?;
        wait_until("the recorder to end", || Ok(self.recorder.0.try_wait()?.is_some()))
    }

    fn process(&mut self, who: Who) -> anyhow::Result<&mut Running> {
        let process = match who {
            Who::Recorder => Some(&mut self.recorder),
            Who::Guard(number) => self.guards.get_mut(number),
            Who::Client(number) => self.clients.get_mut(number),
        };
        process.context("no such process")
    }

    fn run(&self, who: Who) -> anyhow::Result<Running> {
        let (place, programs) = (&self.place, &self.programs);
        let mut command = Command::new(&programs.sudare_faults);
        match who {
            Who::Recorder => return recorder(place, programs),
            Who::Guard(number) => return guard(place, programs, number),
            Who::Client(number) => {
                let lives = self.lives.get(number).copied().unwrap_or_default();
                let device = (number + self.lives.len() * (lives / LIVES_PER_DEVICE)) % usize::from(DEVICES);
                command.arg("client").arg(place.dir()).arg(number.to_string()).arg(device.to_string());
                command.args(self.quiet.then_some("--quiet"));
            }
        }
        spawn(&mut command, &place.dir().join(format!("{}.log", who.kind())))
    }
}

/// A child process that ends with its owner.
#[derive(Debug)]
pub struct Running(pub(super) Child);

impl Running {
    /// SIGKILL.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }

    /// Asks it to end, and waits until it has.
    pub fn end(mut self) -> anyhow::Result<()> {
        kill_process(Pid::from_child(&self.0), Signal::TERM)?;
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The process may have exited already; failing to kill it is not worth reporting.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// `sudare-recorder` with the settings of the place.
pub fn recorder(place: &Place, programs: &Programs) -> anyhow::Result<Running> {
    let mut command = Command::new(&programs.recorder);
    command.args(["--config"]).arg(place.config());
    spawn(&mut command, &place.dir().join("recorder.log"))
}

/// A guard without a display, for the client of this number.
pub fn guard(place: &Place, programs: &Programs, number: usize) -> anyhow::Result<Running> {
    let mut command = Command::new(&programs.sudare_faults);
    command.arg("guard").arg(place.dir()).arg(number.to_string());
    spawn(&mut command, &place.dir().join("guard.log"))
}

/// Until somebody listens there.
pub fn await_socket(path: &Path) -> anyhow::Result<()> {
    wait_until(&format!("somebody to listen at {}", path.display()), || Ok(is_listening(path)))
}

/// A socket's file is there a moment before anybody listens at it.
fn is_listening(path: &Path) -> bool {
    const ACCEPTS: &str = "00010000";
    // Num: RefCount Protocol Flags Type St Inode Path (proc(5))
    let sockets = std::fs::read_to_string("/proc/net/unix").unwrap_or_default();
    sockets.lines().any(|line| {
        let mut fields = line.split_whitespace();
        fields.nth(3) == Some(ACCEPTS) && fields.nth(3).is_some_and(|bound| Path::new(bound) == path)
    })
}

/// A child must not outlive a run that was interrupted.
pub(super) fn die_with_parent() -> anyhow::Result<()> {
    Ok(set_parent_process_death_signal(Some(Signal::KILL))?)
}

fn spawn(command: &mut Command, log: &Path) -> anyhow::Result<Running> {
    let log: File = OpenOptions::new().create(true).append(true).open(log)?;
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
    Ok(Running(child.with_context(|| format!("cannot run {}", command.get_program().display()))?))
}
