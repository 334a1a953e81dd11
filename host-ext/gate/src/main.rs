//! `sudare-gate`: stands before an RDP host, and covers what its clients see.
//!
//! Exit codes: 0 the connection ended or a signal came, 1 it could not start, 2 wrong arguments.

#![allow(clippy::disallowed_methods, reason = "programs are edges; the modules that decide deny this")]

use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context as _;
use clap::Parser;
use sudare_base::config::{ConfigError, HostConfig};
use sudare_base::program::{self, Settings};
use sudare_base::signals::Reloads;
use sudare_base::{harden, output};
use sudare_gate::assemble::{self, Assembled};
use sudare_gate::listen;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Stand before an RDP host, and cover what its clients see until the guard lets them.
///
/// Serves the one connection that is its standard input, as systemd gives it (Accept=yes, StandardInput=socket). Each
/// connection begins covered; a client without the extension sees the cover and nothing else.
#[derive(Debug, Parser)]
#[command(
    name = "sudare-gate",
    version,
    after_help = "\
Examples:
  sudare-gate --listen
  sudare-gate --listen 192.0.2.1:3389 --target unix:/run/sudare-xrdp/socket
  sudare-gate --listen --target tcp:192.0.2.7:3389#PIN"
)]
struct Cli {
    #[command(flatten)]
    settings: Settings,
    /// Accept connections here, loopback unless told, and start this program again for each
    #[arg(long, value_name = "ADDRESS:PORT", num_args = 0..=1, default_missing_value = "127.0.0.1:3389")]
    listen: Option<SocketAddr>,
    /// The host behind the gate: unix:/path or tcp:ADDRESS:PORT#PIN
    #[arg(long, value_name = "TARGET")]
    target: Option<String>,
}

fn main() -> ExitCode {
    let cli: Cli = output::parse();
    program::run("sudare-gate", || cli.run())
}

impl Cli {
    fn run(&self) -> anyhow::Result<()> {
        harden::protect().context("this process cannot be protected from debuggers")?;
        // A connection's process has read what it needs; what accepts hears it below.
        let _reloads = Reloads::hear()?;
        let config = self.load()?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        match self.listen {
            Some(address) => self.accept(&runtime, address, &config),
            None => serve(&runtime, &config),
        }
    }

    fn load(&self) -> Result<HostConfig, ConfigError> {
        self.settings.load(&[("gate_target", self.target.clone())])
    }

    fn accept(&self, runtime: &Runtime, address: SocketAddr, config: &HostConfig) -> anyhow::Result<()> {
        // Not with the first connection, when nobody looks.
        assemble::check(config)?;
        let this = std::env::current_exe().context("the path of this program is unknown")?;
        runtime.block_on(async {
            let stop = end_signal()?;
            let listener = listen::bind(address).with_context(|| {
                format!("cannot listen on {address}. If another program uses the port, choose another one")
            })?;
            output::line(&format!("Listening on {}.", listener.local_addr()?));
            let most = AtomicUsize::new(config.max_sessions);
            let accepting = listen::run(listener, || self.again(&this), &most, stop);
            tokio::select! {
                () = accepting => Ok(()),
                failed = self.reloads(&most) => failed,
            }
        })
    }

    /// Each connection reads everything by itself. Here it is said whether the next one will be able to.
    async fn reloads(&self, most: &AtomicUsize) -> anyhow::Result<()> {
        let mut asked = signal(SignalKind::hangup())?;
        while asked.recv().await.is_some() {
            match self
                .load()
                .map_err(anyhow::Error::from)
                .and_then(|now| Ok((assemble::check(&now)?, now.max_sessions).1))
            {
                Ok(now) => {
                    most.store(now, Ordering::Relaxed);
                    tracing::info!(
                        "the next connections begin with what the files say now; others go on as they began"
                    );
                }
                Err(error) => tracing::error!("the next connections will fail, and others go on: {error:#}"),
            }
        }
        Ok(())
    }

    /// This program for one connection, with the same settings.
    fn again(&self, this: &PathBuf) -> Command {
        let mut command = Command::new(this);
        // Once glibc has freed blocks as large as fonts, it keeps room for more of them: 12 MB for each connection.
        // A threshold that is set stays where it is.
        command.env("MALLOC_MMAP_THRESHOLD_", "131072");
        if let Some(file) = &self.settings.config {
            command.arg("--config").arg(file);
        }
        if let Some(folder) = &self.settings.state_dir {
            command.arg("--state-dir").arg(folder);
        }
        if let Some(target) = &self.target {
            command.arg("--target").arg(target);
        }
        command
    }
}

/// Serves the connection that is standard input.
fn serve(runtime: &Runtime, config: &HostConfig) -> anyhow::Result<()> {
    let tcp = TcpStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    tcp.local_addr().context(
        "standard input is no TCP connection. Let systemd start this program for each (Accept=yes), or use --listen",
    )?;
    tcp.set_nonblocking(true)?;
    let Assembled { gate, evidence } = {
        // The process for NLA belongs to it.
        let _inside = runtime.enter();
        assemble::assemble(config)?
    };
    runtime.block_on(async {
        let stop = end_signal()?;
        sudare_gate::serve(tokio::net::TcpStream::from_std(tcp)?, &gate, stop).await;
        Ok::<_, anyhow::Error>(())
    })?;
    // Sessions hold the way to the thread; without them it writes what is left, and ends.
    drop(gate);
    drop(evidence);
    Ok(())
}

/// Becomes true at the first SIGTERM or Ctrl-C.
fn end_signal() -> anyhow::Result<watch::Receiver<bool>> {
    let (told, stop) = watch::channel(false);
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let (mut signal, told) = (signal(kind)?, told.clone());
        tokio::spawn(async move {
            signal.recv().await;
            told.send_replace(true);
        });
    }
    Ok(stop)
}
