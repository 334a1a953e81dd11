//! What a round trip takes longer through the gate: a key from the client, and a small picture from the host.

use std::path::Path;
use std::time::Instant;

use tokio::io::AsyncWriteExt as _;
use tokio::runtime::Builder;

use super::ends::{Host, KEY, Line, puppet, until, update};
use crate::bench::table::{Needed, Table, summary};

/// In turn with the gate and without, so that both have the same weather.
const BLOCKS: usize = 20;
const EACH: usize = 200;
/// As a caret that blinks.
const PICTURE_BYTES: usize = 64;

/// Measures over loopback, in one thread.
pub(super) fn measure(table: &mut Table, bin: &Path, out: &Path) -> anyhow::Result<()> {
    let dir = out.join("delay");
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (direct, gated) = runtime.block_on(async {
        let host = Host::start(&dir).await?;
        let (_gate, address) = puppet(&host, &dir, bin)?;
        let mut lines = [host.meet(host.address()?).await?, host.meet(address).await?];
        let mut times = [Vec::new(), Vec::new()];
        for line in &mut lines {
            line.until_shown().await?;
        }
        for _ in 0..BLOCKS {
            for (line, times) in lines.iter_mut().zip(&mut times) {
                for _ in 0..EACH {
                    times.push(round_us(line).await?);
                }
            }
        }
        let [direct, gated] = times;
        anyhow::Ok((summary(direct), summary(gated)))
    })?;
    let added = |of: &str| Some(gated[of].as_f64()? - direct[of].as_f64()?);
    table.row("gate: added to a round trip, p50", added("p50"), "us", Needed::AtMost(300.0));
    table.row("gate: added to a round trip, p95", added("p95"), "us", Needed::Nothing);
    table.keep(
        "gate_rtt_added_us",
        serde_json::json!({ "p50": added("p50"), "p95": added("p95"), "direct": direct, "gate": gated }),
    );
    Ok(())
}

async fn round_us(line: &mut Line) -> anyhow::Result<f64> {
    let picture = update(&[7; PICTURE_BYTES]);
    let started = Instant::now();
    line.client.write_all(&KEY).await?;
    line.client.flush().await?;
    until(&mut line.host, &KEY).await?;
    line.host.write_all(&picture).await?;
    line.host.flush().await?;
    until(&mut line.client, &picture).await?;
    let took = started.elapsed();
    Ok(took.as_secs_f64() * 1e6)
}
