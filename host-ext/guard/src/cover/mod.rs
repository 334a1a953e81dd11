//! The pictures of the display gate: what a covered session shows.
//!
//! A cover is black everywhere except for text inside the *panel*, the centred rectangle of
//! [`panel`]. A client can therefore tell a cover from a desktop by looking at its own picture:
//! every pixel outside the panel is exactly black.

pub mod canvas;
pub mod fonts;

use std::sync::Arc;

use crate::screen::{CoverText, Screenshot};
use canvas::{Canvas, Rect};
use fonts::Fonts;

/// Text is kept narrower than the panel, so that it is read at one glance.
const TEXT_WIDTH_PERCENT: u32 = 60;
/// Sizes tried from large to small, in thousandths of the screen's height.
const TEXT_SIZES_PERMILLE: [u16; 6] = [50, 44, 38, 32, 26, 22];
const LINE_HEIGHT: f32 = 1.5;
const HEADLINE: [u8; 3] = [255, 255, 255];
const BODY: [u8; 3] = [200, 205, 210];

/// The rectangle outside which a cover is black (`sudare_protocol::screen`).
#[must_use]
pub fn panel(width: u16, height: u16) -> Rect {
    let [left, top, right, bottom] = sudare_protocol::screen::panel(width, height);
    Rect { x: left, y: top, width: right - left, height: bottom - top }
}

/// Draws the cover for a screen of this size. Lines for which no font has the characters are
/// left out; without any font the cover is black.
#[must_use]
pub fn draw(fonts: &Fonts, text: &CoverText, width: u16, height: u16) -> Screenshot {
    let mut bgra = black(width, height);
    let mut canvas = Canvas::new(&mut bgra, width, height);
    let lines: Vec<&str> =
        text.lines.iter().map(String::as_str).filter(|line| fonts.can_draw(line)).collect();
    let bounds = panel(width, height);
    canvas.clip(bounds);
    let max_width = f32::from(width) * TEXT_WIDTH_PERCENT as f32 / 100.0;
    let (size_px, rows) = fit(fonts, &lines, max_width, f32::from(bounds.height), height);
    let row_px = size_px * LINE_HEIGHT;
    let mut y = f32::from(bounds.y) + (f32::from(bounds.height) - row_px * rows.len() as f32) / 2.0;
    for row in &rows {
        let x = (f32::from(width) - fonts.width(size_px, &row.text)) / 2.0;
        let color = if row.line == 0 { HEADLINE } else { BODY };
        fonts.draw(&mut canvas, (x, y), size_px, color, &row.text);
        y += row_px;
    }
    Screenshot { width, height, bgra: Arc::from(bgra) }
}

/// A wholly black picture.
#[must_use]
pub fn black_picture(width: u16, height: u16) -> Screenshot {
    Screenshot { width, height, bgra: Arc::from(black(width, height)) }
}

fn black(width: u16, height: u16) -> Vec<u8> {
    [0, 0, 0, 255].repeat(usize::from(width) * usize::from(height))
}

struct Row {
    line: usize,
    text: String,
}

/// The largest size at which all lines, wrapped, fit; the smallest size if none does (the clip
/// then cuts the rest, so that nothing is ever drawn outside the panel).
fn fit(fonts: &Fonts, lines: &[&str], max_width: f32, max_height: f32, height: u16) -> (f32, Vec<Row>) {
    let mut best = (1.0, Vec::new());
    for permille in TEXT_SIZES_PERMILLE {
        let size_px = (f32::from(height) * f32::from(permille) / 1000.0).max(10.0);
        let rows: Vec<Row> = lines
            .iter()
            .enumerate()
            .flat_map(|(line, text)| {
                fonts.wrap(size_px, text, max_width).into_iter().map(move |text| Row { line, text })
            })
            .collect();
        let fits = rows.len() as f32 * size_px * LINE_HEIGHT <= max_height;
        best = (size_px, rows);
        if fits {
            break;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lit(picture: &Screenshot) -> Vec<(u16, u16)> {
        let width = usize::from(picture.width);
        let pixels = picture.bgra.chunks_exact(4).enumerate();
        pixels
            .filter(|(_, p)| p[..3] != [0, 0, 0])
            .map(|(i, _)| (u16::try_from(i % width).unwrap(), u16::try_from(i / width).unwrap()))
            .collect()
    }

    #[test]
    fn panel_is_centred() {
        assert_eq!(panel(1280, 720), Rect { x: 192, y: 180, width: 896, height: 360 });
        assert_eq!(panel(1, 1), Rect { x: 0, y: 0, width: 0, height: 0 });
    }

    #[test]
    fn text_stays_inside_the_panel_even_when_it_is_far_too_long() {
        let fonts = Fonts::load();
        let long = CoverText { lines: vec!["somebody else looks at the screen ".repeat(60)] };
        let short = CoverText { lines: vec!["The screen is covered.".to_owned()] };
        for (width, height) in [(1280, 720), (201, 203), (1920, 1080)] {
            let bounds = panel(width, height);
            for text in [&long, &short] {
                let lit = lit(&draw(&fonts, text, width, height));
                assert!(lit.iter().all(|&(x, y)| bounds.contains(x, y)));
                assert!(fonts.is_empty() || !lit.is_empty());
            }
        }
    }

    #[test]
    fn without_a_font_the_cover_is_black() {
        let text = CoverText { lines: vec!["covered".to_owned()] };
        assert!(lit(&draw(&Fonts::none(), &text, 320, 200)).is_empty());
    }
}
