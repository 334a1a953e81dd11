//! Before and after the story: the log-on, and what is left when the client is killed.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use sudare_test_kit::Pace;
use sudare_test_kit::stage::{Client, Event, Stage, USER};

use super::Played;
use super::play::{STORY, millis, save_when};

/// The first picture of a session is the cover: nothing shows until the operator is recognised.
pub fn log_on(client: &mut Client, stage: &Stage, started: Instant, pace: &Pace) -> anyhow::Result<Played> {
    client.wait("the first picture", |e| e["event"] == "screen")?;
    let first = client.seen.iter().find(|e| e["event"] == "screen").is_some_and(|e| e["covered"] == true);
    ensure!(first, "step \"log-on\": the first picture of a session was not the cover");
    client.wait("the handshake", |e| e["event"] == "ready")?;
    ensure!(
        client.seen.iter().any(|e| e["event"] == "ready" && e["certificate_checked"] == true),
        "step \"log-on\": the certificate of the connection was not compared with the handshake"
    );
    let waiting = |e: &Event| e["event"] == "status" && e["reason"] == "starting";
    client.wait("the host's word that it waits for the operator", waiting)?;
    covered(client, "log-on", "starting", (started, pace), &stage.dir.join("client-00-log-on.png"))
}

/// The client was killed in the middle of a session. Whoever connects from an unknown device
/// now, with the same user name, sees only the cover.
pub fn after_kill(stage: &Stage, started: Instant, pace: &Pace) -> anyhow::Result<Played> {
    let mut command = stage.client_command("unknown-device");
    let organisation = stage.dir.join("organisation.pub").display().to_string();
    let fifo = format!("mjpeg:{}", stage.dir.join("camera.fifo").display());
    let arguments =
        [stage.listen.as_str(), "--user", USER, "--source", &fifo, "--organisation", &organisation];
    let mut client = Client::start(&mut command, &arguments, &stage.dir.join("client.log"))?;
    client.wait("the refusal", |e| e["event"] == "refused" || e["event"] == "status")?;
    let name = "client killed, unknown device";
    let picture = stage.dir.join(format!("client-{:02}-killed-then-unknown-device.png", STORY.len() + 1));
    let played = covered(&mut client, name, "device-refused", (started, pace), &picture)?;
    client.catch_up();
    ensure!(
        client.seen.iter().filter(|e| e["event"] == "screen").all(|e| e["covered"] == true),
        "step {name:?}: an unknown device was shown something"
    );
    Ok(played)
}

fn covered(
    client: &mut Client,
    step: &str,
    reason: &str,
    (started, pace): (Instant, &Pace),
    picture: &Path,
) -> anyhow::Result<Played> {
    save_when(client, picture, true, pace).with_context(|| format!("step {step:?}"))?;
    Ok(Played {
        step: step.to_owned(),
        t_ms: millis(started.elapsed()),
        covered: true,
        reason: reason.to_owned(),
        latency_ms: None,
        reaction_ms: 0,
        slowness: pace.lap(),
        picture: picture.file_name().map(Into::into).unwrap_or_default(),
        camera: None,
    })
}
