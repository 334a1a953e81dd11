//! Where the detector looks in a picture, and how closely. Pure.
//!
//! | pass | when |
//! |---|---|
//! | whole picture at 480 px | at least each [`QUIET_MS`]; each picture while somebody is not recognised, or something moved |
//! | whole picture at 640 px | in turn with it while something moved, and at least each [`FINE_MS`] |
//! | a quarter of the picture, enlarged to 640 px | where something moved, where a pass was unsure, and around far faces |
//!
//! Misses belong to faces, not to pictures: a face of 34 pixels (2 m) that is missed at one size is missed there again
//! and again, but found at a larger one (docs/decisions/0025-eyes-that-need-evidence.md).

use crate::evidence::Area;

/// The long side of a regular pass.
pub const WHOLE_PX: u32 = 480;
/// The long side of a closer one, and of an enlarged part.
pub const FINE_PX: u32 = 640;
/// The numbers of the kinds of passes, for [`crate::face::Sighting::by`].
pub const WHOLE: u8 = 0;
pub const FINE: u8 = 1;
pub const PART: u8 = 2;
/// How many kinds there are.
pub const KINDS: usize = 3;
/// Without motion, and with everybody recognised.
const QUIET_MS: u64 = 200;
const FINE_MS: u64 = 2_000;
/// A place that was looked at closely is not looked at so again for this long.
const PART_MS: u64 = 300;
/// Places that wait for a closer look.
const QUESTIONS_MAX: usize = 8;
/// Parts begin at multiples of this, so that whatever does not move falls on the same points of the network's grid.
const STEP_PX: f32 = 16.0;
/// A camera's time stamps are this uneven.
const JITTER_MS: u64 = 20;

/// One pass of the detector.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pass {
    pub kind: u8,
    /// Of this part; `None` is the whole picture.
    pub part: Option<Area>,
    pub long_side: u32,
}

/// What is known before a picture is looked at.
#[derive(Debug)]
pub struct Situation<'a> {
    pub t_ms: u64,
    /// Width and height.
    pub size: [f32; 2],
    /// Outside of everybody who is known to be there.
    pub moved: Option<Area>,
    /// Somebody is there and not recognised yet, or was a moment ago and is missed.
    pub unsettled: bool,
    /// Faces so far away that they are better seen enlarged.
    pub far: &'a [Area],
}

/// Remembers when it looked where.
#[derive(Debug, Default)]
pub struct Attention {
    whole_ms: Option<u64>,
    fine_ms: Option<u64>,
    /// Places of which a pass was unsure.
    questions: Vec<Area>,
    /// Parts looked at lately.
    parts: Vec<(u64, Area)>,
    /// Which of several places comes next.
    turn: usize,
}

impl Attention {
    /// The passes for this picture; none if nothing can have changed.
    pub fn plan(&mut self, now: &Situation<'_>) -> Vec<Pass> {
        let due = |at: Option<u64>, each_ms: u64| {
            at.is_none_or(|at| now.t_ms.saturating_sub(at) + JITTER_MS >= each_ms)
        };
        let mut passes = Vec::new();
        if now.moved.is_some() || now.unsettled || due(self.whole_ms, QUIET_MS) {
            let was_fine = self.fine_ms.is_some() && self.fine_ms == self.whole_ms;
            let fine = due(self.fine_ms, FINE_MS) || (now.moved.is_some() && !was_fine);
            self.whole_ms = Some(now.t_ms);
            if fine {
                self.fine_ms = Some(now.t_ms);
            }
            let (kind, long_side) = if fine { (FINE, FINE_PX) } else { (WHOLE, WHOLE_PX) };
            passes.push(Pass { kind, part: None, long_side });
        }
        passes.extend(self.part(now).map(|part| Pass { kind: PART, part: Some(part), long_side: FINE_PX }));
        passes
    }

    /// A pass saw something here and is not sure that it is a face.
    pub fn ask(&mut self, place: Area) {
        if self.questions.len() < QUESTIONS_MAX {
            self.questions.push(place);
        }
    }

    /// One place for a closer look, in turn.
    fn part(&mut self, now: &Situation<'_>) -> Option<Area> {
        self.parts.retain(|(at, _)| now.t_ms.saturating_sub(*at) + JITTER_MS < PART_MS);
        let asked = std::mem::take(&mut self.questions);
        let mut places: Vec<Area> =
            asked.into_iter().chain(now.far.iter().copied()).chain(now.moved).collect();
        places.retain(|place| !self.parts.iter().any(|(_, part)| holds(part, place)));
        self.turn = self.turn.wrapping_add(1);
        let place = *places.get(self.turn.checked_rem(places.len())?)?;
        let part = around(&place, now.size);
        self.parts.push((now.t_ms, part));
        Some(part)
    }
}

/// Half as wide and high as the picture, with this place in the middle as far as possible.
fn around([x, y, w, h]: &Area, [width, height]: [f32; 2]) -> Area {
    let (part_w, part_h) = (width / 2.0, height / 2.0);
    let begin = |middle: f32, part: f32, side: f32| {
        let at = (middle - part / 2.0).clamp(0.0, side - part);
        (at / STEP_PX).floor() * STEP_PX
    };
    [begin(x + w / 2.0, part_w, width), begin(y + h / 2.0, part_h, height), part_w, part_h]
}

/// Whether the middle of a place lies in a part.
fn holds([left, top, width, height]: &Area, [x, y, w, h]: &Area) -> bool {
    (*left..=left + width).contains(&(x + w / 2.0)) && (*top..=top + height).contains(&(y + h / 2.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: [f32; 2] = [640.0, 480.0];
    const QUIET: Situation<'_> = Situation { t_ms: 0, size: SIZE, moved: None, unsettled: false, far: &[] };

    /// Long sides of whole passes, and parts, of ten pictures a second.
    fn passes(pictures: u64, situation: impl Fn(u64) -> Situation<'static>) -> Vec<Vec<u32>> {
        let mut attention = Attention::default();
        let plan = |i| attention.plan(&situation(i * 100)).iter().map(|pass| pass.long_side).collect();
        (0..pictures).map(plan).collect()
    }

    #[test]
    fn a_quiet_seat_is_looked_at_five_times_a_second_and_closer_every_two_seconds() {
        let seen = passes(41, |t_ms| Situation { t_ms, ..QUIET });
        let looks: Vec<_> = seen.iter().flatten().copied().collect();
        assert_eq!(looks.len(), 21);
        assert_eq!(looks.iter().filter(|side| **side == FINE_PX).count(), 3, "{looks:?}");
    }

    #[test]
    fn what_moves_is_looked_at_in_each_picture_at_both_sizes_and_enlarged() {
        let mut attention = Attention::default();
        attention.plan(&QUIET);
        let moved = Some([500.0, 100.0, 40.0, 60.0]);
        let kinds: Vec<Vec<u8>> = (1..9)
            .map(|i| attention.plan(&Situation { t_ms: i * 100, moved, ..QUIET }))
            .map(|passes| passes.iter().map(|pass| pass.kind).collect())
            .collect();
        assert_eq!(kinds[0], [WHOLE, PART], "at once");
        assert_eq!(kinds[1], [FINE]);
        let parts = kinds.iter().flatten().filter(|kind| **kind == PART).count();
        assert_eq!((kinds.iter().all(|passes| !passes.is_empty()), parts), (true, 3));
    }

    #[test]
    fn a_doubtful_place_is_looked_at_in_the_next_picture() {
        let mut attention = Attention::default();
        attention.plan(&QUIET);
        attention.ask([600.0, 20.0, 30.0, 40.0]);
        let passes = attention.plan(&Situation { t_ms: 100, ..QUIET });
        assert_eq!(passes, [Pass { kind: PART, part: Some([320.0, 0.0, 320.0, 240.0]), long_side: FINE_PX }]);
        // And not again at once.
        attention.ask([600.0, 20.0, 30.0, 40.0]);
        assert!(attention.plan(&Situation { t_ms: 200, ..QUIET }).iter().all(|pass| pass.kind == WHOLE));
    }

    #[test]
    fn several_places_take_turns_and_questions_are_bounded() {
        let mut attention = Attention::default();
        let far = [[10.0, 10.0, 20.0, 20.0], [600.0, 400.0, 20.0, 20.0]];
        let mut seen = Vec::new();
        for i in 0..6 {
            (0..100).for_each(|_| attention.ask([300.0, 200.0, 9.0, 9.0]));
            let passes = attention.plan(&Situation { t_ms: i * 100, far: &far, ..QUIET });
            assert!(passes.len() <= 2);
            seen.extend(passes.iter().filter_map(|pass| pass.part));
        }
        assert!(far.iter().all(|place| seen.iter().any(|part| holds(part, place))), "{seen:?}");
    }
}
