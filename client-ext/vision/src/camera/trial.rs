//! One picture of each camera, for `sudare doctor`: a camera that is listed may still be busy, denied or unreadable.

use sudare_client_core::light;

use super::native::{self, CameraInfo, Wanted};
use super::{CameraFault, Clock, FrameSource as _};

/// Cameras may take this long for their first picture.
const PATIENCE_MS: u64 = 5_000;

/// A camera, and what came of asking it for a picture.
#[derive(Debug)]
pub struct Trial {
    pub camera: CameraInfo,
    pub found: Result<Found, CameraFault>,
}

/// What a working camera gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    pub width: u32,
    pub height: u32,
    /// It shows nothing.
    pub is_blocked: bool,
    /// Why it counts as a program.
    pub program: Option<&'static str>,
}

/// Tries every camera of this machine, one after another. Devices that only accompany one that works are left out.
#[must_use]
pub fn all(clock: Clock) -> Vec<Trial> {
    let trials = native::list().into_iter().map(|camera| {
        let found = try_out(&camera, clock);
        Trial { camera, found }
    });
    without_companions(trials.collect())
}

fn try_out(camera: &CameraInfo, clock: Clock) -> Result<Found, CameraFault> {
    let mut live = native::open(Wanted::Number(camera.index), clock)?;
    let give_up_ms = clock().saturating_add(PATIENCE_MS);
    loop {
        match live.next_frame() {
            Ok(frame) => {
                return Ok(Found {
                    width: frame.width,
                    height: frame.height,
                    is_blocked: light::is_blocked(&frame),
                    program: native::why_virtual(camera.index),
                });
            }
            Err(CameraFault::Stalled { .. }) if clock() < give_up_ms => {}
            Err(fault) => return Err(fault),
        }
    }
}

/// A webcam's device for metadata has the name of the one for pictures, and gives none.
fn without_companions(trials: Vec<Trial>) -> Vec<Trial> {
    let working: Vec<String> =
        trials.iter().filter(|trial| trial.found.is_ok()).map(|trial| trial.camera.name.clone()).collect();
    let is_companion = |trial: &Trial| {
        let gives_none =
            matches!(&trial.found, Err(CameraFault::Unsupported { .. } | CameraFault::Driver { .. }));
        gives_none && working.contains(&trial.camera.name)
    };
    trials.into_iter().filter(|trial| !is_companion(trial)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_devices_that_accompany_a_working_one_are_left_out() {
        let driver = |what: &str| CameraFault::Driver { what: what.to_owned(), detail: String::new() };
        let works = Found { width: 640, height: 480, is_blocked: false, program: None };
        let trial =
            |index, name: &str, found| Trial { camera: CameraInfo { index, name: name.to_owned() }, found };
        let busy = CameraFault::Busy { what: "camera:3".to_owned() };
        let kept = without_companions(vec![
            trial(0, "C920", Ok(works)),
            trial(1, "C920", Err(driver("camera:1"))),
            trial(2, "Other", Err(driver("camera:2"))),
            trial(3, "C920", Err(busy)),
        ]);
        let kept: Vec<u32> = kept.iter().map(|trial| trial.camera.index).collect();
        assert_eq!(kept, [0, 2, 3]);
    }
}
