//! How much of the screen a face takes in: facing x distance, 0 to 1.
//!
//! Zero means that this face reads nothing: it is too far, turned away, or a picture on the wall. Such a face neither covers nor keeps a
//! cover. See docs/decisions/0026-exposure-of-each-person.md for where the numbers come from.

use super::FaceSeen;

/// Full within this yaw, nothing from the second one on.
const FACING_DEG: [f64; 2] = [30.0, 60.0];
/// Face width over picture width. A webcam of 70 degrees shows a face at 0.108 / metres: nothing beyond 3.4 m, where text
/// on a screen is smaller than good eyes can read, and full from 2.9 m on.
const DISTANCE_SHARE: [f64; 2] = [0.0315, 0.0375];

/// Less than this is nothing: at the end of a ramp the detector's own noise would come and go.
const WEIGHT_MIN: f64 = 0.15;

/// Facing x distance of one face. NaN counts as the worst case, 1.
#[must_use]
pub fn weight_of(face: &FaceSeen) -> f64 {
    if face.still {
        return 0.0;
    }
    let [towards, away] = FACING_DEG;
    let facing = 1.0 - ramp(f64::from(face.yaw_deg.abs()), towards, away);
    let weight = facing_or_worst(facing, face.yaw_deg) * distance_of(face);
    if weight < WEIGHT_MIN { 0.0 } else { weight }
}

/// The part of it that distance alone decides.
pub(super) fn distance_of(face: &FaceSeen) -> f64 {
    let [far, near] = DISTANCE_SHARE;
    ramp(f64::from(face.width_share), far, near)
}

fn facing_or_worst(facing: f64, yaw_deg: f32) -> f64 {
    if yaw_deg.is_nan() { 1.0 } else { facing }
}

/// 0 below `from`, 1 above `to`, linear between. NaN gives 1.
fn ramp(value: f64, from: f64, to: f64) -> f64 {
    let x = (value - from) / (to - from);
    if x.is_nan() { 1.0 } else { x.clamp(0.0, 1.0) }
}

#[cfg(test)]
mod tests {
    use super::super::Who;
    use super::*;

    fn weight(width_share: f32, yaw_deg: f32) -> f64 {
        weight_of(&FaceSeen { width_share, yaw_deg, ..FaceSeen::near(0, Who::Stranger) })
    }

    #[test]
    fn near_and_facing_counts_in_full_far_or_averted_not_at_all() {
        assert_eq!(weight(0.2, 0.0), 1.0);
        assert_eq!(weight(0.054, -30.0), 1.0, "2 m");
        assert!((0.7..0.8).contains(&weight(0.036, 0.0)), "3 m");
        assert_eq!((weight(0.031, 0.0), weight(0.2, 65.0), weight(0.2, -80.0)), (0.0, 0.0, 0.0));
        assert!((weight(0.2, 45.0) - 0.5).abs() < 1e-6);
    }

    #[test]
    fn what_is_no_number_counts_as_the_worst_case() {
        assert_eq!((weight(f32::NAN, 0.0), weight(0.2, f32::NAN)), (1.0, 1.0));
    }
}
