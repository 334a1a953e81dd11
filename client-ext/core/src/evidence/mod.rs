//! Camera pictures of an incident: which moments are kept, and whose face is hidden. Pure.
//!
//! ```text
//!  pictures ─ 2 a second, the last 3 s ─► Ring ─ before, at, after ─► Shots
//!  each shot ─ picture: whom to hide ─► pixelate
//! ```
//! The ring is in memory only; the runtime seals the shots.

mod picture;
mod pixelate;

use std::collections::VecDeque;

use sudare_protocol::message::Moment;

pub use picture::{Area, Areas, Mark, Picture, intruders};
pub use pixelate::pixelate;

use crate::report::Incident;

/// The distance between kept frames, and how far back they go.
const RING_STEP_MS: u64 = 500;
const RING_MS: u64 = 3_000;
/// How long after the decision the last picture is taken.
const AFTER_MS: u64 = 1_000;

/// The last moments, and incidents still waiting for the picture after the decision.
#[derive(Debug, Default)]
pub struct Ring {
    pictures: VecDeque<Picture>,
    latest: Option<Picture>,
    due: Vec<Due>,
}

#[derive(Debug)]
struct Due {
    incident: Incident,
    shots: Vec<(Moment, Picture)>,
}

/// Pictures of an incident, not yet sealed.
#[derive(Debug)]
pub struct Shots {
    pub incident: Incident,
    pub shots: Vec<(Moment, Picture)>,
}

impl Shots {
    /// The picture on which the decision was made.
    pub fn at(&self) -> Option<&Picture> {
        self.shots.iter().find(|(moment, _)| *moment == Moment::At).map(|(_, picture)| picture)
    }
}

impl Ring {
    pub fn push(&mut self, picture: Picture) {
        let now_ms = picture.frame.t_ms;
        if self.pictures.back().is_none_or(|last| now_ms.saturating_sub(last.frame.t_ms) >= RING_STEP_MS) {
            self.pictures.push_back(picture.clone());
        }
        while self.pictures.front().is_some_and(|p| now_ms.saturating_sub(p.frame.t_ms) > RING_MS) {
            self.pictures.pop_front();
        }
        for due in &mut self.due {
            let has_after = due.shots.iter().any(|(moment, _)| *moment == Moment::After);
            if !has_after && now_ms >= due.incident.decided_ms + AFTER_MS {
                due.shots.push((Moment::After, picture.clone()));
            }
        }
        self.latest = Some(picture);
    }

    /// An incident began: keeps the moment before it and the moment itself.
    pub fn begin(&mut self, incident: Incident) {
        let at = self.latest.clone();
        let at_ms = at.as_ref().map_or(0, |p| p.frame.t_ms);
        let long_before = |p: &&Picture| p.frame.t_ms + 2 * RING_STEP_MS <= at_ms;
        let before = self.pictures.iter().rev().find(long_before).cloned();
        let shots = [(Moment::Before, before), (Moment::At, at)];
        let shots = shots.into_iter().filter_map(|(moment, picture)| Some((moment, picture?))).collect();
        self.due.push(Due { incident, shots });
    }

    /// Whether an incident's last picture is still to come.
    pub fn is_waiting(&self) -> bool {
        !self.due.is_empty()
    }

    /// Incidents whose pictures are complete, or will never be (the camera is gone).
    pub fn ready(&mut self, now_ms: u64) -> Vec<Shots> {
        let complete = |due: &Due| {
            due.shots.iter().any(|(m, _)| *m == Moment::After)
                || now_ms > due.incident.decided_ms + 2 * AFTER_MS
        };
        let (done, waiting) = std::mem::take(&mut self.due).into_iter().partition(complete);
        self.due = waiting;
        done.into_iter()
            .filter(|due: &Due| !due.shots.is_empty())
            .map(|due| Shots { incident: due.incident, shots: due.shots })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing_pictures::{incident, picture};

    #[test]
    fn an_incident_has_the_moment_before_at_and_after() {
        let mut ring = Ring::default();
        for t_ms in (0..=5_000).step_by(100) {
            ring.push(picture(t_ms));
        }
        ring.begin(incident(5_000));
        assert!(ring.ready(5_500).is_empty());
        for t_ms in (5_100..=6_100).step_by(100) {
            ring.push(picture(t_ms));
        }
        let shots = ring.ready(6_100).remove(0);
        let times: Vec<_> = shots.shots.iter().map(|(m, p)| (*m, p.frame.t_ms)).collect();
        assert_eq!(times, [(Moment::Before, 4_000), (Moment::At, 5_000), (Moment::After, 6_000)]);
        assert!(ring.pictures.len() <= 7, "bounded");
    }

    #[test]
    fn a_camera_that_is_gone_still_gives_what_was_seen_before() {
        let mut ring = Ring::default();
        for t_ms in (0..=2_000).step_by(100) {
            ring.push(picture(t_ms));
        }
        ring.begin(incident(2_050));
        assert_eq!(ring.ready(4_051).remove(0).shots.len(), 2);
        assert!(ring.ready(9_000).is_empty());
    }
}
