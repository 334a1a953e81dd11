//! How far a template is from other people's faces. Pure.
//!
//! Vectors of different people are not spread evenly: they have a mean, and directions in which they differ more. What
//! one in a hundred looks of other people reaches is computed from those, for this very template (along each of its
//! vectors; the largest counts). `others` says of how many people that is known, which is few: the number tells a template
//! that lies among faces from one that stands apart, and promises no rate of errors.

use sudare_protocol::limits::VECTOR_DIM;

use super::embedding::Embedding;
use super::others::{DIRECTIONS, MEAN, SCALE, SPREAD};

pub use super::others::PEOPLE;

/// One look in a hundred lies above so many standard deviations, as measured.
const ONE_IN_100: f32 = 3.05;
/// A template whose margin is smaller lies among other people's faces.
const MARGIN_MIN: f32 = 0.03;

/// See the module text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Separation {
    /// The cosine that one in a hundred single looks of other people reaches.
    pub one_in_100: f32,
    /// By how much that is below the mean of several looks from which the desktop opens.
    pub margin: f32,
}

impl Separation {
    /// Of a template with these vectors, not rotated yet. Without any, it is as poor as can be.
    #[must_use]
    pub fn of(looks: &[&Embedding], operator_min: f32) -> Self {
        let one_in_100 = looks.iter().map(|look| reached(look)).fold(-1.0, f32::max);
        let one_in_100 = if looks.is_empty() { 1.0 } else { one_in_100 };
        Separation { one_in_100, margin: operator_min - one_in_100 }
    }

    /// Whether look-alikes are likely.
    #[must_use]
    pub fn is_poor(&self) -> bool {
        self.margin.is_nan() || self.margin < MARGIN_MIN
    }
}

fn reached(look: &Embedding) -> f32 {
    let along = |direction: &[i16; VECTOR_DIM]| -> f32 {
        look.0.iter().zip(direction).map(|(value, number)| value * f32::from(*number)).sum::<f32>() / SCALE
    };
    let (mut variance, mut rest) = (0.0, 1.0);
    for (direction, spread) in DIRECTIONS.iter().zip(&SPREAD.0) {
        let share = along(direction) * along(direction);
        let spread = f32::from(*spread) / SCALE;
        (variance, rest) = (variance + share * spread * spread, rest - share);
    }
    let spread = f32::from(SPREAD.1) / SCALE;
    along(&MEAN) + ONE_IN_100 * (variance + rest.max(0.0) * spread * spread).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn embedding(values: impl Fn(usize) -> f32) -> Embedding {
        Embedding::from_values(&std::array::from_fn::<f32, VECTOR_DIM, _>(values)).unwrap()
    }

    #[test]
    fn what_is_known_of_others_makes_sense() {
        for (i, a) in DIRECTIONS.iter().enumerate() {
            for (j, b) in DIRECTIONS.iter().enumerate() {
                let dot: f32 = a.iter().zip(b).map(|(a, b)| f32::from(*a) * f32::from(*b)).sum();
                let expected = if i == j { 1.0 } else { 0.0 };
                assert!((dot / SCALE / SCALE - expected).abs() < 0.01, "directions {i} and {j}");
            }
        }
        assert!(SPREAD.0.is_sorted_by(|a, b| a >= b) && *SPREAD.0.last().unwrap() >= SPREAD.1);
        let length: f32 = MEAN.iter().map(|m| (f32::from(*m) / SCALE).powi(2)).sum::<f32>().sqrt();
        // Vectors of people have unit length: mean and spread together make about one.
        let spread: f32 = SPREAD.0.iter().map(|s| (f32::from(*s) / SCALE).powi(2)).sum();
        let rest = (VECTOR_DIM - DIRECTIONS.len()) as f32 * (f32::from(SPREAD.1) / SCALE).powi(2);
        assert!((length * length + spread + rest - 1.0).abs() < 0.1, "{length} {spread} {rest}");
    }

    #[test]
    fn a_template_among_faces_is_poor_and_one_apart_is_not() {
        let mean = embedding(|i| f32::from(MEAN[i]));
        let first = embedding(|i| f32::from(DIRECTIONS[0][i]));
        let most = embedding(|i| f32::from(MEAN[i]) / 2.0 + f32::from(DIRECTIONS[0][i]));
        let of = |look: &Embedding| Separation::of(&[look], 0.54);
        assert!(of(&mean).one_in_100 > of(&embedding(|i| if i == 3 { 1.0 } else { 0.0 })).one_in_100);
        assert!(of(&most).one_in_100 > of(&first).one_in_100 || of(&most).one_in_100 > of(&mean).one_in_100);
        // The worst vector counts.
        let both = Separation::of(&[&mean, &first], 0.54).one_in_100;
        assert_eq!(both, of(&mean).one_in_100.max(of(&first).one_in_100));
        assert!(Separation::of(&[], 0.54).is_poor());
        assert!(Separation { one_in_100: f32::NAN, margin: f32::NAN }.is_poor());
        assert!(!Separation { one_in_100: 0.4, margin: 0.14 }.is_poor());
    }
}
