//! Do the operator's looks slowly leave the template? Told, never learnt: a template that followed whoever sits there
//! would one day be somebody else's. Pure.
//!
//! A session is judged once, by the mean of its first [`LOOKS`] good looks. Two sessions in a row below what the template
//! had with itself at enrolment, by more than [`DRIFT`], ask for a new enrolment. Two numbers are kept on the device, and
//! no vector: how alike the newest judged session was, and how many in a row were too low.

/// Good looks by which a session is judged: some minutes of them.
pub const LOOKS: u32 = 200;
/// How far the mean may fall.
const DRIFT: f32 = 0.12;
/// Nobody is more alike than this on another day: films of one day say more than they can keep.
const SELF_MAX: f32 = 0.80;
/// Below this the desktop hardly opens, whatever was said at enrolment.
const HARDLY: f32 = 0.58;
/// Sessions in a row that are too low.
const SESSIONS: u8 = 2;
/// First line of the file.
const HEADER: &str = "sudare drift 1";

/// What is kept from session to session.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Stored {
    /// Of the newest session that was judged.
    pub mean: f32,
    /// Too low, in a row up to that one.
    pub low_sessions: u8,
}

impl Stored {
    #[must_use]
    pub fn to_text(self) -> String {
        format!("{HEADER}\n{:.3} {}\n", self.mean, self.low_sessions)
    }

    /// `None` for anything but what [`Stored::to_text`] writes.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let (mean, low) =
            text.strip_prefix(HEADER)?.strip_prefix('\n')?.strip_suffix('\n')?.split_once(' ')?;
        let stored = Stored { mean: mean.parse().ok()?, low_sessions: low.parse().ok()? };
        let is_possible = (-1.0..=1.0).contains(&stored.mean) && stored.low_sessions <= SESSIONS;
        is_possible.then_some(stored)
    }
}

/// One session's looks.
#[derive(Debug)]
pub struct Drift {
    limit: f32,
    before: Stored,
    sum: f32,
    looks: u32,
}

/// A session was judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged {
    /// To be kept.
    pub stored: Stored,
    /// The operator should enrol again.
    pub enrol_again: bool,
}

impl Drift {
    /// `self_cosine` is the template's, in thousandths; `before` is what the session before left.
    #[must_use]
    pub fn new(self_cosine: u16, before: Stored) -> Self {
        let own = (f32::from(self_cosine) / 1000.0).min(SELF_MAX);
        Drift { limit: (own - DRIFT).max(HARDLY), before, sum: 0.0, looks: 0 }
    }

    /// Takes the cosine of one good look at the operator. Returns something once a session.
    pub fn look(&mut self, cosine: f32) -> Option<Judged> {
        if self.looks >= LOOKS || !cosine.is_finite() {
            return None;
        }
        (self.sum, self.looks) = (self.sum + cosine, self.looks + 1);
        if self.looks < LOOKS {
            return None;
        }
        #[allow(clippy::cast_precision_loss, reason = "some hundreds")]
        let mean = self.sum / self.looks as f32;
        let low_sessions = if mean < self.limit { (self.before.low_sessions + 1).min(SESSIONS) } else { 0 };
        Some(Judged { stored: Stored { mean, low_sessions }, enrol_again: low_sessions >= SESSIONS })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(own: u16, before: Stored, cosine: f32, looks: u32) -> Option<Judged> {
        let mut drift = Drift::new(own, before);
        let judged: Vec<Judged> = (0..looks).filter_map(|_| drift.look(cosine)).collect();
        assert!(judged.len() <= 1, "told once a session");
        judged.first().copied()
    }

    #[test]
    fn two_low_sessions_in_a_row_ask_for_a_new_enrolment() {
        // What the template has with itself; the means of sessions one after the other; in which of them it is told.
        let cases: [(u16, &[f32], &[usize]); 8] = [
            (750, &[0.75, 0.70, 0.64, 0.64], &[]),
            (750, &[0.62], &[]),
            (750, &[0.62, 0.62], &[1]),
            (750, &[0.62, 0.70, 0.62], &[]),
            (750, &[0.70, 0.62, 0.61, 0.60, 0.70, 0.62], &[2, 3]),
            // A film of one day is more alike than another day can be.
            (970, &[0.69, 0.69, 0.67, 0.67], &[3]),
            // A template of very different looks still has to open.
            (600, &[0.59, 0.59, 0.57, 0.57], &[3]),
            (0, &[0.57, 0.57], &[1]),
        ];
        for (own, means, told) in cases {
            let mut before = Stored::default();
            let mut found = Vec::new();
            for (i, mean) in means.iter().enumerate() {
                let judged = session(own, before, *mean, LOOKS).unwrap();
                found.extend(judged.enrol_again.then_some(i));
                before = judged.stored;
            }
            assert_eq!(found, told, "{own}, {means:?}");
        }
    }

    #[test]
    fn few_looks_and_looks_that_are_no_numbers_say_nothing() {
        let before = Stored { mean: 0.6, low_sessions: 1 };
        assert_eq!(session(750, before, 0.1, LOOKS - 1), None);
        assert_eq!(session(750, before, f32::NAN, 10 * LOOKS), None);
        assert!(session(750, before, 0.1, 10 * LOOKS).unwrap().enrol_again);
    }

    #[test]
    fn the_two_numbers_survive_and_a_damaged_file_is_none() {
        let stored = Stored { mean: 0.612, low_sessions: 1 };
        assert_eq!(Stored::from_text(&stored.to_text()), Some(stored));
        let text = stored.to_text();
        for cut in 0..text.len() {
            assert_eq!(Stored::from_text(&text[..cut]), None);
        }
        for damaged in
            ["sudare drift 1\nNaN 1\n", "sudare drift 1\n7.0 1\n", "sudare drift 1\n0.6 9\n", "\0\0"]
        {
            assert_eq!(Stored::from_text(damaged), None, "{damaged:?}");
        }
    }
}
