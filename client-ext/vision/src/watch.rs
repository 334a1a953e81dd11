//! Watches a source for operators and reports each change of the decision, for `sudare watch`.

use std::mem::{Discriminant, discriminant};

use serde::Serialize;
use sudare_client_core::presence::{CameraView, Decision, Observation, Presence};
use sudare_protocol::reason::{Reason, State};

use crate::camera::{CameraFault, Clock, FrameSource};
use crate::pipeline::Vision;

/// One change of the decision. Field names are part of the command line's contract (docs/reference/json.md).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Media time for files; time since the start for live sources.
    pub t_ms: u64,
    /// How long this frame took from its arrival to the decision.
    pub wall_ms: u64,
    /// Number of the frame in its source.
    pub frame: u64,
    /// See [`State::as_str`].
    pub state: &'static str,
    pub cover: bool,
    /// See [`Reason::as_str`].
    pub reason: &'static str,
    /// Faces in view.
    pub faces: usize,
    /// What looked whether the operator's face is alive: `none` or `passive`.
    pub liveness: &'static str,
    /// Whether a phone is in view; `None` if nothing looks for phones.
    pub phones: Option<bool>,
}

/// The result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Frames examined.
    pub frames: u64,
    /// How often a visible screen was covered.
    pub covers: u64,
    /// Why it ended. Anything but [`CameraFault::Ended`] is an error.
    pub end: CameraFault,
}

/// Watches until the source ends for good. After a fault, a `live` source is tried again; before its first frame only
/// while it is silent, because any other fault then means that the wrong source was given. `thrift` tells at each time
/// of the clock whether a battery is to be spared.
pub fn watch(
    source: &mut dyn FrameSource,
    vision: &mut Vision,
    mut presence: Presence,
    live: bool,
    clock: Clock,
    thrift: &mut dyn FnMut(u64) -> bool,
    changed: &mut dyn FnMut(&Change),
) -> Summary {
    let mut timeline = Timeline::default();
    let mut origin_ms = None;
    loop {
        let frame = source.next_frame();
        let started_ms = clock();
        let (observation, seq) = match frame {
            Ok(frame) => {
                vision.set_thrift(thrift(started_ms));
                let seen = vision.process(&frame);
                timeline.frames += 1;
                timeline.fault = None;
                (seen.observed(frame.t_ms), frame.seq)
            }
            Err(fault) if live && timeline.is_worth_waiting(&fault) => {
                timeline.note(&fault);
                (Observation::new(started_ms, view_of(&fault), Vec::new()), timeline.last_frame)
            }
            Err(end) => return Summary { frames: timeline.frames, covers: timeline.covers, end },
        };
        let decision = presence.observe(&observation);
        let origin_ms = if live { *origin_ms.get_or_insert(observation.t_ms) } else { 0 };
        timeline.last_frame = seq;
        if timeline.is_change(&decision) {
            changed(&Change {
                t_ms: observation.t_ms.saturating_sub(origin_ms),
                wall_ms: clock().saturating_sub(started_ms),
                frame: seq,
                state: decision.state.as_str(),
                cover: decision.cover,
                reason: decision.reason.as_str(),
                faces: observation.faces.len(),
                liveness: decision.liveness.as_str(),
                phones: decision.phone,
            });
        }
    }
}

/// How the decision sees a fault of the camera.
#[must_use]
pub fn view_of(fault: &CameraFault) -> CameraView {
    match fault {
        CameraFault::Busy { .. } => CameraView::Busy,
        _ => CameraView::Lost,
    }
}

#[derive(Default)]
struct Timeline {
    frames: u64,
    covers: u64,
    last_frame: u64,
    last: Option<(State, bool, Reason)>,
    fault: Option<Discriminant<CameraFault>>,
}

impl Timeline {
    fn is_worth_waiting(&self, fault: &CameraFault) -> bool {
        !fault.is_final() && (self.frames > 0 || matches!(fault, CameraFault::Stalled { .. }))
    }

    /// Logs a fault once, not ten times a second.
    fn note(&mut self, fault: &CameraFault) {
        if self.fault.replace(discriminant(fault)) != Some(discriminant(fault)) {
            tracing::warn!("{fault}");
        }
    }

    fn is_change(&mut self, decision: &Decision) -> bool {
        let now = (decision.state, decision.cover, decision.reason);
        let was_visible = self.last.is_some_and(|(_, cover, _)| !cover);
        if was_visible && decision.cover {
            self.covers += 1;
        }
        self.last.replace(now) != Some(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_json_keeps_its_shape() {
        let mut change = Change {
            t_ms: 1,
            wall_ms: 2,
            frame: 3,
            state: "clear",
            cover: false,
            reason: "none",
            faces: 1,
            liveness: "passive",
            phones: Some(false),
        };
        assert_eq!(
            serde_json::to_string(&change).unwrap(),
            concat!(
                r#"{"t_ms":1,"wall_ms":2,"frame":3,"state":"clear","cover":false,"reason":"none","faces":1,"#,
                r#""liveness":"passive","phones":false}"#
            )
        );
        // Without a model nobody looks for phones.
        change.phones = None;
        assert!(serde_json::to_string(&change).unwrap().ends_with(r#""phones":null}"#));
    }

    #[test]
    fn a_silent_camera_is_waited_for_and_a_busy_one_only_after_it_has_worked() {
        let what = || "camera:0".to_owned();
        let (silent, busy, ended) = (
            CameraFault::Stalled { what: what(), silent_ms: 2000 },
            CameraFault::Busy { what: what() },
            CameraFault::Ended { what: what() },
        );
        let mut timeline = Timeline::default();
        assert!(timeline.is_worth_waiting(&silent) && !timeline.is_worth_waiting(&busy));
        timeline.frames = 1;
        assert!(timeline.is_worth_waiting(&busy) && !timeline.is_worth_waiting(&ended));
        assert_eq!(view_of(&busy), CameraView::Busy);
        assert_eq!(view_of(&silent), CameraView::Lost);
    }
}
