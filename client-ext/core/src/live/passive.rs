//! Passive cues: what gives a photograph or a film of the operator away without any light of ours. Pure.
//!
//! They may only *deny*. Nothing here says that a face is alive: networks of this kind call most press pictures living
//! ones, and a good film of somebody is as lively as that person. What they deny holds for one track, after a mean over
//! two seconds, because single looks are worth little: of living people some come near zero.

/// What is known about the face at the seat being a living one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Liveness {
    /// No cue looked at it lately.
    #[default]
    None,
    /// Passive cues looked and have nothing against it.
    Passive,
    /// Passive cues say that it is a picture.
    Denied,
}

impl Liveness {
    /// The class of what looked, whatever it said; stable in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Liveness::None => "none",
            Liveness::Passive | Liveness::Denied => "passive",
        }
    }

    /// The same as the protocol's number.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Liveness::None => 0,
            Liveness::Passive | Liveness::Denied => 1,
        }
    }
}

/// How often a look is due: five fit into the release, before the desktop opens for the first time.
const EACH_MS: u64 = 450;
/// And how often once the mean was at least this, until a look comes below it: a face does not become a picture on an
/// unbroken track, and looks cost as much as a third of the detector.
const CALM_EACH_MS: u64 = 1_800;
const CALM_FROM: f32 = 0.5;
/// A camera's time stamps are this uneven.
const JITTER_MS: u64 = 20;
/// The looks whose mean counts are not older than this,
const WINDOW_MS: u64 = 3_000;
/// are spread over this at least,
const SPREAD_MS: u64 = 1_800;
/// and are so many at least.
const LOOKS_MIN: usize = 5;
/// What was denied is taken back by a mean of this many times the limit, so that it does not flicker;
const BACK_TIMES: f32 = 3.0;
/// or once nothing could be looked at for this long: a cue that cannot look must not keep anybody out for good.
const LAPSE_MS: u64 = 10_000;
/// Cues count as having looked for this long.
const LATELY_MS: u64 = 5_000;

/// The looks at one face.
#[derive(Debug)]
pub struct Passive {
    /// A mean below this denies.
    denied_below: f32,
    track: Option<u64>,
    tried_ms: Option<u64>,
    looks: Vec<(u64, f32)>,
    denied: bool,
    /// Enough looks were good, and none was bad since.
    calm: bool,
}

impl Passive {
    #[must_use]
    pub const fn new(denied_below: f32) -> Self {
        Passive { denied_below, track: None, tried_ms: None, looks: Vec::new(), denied: false, calm: false }
    }

    /// Whether the face with this track is due for a look; from now on it was looked at.
    pub fn is_due(&mut self, t_ms: u64, track: u64) -> bool {
        if self.track != Some(track) {
            *self = Passive { track: Some(track), ..Passive::new(self.denied_below) };
        }
        let each_ms = if self.calm { CALM_EACH_MS } else { EACH_MS };
        let is_due = self.tried_ms.is_none_or(|at| t_ms.saturating_sub(at) + JITTER_MS >= each_ms);
        if is_due {
            self.tried_ms = Some(t_ms);
        }
        is_due
    }

    /// A look came to this, from 0 (a picture) to 1. What is no number says nothing.
    pub fn look(&mut self, t_ms: u64, live: f32) {
        if !live.is_finite() {
            return;
        }
        self.looks.retain(|(at, _)| t_ms.saturating_sub(*at) <= WINDOW_MS);
        self.looks.push((t_ms, live));
        self.calm &= live >= CALM_FROM;
        let spread_ms = self.looks.first().map_or(0, |(first, _)| t_ms.saturating_sub(*first));
        if self.looks.len() < LOOKS_MIN || spread_ms + JITTER_MS < SPREAD_MS {
            return;
        }
        #[allow(clippy::cast_precision_loss, reason = "a handful of looks")]
        let mean = self.looks.iter().map(|(_, live)| live).sum::<f32>() / self.looks.len() as f32;
        if mean < self.denied_below {
            self.denied = true;
        } else if mean >= self.denied_below * BACK_TIMES {
            self.denied = false;
        }
        self.calm = !self.denied && mean >= CALM_FROM && live >= CALM_FROM;
    }

    /// What the looks at this face come to.
    #[must_use]
    pub fn liveness(&self, t_ms: u64, track: u64) -> Liveness {
        let age_ms = self.looks.last().map(|(at, _)| t_ms.saturating_sub(*at));
        match age_ms {
            Some(age_ms) if self.track == Some(track) => match (self.denied, age_ms) {
                (true, 0..LAPSE_MS) => Liveness::Denied,
                (false, 0..LATELY_MS) => Liveness::Passive,
                _ => Liveness::None,
            },
            _ => Liveness::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks at the face `track` at ten pictures a second; gives when it was first denied.
    fn watch(passive: &mut Passive, from_ms: u64, ms: u64, live: impl Fn(u64) -> f32) -> Option<u64> {
        let mut denied = None;
        for t_ms in (from_ms..from_ms + ms).step_by(100) {
            if passive.is_due(t_ms, 7) {
                passive.look(t_ms, live(t_ms));
            }
            if passive.liveness(t_ms, 7) == Liveness::Denied {
                denied = denied.or(Some(t_ms));
            }
        }
        denied
    }

    #[test]
    fn a_picture_is_denied_after_two_seconds_and_a_living_face_never() {
        let mut passive = Passive::new(0.1);
        assert_eq!(watch(&mut passive, 0, 5_000, |_| 0.02), Some(2_000));
        assert_eq!(watch(&mut Passive::new(0.1), 0, 60_000, |_| 0.9), None);
        // One bad look each second does not make a mean.
        let uneven = |t_ms: u64| if t_ms.is_multiple_of(1_000) { 0.0 } else { 0.9 };
        assert_eq!(watch(&mut Passive::new(0.1), 0, 60_000, uneven), None);
    }

    #[test]
    fn it_looks_twice_a_second_and_says_so() {
        let mut passive = Passive::new(0.1);
        assert_eq!(passive.liveness(0, 7), Liveness::None);
        let looks = (0..3_000).step_by(100).filter(|t_ms| passive.is_due(*t_ms, 7)).count();
        assert_eq!(looks, 6);
        assert_eq!(passive.liveness(3_000, 7), Liveness::None, "it could not look");
        watch(&mut passive, 3_000, 500, |_| 0.9);
        assert_eq!(passive.liveness(3_500, 7), Liveness::Passive);
        assert_eq!(passive.liveness(3_500, 8), Liveness::None, "somebody else");
        assert_eq!(passive.liveness(20_000, 7), Liveness::None, "long ago");
    }

    #[test]
    fn a_denial_ends_with_better_looks_with_the_track_or_when_nothing_can_be_looked_at() {
        let mut passive = Passive::new(0.1);
        watch(&mut passive, 0, 3_000, |_| 0.02);
        // Between the two limits it stays.
        watch(&mut passive, 3_000, 5_000, |_| 0.2);
        assert_eq!(passive.liveness(8_000, 7), Liveness::Denied);
        watch(&mut passive, 8_000, 4_000, |_| 0.8);
        assert_eq!(passive.liveness(12_000, 7), Liveness::Passive);
        watch(&mut passive, 12_000, 4_000, |_| 0.0);
        assert_eq!(passive.liveness(16_000, 7), Liveness::Denied);
        assert_eq!(passive.liveness(16_000 + LAPSE_MS, 7), Liveness::None);
        assert!(passive.is_due(30_000, 8));
        assert_eq!(passive.liveness(30_000, 8), Liveness::None);
    }

    #[test]
    fn who_looks_alive_is_looked_at_less_often_until_a_look_is_bad() {
        let mut passive = Passive::new(0.1);
        let looks = |passive: &mut Passive, from_ms: u64, ms: u64, live: f32| {
            let at = (from_ms..from_ms + ms).step_by(100);
            at.filter(|t_ms| {
                let is_due = passive.is_due(*t_ms, 7);
                if is_due {
                    passive.look(*t_ms, live);
                }
                is_due
            })
            .count()
        };
        assert_eq!(looks(&mut passive, 0, 2_100, 0.9), 5);
        assert_eq!(looks(&mut passive, 2_100, 17_900, 0.9), 9);
        assert_eq!(passive.liveness(20_000, 7), Liveness::Passive, "and it still counts as looked at");
        // A picture that takes the place on the same track is found as soon as before, after one calm look at most.
        let denied = watch(&mut passive, 20_000, 5_000, |_| 0.02).unwrap();
        assert!(denied <= 20_000 + CALM_EACH_MS + 2_000, "{denied}");
        // A face that is not beyond doubt is looked at as often as a new one.
        let mut doubtful = Passive::new(0.1);
        assert!(looks(&mut doubtful, 0, 20_000, 0.3) >= 40);
        // And so is somebody else.
        assert!(looks(&mut passive, 40_000, 100, 0.9) == 1 && passive.is_due(40_100, 8));
        assert!(!passive.is_due(40_200, 8) && passive.is_due(40_600, 8));
    }

    #[test]
    fn what_is_no_number_neither_denies_nor_looks() {
        let mut passive = Passive::new(0.1);
        assert_eq!(watch(&mut passive, 0, 5_000, |_| f32::NAN), None);
        assert_eq!(passive.liveness(5_000, 7), Liveness::None);
        assert_eq!(watch(&mut passive, 5_000, 5_000, |_| f32::NEG_INFINITY), None);
        assert!(passive.looks.is_empty());
    }

    #[test]
    fn looks_are_bounded() {
        let mut passive = Passive::new(0.1);
        for t_ms in 0..5_000 {
            passive.look(t_ms, 0.5);
        }
        assert!(passive.looks.len() <= usize::try_from(WINDOW_MS).unwrap() + 1);
    }
}
