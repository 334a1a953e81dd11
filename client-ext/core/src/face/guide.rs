//! What the person before the camera is asked to do while enrolling, one step after the other. Pure.
//!
//! A template of varied looks recognises its operator in more light and more poses, and stays as far from other people
//! as one of a single look. Five-point poses tell left from right; nodding they do not tell, so those steps take their
//! time.

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    Ahead,
    Left,
    Right,
    Up,
    Down,
    Glasses,
}

impl Step {
    /// In the order in which they are asked for.
    pub const ALL: [Step; 6] = [Step::Ahead, Step::Left, Step::Right, Step::Up, Step::Down, Step::Glasses];

    #[must_use]
    pub const fn japanese(self) -> &'static str {
        match self {
            Step::Ahead => "カメラをまっすぐ見てください",
            Step::Left => "顔を少し左へ向けてください",
            Step::Right => "顔を少し右へ向けてください",
            Step::Up => "顔を少し上へ向けてください",
            Step::Down => "顔を少し下へ向けてください",
            Step::Glasses => "眼鏡を使う方は、掛け外ししてカメラを見てください",
        }
    }

    #[must_use]
    pub const fn english(self) -> &'static str {
        match self {
            Step::Ahead => "Look straight into the camera",
            Step::Left => "Turn your head a little to your left",
            Step::Right => "Turn your head a little to your right",
            Step::Up => "Lift your chin a little",
            Step::Down => "Lower your chin a little",
            Step::Glasses => "If you use glasses, put them on or take them off, and look into the camera",
        }
    }

    /// Whether a look with this yaw is what was asked for. Positive is to the person's own left.
    fn is_done_by(self, yaw_deg: f32) -> bool {
        match self {
            Step::Left => yaw_deg >= TURN_DEG,
            Step::Right => yaw_deg <= -TURN_DEG,
            _ => true,
        }
    }
}

/// A turn that can be told from none.
const TURN_DEG: f32 = 8.0;
/// Good looks that a step needs.
const LOOKS: u32 = 3;
/// A step takes at least so long: reading it and moving.
const STEP_MIN_MS: u64 = 2_500;
/// Whoever cannot do it goes on after this time.
const STEP_MAX_MS: u64 = 7_000;
/// Glasses have to be found.
const GLASSES_MIN_MS: u64 = 6_000;
/// The longest that all steps take together.
pub const ALL_STEPS_MAX_MS: u64 = STEP_MAX_MS * Step::ALL.len() as u64;

/// Leads through the steps.
#[derive(Debug, Default)]
pub struct Guide {
    at: usize,
    since_ms: Option<u64>,
    looks: u32,
}

impl Guide {
    /// Takes a look, with the yaw of the face if it was a good one. Returns what to do now; `None` means that all is
    /// done.
    pub fn see(&mut self, t_ms: u64, good_yaw_deg: Option<f32>) -> Option<Step> {
        let step = *Step::ALL.get(self.at)?;
        let since_ms = *self.since_ms.get_or_insert(t_ms);
        if good_yaw_deg.is_some_and(|yaw_deg| step.is_done_by(yaw_deg)) {
            self.looks += 1;
        }
        let passed_ms = t_ms.saturating_sub(since_ms);
        let least_ms = if step == Step::Glasses { GLASSES_MIN_MS } else { STEP_MIN_MS };
        let is_done = self.looks >= LOOKS && passed_ms >= least_ms;
        if is_done || passed_ms >= STEP_MAX_MS {
            (self.at, self.since_ms, self.looks) = (self.at + 1, Some(t_ms), 0);
        }
        Step::ALL.get(self.at).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When each step begins, for somebody whose head has this yaw in it.
    fn begins(yaw: impl Fn(Step) -> Option<f32>) -> Vec<(Step, u64)> {
        let (mut guide, mut begins, mut step) = (Guide::default(), Vec::new(), Some(Step::Ahead));
        for t_ms in (5_000..600_000).step_by(200) {
            let Some(now) = guide.see(t_ms, step.and_then(&yaw)) else { break };
            if begins.last().is_none_or(|(last, _)| *last != now) {
                begins.push((now, t_ms - 5_000));
            }
            step = Some(now);
        }
        assert_eq!(guide.see(700_000, Some(0.0)), None, "it ends");
        begins
    }

    #[test]
    fn whoever_follows_is_through_soon_and_whoever_does_not_as_well() {
        let follows = begins(|step| match step {
            Step::Left => Some(20.0),
            Step::Right => Some(-20.0),
            _ => Some(0.0),
        });
        assert_eq!(follows.iter().map(|(step, _)| *step).collect::<Vec<_>>(), Step::ALL);
        assert_eq!(follows[1].1, 2_600);
        assert_eq!(follows[5].1, 5 * 2_600);
        let straight = begins(|_| Some(0.0));
        assert_eq!(straight[2].1 - straight[1].1, STEP_MAX_MS, "not turned to the left");
        let absent = begins(|_| None);
        assert_eq!(absent.len(), Step::ALL.len());
        assert!(absent[5].1 + STEP_MAX_MS <= ALL_STEPS_MAX_MS + 200);
        let broken = begins(|_| Some(f32::NAN));
        assert_eq!(broken[2].1 - broken[1].1, STEP_MAX_MS);
    }

    #[test]
    fn each_step_is_said_in_both_languages() {
        for step in Step::ALL {
            assert!(step.english().is_ascii() && !step.japanese().is_ascii());
        }
    }
}
