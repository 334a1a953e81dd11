//! The gate with a guard that shows everything at once, so that what passes it can be measured without a camera.
#![allow(clippy::print_stdout, reason = "this program's output is for programs")]

use std::path::PathBuf;
use std::sync::Arc;

use clap::Parser;
use sudare_base::clock::Now;
use sudare_gate::identity::Identity;
use sudare_gate::targets::Targets;
use sudare_gate::{Asks, Gate, Target, listen, serve};
use sudare_guard::transport::{Action, DriverFactory, SessionDriver, SessionEvent, SessionInfo};
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio::task::{LocalSet, spawn_local};

/// Stand before an RDP host and show it to everybody
#[derive(Debug, Parser)]
struct Arguments {
    /// Where to listen; the line that it prints says which port it became
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS:PORT")]
    listen: std::net::SocketAddr,
    /// The host behind it: unix:/path or tcp:ADDRESS:PORT#PIN
    #[arg(long, value_name = "TARGET")]
    target: Target,
    /// What clients see, as PEM
    #[arg(long, value_name = "FILE")]
    certificate: PathBuf,
    /// Its key, as PEM
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

/// Uncovers with the first tick.
#[derive(Debug, Default)]
struct Shows {
    done: bool,
}

impl SessionDriver for Shows {
    fn handle(&mut self, _: Now, event: SessionEvent) -> Vec<Action> {
        let first = matches!(event, SessionEvent::Tick) && !std::mem::replace(&mut self.done, true);
        if first { vec![Action::Uncover] } else { Vec::new() }
    }
}

struct ToEverybody;

impl DriverFactory for ToEverybody {
    fn session(&self, _: SessionInfo, _: Now) -> Box<dyn SessionDriver> {
        Box::new(Shows::default())
    }
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let gate = Arc::new(Gate {
        identity: Identity::load(&arguments.certificate, &arguments.key)?,
        targets: Targets::new(arguments.target, Vec::new())?,
        policy: sudare_relay::Policy::default(),
        owner: Asks::Nobody,
        factory: Arc::new(ToEverybody),
        picture: PathBuf::from("/nonexistent"),
        nla: None,
    });
    let runtime = Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let listener = listen::bind(arguments.listen)?;
        println!("{}", listener.local_addr()?);
        let (_stop, stopped) = watch::channel(false);
        loop {
            let (tcp, _) = listener.accept().await?;
            let (gate, stopped) = (Arc::clone(&gate), stopped.clone());
            spawn_local(async move { serve(tcp, &gate, stopped).await });
        }
    })
}
