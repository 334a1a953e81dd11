//! Whether the places of a face follow the light differently, as those of a solid do.

use super::FACE_PLACES;

/// How much the places of a face must differ, of their mean. A camera whose tone curve is not the one of sRGB makes
/// dark places of a sheet differ from bright ones by up to 0.1.
const RELIEF_MIN: f64 = 0.11;
/// The same where places count alike, however well each is known.
const EVEN_RELIEF_MIN: f64 = 0.14;
/// The same, of its uncertainty.
const RELIEF_RATIO_MIN: f64 = 2.5;
/// No place is known better than this.
const ERROR_MIN: f64 = 0.02;
/// A mean over five places takes one of their differences away.
const FREEDOM: f64 = 5.0 / 4.0;

/// How strongly one place follows, 1 = as the face does on the whole, and the variance of that.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) share: f64,
    pub(super) error: f64,
}

impl Place {
    /// What is known so well counts more.
    fn weight(&self) -> f64 {
        1.0 / self.error.max(ERROR_MIN * ERROR_MIN)
    }

    /// The mean of what several checks say of a place, weighed by how well each knows it; `None` of none.
    pub(super) fn pooled(checks: &[Place]) -> Option<Place> {
        let weights: f64 = checks.iter().map(Place::weight).sum();
        let share = checks.iter().map(|place| place.share * place.weight()).sum::<f64>() / weights;
        let error = checks.iter().map(|place| place.error * place.weight().powi(2)).sum::<f64>();
        (weights > 0.0).then(|| Place { share, error: error / (weights * weights) })
    }
}

/// Those of a face.
pub(super) type Places = [Place; FACE_PLACES];

/// What several checks say of the same face.
pub(super) fn pooled(checks: &[Places]) -> Places {
    std::array::from_fn(|place| {
        let of: Vec<Place> = checks.iter().filter_map(|check| check.get(place).copied()).collect();
        Place::pooled(&of).unwrap_or(Place { share: 1.0, error: 1.0 })
    })
}

/// Whether the places differ as those of a solid do. `None` if noise hides it.
///
/// A place on an edge of hair or shadow wavers more than the others and hides them, unless it counts less; where it is
/// the only one that differs, it must count as much.
pub(super) fn is_solid(places: &Places) -> Option<bool> {
    let even = Relief::of(places, |_| 1.0);
    let weighed = Relief::of(places, Place::weight);
    if even.is_seen(EVEN_RELIEF_MIN) || weighed.is_seen(RELIEF_MIN) {
        return Some(true);
    }
    // It is flat if less is seen than a solid shows, and no more can be hidden.
    let is_flat =
        even.is_below(EVEN_RELIEF_MIN) && weighed.is_below(RELIEF_MIN) && even.noise.sqrt() <= RELIEF_MIN;
    is_flat.then_some(false)
}

/// How much places differ, and how much of it may be chance, as variances.
struct Relief {
    spread: f64,
    noise: f64,
}

impl Relief {
    /// Each place counting by its weight.
    fn of(places: &Places, weight: impl Fn(&Place) -> f64) -> Relief {
        let sum = |value: &dyn Fn(&Place) -> f64| -> f64 {
            places.iter().map(|place| value(place) * weight(place)).sum()
        };
        let weights = sum(&|_| 1.0);
        let mean = sum(&|place| place.share) / weights;
        let spread = sum(&|place| (place.share - mean).powi(2)) / weights * FREEDOM;
        Relief { spread, noise: sum(&|place| place.error) / weights }
    }

    /// Whether it is less than this, even with what may be chance.
    fn is_below(&self, most: f64) -> bool {
        self.spread < most * most
    }

    /// Whether it is at least this, and no chance.
    fn is_seen(&self, least: f64) -> bool {
        let beyond_noise = (self.spread - self.noise).max(0.0).sqrt();
        beyond_noise >= least && self.spread >= RELIEF_RATIO_MIN * RELIEF_RATIO_MIN * self.noise
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(shares: [f64; 5], error: f64) -> Places {
        shares.map(|share| Place { share, error: error * error })
    }

    #[test]
    fn what_noise_hides_in_one_check_several_show() {
        let head = [0.7, 1.3, 0.8, 1.0, 1.2];
        let check = places(head, 0.16);
        assert_eq!(is_solid(&check), None);
        assert_eq!(is_solid(&pooled(&[check; 3])), Some(true));
        let restless = places([0.8, 1.25, 0.85, 0.9, 1.1], 0.1);
        assert_eq!(is_solid(&restless), None, "too much for a sheet, too uncertain for a head");
        let sheet = places([1.0, 1.02, 0.99, 0.98, 1.01], 0.16);
        assert_eq!(is_solid(&sheet), None);
        assert_eq!(is_solid(&pooled(&[sheet; 3])), Some(false));
    }

    #[test]
    fn a_check_that_knows_little_changes_little() {
        let (sure, unsure) = (places([1.0; 5], 0.03), places([0.0, 2.0, 0.0, 2.0, 1.0], 0.6));
        let both = pooled(&[sure, unsure]);
        assert!(both.iter().all(|place| (place.share - 1.0).abs() < 0.01), "{both:?}");
        assert_eq!(is_solid(&both), Some(false));
    }
}
