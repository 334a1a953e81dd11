//! The scene, step by step. Each step is asserted from what the client decoded.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::ensure;

use super::{Played, is_covered};
use sudare_test_kit::scene::{ALONE, Camera, Scene, Seat};
use sudare_test_kit::stage::{Client, Event};

/// What happens, and what must then be seen.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    pub name: &'static str,
    act: Act,
    /// `Some(reason)`: covered for it; `None`: the desktop.
    cover: Option<&'static str>,
    /// From the act until the picture must be right: the policy's time and a little.
    limit: Duration,
}

#[derive(Debug, Clone, Copy)]
enum Act {
    Show(Scene),
    WalkIn,
    /// The client's process stands still for this long.
    Freeze(Duration),
}

const fn step(name: &'static str, act: Act, cover: Option<&'static str>, limit_s: u64) -> Step {
    Step { name, act, cover, limit: Duration::from_secs(limit_s) }
}

const AWAY: Scene = Scene { operator: false, stranger: 0.0, blocked: false, plugged: true };

/// The story after the log-on.
pub const STORY: [Step; 10] = [
    step("operator alone", Act::Show(ALONE), None, 15),
    step("stranger comes in and stays", Act::WalkIn, Some("onlooker"), 8),
    step("stranger leaves", Act::Show(ALONE), None, 8),
    step("operator leaves", Act::Show(AWAY), Some("absent"), 16),
    step("operator returns", Act::Show(ALONE), None, 10),
    step("camera covered", Act::Show(Scene { blocked: true, ..ALONE }), Some("camera-blocked"), 5),
    step("camera free again", Act::Show(ALONE), None, 10),
    step("camera unplugged", Act::Show(Scene { plugged: false, ..ALONE }), Some("camera-lost"), 6),
    step("camera plugged in again", Act::Show(ALONE), None, 15),
    // Longer than the lease (3 s), shorter than the 2 s more after which a stuck client is disconnected.
    step("client frozen for 4 s", Act::Freeze(Duration::from_secs(4)), Some("link-lost"), 12),
];

/// Plays the story; the client's pictures go to `dir`.
pub fn play(
    client: &mut Client,
    camera: &Camera,
    seat: &Seat,
    dir: &Path,
    started: Instant,
    tell: &mut dyn FnMut(&Played),
) -> anyhow::Result<Vec<Played>> {
    let mut played = Vec::new();
    for (number, step) in (1..).zip(&STORY) {
        let done = play_one(client, camera, seat, &dir.join(file_name(number, step)), step, started)?;
        tell(&done);
        played.push(done);
    }
    Ok(played)
}

fn file_name(number: usize, step: &Step) -> String {
    format!("client-{number:02}-{}.png", step.name.replace(' ', "-"))
}

fn play_one(
    client: &mut Client,
    camera: &Camera,
    seat: &Seat,
    picture: &Path,
    step: &Step,
    started: Instant,
) -> anyhow::Result<Played> {
    let acted = Instant::now();
    let from = client.seen.len();
    let scene = match step.act {
        Act::Show(scene) => {
            camera.show(scene);
            Some(scene)
        }
        Act::WalkIn => {
            camera.walk_in(Duration::from_millis(1_500));
            Some(Scene { stranger: 1.0, ..ALONE })
        }
        Act::Freeze(time) => {
            client.signal(rustix::process::Signal::STOP)?;
            std::thread::sleep(time);
            client.signal(rustix::process::Signal::CONT)?;
            None
        }
    };
    let wanted = |e: &Event| match step.cover {
        Some(reason) => e["event"] == "status" && e["shown"] == "covered" && e["reason"] == reason,
        None => e["event"] == "screen" && e["kind"] == "desktop",
    };
    client.wait(step.name, step.limit, wanted)?;
    if step.cover.is_some() {
        settle(client, from)?;
    }
    let reaction_ms = millis(acted.elapsed());
    // The black is there; the words on it follow within a moment, and belong into the picture.
    std::thread::sleep(Duration::from_millis(400));
    if let Act::WalkIn = step.act {
        // The picture after the decision must still show who it was.
        std::thread::sleep(Duration::from_millis(1_000));
    }
    client.save(picture)?;
    ensure!(
        is_covered(picture)? == step.cover.is_some(),
        "step {:?}: the client's picture is not what it must be: {}",
        step.name,
        picture.display()
    );
    Ok(Played {
        step: step.name.to_owned(),
        t_ms: millis(started.elapsed()),
        covered: step.cover.is_some(),
        reason: reasons(&client.seen[from..], step),
        latency_ms: latency_ms(&client.seen[from..], step),
        reaction_ms,
        picture: picture.file_name().map(Into::into).unwrap_or_default(),
        camera: scene.map(|scene| if scene.plugged { seat.frame(&scene, 0) } else { Default::default() }),
    })
}

/// Why it was covered, and why it is now if that changed since.
fn reasons(events: &[Event], step: &Step) -> String {
    let asked = step.cover.unwrap_or("none");
    let last = events.iter().rev().find(|e| e["event"] == "status").and_then(|e| e["reason"].as_str());
    match last {
        Some(now) if step.cover.is_some() && now != asked => format!("{asked}, then {now}"),
        _ => asked.to_owned(),
    }
}

/// The status may overtake the last decoded tiles; the picture must follow at once.
fn settle(client: &mut Client, from: usize) -> anyhow::Result<()> {
    let covered = |e: &Event| e["event"] == "screen" && e["covered"] == true;
    if !client.seen[from..].iter().any(covered) {
        client.wait("a black picture", Duration::from_secs(2), covered)?;
    }
    Ok(())
}

/// From the decision to the first decoded picture that shows it.
fn latency_ms(events: &[Event], step: &Step) -> Option<u64> {
    let covers = step.cover.is_some();
    let decided = events.iter().find(|e| {
        e["event"] == "decision"
            && e["cover"] == covers
            && (!covers || e["reason"] == step.cover.unwrap_or(""))
    })?;
    let shown = events.iter().find(|e| e["event"] == "screen" && e["covered"] == covers)?;
    let at = |e: &Event| e["t_ms"].as_u64();
    // The picture was decoded `age_us` before it was told.
    let age_ms = shown["age_us"].as_u64().unwrap_or(0) / 1000;
    Some(at(shown)?.saturating_sub(age_ms).saturating_sub(at(decided)?))
}

pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
