//! Peak memory of the client's process: camera, models, RDP client and one incident.

use std::path::Path;

use sudare_test_kit::scene::{ALONE, Camera, Scene, Seat};
use sudare_test_kit::stage::{Client, Stage, USER};

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
