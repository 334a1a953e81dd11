//! The demo with a real webcam: the person in front of it is the operator, and plays the scene.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use sudare_vision::camera::{self, SourceOptions, SourceSpec};

use super::client::Client;
use super::stage::{Stage, USER};
use crate::scene::jpeg;

const SOURCE: &str = "camera:0";
/// How long the person may try things out.
const PLAY: Duration = Duration::from_secs(60);

/// Enrols whoever sits there from three pictures, then tells what happens for a minute.
#[allow(clippy::print_stdout, reason = "this is what the person reads")]
pub fn run(stage: &mut Stage) -> anyhow::Result<String> {
    println!("Look at the camera, alone. Three pictures are taken; they stay on this machine.");
    let pictures = take_pictures(stage)?;
    stage.prepare(&pictures)?;
    stage.serve()?;
    let arguments = [stage.listen.as_str(), "--user", USER, "--source", SOURCE];
    let mut client =
        Client::start(&mut stage.client_command("device"), &arguments, &stage.dir.join("client.log"))?;
    println!("For a minute: turn away, cover the camera, ask somebody to look over your shoulder.");
    let until = Instant::now() + PLAY;
    let mut changes = 0;
    while Instant::now() < until {
        let told = client.wait("something to happen", until.saturating_duration_since(Instant::now()), |e| {
            e["event"] == "status"
        });
        let Ok(status) = told else { break };
        changes += 1;
        println!("{} {}", status["shown"], status["reason"]);
    }
    client.kill()?;
    stage.end()?;
    Ok(format!(
        "demo: ok, {changes} changes seen with {SOURCE}; the evidence is in {}",
        stage.evidence().display()
    ))
}

fn take_pictures(stage: &Stage) -> anyhow::Result<Vec<std::path::PathBuf>> {
    let spec: SourceSpec = SOURCE.parse()?;
    let mut source =
        camera::open(&spec, SourceOptions { fps: None }, sudare_client_runtime::clock::boottime_ms)?;
    let mut pictures = Vec::new();
    for n in 0..3 {
        let mut frame = source.next_frame()?;
        // The first frames of a webcam are dark, and three poses are better than one.
        let until = Instant::now() + Duration::from_secs(2);
        while Instant::now() < until {
            frame = source.next_frame()?;
        }
        let picture =
            image::RgbImage::from_raw(frame.width, frame.height, frame.rgb).context("a damaged frame")?;
        let path = stage.dir.join(format!("enrol-{n}.jpg"));
        std::fs::write(&path, jpeg(&picture)?)?;
        pictures.push(path);
    }
    Ok(pictures)
}
