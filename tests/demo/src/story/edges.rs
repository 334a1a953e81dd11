//! Before and after the story: the log-on, and what is left when the client is killed.

use std::time::{Duration, Instant};

use anyhow::ensure;

use super::play::millis;
use super::{Played, is_covered};
use sudare_test_kit::stage::{Client, Event, Stage, USER};

/// The first picture of a session is the cover: nothing shows until the operator is recognised.
pub fn log_on(client: &mut Client, stage: &Stage, started: Instant) -> anyhow::Result<Vec<Played>> {
    client.wait("the first picture", Duration::from_secs(20), |e| e["event"] == "screen")?;
    let first = client.seen.iter().find(|e| e["event"] == "screen").is_some_and(|e| e["covered"] == true);
    ensure!(first, "the first picture of a session was not the cover");
    client.wait("the handshake", Duration::from_secs(10), |e| e["event"] == "ready")?;
    ensure!(
        client.seen.iter().any(|e| e["event"] == "ready" && e["certificate_checked"] == true),
        "the certificate of the connection was not compared with the handshake"
    );
    let waiting = |e: &Event| e["event"] == "status" && e["reason"] == "starting";
    client.wait("the host's word that it waits for the operator", Duration::from_secs(5), waiting)?;
    // The words follow the black within a moment.
    std::thread::sleep(Duration::from_millis(400));
    let picture = stage.dir.join("client-00-log-on.png");
    client.save(&picture)?;
    Ok(vec![covered("log-on", "starting", started, &picture)?])
}

/// The client was killed in the middle of a session. Whoever connects from an unknown device
/// now, with the same user name, sees only the cover.
pub fn after_kill(stage: &Stage, started: Instant) -> anyhow::Result<Played> {
    let mut command = stage.client_command("unknown-device");
    let organisation = stage.dir.join("organisation.pub").display().to_string();
    let fifo = format!("mjpeg:{}", stage.dir.join("camera.fifo").display());
    let arguments =
        [stage.listen.as_str(), "--user", USER, "--source", &fifo, "--organisation", &organisation];
    let mut client = Client::start(&mut command, &arguments, &stage.dir.join("client.log"))?;
    client.wait("the refusal", Duration::from_secs(20), |e| {
        e["event"] == "refused" || e["event"] == "status"
    })?;
    std::thread::sleep(Duration::from_secs(1));
    let picture = stage.dir.join("client-11-killed-then-unknown-device.png");
    client.save(&picture)?;
    ensure!(
        client.seen.iter().filter(|e| e["event"] == "screen").all(|e| e["covered"] == true),
        "an unknown device was shown something"
    );
    covered("client killed, unknown device", "device-refused", started, &picture)
}

fn covered(step: &str, reason: &str, started: Instant, picture: &std::path::Path) -> anyhow::Result<Played> {
    ensure!(
        is_covered(picture)?,
        "step {step:?}: the client's picture is not covered: {}",
        picture.display()
    );
    Ok(Played {
        step: step.to_owned(),
        t_ms: millis(started.elapsed()),
        covered: true,
        reason: reason.to_owned(),
        latency_ms: None,
        reaction_ms: 0,
        picture: picture.file_name().map(Into::into).unwrap_or_default(),
        camera: None,
    })
}
