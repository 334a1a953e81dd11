//! Where the detector looks in a picture, and how closely. Pure.
//!
//! | pass | when |
//! |---|---|
//! | whole picture at 480 px | at least each [`QUIET_MS`]; each picture while somebody is not recognised, or something moved |
//! | whole picture at 640 px | in turn with it while something moved, and at least each [`FINE_MS`] |
//! | a quarter of the picture, enlarged to 640 px | where something moved, where a pass was unsure, and around far faces |
//!
//! To spare a battery, every second of the passes that only [`QUIET_MS`] asks for is left out, once nothing else asked
//! for one for [`CALM_MS`]. What moves is looked at at once all the same.
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
/// Passes are left out after so long. By then several were [`QUIET_MS`] apart, and whoever follows faces takes twice
/// that for a camera's pause no longer ([`crate::face::track`]): nobody has to be recognised anew.
const CALM_MS: u64 = 1_500;
/// A camera so slow that passes are this far apart is not asked less often still.
const SPARED_MAX_MS: u64 = 300;
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
    /// A battery is to be spared, and nobody but the operator is in view.
    pub thrift: bool,
}

/// Remembers when it looked where.
#[derive(Debug, Default)]
pub struct Attention {
    whole_ms: Option<u64>,
    fine_ms: Option<u64>,
    /// When anything but the time last asked for a pass, or nothing was to be spared.
    busy_ms: Option<u64>,
    /// Until when a pass that was due is left out.
    spared_until_ms: Option<u64>,
    /// Places of which a pass was unsure.
    questions: Vec<Area>,
    /// Parts looked at lately.
    parts: Vec<(u64, Area)>,
    /// Which of several places comes next.
    turn: usize,
}

impl Attention {
    /// The passes for this picture, over all of it and over a part; none if nothing can have changed.
    pub fn plan(&mut self, now: &Situation<'_>) -> [Option<Pass>; 2] {
        let whole = self.whole(now);
        let part = self.part(now).map(|part| Pass { kind: PART, part: Some(part), long_side: FINE_PX });
        let is_busy = part.is_some() || now.moved.is_some() || now.unsettled || !now.thrift;
        if is_busy || self.busy_ms.is_none() {
            self.busy_ms = Some(now.t_ms);
        }
        [whole, part]
    }

    /// A pass saw something here and is not sure that it is a face.
    pub fn ask(&mut self, place: Area) {
        if self.questions.len() < QUESTIONS_MAX {
            self.questions.push(place);
        }
    }

    fn whole(&mut self, now: &Situation<'_>) -> Option<Pass> {
        let due = |at: Option<u64>, each_ms: u64| at.is_none_or(|at| is_over(at, each_ms, now.t_ms));
        let asked = now.moved.is_some() || now.unsettled;
        if !asked && (!due(self.whole_ms, QUIET_MS) || self.is_spared(now)) {
            return None;
        }
        let was_fine = self.fine_ms.is_some() && self.fine_ms == self.whole_ms;
        let fine = due(self.fine_ms, FINE_MS) || (now.moved.is_some() && !was_fine);
        (self.whole_ms, self.spared_until_ms) = (Some(now.t_ms), None);
        if fine {
            self.fine_ms = Some(now.t_ms);
        }
        let (kind, long_side) = if fine { (FINE, FINE_PX) } else { (WHOLE, WHOLE_PX) };
        Some(Pass { kind, part: None, long_side })
    }

    /// Whether a pass that is due is left out: never two in a row, so that passes are at most twice as far apart.
    fn is_spared(&mut self, now: &Situation<'_>) -> bool {
        let Some(whole_ms) = self.whole_ms else { return false };
        let is_calm = self.busy_ms.is_some_and(|at| is_over(at, CALM_MS, now.t_ms));
        let waited_ms = now.t_ms.saturating_sub(whole_ms);
        let is_slow = self.spared_until_ms.is_none() && waited_ms > SPARED_MAX_MS;
        if !now.thrift || !is_calm || is_slow {
            return false;
        }
        let until_ms = *self.spared_until_ms.get_or_insert(now.t_ms.saturating_add(waited_ms));
        now.t_ms.saturating_add(JITTER_MS) < until_ms
    }

    /// One place for a closer look, in turn.
    fn part(&mut self, now: &Situation<'_>) -> Option<Area> {
        self.parts.retain(|(at, _)| !is_over(*at, PART_MS, now.t_ms));
        self.turn = self.turn.wrapping_add(1);
        let is_new = |place: &&Area| !self.parts.iter().any(|(_, part)| holds(part, place));
        let places = || self.questions.iter().chain(now.far).chain(&now.moved).filter(is_new);
        let place = self.turn.checked_rem(places().count()).and_then(|at| places().nth(at).copied());
        self.questions.clear();
        let part = around(&place?, now.size);
        self.parts.push((now.t_ms, part));
        Some(part)
    }
}

fn is_over(at_ms: u64, each_ms: u64, now_ms: u64) -> bool {
    now_ms.saturating_sub(at_ms) + JITTER_MS >= each_ms
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
    const QUIET: Situation<'_> =
        Situation { t_ms: 0, size: SIZE, moved: None, unsettled: false, far: &[], thrift: false };

    fn plan(attention: &mut Attention, now: &Situation<'_>) -> Vec<Pass> {
        attention.plan(now).into_iter().flatten().collect()
    }

    /// At which of these pictures passes are made.
    fn times(
        attention: &mut Attention,
        pictures: impl Iterator<Item = u64>,
        situation: impl Fn(u64) -> Situation<'static>,
    ) -> Vec<u64> {
        pictures.filter(|t_ms| !plan(attention, &situation(*t_ms)).is_empty()).collect()
    }

    #[test]
    fn a_quiet_seat_is_looked_at_five_times_a_second_and_closer_every_two_seconds() {
        let mut attention = Attention::default();
        let situation = |i: u64| Situation { t_ms: i * 100, ..QUIET };
        let looks: Vec<_> =
            (0..41).flat_map(|i| plan(&mut attention, &situation(i))).map(|pass| pass.long_side).collect();
        assert_eq!(looks.len(), 21);
        assert_eq!(looks.iter().filter(|side| **side == FINE_PX).count(), 3, "{looks:?}");
    }

    #[test]
    fn thrift_halves_the_passes_of_a_calm_seat_and_none_is_spared_before() {
        let mut attention = Attention::default();
        let all =
            times(&mut attention, (0..10_000).step_by(100), |t_ms| Situation { t_ms, thrift: true, ..QUIET });
        let calm = all.iter().filter(|t_ms| **t_ms >= 2_000).count();
        assert_eq!(calm, 20, "{all:?}");
        let gaps: Vec<u64> = all.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(gaps[..7], [200; 7], "{all:?}");
        assert!(gaps.iter().all(|gap_ms| *gap_ms <= 400), "{all:?}");
    }

    #[test]
    fn thrift_never_more_than_doubles_the_time_between_passes_whatever_the_camera_sends() {
        for each_ms in 30..1_000_usize {
            let gap = |thrift: bool| {
                let situation = |t_ms| Situation { t_ms, thrift, ..QUIET };
                let pictures = (0..20_000).step_by(each_ms);
                let all = times(&mut Attention::default(), pictures, situation);
                all.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap()
            };
            let (usual_ms, spared_ms) = (gap(false), gap(true));
            let most_ms = if usual_ms > SPARED_MAX_MS { usual_ms } else { 2 * usual_ms };
            assert!(spared_ms <= most_ms, "{each_ms}: {spared_ms} after {usual_ms}");
        }
    }

    #[test]
    fn thrift_waits_for_nothing_that_moves_is_missed_or_is_doubtful() {
        let thrifty = |t_ms| Situation { t_ms, thrift: true, ..QUIET };
        let calm = || {
            let mut attention = Attention::default();
            // The last pass is that of 4,600 ms; the next one would be at 5,000.
            assert_eq!(times(&mut attention, (0..4_900).step_by(100), thrifty).last(), Some(&4_600));
            attention
        };
        let moved = Some([500.0, 100.0, 40.0, 60.0]);
        assert_eq!(plan(&mut calm(), &Situation { moved, ..thrifty(4_900) }).len(), 2);
        assert_eq!(plan(&mut calm(), &Situation { unsettled: true, ..thrifty(4_900) }).len(), 1);
        assert_eq!(plan(&mut calm(), &Situation { thrift: false, ..thrifty(4_900) }).len(), 1);
        let mut attention = calm();
        attention.ask([600.0, 20.0, 30.0, 40.0]);
        assert_eq!(plan(&mut attention, &thrifty(4_900))[0].kind, PART);
        // From then on it is as without thrift until it has been calm again.
        let busy = times(&mut attention, (5_000..7_000).step_by(100), thrifty);
        assert_eq!(busy, [5_000, 5_200, 5_400, 5_600, 5_800, 6_000, 6_200, 6_600]);
    }

    #[test]
    fn what_moves_is_looked_at_in_each_picture_at_both_sizes_and_enlarged() {
        let mut attention = Attention::default();
        plan(&mut attention, &QUIET);
        let moved = Some([500.0, 100.0, 40.0, 60.0]);
        let kinds: Vec<Vec<u8>> = (1..9)
            .map(|i| plan(&mut attention, &Situation { t_ms: i * 100, moved, ..QUIET }))
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
        plan(&mut attention, &QUIET);
        attention.ask([600.0, 20.0, 30.0, 40.0]);
        let passes = plan(&mut attention, &Situation { t_ms: 100, ..QUIET });
        assert_eq!(passes, [Pass { kind: PART, part: Some([320.0, 0.0, 320.0, 240.0]), long_side: FINE_PX }]);
        // And not again at once.
        attention.ask([600.0, 20.0, 30.0, 40.0]);
        assert!(
            plan(&mut attention, &Situation { t_ms: 200, ..QUIET }).iter().all(|pass| pass.kind == WHOLE)
        );
    }

    #[test]
    fn several_places_take_turns_and_questions_are_bounded() {
        let mut attention = Attention::default();
        let far = [[10.0, 10.0, 20.0, 20.0], [600.0, 400.0, 20.0, 20.0]];
        let mut seen = Vec::new();
        for i in 0..6 {
            (0..100).for_each(|_| attention.ask([300.0, 200.0, 9.0, 9.0]));
            let passes = plan(&mut attention, &Situation { t_ms: i * 100, far: &far, ..QUIET });
            assert!(passes.len() <= 2);
            seen.extend(passes.iter().filter_map(|pass| pass.part));
        }
        assert!(far.iter().all(|place| seen.iter().any(|part| holds(part, place))), "{seen:?}");
    }
}
