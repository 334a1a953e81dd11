//! Many idle connections, each with a gate of its own as the product has it: what each takes, and that they stay.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::json;
use sudare_test_kit::stage::Stage;
use sudare_test_kit::wait_until;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::client::TlsStream;

use super::ends::{Host, Line, Running, cpu_ms};
use crate::bench::table::{Needed, Table};

const CONNECTIONS: usize = 200;
/// How long they must be held to count.
const HELD: Duration = Duration::from_secs(5);

/// Two hundred clients without a plugin, before a host that draws nothing more. They end with this value.
pub(super) struct Crowd {
    runtime: Runtime,
    lines: Vec<Line>,
    gate: Running,
}

impl Crowd {
    pub(super) fn gather(dir: &Path, bin: &Path) -> anyhow::Result<Self> {
        let stage = Stage::new(dir, bin)?;
        stage.prepare_host("")?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let log = stage.dir.join("gate.log");
        let (lines, gate) = runtime.block_on(async {
            let host = Host::start(&stage.dir).await?;
            let mut command = Command::new(bin.join("sudare-gate"));
            command.arg("--config").arg(settings(&stage.dir, &host)?).args(["--listen", "127.0.0.1:0"]);
            command.env("RUST_LOG", "warn").stdout(std::fs::File::create(&log)?);
            let gate = Running::start(command.stderr(std::fs::File::create(stage.dir.join("gate.err"))?))?;
            let address: SocketAddr = wait_until("the gate", || {
                let said = std::fs::read_to_string(&log)?;
                Ok(said
                    .strip_prefix("Listening on ")
                    .and_then(|rest| rest.trim().trim_end_matches('.').parse().ok()))
            })?;
            let mut lines = Vec::with_capacity(CONNECTIONS);
            for _ in 0..CONNECTIONS {
                lines.push(host.meet(address).await?);
            }
            anyhow::Ok((lines, gate))
        })?;
        Ok(Self { runtime, lines, gate })
    }

    /// What each takes, after a while in which none of them may end.
    pub(super) fn tell(&self, table: &mut Table) -> anyhow::Result<()> {
        let children = children(self.gate.pid())?;
        let cpu = |pids: &[u32]| pids.iter().map(|pid| cpu_ms(*pid)).sum::<anyhow::Result<f64>>();
        let (before, started) = (cpu(&children)?, Instant::now());
        std::thread::sleep(HELD);
        let (after, seconds) = (cpu(&children)?, started.elapsed().as_secs_f64());
        let held =
            self.runtime.block_on(async { self.lines.iter().filter(|line| is_open(&line.client)).count() });
        let each = children.iter().map(|pid| proportional_mb(*pid)).collect::<anyhow::Result<Vec<f64>>>()?;
        let number = |count: usize| u32::try_from(count).ok().map(f64::from);
        let mean = each.iter().sum::<f64>() / number(each.len()).unwrap_or(1.0).max(1.0);
        ensure!(children.len() == CONNECTIONS, "{} of {CONNECTIONS} gates run", children.len());
        table.row("gate: memory of a connection", Some(mean), "MB", Needed::AtMost(12.0));
        table.row("gate: idle connections held", number(held), "", Needed::AtLeast(200.0));
        let idle = (after - before) / seconds;
        table.row("gate: processor time of all of them", Some(idle), "ms/s", Needed::Nothing);
        table.keep("gate_mb_per_connection", mean);
        table.keep("gate_connections", held);
        table.keep("gate_idle_cpu_ms_per_s", json!(idle));
        Ok(())
    }
}

fn settings(dir: &Path, host: &Host) -> anyhow::Result<PathBuf> {
    let path = |name: &str| dir.join(name).display().to_string();
    let file = dir.join("host.toml");
    let lines = [
        format!("state_dir = {:?}", path("host")),
        format!("recorder_socket = {:?}", path("no-recorder")),
        format!("tls_certificate = {:?}", path("cert.pem")),
        format!("tls_key = {:?}", path("key.pem")),
        format!("gate_target = {:?}", host.target()?),
        format!("max_sessions = {}", CONNECTIONS + 1),
    ];
    std::fs::write(&file, lines.join("\n") + "\n")?;
    Ok(file)
}

fn is_open(client: &TlsStream<TcpStream>) -> bool {
    let mut nothing = [0];
    let (tcp, _) = client.get_ref();
    match tcp.try_read(&mut nothing) {
        Ok(0) => false,
        Ok(_) => true,
        Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
    }
}

fn children(pid: u32) -> anyhow::Result<Vec<u32>> {
    let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    list.split_whitespace().map(|pid| Ok(pid.parse()?)).collect()
}

/// What is its own, and its share of what it shares (proc_pid_smaps(5)).
fn proportional_mb(pid: u32) -> anyhow::Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).context("no Pss")?;
    let kilobytes: f64 = line.trim().trim_end_matches(" kB").trim().parse()?;
    Ok(kilobytes / 1024.0)
}
