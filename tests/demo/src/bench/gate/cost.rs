//! Processor time for a moving picture, beside socat as a plain TLS relay: TLS on both legs, and nothing in between.
//!
//! socat cannot speak RDP's first words before TLS, so its ends begin with TLS. The bytes after that are the same.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::json;
use sudare_test_kit::needs::is_installed;
use sudare_test_kit::rdp::{self, HostKey};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::ends::{Host, Running, cpu_ms, puppet, update};
use crate::bench::table::{Needed, Table};

/// A film in a window: as many pictures, each in so many updates of the size that xorgxrdp's bitmaps have.
const PICTURES: u32 = 300;
const A_SECOND: u64 = 30;
const UPDATES: usize = 16;
const UPDATE_BYTES: usize = 15_000;
/// In turn, so that both have the same weather.
const ROUNDS: usize = 3;

/// Streams through each, in turn.
pub(super) fn measure(table: &mut Table, bin: &Path, out: &Path) -> anyhow::Result<()> {
    if !is_installed("socat") {
        table.leave_out(&["gate_cpu_ratio"], "socat is not installed. apt-get install socat");
        return Ok(());
    }
    let dir = out.join("cost");
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (mut gate_ms, mut socat_ms) = (Vec::new(), Vec::new());
    runtime.block_on(async {
        let host = Host::start(&dir).await?;
        for _ in 0..ROUNDS {
            gate_ms.push(through_gate(&host, &dir, bin).await?);
            socat_ms.push(through_socat(&dir).await?);
        }
        anyhow::Ok(())
    })?;
    let mean = |times: &[f64]| times.iter().sum::<f64>() / f64::from(u32::try_from(times.len()).unwrap_or(1));
    let (gate, socat) = (mean(&gate_ms), mean(&socat_ms));
    table.row("gate: processor time for a film", Some(gate), "ms", Needed::Nothing);
    table.row("socat with TLS on both legs", Some(socat), "ms", Needed::Nothing);
    table.row("gate: processor time, ratio", Some(gate / socat), "", Needed::AtMost(2.0));
    table.keep("gate_cpu_ratio", gate / socat);
    let megabytes = f64::from(PICTURES) * (UPDATES * UPDATE_BYTES) as f64 / 1e6;
    table.keep("gate_cpu_ms", json!({ "gate": gate_ms, "socat": socat_ms, "megabytes": megabytes }));
    Ok(())
}

async fn through_gate(host: &Host, dir: &Path, bin: &Path) -> anyhow::Result<f64> {
    let (gate, address) = puppet(host, dir, bin)?;
    let mut line = host.meet(address).await?;
    line.until_shown().await?;
    film(&mut line.host, &mut line.client, gate.pid()).await
}

async fn through_socat(dir: &Path) -> anyhow::Result<f64> {
    let key = HostKey::make()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = free_port()?;
    let behind = format!("OPENSSL:{},verify=0,nodelay", listener.local_addr()?);
    let before = format!(
        "OPENSSL-LISTEN:{port},bind=127.0.0.1,reuseaddr,verify=0,nodelay,cert={},key={}",
        dir.join("cert.pem").display(),
        dir.join("key.pem").display()
    );
    // As large as a record of TLS, which is what the gate reads at a time.
    let mut command = Command::new("socat");
    let socat = Running::start(command.args(["-b", "16384", &before, &behind]).stderr(Stdio::null()))?;
    let client = async {
        let tcp = reach(SocketAddr::from(([127, 0, 0, 1], port))).await?;
        rdp::tls_client(tcp).await
    };
    let host = async {
        let (tcp, _) = listener.accept().await?;
        tcp.set_nodelay(true)?;
        key.tls_server(tcp).await
    };
    let (mut client, mut host) = tokio::try_join!(client, host)?;
    film(&mut host, &mut client, socat.pid()).await
}

/// Until it listens.
async fn reach(address: SocketAddr) -> anyhow::Result<TcpStream> {
    for _ in 0..1_000 {
        if let Ok(tcp) = TcpStream::connect(address).await {
            tcp.set_nodelay(true)?;
            return Ok(tcp);
        }
        sleep(Duration::from_millis(20)).await;
    }
    anyhow::bail!("socat does not listen")
}

fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Plays it, and gives what the process in between needed for it.
async fn film(
    host: &mut (impl AsyncWrite + Unpin),
    client: &mut (impl AsyncRead + Unpin),
    relay: u32,
) -> anyhow::Result<f64> {
    let picture = update(&[9; UPDATE_BYTES]).repeat(UPDATES);
    let before = cpu_ms(relay)?;
    let draws = async {
        let mut pace = interval(Duration::from_micros(1_000_000 / A_SECOND));
        pace.set_missed_tick_behavior(MissedTickBehavior::Skip);
        for _ in 0..PICTURES {
            pace.tick().await;
            host.write_all(&picture).await?;
            host.flush().await?;
        }
        anyhow::Ok(())
    };
    let watches = async {
        let mut left = picture.len() * usize::try_from(PICTURES)?;
        let mut read = vec![0; 64 * 1024];
        let started = Instant::now();
        while left > 0 {
            let count = client.read(&mut read).await?;
            ensure!(count > 0, "the connection ended after {:?}", started.elapsed());
            left = left.saturating_sub(count);
        }
        Ok(())
    };
    tokio::try_join!(draws, watches)?;
    Ok(cpu_ms(relay)? - before)
}
