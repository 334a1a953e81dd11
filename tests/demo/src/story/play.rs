//! The scene, step by step. Each step is asserted from what the client decoded.
//!
//! A step waits for what it needs, however slow the machine is. A machine that is too slow for the product itself loses
//! the client, as it should: the host ends a session whose client is silent for too long. Then the client connects
//! again, and the step is played once more.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use sudare_test_kit::scene::{ALONE, AWAY, Camera, Held, Scene, Seat};
use sudare_test_kit::stage::{self, Client, Event, Stage, USER};
use sudare_test_kit::{Pace, wait_until};

use super::{Played, is_covered, words};

/// What happens, and what must then be seen.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    pub name: &'static str,
    act: Act,
    /// `Some(reason)`: covered for it; `None`: the desktop.
    cover: Option<&'static str>,
}

#[derive(Debug, Clone, Copy)]
enum Act {
    Show(Scene),
    WalkIn,
    /// The operator leaves, and somebody holds this up instead.
    HoldUp(Held),
    /// The client's process stands still for this long.
    Freeze(Duration),
}

const fn step(name: &'static str, act: Act, cover: Option<&'static str>) -> Step {
    Step { name, act, cover }
}

/// The story after the log-on.
pub const STORY: [Step; 14] = [
    step("operator alone", Act::Show(ALONE), None),
    step("stranger comes in and stays", Act::WalkIn, Some("onlooker")),
    step("stranger leaves", Act::Show(ALONE), None),
    step("operator leaves", Act::Show(AWAY), Some("absent")),
    step("operator returns", Act::Show(ALONE), None),
    step("print of the operator held up", Act::HoldUp(Held::Print), Some("absent")),
    step("operator after the print", Act::Show(ALONE), None),
    step("film of the operator on a phone", Act::HoldUp(Held::Film), Some("absent")),
    step("operator after the film", Act::Show(ALONE), None),
    step("camera covered", Act::Show(Scene { blocked: true, ..ALONE }), Some("camera-blocked")),
    step("camera free again", Act::Show(ALONE), None),
    step("camera unplugged", Act::Show(Scene { plugged: false, ..ALONE }), Some("camera-lost")),
    step("camera plugged in again", Act::Show(ALONE), None),
    // Longer than the lease (3 s), shorter than the 2 s more after which a stuck client is disconnected.
    step("client frozen for 4 s", Act::Freeze(Duration::from_secs(4)), Some("link-lost")),
];
/// A step that loses its client more often than this is not lost to slowness.
const TRIES: u32 = 5;

/// Words that do not change for so long are complete.
const AT_REST: Duration = Duration::from_millis(400);

/// Everything that a step needs.
#[derive(Debug)]
pub struct Player<'a> {
    pub stage: &'a Stage,
    pub camera: &'a Camera,
    pub seat: &'a Seat,
    pub client: Client,
    pub pace: Pace,
    /// Of the whole demo.
    pub started: Instant,
    /// How often the client had to connect again.
    pub reconnects: u32,
}

impl Player<'_> {
    /// Connects the operator's device, whose window lights whoever is before the camera.
    pub fn connect(stage: &Stage, camera: &Camera) -> anyhow::Result<Client> {
        let source = format!("mjpeg:{}", stage.dir.join("camera.fifo").display());
        let arguments = [stage.listen.as_str(), "--user", USER, "--source", &source];
        let (mut command, log) = (stage.client_command("device"), stage.dir.join("client.log"));
        Client::start_before(&mut command, &arguments, &log, camera.glow())
    }

    /// Plays the story; the client's pictures go to the stage's folder.
    pub fn play(&mut self, tell: &mut dyn FnMut(&Played)) -> anyhow::Result<Vec<Played>> {
        let mut played = Vec::new();
        for (number, step) in (1..).zip(&STORY) {
            let picture = self.stage.dir.join(file_name(number, step));
            let done = self.play_step(step, &picture).with_context(|| format!("step {:?}", step.name))?;
            tell(&done);
            played.push(done);
        }
        Ok(played)
    }

    /// Waits for the pictures that are due, and kills the client.
    ///
    /// # Errors
    /// Pictures did not arrive within minutes, and which.
    pub fn end(&mut self) -> anyhow::Result<()> {
        for _ in 0..TRIES {
            self.client.catch_up();
            if self.client.has_ended() {
                // Only a client delivers what is still in the spool.
                self.reconnect()?;
            }
            let decided = self.decisions();
            stage::wait_durable(self.stage)?;
            self.client.catch_up();
            // On a slow machine the client may lose the operator for a moment, and owe pictures again.
            if self.decisions() == decided {
                return self.client.kill();
            }
        }
        bail!("the client lost the operator in each of {TRIES} tries: this machine is too busy for the demo")
    }

    fn decisions(&self) -> usize {
        self.client.seen.iter().filter(|e| e["event"] == "decision" && e["cover"] == true).count()
    }

    fn play_step(&mut self, step: &Step, picture: &Path) -> anyhow::Result<Played> {
        for _ in 1..TRIES {
            match self.try_step(step, picture) {
                Err(error) if self.client.has_ended() => {
                    tracing::warn!("{:?} is played again with another client: {error:#}", step.name);
                    if let Err(error) = self.reconnect() {
                        tracing::warn!("connecting again: {error:#}");
                    }
                }
                played => return played,
            }
        }
        self.try_step(step, picture)
    }

    /// Another client of the same device, which also delivers what the one before left in its spool.
    fn reconnect(&mut self) -> anyhow::Result<()> {
        self.reconnects += 1;
        self.camera.show(ALONE);
        self.client = Self::connect(self.stage, self.camera)?;
        self.client.wait("the desktop after connecting again", is_desktop)?;
        Ok(())
    }

    fn try_step(&mut self, step: &Step, picture: &Path) -> anyhow::Result<Played> {
        if let Act::HoldUp(held) = step.act {
            return self.try_held(step, held, picture);
        }
        self.pace.lap();
        let acted = Instant::now();
        self.client.catch_up();
        let from = self.client.seen.len();
        let scene = self.act(step)?;
        let wanted = |e: &Event| match step.cover {
            Some(reason) => e["event"] == "status" && e["shown"] == "covered" && e["reason"] == reason,
            None => is_desktop(e),
        };
        let what = step.cover.map_or("the desktop".to_owned(), |reason| format!("the cover for {reason:?}"));
        // The desktop may have returned while the cover before it was still being photographed.
        if step.cover.is_some() || !self.shows_desktop() {
            self.client.wait(&what, wanted)?;
        }
        if step.cover.is_some() {
            settle(&mut self.client, from)?;
        }
        let reaction_ms = millis(acted.elapsed());
        if let Act::WalkIn = step.act {
            // The picture after the decision must still show who it was.
            self.client
                .wait("the host's receipt for the stranger's pictures", |e| e["event"] == "receipt")?;
        }
        save_when(&mut self.client, picture, step.cover.is_some(), &self.pace)?;
        let seen = self.client.seen.get(from..).unwrap_or_default();
        Ok(Played {
            step: step.name.to_owned(),
            t_ms: millis(self.started.elapsed()),
            covered: step.cover.is_some(),
            reason: reasons(seen, step),
            latency_ms: latency_ms(seen, step),
            reaction_ms,
            slowness: self.pace.lap(),
            picture: picture.file_name().map(Into::into).unwrap_or_default(),
            camera: scene
                .map(|scene| if scene.plugged { self.seat.frame(&scene, 0) } else { Default::default() }),
        })
    }

    /// Whether the client's last picture was the desktop.
    fn shows_desktop(&self) -> bool {
        self.client.seen.iter().rev().find(|e| e["event"] == "screen").is_some_and(is_desktop)
    }

    fn act(&mut self, step: &Step) -> anyhow::Result<Option<Scene>> {
        Ok(match step.act {
            Act::Show(scene) => {
                self.camera.show(scene);
                Some(scene)
            }
            Act::WalkIn => {
                self.camera.walk_in(Duration::from_millis(1_500));
                Some(Scene { stranger: 1.0, ..ALONE })
            }
            // `try_held` plays it.
            Act::HoldUp(held) => Some(Scene { held: Some(held), ..AWAY }),
            Act::Freeze(time) => {
                self.client.signal(rustix::process::Signal::STOP)?;
                std::thread::sleep(time);
                self.client.signal(rustix::process::Signal::CONT)?;
                None
            }
        })
    }
}

fn is_desktop(event: &Event) -> bool {
    event["event"] == "screen" && event["kind"] == "desktop"
}

fn file_name(number: usize, step: &Step) -> String {
    format!("client-{number:02}-{}.png", step.name.replace(' ', "-"))
}

/// Saves the client's picture; a cover's once its words, which follow the black line by line, are at rest. Where the
/// desktop returns before that, the last picture of the cover is kept: a slow machine may look too seldom.
pub(super) fn save_when(
    client: &mut Client,
    picture: &Path,
    covered: bool,
    pace: &Pace,
) -> anyhow::Result<()> {
    let (mut last, mut since) = (0, Instant::now());
    let newest = picture.with_extension("newest.png");
    wait_until("the words on the cover", || {
        client.save(&newest)?;
        let is = is_covered(&newest)?;
        if covered && !is && last > 0 {
            fs::remove_file(&newest)?;
            return Ok(true);
        }
        fs::rename(&newest, picture)?;
        if is && !covered {
            // On a slow machine the cover may come for a moment, as for a stale view. The desktop returns.
            return Ok(false);
        }
        ensure!(is == covered, "the client's picture shows more than a cover: {}", picture.display());
        let words = words(picture)?;
        if words != last {
            (last, since) = (words, Instant::now());
        }
        Ok(!covered || (words > 0 && since.elapsed() >= pace.allow(AT_REST)))
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

/// The status may overtake the last decoded tiles; the picture must follow.
pub(super) fn settle(client: &mut Client, from: usize) -> anyhow::Result<()> {
    let covered = |e: &Event| e["event"] == "screen" && e["covered"] == true;
    let last = client.seen.get(from..).unwrap_or_default().iter().rev().find(|e| e["event"] == "screen");
    if !last.is_some_and(covered) {
        client.wait("a black picture", covered)?;
    }
    Ok(())
}

/// From the decision to the first decoded picture that shows it, unless that was there before for another reason.
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
    at(shown)?.saturating_sub(age_ms).checked_sub(at(decided)?)
}

pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
