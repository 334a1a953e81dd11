//! Is this track the operator? Cosines in, a verdict with hysteresis out. Pure.
//!
//! One bad look must not lock a working operator out, and one lucky look must not let a stranger stay:
//!
//! | best cosine with any operator | verdict |
//! |---|---|
//! | from `operator_min` (0.42) | operator |
//! | `same_person_min` (0.363) to that | an operator stays operator; others stay undecided |
//! | `stranger_max` (0.30) to that | an operator stays operator for [`DOUBT_MS`]; others stay undecided |
//! | below | the first time undecided, the second time in a row stranger |

use crate::presence::Who;

/// A settled face is compared again after this time.
pub const RECHECK_MS: u64 = 1_000;
/// An unsettled one sooner, for the first few looks.
const SOON_MS: u64 = 250;
/// After this many looks without a result, looking less often saves CPU time.
const SOON_LOOKS: u32 = 8;
/// An operator seen only doubtfully for this long is undecided.
const DOUBT_MS: u64 = 5_000;

/// The three thresholds.
#[derive(Debug, Clone, Copy)]
pub struct Thresholds {
    pub operator_min: f32,
    pub same_person_min: f32,
    pub stranger_max: f32,
}

/// What is known about one face.
#[derive(Debug, Clone, Copy)]
pub struct Verdict {
    who: Who,
    /// Looks below `stranger_max` in a row.
    low_looks: u32,
    /// Looks since the verdict was last settled.
    unsettled_looks: u32,
    /// When the operator was last beyond doubt.
    sure_at_ms: u64,
}

impl Verdict {
    /// A face not compared yet.
    pub const NONE: Self = Self { who: Who::Undecided, low_looks: 0, unsettled_looks: 0, sure_at_ms: 0 };

    /// The verdict now.
    #[must_use]
    pub const fn who(&self) -> Who {
        self.who
    }

    /// Notes one comparison.
    pub fn look(&mut self, cosine: f32, t_ms: u64, thresholds: &Thresholds) {
        // NaN counts as low: every comparison below is false for it.
        self.low_looks = if cosine >= thresholds.stranger_max { 0 } else { self.low_looks.saturating_add(1) };
        let was_operator = self.who == Who::Operator;
        self.who =
            if cosine >= thresholds.operator_min || (was_operator && cosine >= thresholds.same_person_min) {
                self.sure_at_ms = t_ms;
                Who::Operator
            } else if self.low_looks >= 2 {
                Who::Stranger
            } else if was_operator && self.low_looks == 0 && t_ms.saturating_sub(self.sure_at_ms) < DOUBT_MS {
                Who::Operator
            } else if self.who == Who::Stranger && self.low_looks == 1 {
                Who::Stranger
            } else {
                Who::Undecided
            };
        self.unsettled_looks = if self.is_settled() { 0 } else { self.unsettled_looks.saturating_add(1) };
    }

    /// How long until the next look.
    #[must_use]
    pub fn recheck_ms(&self) -> u64 {
        let soon = !self.is_settled() && self.unsettled_looks < SOON_LOOKS;
        if soon { SOON_MS } else { RECHECK_MS }
    }

    fn is_settled(&self) -> bool {
        self.who != Who::Undecided
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Thresholds = Thresholds { operator_min: 0.42, same_person_min: 0.363, stranger_max: 0.30 };

    fn after(cosines: &[f32]) -> Who {
        let mut verdict = Verdict::NONE;
        for (i, &cosine) in (0..).zip(cosines) {
            verdict.look(cosine, 1000 * i, &LIMITS);
        }
        verdict.who()
    }

    #[test]
    fn the_table_holds() {
        let cases: [(&[f32], Who); 12] = [
            (&[], Who::Undecided),
            (&[0.7], Who::Operator),
            (&[0.35], Who::Undecided),
            (&[0.1], Who::Undecided),
            (&[0.1, 0.2], Who::Stranger),
            (&[0.1, 0.35, 0.1], Who::Undecided),
            (&[0.7, 0.38, 0.38, 0.38, 0.38, 0.38, 0.38, 0.38], Who::Operator),
            (&[0.7, 0.33, 0.33], Who::Operator),
            (&[0.7, 0.33, 0.33, 0.33, 0.33, 0.33], Who::Undecided),
            (&[0.7, 0.1], Who::Undecided),
            (&[0.7, 0.1, 0.1], Who::Stranger),
            (&[0.1, 0.1, 0.7], Who::Operator),
        ];
        for (cosines, who) in cases {
            assert_eq!(after(cosines), who, "{cosines:?}");
        }
        assert_eq!(after(&[f32::NAN, f32::NAN]), Who::Stranger);
    }

    #[test]
    fn doubt_is_looked_at_again_soon_but_not_for_ever() {
        let mut verdict = Verdict::NONE;
        assert_eq!(verdict.recheck_ms(), SOON_MS);
        for t_ms in 0..8 {
            verdict.look(0.35, t_ms, &LIMITS);
        }
        assert_eq!(verdict.recheck_ms(), RECHECK_MS);
        verdict.look(0.7, 9, &LIMITS);
        assert_eq!(verdict.recheck_ms(), RECHECK_MS);
        verdict.look(0.1, 10, &LIMITS);
        assert_eq!(verdict.recheck_ms(), SOON_MS);
    }
}
