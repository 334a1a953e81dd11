//! Has the camera lost its view? A hand, paper, grease, a wall: whatever is before the lens is out of focus. Pure.
//!
//! While people are seen, the fine detail of what is *behind* them is learnt, block by block. When nobody is seen and
//! most blocks that had detail have lost it, the view is gone, however light or coloured the picture is. A spread of
//! grey cannot tell: a hand in lamplight has as much of it as a room ([`crate::light`] knows only dark and uniform
//! pictures, and is all there is before a plain wall).
//!
//! A room out of focus, or a wall with a lamp, has no detail to lose, but its light lies somewhere: when nobody is seen and
//! the brightness of the blocks no longer goes with what was learnt, the camera sees something else. Light that is
//! switched on or off makes a room brighter or darker, and leaves dark and light places where they are.
//!
//! And whoever sits there has detail: when all of it is gone at once, and the light of each block is where it was a moment
//! ago, nobody has left, but the picture is smeared or out of focus.
//!
//! Detail is the mean second difference along rows, less the noise (that of the smoothest tenth of the blocks),
//! over the block's brightness, so that dimmed light changes little.

use crate::evidence::Area;
use crate::frame::Frame;

/// Blocks across and down.
const BLOCKS: [usize; 2] = [40, 30];
/// Every how many rows, and pixels in them, are sampled.
const STEP_PX: [usize; 2] = [4, 2];
/// A block with less is smooth: nothing can be lost there.
const DETAIL_MIN: f32 = 0.02;
/// With fewer blocks of detail nothing is said.
const DETAILED_MIN: usize = 12;
/// A block has lost its detail if this share of it or less is left.
const LEFT_MAX: f32 = 0.35;
/// The view is lost if this share of the blocks with detail has lost it.
const LOST_SHARE: f32 = 0.85;
/// Below this correlation of the brightness it is another view; of at least so many blocks, which must differ by this
/// much, of 255, or there is nothing to go with.
const ALIKE_MIN: f32 = 0.3;
const ALIKE_BLOCKS_MIN: usize = 200;
const SPREAD_MIN: f32 = 6.0;
/// So little may the brightness of half of the blocks have changed for everything to be where it was.
const SAME_LIGHT_MAX: f32 = 0.12;
/// How fast what was learnt follows: a tenth with each picture.
const FOLLOW: f32 = 0.1;
/// Detail counts beyond this many times the noise.
const NOISE_TIMES: f32 = 1.3;
/// Brightness is taken to be at least this much.
const LUMA_MIN: f32 = 16.0;

/// What the camera usually sees.
#[derive(Debug, Default)]
pub struct Lens {
    /// Detail of each block; negative where somebody has always been in front of it.
    learnt: Vec<f32>,
    now: Vec<f32>,
    /// The same of the brightness.
    learnt_light: Vec<f32>,
    light: Vec<f32>,
    /// Detail and brightness when somebody was last seen, with whoever that was.
    last: Vec<[f32; 2]>,
    sums: Vec<[f32; 3]>,
    sorted: Vec<f32>,
}

impl Lens {
    /// Learns from a picture in which people are seen, outside of where they are.
    pub fn learn(&mut self, frame: &Frame, bodies: &[Area]) {
        self.measure(frame);
        if self.learnt.len() != self.now.len() {
            self.learnt = vec![-1.0; self.now.len()];
            self.learnt_light = self.learnt.clone();
        }
        self.last.clear();
        self.last.extend(self.now.iter().zip(&self.light).map(|(detail, light)| [*detail, *light]));
        let (width, height) = (precise(frame.width as usize), precise(frame.height as usize));
        let detail = self.learnt.iter_mut().zip(&self.now);
        let light = self.learnt_light.iter_mut().zip(&self.light);
        for (i, ((learnt, now), (learnt_light, light))) in detail.zip(light).enumerate() {
            let x = (precise(i % BLOCKS[0]) + 0.5) * width / precise(BLOCKS[0]);
            let y = (precise(i / BLOCKS[0]) + 0.5) * height / precise(BLOCKS[1]);
            let is_hidden = bodies
                .iter()
                .any(|[left, top, w, h]| (*left..=left + w).contains(&x) && (*top..=top + h).contains(&y));
            if !is_hidden {
                follow(learnt, *now);
                follow(learnt_light, *light);
            }
        }
    }

    /// Whether this picture, in which nobody is seen, has lost what was learnt.
    pub fn has_lost_view(&mut self, frame: &Frame) -> bool {
        self.measure(frame);
        let pairs = self.learnt.iter().zip(&self.now);
        let detailed = pairs.filter(|(learnt, _)| **learnt >= DETAIL_MIN);
        let (mut blocks, mut lost) = (0, 0);
        for (learnt, now) in detailed {
            blocks += 1;
            lost += usize::from(*now <= learnt * LEFT_MAX);
        }
        let lost_detail = blocks >= DETAILED_MIN && precise(lost) >= precise(blocks) * LOST_SHARE;
        lost_detail || self.is_smeared() || self.alike().is_some_and(|alike| alike < ALIKE_MIN)
    }

    /// Whether everything is where it was when somebody was last seen, and nothing of it is sharp.
    fn is_smeared(&mut self) -> bool {
        let (mut blocks, mut lost) = (0, 0);
        self.sorted.clear();
        for ([detail, light], (now, now_light)) in self.last.iter().zip(self.now.iter().zip(&self.light)) {
            if *detail >= DETAIL_MIN {
                blocks += 1;
                lost += usize::from(*now <= detail * LEFT_MAX);
                self.sorted.push((now_light - light).abs() / light.max(LUMA_MIN));
            }
        }
        if blocks < DETAILED_MIN || precise(lost) < precise(blocks) * LOST_SHARE {
            return false;
        }
        let middle = self.sorted.len() / 2;
        *self.sorted.select_nth_unstable_by(middle, f32::total_cmp).1 <= SAME_LIGHT_MAX
    }

    /// The correlation of the brightness with what was learnt; `None` if that says nothing.
    fn alike(&self) -> Option<f32> {
        let known = || self.learnt_light.iter().zip(&self.light).filter(|(learnt, _)| **learnt >= 0.0);
        let count = known().count();
        if count < ALIKE_BLOCKS_MIN {
            return None;
        }
        let (sum_a, sum_b) = known().fold((0.0, 0.0), |(a, b), (learnt, now)| (a + learnt, b + now));
        let (mean_a, mean_b) = (sum_a / precise(count), sum_b / precise(count));
        let [both, a, b] = known().fold([0.0; 3], |[both, a, b], (learnt, now)| {
            let (x, y) = (learnt - mean_a, now - mean_b);
            [both + x * y, a + x * x, b + y * y]
        });
        let is_flat = (a / precise(count)).sqrt() < SPREAD_MIN;
        // A picture without any difference goes with nothing.
        (!is_flat).then(|| if b > 0.0 { both / (a * b).sqrt() } else { 0.0 })
    }

    fn measure(&mut self, frame: &Frame) {
        let [columns, rows] = BLOCKS;
        self.sums.clear();
        self.sums.resize(columns * rows, [0.0; 3]);
        let (width, height) = (frame.width as usize, frame.height as usize);
        if frame.is_consistent() {
            for (y, row) in frame.rgb.chunks_exact(width * 3).enumerate().step_by(STEP_PX[0]) {
                let line = y * rows / height * columns;
                for (i, window) in row.windows(9).step_by(3 * STEP_PX[1]).enumerate() {
                    let [left, middle, right] = [0, 3, 6].map(|at| luma(window, at));
                    let at = line + i * STEP_PX[1] * columns / width;
                    if let Some([detail, light, count]) = self.sums.get_mut(at) {
                        *detail += (left - 2.0 * middle + right).abs();
                        *light += middle;
                        *count += 1.0;
                    }
                }
            }
        }
        self.sorted.clear();
        self.sorted.extend(self.sums.iter().map(|[detail, _, count]| detail / count.max(1.0)));
        let tenth = self.sorted.len() / 10;
        let noise = *self.sorted.select_nth_unstable_by(tenth, f32::total_cmp).1;
        self.light.clear();
        self.light.extend(self.sums.iter().map(|[_, light, count]| light / count.max(1.0)));
        self.now.clear();
        self.now.extend(self.sums.iter().map(|[detail, light, count]| {
            let (detail, light) = (detail / count.max(1.0), light / count.max(1.0));
            (detail - NOISE_TIMES * noise).max(0.0) / light.max(LUMA_MIN)
        }));
    }
}

fn follow(learnt: &mut f32, now: f32) {
    *learnt = if *learnt < 0.0 { now } else { *learnt + (now - *learnt) * FOLLOW };
}

fn luma(pixels: &[u8], at: usize) -> f32 {
    let [r, g, b] = [0, 1, 2].map(|i| pixels.get(at + i).copied().map_or(0.0, f32::from));
    0.299 * r + 0.587 * g + 0.114 * b
}

#[allow(clippy::cast_precision_loss, reason = "picture sides are at most 65,535")]
fn precise(number: usize) -> f32 {
    number as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dice(x: u32, y: u32, t: u32) -> u32 {
        (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503) ^ t.wrapping_mul(97_003))
            .wrapping_mul(2_246_822_519)
            >> 16
    }

    fn frame(t: u32, pixel: impl Fn(u32, u32) -> u32) -> Frame {
        let noisy = |x, y| u8::try_from((pixel(x, y) + dice(x, y, t) % 9).min(255)).unwrap();
        let rgb = (0..480).flat_map(|y| (0..640).map(move |x| (x, y))).flat_map(|(x, y)| [noisy(x, y); 3]);
        Frame { width: 640, height: 480, rgb: rgb.collect(), t_ms: 0, seq: 0 }
    }

    /// Shelves with books on a wall.
    fn room(x: u32, y: u32) -> u32 {
        let book = 40 + dice(x / 7, y / 120, 0) % 150;
        if y % 120 < 80 { book } else { 90 }
    }

    #[test]
    fn a_smeared_lens_before_a_plain_wall_is_told_from_somebody_who_left() {
        const BODY: Area = [200.0, 100.0, 240.0, 380.0];
        let in_body = |x: u32, y: u32| (200..440).contains(&x) && y >= 100;
        let seated = |x, y| if in_body(x, y) { 60 + dice(x / 5, y / 5, 1) % 120 } else { 150 };
        let mut lens = Lens::default();
        (0..20).for_each(|t| lens.learn(&frame(t, seated), &[BODY]));
        assert!(!lens.has_lost_view(&frame(30, seated)), "the face is missed");
        assert!(!lens.has_lost_view(&frame(31, |_, _| 150)), "nobody sits there any more");
        let smeared = |x, y| if in_body(x, y) { 120 } else { 150 };
        assert!(lens.has_lost_view(&frame(32, smeared)));
    }

    #[test]
    fn a_room_without_detail_is_known_by_where_its_light_is() {
        let corner = |x: u32, y: u32| 40 + (x + y) / 8;
        let mut lens = Lens::default();
        (0..20).for_each(|t| lens.learn(&frame(t, corner), &[]));
        assert!(!lens.has_lost_view(&frame(30, corner)));
        assert!(!lens.has_lost_view(&frame(31, |x, y| corner(x, y) / 3)), "the lamp is off");
        assert!(
            !lens.has_lost_view(&frame(32, |x, y| if x < 90 { 120 } else { corner(x, y) })),
            "a door opens"
        );
        assert!(lens.has_lost_view(&frame(33, |x, y| 150 - (x + y) / 9)), "something else");
        let mut lens = Lens::default();
        (0..20).for_each(|t| lens.learn(&frame(t, |_, _| 120), &[]));
        assert!(!lens.has_lost_view(&frame(40, corner)), "before a plain wall nothing is said");
    }

    /// Smooth, with shading, as anything at the lens is.
    fn hand(x: u32, y: u32) -> u32 {
        60 + x / 8 + y / 8
    }

    fn learnt() -> Lens {
        let mut lens = Lens::default();
        (0..20).for_each(|t| lens.learn(&frame(t, room), &[[200.0, 100.0, 240.0, 380.0]]));
        lens
    }

    #[test]
    fn a_hand_paper_or_a_wall_loses_the_view_and_an_empty_seat_does_not() {
        let mut lens = learnt();
        assert!(!lens.has_lost_view(&frame(30, room)), "nobody is there");
        assert!(lens.has_lost_view(&frame(31, hand)), "a hand with shading");
        assert!(lens.has_lost_view(&frame(32, |_, _| 200)), "paper");
        // Out of focus: the room's large shapes alone.
        assert!(lens.has_lost_view(&frame(33, |x, y| 90 + (x / 4) % 80 / 4 + y / 16)));
    }

    #[test]
    fn dimmed_light_and_half_a_view_are_no_loss() {
        let mut lens = learnt();
        assert!(!lens.has_lost_view(&frame(30, |x, y| room(x, y) / 3)));
        let half = |x, y| if x < 320 { hand(x, y) } else { room(x, y) };
        assert!(!lens.has_lost_view(&frame(31, half)));
    }

    #[test]
    fn before_a_plain_wall_nothing_is_said() {
        let mut lens = Lens::default();
        (0..20).for_each(|t| lens.learn(&frame(t, |x, _| 120 + x / 32), &[[200.0, 100.0, 240.0, 380.0]]));
        assert!(!lens.has_lost_view(&frame(30, hand)));
        assert!(!Lens::default().has_lost_view(&frame(30, hand)), "nor before anything was learnt");
    }

    #[test]
    fn frames_without_pixels_or_of_another_size_are_no_trouble() {
        let mut lens = learnt();
        for (width, height, bytes) in [(0, 0, 0), (1, 1, 3), (2, 2, 12), (640, 480, 5)] {
            let odd = Frame { width, height, rgb: vec![7; bytes], t_ms: 0, seq: 0 };
            lens.learn(&odd, &[[f32::NAN; 4]]);
            lens.has_lost_view(&odd);
        }
    }
}
