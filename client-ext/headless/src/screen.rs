//! Detects from the decoded pixels whether the remote desktop is covered.
//!
//! The screen is divided into tiles of 64x64. For each, the pixels that are not exactly black
//! are counted, all of them and those outside the *panel* (the centred rectangle, 70 % by 50 % of
//! the screen, in which a cover writes its text). Outside it, the exact colours of a lit cover count as
//! black. Only tiles that an update touched are counted
//! again, so the answer is cheap and ready with the update that completed the cover.

use std::time::Instant;

use sudare_protocol::light;
use sudare_protocol::screen::panel;

const TILE: usize = 64;
/// Points along each side at which the light of a cover is looked for.
const POINTS: usize = 12;

/// What the screen shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScreenKind {
    /// No update was received yet.
    Nothing,
    /// Every pixel is black.
    Black,
    /// Black or lit outside the panel, text inside.
    Covered,
    /// No tile is wholly black.
    Desktop,
    /// Partly black: between the others, or a desktop with large black areas.
    Mixed,
}

/// The screen at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScreenState {
    pub kind: ScreenKind,
    /// When the update that led to this state was decoded.
    pub at: Instant,
    /// Updates decoded so far.
    pub updates: u64,
    /// Share of exactly black pixels, 0 to 1.
    pub black_share: f32,
    /// What most of a lit cover shows outside the panel; `None` for a black one, and for anything else.
    pub light: Option<[u8; 3]>,
}

impl ScreenState {
    /// Whether nothing of the desktop is visible.
    #[must_use]
    pub fn is_covered(&self) -> bool {
        matches!(self.kind, ScreenKind::Nothing | ScreenKind::Black | ScreenKind::Covered)
    }
}

/// Keeps the counts of one screen.
#[derive(Debug)]
pub(crate) struct ScreenTracker {
    width: usize,
    height: usize,
    columns: usize,
    panel: [usize; 4],
    tiles: Vec<Counts>,
    total: Counts,
    black_tiles: usize,
    light: Option<[u8; 3]>,
    updates: u64,
}

/// Pixels that are not black: all, and those outside the panel that no cover shows.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    all: usize,
    outside: usize,
}

impl ScreenTracker {
    pub(crate) fn new(width: u16, height: u16) -> Self {
        let panel = panel(width, height).map(usize::from);
        let (width, height) = (usize::from(width), usize::from(height));
        let (columns, rows) = (width.div_ceil(TILE), height.div_ceil(TILE));
        Self {
            width,
            height,
            columns,
            panel,
            tiles: vec![Counts::default(); columns * rows],
            total: Counts::default(),
            black_tiles: columns * rows,
            light: None,
            updates: 0,
        }
    }

    /// Counts the tiles that the rectangle (left, top, right, bottom; all inclusive) touches.
    pub(crate) fn update(&mut self, rgba: &[u8], [left, top, right, bottom]: [u16; 4]) {
        self.updates += 1;
        let columns =
            usize::from(left) / TILE..=(usize::from(right) / TILE).min(self.columns.saturating_sub(1));
        for row in usize::from(top) / TILE..=usize::from(bottom) / TILE {
            for column in columns.clone() {
                self.recount(rgba, column, row);
            }
        }
        self.light = self.most_frequent_light(rgba);
    }

    pub(crate) fn state(&self, at: Instant) -> ScreenState {
        let pixels = (self.width * self.height).max(1);
        let kind = if self.updates == 0 {
            ScreenKind::Nothing
        } else if self.total.all == 0 {
            ScreenKind::Black
        } else if self.total.outside == 0 {
            ScreenKind::Covered
        } else if self.black_tiles == 0 {
            ScreenKind::Desktop
        } else {
            ScreenKind::Mixed
        };
        let black_share = 1.0 - self.total.all as f32 / pixels as f32;
        let light = self.light.filter(|_| kind == ScreenKind::Covered);
        ScreenState { kind, at, updates: self.updates, black_share, light }
    }

    /// The colour that most points outside the panel have, if a lit cover shows it. A change of light arrives in parts,
    /// and lights a face by its larger one.
    fn most_frequent_light(&self, rgba: &[u8]) -> Option<[u8; 3]> {
        let [left, top, right, bottom] = self.panel;
        let mut counts: Vec<([u8; 3], usize)> = Vec::new();
        for (row, column) in (0..POINTS).flat_map(|row| (0..POINTS).map(move |column| (row, column))) {
            let along = |step: usize, side: usize| (2 * step + 1) * side / (2 * POINTS);
            let (x, y) = (along(column, self.width), along(row, self.height));
            if (left..right).contains(&x) && (top..bottom).contains(&y) {
                continue;
            }
            let at = (y * self.width + x) * 4;
            let Some([r, g, b]) = rgba.get(at..at + 3) else { continue };
            let colour = [*r, *g, *b];
            match counts.iter_mut().find(|(known, _)| *known == colour) {
                Some((_, count)) => *count += 1,
                None => counts.push((colour, 1)),
            }
        }
        let (colour, _) = counts.into_iter().max_by_key(|(_, count)| *count)?;
        light::is_light(colour).then_some(colour)
    }

    fn recount(&mut self, rgba: &[u8], column: usize, row: usize) {
        let new = self.count(rgba, column, row);
        let Some(tile) = self.tiles.get_mut(row * self.columns + column) else { return };
        self.total.all = self.total.all + new.all - tile.all;
        self.total.outside = self.total.outside + new.outside - tile.outside;
        self.black_tiles = self.black_tiles + usize::from(new.all == 0) - usize::from(tile.all == 0);
        *tile = new;
    }

    fn count(&self, rgba: &[u8], column: usize, row: usize) -> Counts {
        let [left, top, right, bottom] = self.panel;
        let (x0, x1) = (column * TILE, ((column + 1) * TILE).min(self.width));
        let mut counts = Counts::default();
        for y in row * TILE..((row + 1) * TILE).min(self.height) {
            let pixels = |from: usize, to: usize| {
                let start = y * self.width * 4;
                rgba.get(start + from * 4..start + to.max(from) * 4).unwrap_or_default().chunks_exact(4)
            };
            let foreign = |from, to| pixels(from, to).filter(|pixel| is_foreign(pixel)).count();
            let inside = if (top..bottom).contains(&y) { foreign(x0.max(left), x1.min(right)) } else { 0 };
            counts.all += pixels(x0, x1).filter(|pixel| !matches!(pixel, [0, 0, 0, _])).count();
            counts.outside += foreign(x0, x1) - inside;
        }
        counts
    }
}

/// Whether no cover shows this outside its panel: neither black nor a light of `sudare_protocol::light`. They are spelled
/// out because this runs for each pixel.
fn is_foreign(pixel: &[u8]) -> bool {
    !matches!(
        pixel,
        [0, 0, 0, _] | [156, 158, 156, _] | [247, 251, 247, _] | [255, 186, 107, _] | [123, 186, 255, _]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: (u16, u16) = (200, 150);

    struct Screen {
        rgba: Vec<u8>,
        tracker: ScreenTracker,
    }

    impl Screen {
        fn new() -> Self {
            let rgba = vec![0; usize::from(SIZE.0) * usize::from(SIZE.1) * 4];
            Self { rgba, tracker: ScreenTracker::new(SIZE.0, SIZE.1) }
        }

        /// Fills an inclusive rectangle and reports just that.
        fn fill(&mut self, rect: [u16; 4], value: u8) -> ScreenKind {
            for y in rect[1]..=rect[3] {
                for x in rect[0]..=rect[2] {
                    let at = (usize::from(y) * usize::from(SIZE.0) + usize::from(x)) * 4;
                    self.rgba[at..at + 4].copy_from_slice(&[value, value, value, 255]);
                }
            }
            self.tracker.update(&self.rgba, rect);
            self.tracker.state(Instant::now()).kind
        }
    }

    #[test]
    fn follows_black_text_and_desktop() {
        let mut screen = Screen::new();
        let everything = [0, 0, SIZE.0 - 1, SIZE.1 - 1];
        assert_eq!(screen.tracker.state(Instant::now()).kind, ScreenKind::Nothing);
        assert_eq!(screen.fill(everything, 0), ScreenKind::Black);
        let [left, top, right, bottom] = panel(SIZE.0, SIZE.1);
        assert_eq!(screen.fill([left, top, right - 1, bottom - 1], 9), ScreenKind::Covered);
        // One lit pixel outside the panel is enough to lose the cover, on each of its sides.
        for outside in [[left - 1, top], [left, top - 1], [right, bottom - 1], [right - 1, bottom]] {
            let [x, y] = outside;
            assert_eq!(screen.fill([x, y, x, y], 1), ScreenKind::Mixed);
            assert_eq!(screen.fill([x, y, x, y], 0), ScreenKind::Covered);
        }
        assert_eq!(screen.fill(everything, 200), ScreenKind::Desktop);
        assert_eq!(screen.fill([0, 0, 70, 70], 0), ScreenKind::Mixed);
        let state = screen.tracker.state(Instant::now());
        let black = 71.0 * 71.0 / (200.0 * 150.0);
        assert!((state.black_share - black).abs() < 1e-4, "{state:?}");
    }

    #[test]
    fn a_lit_cover_is_a_cover_and_nothing_like_it_is() {
        for shade in light::Shade::ALL {
            let [r, g, b] = shade.rgb(light::Strength::Full);
            assert!(!is_foreign(&[r, g, b, 255]), "{shade:?}");
            assert!(is_foreign(&[r ^ 1, g, b, 255]), "{shade:?}");
        }
        let mut screen = Screen::new();
        screen.rgba.chunks_exact_mut(4).for_each(|pixel| pixel.copy_from_slice(&[255, 186, 107, 255]));
        let [left, top, right, bottom] = panel(SIZE.0, SIZE.1);
        screen.fill([left, top, right - 1, bottom - 1], 9);
        screen.tracker.update(&screen.rgba, [0, 0, SIZE.0 - 1, SIZE.1 - 1]);
        assert_eq!(screen.tracker.state(Instant::now()).kind, ScreenKind::Covered);
        assert_eq!(screen.fill([0, 0, 0, 0], 255), ScreenKind::Desktop, "one pixel that no cover shows");
        assert_eq!(screen.tracker.state(Instant::now()).light, None);
    }

    #[test]
    fn the_light_of_a_cover_is_told_and_that_of_a_desktop_is_not() {
        let mut screen = Screen::new();
        let (everything, warm) = ([0, 0, SIZE.0 - 1, SIZE.1 - 1], [255, 186, 107]);
        let paint = |screen: &mut Screen, rows: std::ops::Range<usize>| {
            let stride = usize::from(SIZE.0) * 4;
            for pixel in screen.rgba[rows.start * stride..rows.end * stride].chunks_exact_mut(4) {
                pixel.copy_from_slice(&[warm[0], warm[1], warm[2], 255]);
            }
            screen.tracker.update(&screen.rgba, everything);
            screen.tracker.state(Instant::now())
        };
        screen.fill(everything, 0);
        assert_eq!(screen.tracker.state(Instant::now()).light, None, "black");
        assert_eq!(paint(&mut screen, 0..40).light, None, "most of it is black still");
        let lit = paint(&mut screen, 0..150);
        assert_eq!((lit.kind, lit.light), (ScreenKind::Covered, Some(warm)));
        let [left, top, right, bottom] = panel(SIZE.0, SIZE.1);
        screen.fill([left, top, right - 1, bottom - 1], 0);
        assert_eq!(screen.tracker.state(Instant::now()).light, Some(warm), "the panel stays dark");
        screen.fill(everything, 200);
        assert_eq!(screen.tracker.state(Instant::now()).light, None, "a desktop");
        screen.fill(everything, 0);
        assert_eq!(screen.tracker.state(Instant::now()).light, None, "black again");
    }

    #[test]
    fn updates_outside_the_screen_are_harmless() {
        let mut screen = Screen::new();
        screen.tracker.update(&screen.rgba, [0, 0, u16::MAX, u16::MAX]);
        screen.tracker.update(&screen.rgba[..10], [5, 5, 0, 0]);
        screen.tracker.update(&[], [0, 0, 9, 9]);
        assert_eq!(screen.tracker.state(Instant::now()).kind, ScreenKind::Black);
    }
}
