//! Who really sits in front of the screen, and what a camera would say about it.

use rand::Rng;
use sudare_client_core::presence::{CameraView, FaceSeen, Observation, Who};

/// What is in front of the camera for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scene {
    pub(super) until_ms: u64,
    pub(super) operator: bool,
    pub(super) stranger: bool,
    /// Turned away, or in bad light: nobody can tell whose faces these are.
    pub(super) unclear: bool,
}

/// A sequence of scenes covering the whole run.
#[derive(Debug)]
pub(super) struct Truth {
    scenes: Vec<Scene>,
}

/// A face is compared with the operator's this long after it appears.
const COMPARE_MS: u64 = 300;

impl Truth {
    pub(super) fn random(rng: &mut impl Rng, end_ms: u64) -> Self {
        let mut scenes = Vec::new();
        let mut at_ms = 0;
        while at_ms < end_ms {
            at_ms += rng.random_range(300..15_000);
            let (operator, stranger) = (rng.random_bool(0.75), rng.random_bool(0.3));
            let unclear = rng.random_bool(0.15);
            scenes.push(Scene { until_ms: at_ms, operator, stranger, unclear });
        }
        Truth { scenes }
    }

    pub(super) fn at(&self, t_ms: u64) -> (Scene, u64) {
        let mut since_ms = 0;
        for scene in &self.scenes {
            if t_ms < scene.until_ms {
                return (*scene, since_ms);
            }
            since_ms = scene.until_ms;
        }
        (Scene { until_ms: u64::MAX, operator: false, stranger: false, unclear: false }, since_ms)
    }

    /// What the camera and the models say at `t_ms`: new faces are undecided at first.
    pub(super) fn observe(&self, t_ms: u64) -> Observation {
        let (scene, since_ms) = self.at(t_ms);
        let before = since_ms.checked_sub(1).map(|t| self.at(t).0);
        let settled = t_ms - since_ms >= COMPARE_MS;
        // Once compared, a face that stays is known, unless its scene began unclear.
        let known = |was: bool| !scene.unclear && (settled || was);
        let mut faces = Vec::new();
        let mut add = |track: u64, present: bool, was: bool, who: Who| {
            if present {
                let who = if known(was) { who } else { Who::Undecided };
                faces.push(FaceSeen::near(track, who));
            }
        };
        add(0, scene.operator, before.is_some_and(|b| b.operator && !b.unclear), Who::Operator);
        add(1, scene.stranger, before.is_some_and(|b| b.stranger && !b.unclear), Who::Stranger);
        Observation::new(t_ms, CameraView::Clear, faces)
    }
}
