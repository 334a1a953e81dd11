//! Faces that are pictures: whatever moves them, nothing in them moves. Pure.
//!
//! The points of a flat picture go from one look to another by one affine map (shift, turn, scale, shear), however it
//! is held. Those of a living face do not: eyes close, lips part, and a head that turns shows relief. What the best
//! affine map leaves is measured in widths of the face, as the median over a second before and after each look; the
//! most in six seconds decides.
//!
//! Measured on 20 films of talking people, at two looks a second, 30 recordings of each kind, 60 and 120 pixels wide:
//! living faces left at least 0.0137 in six seconds and posters at most 0.0099; prints in a moving hand left less than
//! the limit in 19 of 20 cases and 0.0167 at most. The middle of a poster's points wandered by 0.23 pixels (p95).
//! A film that is played back is as alive as the one it shows, and somebody who reads in silence has not been measured;
//! so this says "picture" of nobody in the seat, and of a bystander only where the face also stays in its place.

use super::mesh::{COMPARED, Mesh};

/// Looks are this far apart, at least.
const EACH_MS: u64 = 400;
/// What is looked back upon, and how many looks that are at most.
const WINDOW_MS: u64 = 6_000;
const KEPT: usize = 16;
/// Fewer looks, or a shorter time between the first and the last one, say nothing.
const LEAST: usize = 8;
const LEAST_MS: u64 = 5_000;
/// Looks within this time are compared with each other, and each with two others at least.
const NEAR_MS: u64 = 1_100;
const NEAR_LEAST: usize = 2;
/// What a picture leaves at most, in widths of the face.
const PICTURE_MAX: f32 = 0.013;
/// How far its middle may wander, as a standard deviation: a part of its width, but at least the part of a pixel that
/// noise alone makes.
const WANDER_SHARE: f32 = 0.004;
const WANDER_PX: f32 = 0.2;
/// A picture that stays must have done so for this long before it counts as part of the room. A living face must not
/// keep as still as that, so it is twice the window.
const STAYS_MS: u64 = 6_000;

type Points = [[f32; 2]; COMPARED.len()];

/// The looks at one face.
#[derive(Debug, Clone, Default)]
pub struct Rigidity {
    looks: Vec<Look>,
    /// Since when each look found a picture that stays.
    still_since_ms: Option<u64>,
    newest_ms: u64,
}

#[derive(Clone)]
struct Look {
    t_ms: u64,
    /// In widths of the face, around their middle.
    points: Points,
    /// In pixels of the picture.
    middle: [f32; 2],
    width: f32,
}

impl Rigidity {
    /// Notes the shape of a face of this width, in pixels of the picture.
    pub fn see(&mut self, t_ms: u64, mesh: &Mesh, width: f32) {
        if self.looks.last().is_some_and(|last| t_ms.saturating_sub(last.t_ms) < EACH_MS) {
            return;
        }
        self.looks.retain(|look| t_ms.saturating_sub(look.t_ms) <= WINDOW_MS);
        if self.looks.len() >= KEPT {
            self.looks.remove(0);
        }
        self.looks.push(Look::of(t_ms, &mesh.compared(), width));
        self.newest_ms = t_ms;
        if self.is_picture() && self.stays() {
            self.still_since_ms.get_or_insert(t_ms);
        } else {
            self.still_since_ms = None;
        }
    }

    /// The most that six seconds of looks left; `None` if there are too few of them.
    #[must_use]
    pub fn residual(&self) -> Option<f32> {
        let (first, last) = (self.looks.first()?, self.looks.last()?);
        if self.looks.len() < LEAST || last.t_ms.saturating_sub(first.t_ms) < LEAST_MS {
            return None;
        }
        self.looks.iter().filter_map(|look| self.residual_at(look)).reduce(f32::max)
    }

    /// Whether it is a flat picture, moved or not.
    #[must_use]
    pub fn is_picture(&self) -> bool {
        self.residual().is_some_and(|residual| residual < PICTURE_MAX)
    }

    /// Whether it is a flat picture that has stayed in its place: part of the room.
    #[must_use]
    pub fn is_still(&self) -> bool {
        self.still_since_ms.is_some_and(|since| self.newest_ms.saturating_sub(since) >= STAYS_MS)
    }

    /// The median of what is left between a look and those around it.
    fn residual_at(&self, look: &Look) -> Option<f32> {
        let near = |other: &&Look| other.t_ms != look.t_ms && other.t_ms.abs_diff(look.t_ms) <= NEAR_MS;
        let mut left: Vec<f32> =
            self.looks.iter().filter(near).map(|other| residual(&look.points, &other.points)).collect();
        if left.len() < NEAR_LEAST {
            return None;
        }
        left.sort_by(f32::total_cmp);
        let upper = left.get(left.len() / 2)?;
        let lower = left.get((left.len() - 1) / 2)?;
        Some(f32::midpoint(*lower, *upper))
    }

    fn stays(&self) -> bool {
        let count = precise(self.looks.len());
        let mean = |value: fn(&Look) -> f32| self.looks.iter().map(value).sum::<f32>() / count;
        let (x, y, width) =
            (mean(|look| look.middle[0]), mean(|look| look.middle[1]), mean(|look| look.width));
        let (across, down) = self.looks.iter().fold((0.0_f32, 0.0_f32), |(across, down), look| {
            let (dx, dy) = (look.middle[0] - x, look.middle[1] - y);
            (across + dx * dx, down + dy * dy)
        });
        // Written so that a value that is no number is a movement.
        (across.max(down) / count).sqrt() <= WANDER_PX.max(width * WANDER_SHARE)
    }
}

impl Look {
    fn of(t_ms: u64, points: &Points, width: f32) -> Self {
        let count = precise(points.len());
        let sum = points.iter().fold([0.0_f32; 2], |sum, point| [sum[0] + point[0], sum[1] + point[1]]);
        let middle = sum.map(|sum| sum / count);
        let points = points.map(|point| [(point[0] - middle[0]) / width, (point[1] - middle[1]) / width]);
        Look { t_ms, points, middle, width }
    }
}

/// What the best affine map from one set of points, around their middle, to another leaves: the root of the mean square.
/// Infinite where there is no such map, so that nothing is taken for a picture.
fn residual(from: &Points, to: &Points) -> f32 {
    let (mut xx, mut xy, mut yy) = (0.0_f32, 0.0_f32, 0.0_f32);
    let mut mixed = [[0.0_f32; 2]; 2];
    for (a, b) in from.iter().zip(to) {
        xx += a[0] * a[0];
        xy += a[0] * a[1];
        yy += a[1] * a[1];
        for (row, value) in mixed.iter_mut().zip(b) {
            row[0] += a[0] * value;
            row[1] += a[1] * value;
        }
    }
    let det = xx * yy - xy * xy;
    let map = mixed.map(|[x, y]| [(x * yy - y * xy) / det, (y * xx - x * xy) / det]);
    let squares: f32 = from
        .iter()
        .zip(to)
        .map(|(a, b)| {
            let left = |axis: usize| map[axis][0] * a[0] + map[axis][1] * a[1] - b[axis];
            left(0) * left(0) + left(1) * left(1)
        })
        .sum();
    let residual = (squares / precise(from.len())).sqrt();
    if residual.is_finite() { residual } else { f32::INFINITY }
}

#[allow(clippy::cast_precision_loss, reason = "some dozens")]
fn precise(count: usize) -> f32 {
    count as f32
}

/// Where a face's points are is personal: only times are printed.
impl std::fmt::Debug for Look {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Look({} ms)", self.t_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::super::mesh::tests::{face, mesh};
    use super::super::mesh::{POINTS, Square};
    use super::*;

    /// Uneven, between -1 and 1.
    fn dice(i: u64, salt: u64) -> f32 {
        let mixed = (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(salt.wrapping_mul(0x85eb_ca6b));
        f32::from(i8::from_le_bytes([mixed.wrapping_mul(0xff51_afd7_ed55_8ccd).to_be_bytes()[0]])) / 128.0
    }

    /// How a face is shown at a time.
    #[derive(Clone, Copy, Default)]
    struct Shown {
        /// Part of its width by which each point moves of itself.
        alive: f32,
        /// Pixels by which the whole moves, and by how much it is tilted and sheared.
        sway_px: f32,
        tilt: f32,
    }

    /// A face of 60 pixels: an uneven set of points, moved.
    fn shape(t_ms: u64, shown: Shown) -> Mesh {
        let square = Square::around(&face(0.0), 1.5, 192.0).unwrap();
        // One pixel of the picture is so many of the square.
        let unit = 1.0 / square.step();
        let sway = [dice(t_ms, 1), dice(t_ms, 2)].map(|dice| dice * shown.sway_px * unit);
        let (shear, scale) = (dice(t_ms, 3) * shown.tilt, 1.0 + dice(t_ms, 4) * shown.tilt);
        let points: Vec<_> = (0..POINTS)
            .map(|number| {
                let i = u64::try_from(number).unwrap();
                let (x, y) = (dice(i, 5) * 30.0 * unit, dice(i, 6) * 35.0 * unit);
                let own = [7, 8].map(|salt| dice(t_ms * 1_000 + i, salt) * shown.alive * 60.0 * unit);
                let x = 96.0 + x * scale + y * shear + sway[0] + own[0];
                let y = 96.0 + y * scale + sway[1] + own[1];
                (number, [x, y, 0.0])
            })
            .collect();
        mesh(&points, square)
    }

    fn watched(each_ms: u64, until_ms: u64, shown: impl Fn(u64) -> Shown) -> Rigidity {
        let mut rigidity = Rigidity::default();
        for t_ms in (0..=until_ms).step_by(usize::try_from(each_ms).unwrap()) {
            rigidity.see(t_ms, &shape(t_ms, shown(t_ms)), 60.0);
        }
        rigidity
    }

    #[test]
    fn a_picture_is_told_however_it_is_held_and_a_living_face_is_none() {
        let print = watched(500, 7_000, |_| Shown { alive: 0.004, sway_px: 6.0, tilt: 0.2 });
        assert!(print.is_picture() && !print.is_still(), "{:?}", print.residual());
        let living = watched(500, 7_000, |_| Shown { alive: 0.03, sway_px: 0.1, tilt: 0.0 });
        assert!(!living.is_picture(), "{:?}", living.residual());
        // It speaks for a second in six: the most decides.
        let quiet = watched(500, 7_000, |t_ms| Shown {
            alive: if (3_000..4_500).contains(&t_ms) { 0.05 } else { 0.003 },
            ..Shown::default()
        });
        assert!(!quiet.is_picture(), "{:?}", quiet.residual());
    }

    #[test]
    fn a_picture_that_stays_is_part_of_the_room_after_twelve_seconds() {
        let poster = Shown { alive: 0.003, sway_px: 0.1, tilt: 0.0 };
        let still = |until_ms| watched(500, until_ms, |_| poster).is_still();
        assert!(!still(10_500) && still(12_000));
        // The camera is pushed: the poster has to prove itself again, but it can.
        let pushed = |until_ms| {
            watched(
                500,
                until_ms,
                |t_ms| if t_ms == 14_000 { Shown { sway_px: 9.0, ..poster } } else { poster },
            )
            .is_still()
        };
        assert!(pushed(13_500) && !pushed(14_000) && !pushed(25_000) && pushed(33_000));
    }

    #[test]
    fn few_looks_or_broken_ones_say_nothing() {
        assert_eq!(watched(500, 3_000, |_| Shown::default()).residual(), None);
        assert_eq!(watched(1_500, 12_000, |_| Shown::default()).residual(), None, "too far apart");
        let mut broken = Rigidity::default();
        for t_ms in (0..20_000).step_by(500) {
            broken.see(t_ms, &shape(t_ms, Shown::default()), f32::NAN);
        }
        assert!(!broken.is_picture() && !broken.is_still());
        let flat = mesh(&[], Square::around(&face(0.0), 1.5, 192.0).unwrap());
        let mut one_point = Rigidity::default();
        (0..40).for_each(|i| one_point.see(i * 500, &flat, 60.0));
        assert!(!one_point.is_picture(), "all points in one place are no face");
    }

    #[test]
    fn memory_is_bounded_however_often_it_is_called() {
        let mut rigidity = Rigidity::default();
        (0..3_000).for_each(|i| rigidity.see(i * 33, &shape(i, Shown::default()), 60.0));
        assert!(rigidity.looks.len() <= KEPT);
        assert!(size_of::<Look>() <= 400);
    }
}
