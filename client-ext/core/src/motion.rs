//! Where the picture changed since the one before, apart from whoever is known to be there. Pure.
//!
//! A coarse grid of brightness, compared block by block. It decides where the detector looks first, and nothing else:
//! what does not move is looked at as well, only less often.

use crate::evidence::Area;
use crate::frame::Frame;

/// Blocks across and down.
pub const BLOCKS: [usize; 2] = [40, 30];
/// Every how many pixels, across and down, are sampled.
const STEP_PX: usize = 4;
/// A block changed if its mean differs by this much, of 255, and by this many times the usual difference: noise in
/// the dark makes every block differ.
const CHANGE_MIN: f32 = 5.0;
const CHANGE_TIMES: f32 = 6.0;
/// Fewer blocks are a reflection, or a leaf.
const BLOCKS_MIN: usize = 2;

/// How each block differs from the picture before; none for the first one.
#[derive(Debug, Clone, Copy)]
pub struct Changes<'a> {
    /// Of the mean brightness, row by row.
    pub differences: &'a [f32],
    /// The median of them.
    pub usual: f32,
    /// The mean brightness of each block now.
    pub now: &'a [f32],
}

/// The brightness of the newest picture.
#[derive(Debug, Default)]
pub struct Motion {
    before: Vec<f32>,
    now: Vec<f32>,
    counts: Vec<u32>,
    differences: Vec<f32>,
    usual: f32,
    /// From which difference on a block of the newest picture changed.
    threshold: f32,
}

impl Motion {
    /// Of the newest picture.
    #[must_use]
    pub fn changes(&self) -> Changes<'_> {
        Changes { differences: &self.differences, usual: self.usual, now: &self.now }
    }

    /// The part of this picture that changed, in its pixels, outside of `known`. The whole picture for the first one.
    pub fn update(&mut self, frame: &Frame, known: &[Area]) -> Option<Area> {
        std::mem::swap(&mut self.before, &mut self.now);
        self.measure(frame);
        let [width, height] = [frame.width, frame.height].map(precise);
        self.differences.clear();
        if self.before.len() != self.now.len() {
            return Some([0.0, 0.0, width, height]);
        }
        self.differences.extend(self.before.iter().zip(&self.now).map(|(a, b)| (a - b).abs()));
        self.usual = median(&mut self.before, &self.differences);
        let threshold = CHANGE_MIN.max(self.usual * CHANGE_TIMES);
        self.threshold = threshold;
        let block = [width / precise_len(BLOCKS[0]), height / precise_len(BLOCKS[1])];
        let mut changed: Option<[f32; 4]> = None;
        let mut count = 0;
        for (i, _) in self.differences.iter().enumerate().filter(|(_, by)| **by > threshold) {
            let (x, y) = (precise_len(i % BLOCKS[0]) * block[0], precise_len(i / BLOCKS[0]) * block[1]);
            let centre = [x + block[0] / 2.0, y + block[1] / 2.0];
            if known.iter().any(|area| contains(area, centre)) {
                continue;
            }
            count += 1;
            let [left, top, right, bottom] = changed.unwrap_or([x, y, x, y]);
            changed = Some([left.min(x), top.min(y), right.max(x + block[0]), bottom.max(y + block[1])]);
        }
        let [left, top, right, bottom] = changed.filter(|_| count >= BLOCKS_MIN)?;
        Some([left, top, right - left, bottom - top])
    }

    /// The share of a part of the newest picture (of this width and height) that changed, whoever is known to be
    /// there; 0 where it has no blocks.
    #[must_use]
    pub fn share_in(&self, part: &Area, [width, height]: [f32; 2]) -> f32 {
        let block = [width / precise_len(BLOCKS[0]), height / precise_len(BLOCKS[1])];
        let (mut blocks, mut changed) = (0_u16, 0_u16);
        for (i, by) in self.differences.iter().enumerate() {
            let x = (precise_len(i % BLOCKS[0]) + 0.5) * block[0];
            let y = (precise_len(i / BLOCKS[0]) + 0.5) * block[1];
            if contains(part, [x, y]) {
                blocks += 1;
                changed += u16::from(*by > self.threshold);
            }
        }
        f32::from(changed) / f32::from(blocks.max(1))
    }

    /// Mean luma of each block.
    fn measure(&mut self, frame: &Frame) {
        let [columns, rows] = BLOCKS;
        self.now.clear();
        self.now.resize(columns * rows, 0.0);
        self.counts.clear();
        self.counts.resize(columns * rows, 0);
        let (width, height) = (frame.width as usize, frame.height as usize);
        if !frame.is_consistent() {
            return;
        }
        for (y, row) in frame.rgb.chunks_exact(width * 3).enumerate().step_by(STEP_PX) {
            let line = y * rows / height * columns;
            for (x, pixel) in row.chunks_exact(3).enumerate().step_by(STEP_PX) {
                let at = line + x * columns / width;
                let [r, g, b] = [0, 1, 2].map(|i| pixel.get(i).copied().map_or(0.0, f32::from));
                if let (Some(sum), Some(count)) = (self.now.get_mut(at), self.counts.get_mut(at)) {
                    *sum += 0.299 * r + 0.587 * g + 0.114 * b;
                    *count += 1;
                }
            }
        }
        for (sum, count) in self.now.iter_mut().zip(&self.counts) {
            *sum /= precise(*count);
        }
    }
}

fn contains([x, y, w, h]: &Area, [px, py]: [f32; 2]) -> bool {
    (*x..=x + w).contains(&px) && (*y..=y + h).contains(&py)
}

/// Of `values`; `buffer` is overwritten.
fn median(buffer: &mut Vec<f32>, values: &[f32]) -> f32 {
    buffer.clear();
    buffer.extend_from_slice(values);
    let middle = buffer.len() / 2;
    if buffer.is_empty() { 0.0 } else { *buffer.select_nth_unstable_by(middle, f32::total_cmp).1 }
}

/// Picture sides are at most 65,535, which f32 holds exactly.
#[allow(clippy::cast_precision_loss, reason = "see above")]
fn precise(side: u32) -> f32 {
    side.max(1) as f32
}

#[allow(clippy::cast_precision_loss, reason = "a number of blocks")]
fn precise_len(blocks: usize) -> f32 {
    blocks as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A wall, noise, and a head with shoulders at this place.
    fn frame(t: u32, head: Option<u32>, noise: u32) -> Frame {
        let pixel = |x: u32, y: u32| {
            let base = 60 + x / 8 + y / 16;
            let dice = (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503) ^ t.wrapping_mul(97_003))
                .wrapping_mul(2_246_822_519)
                >> 16;
            let on = head.is_some_and(|at| x.abs_diff(at) < 30 && y.abs_diff(200) < 40);
            u8::try_from(if on { 200 } else { base + dice % (noise + 1) }).unwrap()
        };
        let rgb = (0..480).flat_map(|y| (0..640).map(move |x| (x, y))).flat_map(|(x, y)| [pixel(x, y); 3]);
        Frame { width: 640, height: 480, rgb: rgb.collect(), t_ms: 0, seq: 0 }
    }

    #[test]
    fn what_moves_is_found_and_noise_is_not() {
        for noise in [0, 20] {
            let mut motion = Motion::default();
            assert_eq!(motion.update(&frame(0, None, noise), &[]), Some([0.0, 0.0, 640.0, 480.0]));
            assert_eq!(motion.update(&frame(1, None, noise), &[]), None);
            let [x, y, w, h] = motion.update(&frame(2, Some(400), noise), &[]).unwrap();
            assert!(x <= 376.0 && x + w >= 424.0 && y <= 176.0 && y + h >= 224.0, "{x} {y} {w} {h}");
            assert!(w < 100.0 && h < 130.0, "{w} {h}");
        }
    }

    #[test]
    fn whoever_is_known_to_be_there_may_move() {
        let mut motion = Motion::default();
        motion.update(&frame(0, Some(300), 5), &[]);
        assert_eq!(motion.update(&frame(1, Some(310), 5), &[[200.0, 100.0, 200.0, 380.0]]), None);
    }

    #[test]
    fn how_much_of_a_part_changed_is_told_although_somebody_is_known_to_be_there() {
        let mut motion = Motion::default();
        let (size, head, wall) = ([640.0, 480.0], [330.0, 160.0, 60.0, 80.0], [0.0, 0.0, 200.0, 400.0]);
        motion.update(&frame(0, None, 5), &[]);
        assert_eq!(motion.share_in(&head, size), 0.0, "of the first picture nothing is known");
        motion.update(&frame(1, Some(360), 5), &[[200.0, 100.0, 300.0, 380.0]]);
        let nowhere = [f32::NAN, 0.0, 10.0, 10.0];
        let shares = [head, wall, nowhere].map(|part| motion.share_in(&part, size));
        assert!(shares[0] > 0.9 && shares[1] == 0.0 && shares[2] == 0.0, "{shares:?}");
    }

    #[test]
    fn another_size_or_no_pixels_are_no_trouble() {
        let mut motion = Motion::default();
        motion.update(&frame(0, None, 0), &[]);
        let tiny = Frame { width: 1, height: 1, rgb: vec![9; 3], t_ms: 0, seq: 0 };
        motion.update(&tiny, &[]);
        let wrong = Frame { width: 640, height: 480, rgb: vec![9; 3], t_ms: 0, seq: 0 };
        motion.update(&wrong, &[]);
    }
}
