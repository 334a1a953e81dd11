//! A picture of the operator is held up instead of the operator: the desktop must not come back for it.
//!
//! ```text
//!  operator leaves ─► cover ─► picture is held up ─► somebody like the operator is alone ─► check by light ─► cover stays
//! ```
//! What keeps it covered may be the check, a cue that sees a picture, or a phone in view. What it was is told, and that it
//! was nothing at all is an error: then nobody recognised the picture, and the step would show nothing.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use sudare_test_kit::scene::{AWAY, Held, Scene};
use sudare_test_kit::stage::Event;
use sudare_test_kit::wait::{PATIENCE, in_vain};

use super::play::{Player, Step, millis, save_when, settle};
use super::{Played, is_covered};

/// Long enough for two checks: the operator has to be alone for 2 s, a check takes 3 s, and the next one waits for 2 s.
const HELD_FOR: Duration = Duration::from_secs(12);
/// So long after the first light, or the first word against it, a check has come to its end.
const ENDS_WITHIN: Duration = Duration::from_secs(6);
const LOOK_EVERY: Duration = Duration::from_millis(20);

impl Player<'_> {
    pub(super) fn try_held(&mut self, step: &Step, held: Held, picture: &Path) -> anyhow::Result<Played> {
        self.pace.lap();
        self.client.catch_up();
        let from = self.client.seen.len();
        self.camera.show(AWAY);
        self.client.wait("the cover for \"absent\"", |e| is_covered_for(e, "absent"))?;
        settle(&mut self.client, from)?;
        let (acted, from) = (Instant::now(), self.client.seen.len());
        let scene = Scene { held: Some(held), ..AWAY };
        self.camera.show(scene);
        self.watch(from)?;
        let reaction_ms = millis(acted.elapsed());
        save_when(&mut self.client, picture, true, &self.pace)?;
        ensure!(is_covered(picture)?, "the desktop came back for a picture of the operator");
        let seen = self.client.seen.get(from..).unwrap_or_default();
        ensure!(opened(seen).is_none(), "the desktop came back while the cover was saved");
        Ok(Played {
            step: step.name.to_owned(),
            t_ms: millis(self.started.elapsed()),
            covered: true,
            reason: what_kept_it_covered(seen).unwrap_or_default(),
            latency_ms: None,
            reaction_ms,
            slowness: self.pace.lap(),
            picture: picture.file_name().map(Into::into).unwrap_or_default(),
            camera: Some(self.seat.frame(&scene, 0)),
        })
    }

    /// Watches every event while the picture is held up, on a slow machine until something was tried.
    fn watch(&mut self, from: usize) -> anyhow::Result<()> {
        let (started, mut tried) = (Instant::now(), None);
        while started.elapsed() < PATIENCE {
            self.client.catch_up();
            let seen = self.client.seen.get(from..).unwrap_or_default();
            if let Some(event) = opened(seen) {
                bail!("the desktop came back for a picture of the operator: {event}");
            }
            ensure!(!self.client.has_ended(), "the client ended while a picture was held up");
            if what_kept_it_covered(seen).is_some() {
                let tried: Instant = *tried.get_or_insert_with(Instant::now);
                if started.elapsed() >= HELD_FOR && tried.elapsed() >= ENDS_WITHIN {
                    return Ok(());
                }
            }
            std::thread::sleep(LOOK_EVERY);
        }
        bail!("{}", in_vain("anything to be tried with a picture of the operator", "nobody recognised it"))
    }
}

fn is_covered_for(event: &Event, reason: &str) -> bool {
    event["event"] == "status" && event["shown"] == "covered" && event["reason"] == reason
}

/// The first picture that was more than a cover.
fn opened(events: &[Event]) -> Option<&Event> {
    events.iter().find(|e| e["event"] == "screen" && e["covered"] != true)
}

/// The reason at the end, and whether there was a check by light; `None` if nothing was tried yet.
fn what_kept_it_covered(events: &[Event]) -> Option<String> {
    let is_told = |e: &&Event| e["event"] == "status" || (e["event"] == "decision" && e["cover"] == true);
    let told = events.iter().rev().find(is_told).and_then(|e| e["reason"].as_str()).unwrap_or("absent");
    let was_lit = events.iter().any(|e| e["event"] == "screen" && e["light"].is_string());
    let is_denied = ["spoof", "phone"].contains(&told);
    (was_lit || is_denied).then(|| if was_lit { format!("{told}, light checked") } else { told.to_owned() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_told_names_the_check_or_who_denied_it() {
        let lit = json!({ "event": "screen", "covered": true, "light": "#f7fbf7" });
        let spoof = json!({ "event": "status", "shown": "covered", "reason": "spoof" });
        let phone = json!({ "event": "decision", "cover": true, "reason": "phone" });
        let dark = json!({ "event": "screen", "covered": true });
        let told =
            |events: &[&Event]| what_kept_it_covered(&events.iter().copied().cloned().collect::<Vec<_>>());
        assert_eq!(told(&[&lit, &dark]).unwrap(), "absent, light checked");
        assert_eq!(told(&[&lit, &spoof]).unwrap(), "spoof, light checked");
        assert_eq!(told(&[&phone]).unwrap(), "phone");
        let unclear = json!({ "event": "decision", "cover": true, "reason": "undecided" });
        assert_eq!((told(&[&dark]), told(&[&unclear])), (None, None), "nothing was tried");
    }

    #[test]
    fn anything_but_a_cover_is_an_opening() {
        let screen = |covered: bool| json!({ "event": "screen", "kind": "mixed", "covered": covered });
        assert!(opened(&[screen(true), json!({ "event": "status", "shown": "visible" })]).is_none());
        assert!(opened(&[screen(true), screen(false)]).is_some());
    }
}
