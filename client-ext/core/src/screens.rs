//! Televisions and monitors in the room: rectangles whose whole picture changes at once, again and again. Pure.
//!
//! ```text
//!  blocks that changed ─► a filled rectangle, still around it? ─► the same one again, never as before ─► a screen
//! ```
//! People, curtains and shadows move through a rectangle; only a screen changes all of it from one picture to the next,
//! up to its edge and no farther. Whoever comes and goes there leaves the wall behind as it was, which no film does. A
//! talking head without a cut stays unknown, and its face counts as a person's: the eyes err on that side. Only faces
//! that appeared within a screen and never left it are pictures ([`crate::face::track`]): whoever steps in front of one
//! came over its edge.

use crate::evidence::Area;
use crate::face::{around, iou};
use crate::motion::{BLOCKS, Changes};

/// A block changed with a cut if it differs by this much, of 255, and by this many times the usual difference.
const CUT_MIN: f32 = 6.0;
const CUT_TIMES: f32 = 6.0;
/// Sides of a screen, in blocks.
const SIDE_MIN: [usize; 2] = [5, 3];
/// More of the picture than this is the light or the camera.
const SHARE_MAX: f32 = 0.4;
/// So much of the rectangle must have changed, and at most so much of the ring around it.
const FILL_MIN: f32 = 0.7;
const RING_MAX: f32 = 0.15;
/// Width over height, also of a monitor that is turned or seen from the side.
const ASPECT: [f32; 2] = [0.5, 2.8];
/// Rectangles that overlap this much are the same.
const SAME_IOU: f32 = 0.7;
/// So many cuts make a screen, at least so far apart: one flash is one. Who comes and leaves has made two, but then the
/// wall is as it was before.
const CUTS: u32 = 3;
const APART_MS: u64 = 400;
/// After a longer time without a picture, people may have moved as far as a cut does.
const PROMPT_MS: u64 = 250;
/// A picture that differs from an earlier one by less, of 255, is the same again.
const SAME_MAX: f32 = 4.0;
/// A rectangle that did not change again for so long is forgotten; a screen that is known, later.
const FORGET_MS: u64 = 120_000;
const FORGET_KNOWN_MS: u64 = 1_800_000;
const RECTANGLES_MAX: usize = 8;

/// A rectangle that changed as a whole.
#[derive(Debug, Clone)]
struct Rectangle {
    area: Area,
    cuts: u32,
    cut_ms: u64,
    /// As first seen, and the brightness of those blocks before the first and after each cut, at most [`CUTS`] of them.
    blocks: Blocks,
    seen: Vec<Vec<f32>>,
}

/// All that were seen.
#[derive(Debug, Default)]
pub struct Screens {
    rectangles: Vec<Rectangle>,
    /// Blocks that changed, which `piece` takes one piece after the other out of; and all of them.
    cut: Vec<bool>,
    before_pieces: Vec<bool>,
    open: Vec<(usize, usize)>,
    /// The brightness of all blocks in the picture before.
    before: Vec<f32>,
    before_ms: Option<u64>,
}

impl Screens {
    /// Takes what changed with a picture of this width and height.
    pub fn update(&mut self, t_ms: u64, changes: &Changes<'_>, size: [f32; 2]) {
        self.look(t_ms, changes, size);
        self.before_ms = Some(t_ms);
        self.before.clear();
        self.before.extend_from_slice(changes.now);
    }

    fn look(&mut self, t_ms: u64, changes: &Changes<'_>, size: [f32; 2]) {
        let is_prompt = self.before_ms.is_some_and(|before| t_ms.saturating_sub(before) <= PROMPT_MS);
        if !is_prompt || self.before.len() != changes.now.len() {
            return;
        }
        let forgets_ms = |r: &Rectangle| if r.cuts >= CUTS { FORGET_KNOWN_MS } else { FORGET_MS };
        self.rectangles.retain(|r| t_ms.saturating_sub(r.cut_ms) <= forgets_ms(r));
        let threshold = CUT_MIN.max(changes.usual * CUT_TIMES);
        self.cut.clear();
        self.cut.extend(changes.differences.iter().map(|by| *by > threshold));
        let count = self.cut.iter().filter(|cut| **cut).count();
        if count < SIDE_MIN[0] * SIDE_MIN[1] / 2 || precise(count) > precise(self.cut.len()) * SHARE_MAX {
            return;
        }
        self.before_pieces.clone_from(&self.cut);
        // Somebody may move elsewhere in the same picture.
        for start in 0..self.cut.len() {
            if let Some(blocks) = self.piece(start).filter(|piece| is_screen(&self.before_pieces, piece)) {
                self.note(t_ms, blocks, in_pixels(blocks, size), changes.now);
            }
        }
    }

    /// The rectangle around what hangs together with this block, which is taken out; `None` if there is nothing left.
    fn piece(&mut self, start: usize) -> Option<Blocks> {
        let [columns, rows] = BLOCKS;
        let taken = self.cut.get_mut(start).map(std::mem::take)?;
        if !taken {
            return None;
        }
        let at = (start % columns, start / columns);
        let (mut from, mut to) = (at, at);
        self.open.clear();
        self.open.push(at);
        while let Some((x, y)) = self.open.pop() {
            (from, to) = ((from.0.min(x), from.1.min(y)), (to.0.max(x), to.1.max(y)));
            let beside = [
                (x.checked_sub(1), Some(y)),
                (Some(x + 1).filter(|x| *x < columns), Some(y)),
                (Some(x), y.checked_sub(1)),
                (Some(x), Some(y + 1).filter(|y| *y < rows)),
            ];
            for (x, y) in beside.into_iter().filter_map(|(x, y)| x.zip(y)) {
                if self.cut.get_mut(y * columns + x).is_some_and(std::mem::take) {
                    self.open.push((x, y));
                }
            }
        }
        Some([from.0, from.1, to.0 - from.0 + 1, to.1 - from.1 + 1])
    }

    /// Where the screens are.
    pub fn known(&self) -> impl Iterator<Item = Area> {
        self.rectangles.iter().filter(|r| r.cuts >= CUTS).map(|r| r.area)
    }

    fn note(&mut self, t_ms: u64, blocks: Blocks, area: Area, now: &[f32]) {
        let known = self.rectangles.iter().position(|r| iou(&r.area, &area) >= SAME_IOU);
        if let Some(at) = known {
            let is_over = self.rectangles.get_mut(at).is_some_and(|known| !known.cut(t_ms, &area, now));
            if is_over {
                self.rectangles.swap_remove(at);
            }
            return;
        }
        if self.rectangles.len() >= RECTANGLES_MAX {
            // The least known makes room.
            let least = self.rectangles.iter().enumerate().min_by_key(|(_, r)| (r.cuts, r.cut_ms));
            if let Some(at) = least.map(|(at, _)| at) {
                self.rectangles.swap_remove(at);
            }
        }
        let seen = vec![picture(&self.before, &blocks), picture(now, &blocks)];
        self.rectangles.push(Rectangle { area, cuts: 1, cut_ms: t_ms, blocks, seen });
    }
}

impl Rectangle {
    /// It changed again; false if it came to show what it had shown before.
    fn cut(&mut self, t_ms: u64, area: &Area, now: &[f32]) -> bool {
        if t_ms.saturating_sub(self.cut_ms) < APART_MS {
            return true;
        }
        self.cut_ms = t_ms;
        if self.cuts >= CUTS {
            return true;
        }
        let new = picture(now, &self.blocks);
        if self.seen.iter().any(|old| difference(old, &new) < SAME_MAX) {
            return false;
        }
        self.seen.push(new);
        self.cuts += 1;
        // Dark edges of a film make some cuts smaller than the screen.
        self.area = around(&self.area, area);
        true
    }
}

/// The brightness of the blocks of a rectangle.
fn picture(now: &[f32], &[left, top, width, height]: &Blocks) -> Vec<f32> {
    let blocks = (top..top + height).flat_map(|y| (left..left + width).map(move |x| y * BLOCKS[0] + x));
    blocks.map(|at| now.get(at).copied().unwrap_or(0.0)).collect()
}

fn difference(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f32>() / precise(a.len().max(1))
}

/// Left, top, width, height in blocks.
type Blocks = [usize; 4];

/// Whether the blocks that changed fill a rectangle as a screen does, and little changed around it.
fn is_screen(cut: &[bool], &[left, top, width, height]: &Blocks) -> bool {
    let [columns, rows] = BLOCKS;
    let at = |x: usize, y: usize| cut.get(y * columns + x).copied().unwrap_or(false);
    // A body goes on beyond the lower edge of the picture; what hangs or stands behind the seat does not.
    if width < SIDE_MIN[0] || height < SIDE_MIN[1] || top + height >= rows {
        return false;
    }
    let aspect = precise(width) / precise(height);
    let inside = (top..top + height).flat_map(|y| (left..left + width).map(move |x| (x, y)));
    let fill = precise(inside.filter(|(x, y)| at(*x, *y)).count()) / precise(width * height);
    (ASPECT[0]..=ASPECT[1]).contains(&aspect)
        && fill >= FILL_MIN
        && is_quiet_around(&at, [left, top, width, height])
}

/// Whether the ring around it, a block away, is still. The block next to it may be half of the screen.
fn is_quiet_around(at: &dyn Fn(usize, usize) -> bool, [left, top, width, height]: Blocks) -> bool {
    let [columns, rows] = BLOCKS;
    let (from_x, to_x) = (left.checked_sub(2), Some(left + width + 1).filter(|x| *x < columns));
    let (from_y, to_y) = (top.checked_sub(2), Some(top + height + 1).filter(|y| *y < rows));
    let beside = (top..top + height).flat_map(|y| [from_x, to_x].into_iter().flatten().map(move |x| (x, y)));
    let above = (left..left + width).flat_map(|x| [from_y, to_y].into_iter().flatten().map(move |y| (x, y)));
    let (mut ring, mut changed) = (0, 0);
    for (x, y) in beside.chain(above) {
        ring += 1;
        changed += usize::from(at(x, y));
    }
    precise(changed) <= precise(ring) * RING_MAX
}

fn in_pixels([left, top, width, height]: Blocks, size: [f32; 2]) -> Area {
    let (block_w, block_h) = (size[0] / precise(BLOCKS[0]), size[1] / precise(BLOCKS[1]));
    // The block beside it may be half of the screen.
    let (x, y) = ((precise(left) - 1.0).max(0.0) * block_w, (precise(top) - 1.0).max(0.0) * block_h);
    let right = ((precise(left + width) + 1.0) * block_w).min(size[0]);
    let bottom = ((precise(top + height) + 1.0) * block_h).min(size[1]);
    [x, y, right - x, bottom - y]
}

#[allow(clippy::cast_precision_loss, reason = "a number of blocks")]
fn precise(blocks: usize) -> f32 {
    blocks as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: [f32; 2] = [640.0, 480.0];

    /// Blocks that change by 30 where `changes` says so, and by 1 elsewhere.
    fn grid(changes: impl Fn(usize, usize) -> bool) -> Vec<f32> {
        let [columns, rows] = BLOCKS;
        let blocks = (0..rows).flat_map(|y| (0..columns).map(move |x| (x, y)));
        blocks.map(|(x, y)| if changes(x, y) { 30.0 } else { 1.0 }).collect()
    }

    /// With a picture that was never there before.
    fn see(screens: &mut Screens, t_ms: u64, differences: &[f32]) -> usize {
        see_picture(screens, t_ms, differences, (t_ms / 100) as f32 * 7.0)
    }

    /// After one of a tenth of a second before, which showed the same as the last.
    fn see_picture(screens: &mut Screens, t_ms: u64, differences: &[f32], brightness: f32) -> usize {
        screens.before_ms = Some(t_ms.saturating_sub(100));
        screens.before.resize(differences.len(), WALL);
        let now = vec![brightness; differences.len()];
        screens.update(t_ms, &Changes { differences, usual: 1.0, now: &now }, SIZE);
        screens.known().count()
    }

    const WALL: f32 = 150.0;

    const fn in_television(x: usize, y: usize) -> bool {
        matches!((x, y), (3..14, 7..14))
    }

    #[test]
    fn the_third_cut_makes_a_screen_and_pauses_are_no_cuts() {
        let (mut screens, cut, quiet) =
            (Screens::default(), grid(in_television), grid(|x, y| x == 6 && y == 9));
        let mut known = Vec::new();
        for i in 0..130 {
            known.push(see(&mut screens, i * 100, if i % 30 == 10 { &cut } else { &quiet }));
        }
        assert_eq!(known.iter().position(|n| *n == 1), Some(70));
        let [x, y, w, h] = screens.known().next().unwrap();
        assert!(x <= 48.0 && y <= 112.0 && x + w >= 224.0 && y + h >= 224.0, "{x} {y} {w} {h}");
        assert!(w <= 224.0 && h <= 160.0);
    }

    #[test]
    fn whoever_moves_in_the_seat_meanwhile_is_no_trouble() {
        let mut screens = Screens::default();
        let head =
            |x: usize, y: usize| (18..24).contains(&x) && (10..20).contains(&y) && !(x + y).is_multiple_of(3);
        let cut = grid(|x, y| in_television(x, y) || head(x, y));
        let known: Vec<usize> = (0..5).map(|i| see(&mut screens, i * 1_000, &cut)).collect();
        assert_eq!(known, [0, 0, 1, 1, 1]);
    }

    #[test]
    fn whoever_comes_and_goes_again_and_again_is_no_film() {
        let (mut screens, cut) = (Screens::default(), grid(in_television));
        // Each time somebody else, and the wall between.
        for i in 0..40_u64 {
            let brightness = if i % 2 == 1 { WALL } else { 30.0 + (i % 5) as f32 * 9.0 };
            assert_eq!(see_picture(&mut screens, i * 1_500, &cut, brightness), 0, "{i}");
        }
    }

    #[test]
    fn a_camera_of_few_pictures_shows_no_cuts() {
        let (mut screens, cut) = (Screens::default(), grid(in_television));
        for i in 0..20_u64 {
            let now = vec![i as f32 * 11.0; cut.len()];
            screens.update(i * 334, &Changes { differences: &cut, usual: 1.0, now: &now }, SIZE);
            assert_eq!(screens.known().count(), 0, "{i}");
        }
    }

    #[test]
    fn one_long_flash_is_one_cut() {
        let (mut screens, cut) = (Screens::default(), grid(in_television));
        assert!((0..8).all(|i| see(&mut screens, i * 40, &cut) == 0));
    }

    #[test]
    fn people_and_light_are_no_screens() {
        // Somebody walks through: a column at a time. A head and shoulders. The light. The camera moves.
        type Shape = fn(usize, usize, usize) -> bool;
        let shapes: [Shape; 4] = [
            |i, x, y| (i..i + 4).contains(&x) && (7..30).contains(&y),
            |_, x, y| ((10..14).contains(&x) && (8..14).contains(&y)) || ((6..18).contains(&x) && y >= 14),
            |_, _, _| true,
            |i, x, y| (x * 7 + y * 3 + i).is_multiple_of(3),
        ];
        for (n, shape) in shapes.iter().enumerate() {
            let mut screens = Screens::default();
            for i in 0..30 {
                let moved = grid(|x, y| shape(i, x, y));
                assert_eq!(see(&mut screens, i as u64 * 500, &moved), 0, "{n}, {i}");
            }
        }
    }

    #[test]
    fn a_screen_that_is_off_is_forgotten_and_there_are_never_many() {
        let mut screens = Screens::default();
        let cut = grid(in_television);
        (0..4).for_each(|i| _ = see(&mut screens, i * 1_000, &cut));
        let quiet = grid(|_, _| false);
        assert_eq!(see(&mut screens, FORGET_KNOWN_MS, &quiet), 1);
        assert_eq!(see(&mut screens, FORGET_KNOWN_MS + 3_001, &quiet), 0);
        for i in 0..200_usize {
            let at = (i * 7) % 30;
            see(&mut screens, 2_000_000 + i as u64 * 500, &grid(|x, y| (at..at + 8).contains(&x) && y < 6));
            assert!(screens.rectangles.len() <= RECTANGLES_MAX);
        }
        // Another grid, or none, is no trouble.
        screens.update(9_000_000, &Changes { differences: &[], usual: f32::NAN, now: &[] }, SIZE);
    }
}
