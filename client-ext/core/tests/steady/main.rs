//! While an operator sits alone and nothing moves, what is decided about a picture takes no memory from the system: its
//! buffers are those of the pictures before. The detector and the comparison are played; what the networks' runtime
//! takes is its own.

mod sys;

use sudare_client_core::attention::{Attention, Situation};
use sudare_client_core::evidence::Area;
use sudare_client_core::face::Face;
use sudare_client_core::face::facing::Facing;
use sudare_client_core::face::gathered::Gathered;
use sudare_client_core::face::identity::Thresholds;
use sudare_client_core::face::quality::Quality;
use sudare_client_core::face::track::Tracker;
use sudare_client_core::frame::Frame;
use sudare_client_core::live::patches;
use sudare_client_core::motion::Motion;
use sudare_client_core::phone::{PhoneWatch, Surroundings};
use sudare_client_core::presence::{CameraView, FaceSeen, Observation, Presence, Who};
use sudare_client_core::screens::Screens;
use sudare_protocol::timings::Timings;

const SIZE: [f32; 2] = [640.0, 480.0];
const FACE: Face = Face {
    bbox: [260.0, 140.0, 120.0, 150.0],
    landmarks: [[295.0, 195.0], [345.0, 195.0], [320.0, 222.0], [300.0, 250.0], [340.0, 250.0]],
    score: 0.9,
};
const BODY: Area = [140.0, 35.0, 360.0, 445.0];
const LIMITS: Thresholds = Thresholds { operator_min: 0.54, same_person_min: 0.42, stranger_max: 0.30 };
const GOOD: Quality = Quality { size_px: 120.0, score: 0.9, yaw_deg: 3.0, sharp: 0.09, light: 120.0 };
const SCORE_MIN: f32 = 0.6;
/// After so many pictures, ten a second, every bounded list is as long as it gets.
const SETTLED: u64 = 1_000;
const COUNTED: u64 = 300;

/// The pure parts of the pipeline.
struct Eyes {
    thrift: bool,
    motion: Motion,
    screens: Screens,
    attention: Attention,
    gathered: Gathered,
    tracker: Tracker,
    facing: Facing,
    phones: PhoneWatch,
    presence: Presence,
    observation: Observation,
    looked_ms: u64,
    looks: u64,
}

impl Eyes {
    fn new(thrift: bool) -> Self {
        let faces = vec![FaceSeen::near(0, Who::Operator)];
        Eyes {
            thrift,
            motion: Motion::default(),
            screens: Screens::default(),
            attention: Attention::default(),
            gathered: Gathered::default(),
            tracker: Tracker::default(),
            facing: Facing::default(),
            phones: PhoneWatch::default(),
            presence: Presence::new(&Timings::default()),
            observation: Observation::new(0, CameraView::Clear, faces),
            looked_ms: 0,
            looks: 0,
        }
    }

    /// As `Vision` does it; whether the operator is known.
    fn see(&mut self, frame: &Frame) -> bool {
        let t_ms = frame.t_ms;
        let moved = self.motion.update(frame, &[BODY]);
        self.screens.update(t_ms, &self.motion.changes(), SIZE);
        let known = self.tracker.known(self.looked_ms);
        let alone = !known.is_empty() && known.iter().all(|face| face.seen && face.who == Who::Operator);
        let thrift = self.thrift && alone;
        let situation = Situation { t_ms, size: SIZE, moved, unsettled: !alone, far: &[], thrift };
        let passes = self.attention.plan(&situation);
        self.gathered.clear();
        for pass in passes.iter().flatten() {
            self.gathered.add(pass, FACE, SCORE_MIN, SIZE);
        }
        if passes.iter().any(Option::is_some) {
            let (found, _) = self.gathered.settle();
            self.tracker.set_screens(self.screens.known());
            self.tracker.update(t_ms, found, SIZE);
            (self.looked_ms, self.looks) = (t_ms, self.looks + 1);
        }
        let known = self.tracker.known(self.looked_ms);
        self.facing.keep(known);
        let asked = self.facing.due(t_ms, known, SIZE[0]);
        let light = patches::measure(frame, &FACE, &[FACE.bbox]);
        let changed = |part: &Area| self.motion.share_in(part, SIZE);
        let seen = &[FACE.bbox];
        let now = Surroundings { t_ms, size: SIZE, seen, missed: &[], changed: &changed };
        if self.phones.due(&now).is_some() {
            self.phones.looked(&now, &[]);
        }
        (self.observation.t_ms, self.observation.light) = (t_ms, Some(light));
        let decision = self.presence.observe(&self.observation);
        alone && asked.is_none() && !decision.cover
    }

    /// The worker's part. It is not asked with each picture.
    fn compare(&mut self, t_ms: u64) {
        for (track, _) in self.tracker.due(t_ms) {
            self.tracker.looked(track, t_ms, Some((0.8, GOOD)), &LIMITS);
        }
    }
}

/// A wall that gets brighter to one side.
fn frame() -> Frame {
    let rgb = (0..640 * 480_u32).flat_map(|i| [u8::try_from(60 + i % 640 / 8).unwrap_or(0); 3]).collect();
    Frame { width: 640, height: 480, rgb, t_ms: 0, seq: 0 }
}

#[test]
fn a_quiet_picture_takes_no_memory() {
    for (thrift, looks) in [(false, COUNTED / 2), (true, COUNTED / 4)] {
        let (mut eyes, mut frame) = (Eyes::new(thrift), frame());
        for i in 0..SETTLED {
            frame.t_ms = i * 100;
            eyes.see(&frame);
            eyes.compare(frame.t_ms);
        }
        let before = eyes.looks;
        for i in SETTLED..SETTLED + COUNTED {
            frame.t_ms = i * 100;
            let taken = sys::allocations();
            let is_shown = eyes.see(&frame);
            assert_eq!(sys::allocations() - taken, 0, "picture {i}, thrift {thrift}");
            assert!(is_shown, "picture {i}: this is not the quiet case");
            eyes.compare(frame.t_ms);
        }
        assert!((eyes.looks - before).abs_diff(looks) <= 1, "{} looks", eyes.looks - before);
    }
}

#[test]
fn what_takes_memory_is_counted() {
    let before = sys::allocations();
    let list = std::hint::black_box(vec![1_u8; 9]);
    assert_eq!((sys::allocations() - before, list.len()), (1, 9));
}
