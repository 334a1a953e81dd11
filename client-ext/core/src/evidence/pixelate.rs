//! Makes faces unrecognisable for good: each block of pixels becomes its mean. Pure.
//!
//! A face keeps at most [`BLOCKS_ACROSS`] means across its width, whatever its size. Measured with YuNet and SFace
//! on photographs at 24 to 220 pixels: with 8 means a face still matches its own picture (cosine 0.43; 0.42 makes
//! an operator), with 4 nothing of it is left: it is as near to other photographs of the same person (0.39 at
//! most) as to those of another (0.36), and a face painted over in one colour comes to 0.43 with anybody.
//! Networks trained on pixelated faces recognise finer grids: McPherson, Shokri, Shmatikov, "Defeating Image
//! Obfuscation with Deep Learning" (2016).

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "clamped to picture coordinates, which are at most 65,535"
)]

use super::picture::{Area, Areas};
use crate::frame::Frame;

/// Means across the width of a face.
const BLOCKS_ACROSS: f32 = 4.0;
/// Blocks of small faces are at least this large.
const BLOCK_MIN_PX: u32 = 4;
/// Detected boxes end at the chin and the brow; this share of each side is added around them.
const GROW: f32 = 0.2;
const BYTES_PER_PIXEL: usize = 3;

/// The picture with these areas pixelated. Kept areas stay as they are, except where a hidden face itself (not its
/// margin) reaches into them. A pixel buffer of the wrong size comes back black.
pub fn pixelate(frame: &Frame, areas: &Areas) -> Frame {
    let mut out = frame.clone();
    if !frame.is_consistent() {
        out.rgb.fill(0);
        return out;
    }
    for area in &areas.hide {
        hide(&mut out, area, &areas.keep);
    }
    out
}

/// Whole pixels: left, top, right, bottom; the latter two exclusive.
#[derive(Clone, Copy)]
struct Rect([u32; 4]);

impl Rect {
    /// Clamped to the frame. NaN becomes 0.
    fn around(area: &Area, grow: f32, frame: &Frame) -> Self {
        let [x, y, w, h] = *area;
        let (dx, dy) = (w * grow, h * grow);
        let low = |v: f32, max: u32| (v.floor() as u32).min(max);
        let high = |v: f32, max: u32| (v.ceil() as u32).min(max);
        Rect([
            low(x - dx, frame.width),
            low(y - dy, frame.height),
            high(x + w + dx, frame.width),
            high(y + h + dy, frame.height),
        ])
    }

    fn has(&self, x: u32, y: u32) -> bool {
        let [left, top, right, bottom] = self.0;
        (left..right).contains(&x) && (top..bottom).contains(&y)
    }
}

fn hide(frame: &mut Frame, area: &Area, keep: &[Area]) {
    let (face, grown) = (Rect::around(area, 0.0, frame), Rect::around(area, GROW, frame));
    let keep: Vec<Rect> = keep.iter().map(|kept| Rect::around(kept, 0.0, frame)).collect();
    let block = ((area[2] / BLOCKS_ACROSS).ceil() as u32).max(BLOCK_MIN_PX) as usize;
    let [left, top, right, bottom] = grown.0;
    for y in (top..bottom).step_by(block) {
        for x in (left..right).step_by(block) {
            let end = |from: u32, max: u32| from.saturating_add(block as u32).min(max);
            let cell = Rect([x, y, end(x, right), end(y, bottom)]);
            let mean = mean(frame, cell);
            paint(frame, cell, mean, |x, y| face.has(x, y) || keep.iter().all(|kept| !kept.has(x, y)));
        }
    }
}

fn mean(frame: &Frame, cell: Rect) -> [u8; BYTES_PER_PIXEL] {
    let (mut sums, mut count) = ([0_u64; BYTES_PER_PIXEL], 0_u64);
    for pixel in pixels(cell).filter_map(|(x, y)| frame.rgb.get(at(frame.width, x, y)..)?.first_chunk()) {
        let pixel: &[u8; BYTES_PER_PIXEL] = pixel;
        sums.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += u64::from(*value));
        count += 1;
    }
    sums.map(|sum| (sum / count.max(1)) as u8)
}

fn paint(frame: &mut Frame, cell: Rect, colour: [u8; BYTES_PER_PIXEL], wanted: impl Fn(u32, u32) -> bool) {
    for (x, y) in pixels(cell).filter(|(x, y)| wanted(*x, *y)) {
        let at = at(frame.width, x, y);
        if let Some(pixel) = frame.rgb.get_mut(at..at + BYTES_PER_PIXEL) {
            pixel.copy_from_slice(&colour);
        }
    }
}

fn pixels(Rect([left, top, right, bottom]): Rect) -> impl Iterator<Item = (u32, u32)> {
    (top..bottom).flat_map(move |y| (left..right).map(move |x| (x, y)))
}

fn at(width: u32, x: u32, y: u32) -> usize {
    (y as usize * width as usize + x as usize) * BYTES_PER_PIXEL
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Every pixel has a colour of its own.
    fn frame() -> Frame {
        let rgb = (0..160_u32 * 120).flat_map(|n| [(n % 160) as u8, (n / 160) as u8, 7]).collect();
        Frame { width: 160, height: 120, rgb, t_ms: 0, seq: 0 }
    }

    fn colours(frame: &Frame, rect: Rect) -> usize {
        let colour = |(x, y): (u32, u32)| frame.rgb[at(frame.width, x, y)..][..3].to_vec();
        pixels(rect).map(colour).collect::<BTreeSet<_>>().len()
    }

    #[test]
    fn a_face_becomes_few_blocks_and_the_rest_stays() {
        let area = [40.0, 30.0, 40.0, 50.0];
        let out = pixelate(&frame(), &Areas { hide: vec![area], keep: vec![] });
        // Blocks of 10 pixels; a margin of 8 and 10 pixels around 40 by 50.
        assert_eq!(colours(&out, Rect([32, 20, 88, 90])), 6 * 7);
        for (x, y) in pixels(Rect([0, 0, 160, 120])).filter(|(x, y)| !Rect([32, 20, 88, 90]).has(*x, *y)) {
            assert_eq!(out.rgb[at(160, x, y)..][..3], frame().rgb[at(160, x, y)..][..3], "{x} {y}");
        }
    }

    #[test]
    fn a_kept_face_beside_it_is_not_touched_and_the_hidden_one_is_hidden_all_the_same() {
        let (hidden, kept) = ([40.0, 30.0, 40.0, 50.0], [75.0, 30.0, 40.0, 50.0]);
        let out = pixelate(&frame(), &Areas { hide: vec![hidden], keep: vec![kept] });
        // The margin ends where the kept face begins; the 5 pixels that both claim are hidden.
        assert_eq!(colours(&out, Rect([80, 30, 115, 80])), 35 * 50);
        assert!(colours(&out, Rect([40, 30, 80, 80])) <= 5 * 6);
    }

    #[test]
    fn boxes_beyond_the_picture_and_broken_numbers_do_no_harm() {
        for area in [
            [-50.0, -50.0, 80.0, 80.0],
            [150.0, 110.0, 1e9, 1e9],
            [f32::NAN, 0.0, 10.0, 10.0],
            [10.0, 10.0, f32::INFINITY, f32::NAN],
            [1e30, 1e30, 1.0, 1.0],
            [5.0, 5.0, 0.0, 0.0],
        ] {
            let out = pixelate(&frame(), &Areas { hide: vec![area], keep: vec![] });
            assert!(out.is_consistent());
        }
        let whole = pixelate(&frame(), &Areas { hide: vec![[0.0, 0.0, 160.0, 120.0]], keep: vec![] });
        assert_eq!(colours(&whole, Rect([0, 0, 160, 120])), 4 * 3);
        let torn = Frame { width: 9999, ..frame() };
        assert!(pixelate(&torn, &Areas::default()).rgb.iter().all(|v| *v == 0));
    }
}
