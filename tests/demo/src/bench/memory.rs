//! Memory of the client's process: its peak with camera, models, RDP client and one incident; and whether watching for
//! long makes it grow.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use sudare_test_kit::scene::{ALONE, Camera, Scene, Seat};
use sudare_test_kit::stage::{Client, Stage, USER};

use super::clips::Clip;

/// Memory is read this often.
const EACH: Duration = Duration::from_millis(100);
/// Before this part of the time nothing counts: buffers and the models' arenas fill first.
const SETTLED: f64 = 0.2;

/// Watches a scene with an incident in it, and reads the process's peak resident memory.
pub fn client_peak_mb(stage: &Stage, photographs: &Path) -> anyhow::Result<f64> {
    let fifo = stage.dir.join("memory.fifo");
    let camera = Camera::start(Seat::load(photographs)?, &fifo)?;
    let source = format!("mjpeg:{}", fifo.display());
    let arguments = [stage.listen.as_str(), "--user", USER, "--source", &source];
    let log = stage.dir.join("client.log");
    let mut client = Client::start(&mut stage.client_command("device"), &arguments, &log)?;
    client.wait("the desktop", |e| e["event"] == "screen" && e["kind"] == "desktop")?;
    camera.show(Scene { stranger: 1.0, ..ALONE });
    client.wait("the receipt of an incident", |e| e["event"] == "receipt")?;
    let peak = client.peak_mb()?;
    client.kill()?;
    Ok(peak)
}

/// By how much `sudare watch` grew over the pictures of a clip, in megabytes of resident memory: the median of the last
/// fifth of the time over that of the fifth after it settled.
pub fn growth_mb(stage: &Stage, clip: &Clip) -> anyhow::Result<f64> {
    let mut watching = stage
        .client_command("device")
        .args(["watch", "--json", "--source"])
        .arg(&clip.folder)
        .arg("--operator")
        .arg(stage.dir.join("operator.template"))
        .stdout(Stdio::null())
        .spawn()?;
    let (started, mut seen) = (Instant::now(), Vec::new());
    let status = loop {
        seen.extend(resident_mb(watching.id()).map(|mb| (started.elapsed().as_secs_f64(), mb)));
        match watching.try_wait()? {
            Some(status) => break status,
            None => std::thread::sleep(EACH),
        }
    };
    ensure!(status.success(), "sudare watch ended with {status}");
    let all_s = started.elapsed().as_secs_f64();
    let between = |from: f64, to: f64| {
        let part = seen.iter().filter(|(at, _)| (from * all_s..to * all_s).contains(at));
        let mut mb: Vec<f64> = part.map(|(_, mb)| *mb).collect();
        mb.sort_by(f64::total_cmp);
        mb.get(mb.len() / 2).copied().context("it ended too soon to tell whether it grows")
    };
    Ok(between(1.0 - SETTLED, 1.0)? - between(SETTLED, SETTLED * 2.0)?)
}

/// `None` once it has ended.
fn resident_mb(pid: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<f64>().ok().map(|kb| kb / 1024.0)
}
