//! The light that a client's window throws on whoever sits before it, as the client itself tells of it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::lighting::linear;
use crate::stage::Event;

/// A camera gathers light for about this long before it gives a picture.
const GATHERS: Duration = Duration::from_millis(60);
/// More changes than a camera can gather from one picture to the next.
const CHANGES_MAX: usize = 64;

/// Shared between whoever reads a client's events and the camera.
#[derive(Debug, Clone, Default)]
pub struct Glow(Arc<Mutex<VecDeque<Change>>>);

/// From then on, red, green and blue, 1 = a white screen.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Change {
    at: Instant,
    light: [f32; 3],
}

impl Glow {
    /// Takes an event of a client. A desktop counts as dark: only a cover is made to light a face.
    pub fn take(&self, event: &Event) {
        match event["event"].as_str() {
            Some("screen") => self.show(Instant::now(), light_of(event)),
            Some("ended") => self.go_out(),
            _ => {}
        }
    }

    /// There is no window any more.
    pub(crate) fn go_out(&self) {
        self.show(Instant::now(), [0.0; 3]);
    }

    fn show(&self, at: Instant, light: [f32; 3]) {
        let mut changes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if changes.len() == CHANGES_MAX {
            changes.pop_front();
        }
        changes.push_back(Change { at, light });
    }

    /// What a picture that is finished at `until` has gathered.
    pub(super) fn gathered(&self, until: Instant) -> [f32; 3] {
        let changes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut gathered = [0.0; 3];
        let (mut end, from) = (until, until.checked_sub(GATHERS).unwrap_or(until));
        for change in changes.iter().rev() {
            let begin = change.at.clamp(from, end);
            let share = end.duration_since(begin).as_secs_f32() / GATHERS.as_secs_f32();
            gathered.iter_mut().zip(change.light).for_each(|(sum, light)| *sum += light * share);
            end = begin;
            if end == from {
                break;
            }
        }
        gathered
    }
}

fn light_of(screen: &Event) -> [f32; 3] {
    screen["light"].as_str().and_then(colour).map_or([0.0; 3], |colour| colour.map(linear))
}

/// `#rrggbb`.
fn colour(text: &str) -> Option<[u8; 3]> {
    let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6 && digits.is_ascii())?;
    let number = u32::from_str_radix(digits, 16).ok()?;
    let [_, colour @ ..] = number.to_be_bytes();
    Some(colour)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_lit_cover_glows_and_nothing_else_does() {
        let lit = json!({ "event": "screen", "kind": "covered", "light": "#ffba6b" });
        let [red, green, blue] = light_of(&lit);
        assert!((red - 1.0).abs() < 1e-6 && green > 0.4 && green < 0.6 && blue > 0.1 && blue < 0.2);
        for dark in
            [json!({ "kind": "covered" }), json!({ "light": "#12345" }), json!({ "light": "#zzzzzz" })]
        {
            assert_eq!(light_of(&dark), [0.0; 3]);
        }
    }

    #[test]
    fn a_picture_gathers_what_was_shown_while_it_was_taken() {
        let (glow, start) = (Glow::default(), Instant::now());
        let at = |ms: u64| start + Duration::from_millis(ms);
        assert_eq!(glow.gathered(at(0)), [0.0; 3]);
        glow.show(at(100), [1.0, 0.5, 0.0]);
        glow.show(at(200), [0.0; 3]);
        let red = |ms: u64| glow.gathered(at(ms))[0];
        assert!(red(100) < 1e-3, "before");
        assert!((red(130) - 0.5).abs() < 1e-3, "for half of the time");
        assert!((red(180) - 1.0).abs() < 1e-3 && (glow.gathered(at(180))[1] - 0.5).abs() < 1e-3);
        assert!((red(230) - 0.5).abs() < 1e-3 && red(300) < 1e-3);
    }

    #[test]
    fn events_are_taken_at_once_and_the_memory_is_bounded() {
        let glow = Glow::default();
        for _ in 0..CHANGES_MAX * 3 {
            glow.take(&json!({ "event": "screen", "light": "#ffffff" }));
            glow.take(&json!({ "event": "status" }));
        }
        assert_eq!(glow.0.lock().unwrap().len(), CHANGES_MAX);
        let later = Instant::now() + GATHERS;
        assert!((glow.gathered(later)[0] - 1.0).abs() < 1e-3);
        glow.take(&json!({ "event": "ended" }));
        assert_eq!(glow.gathered(later + GATHERS * 2), [0.0; 3]);
    }
}
