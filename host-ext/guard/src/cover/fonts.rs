//! Text in the fonts that the system happens to have.
//!
//! No font is shipped: Japanese fonts are large, and every desktop has one. A short list of
//! usual places is searched for one Japanese and one Latin font. A line with a character that
//! none of them has is not drawn at all, because rows of boxes explain nothing.

#![allow(clippy::cast_possible_truncation, reason = "a glyph's place in pixels; the canvas checks it")]

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use ab_glyph::{Font as _, FontVec, GlyphId, PxScale, ScaleFont as _, point};

use super::canvas::Canvas;

/// The largest font file read; the big collections for Chinese, Japanese and Korean take 20 MB.
const MAX_FONT_BYTES: u64 = 64 * 1024 * 1024;
const JAPANESE: &[&str] = &[
    "/usr/share/fonts/opentype/ipafont-gothic/ipagp.ttf",
    "/usr/share/fonts/opentype/ipafont-gothic/ipag.ttf",
    "/usr/share/fonts/opentype/ipaexfont-gothic/ipaexg.ttf",
    "/usr/share/fonts/truetype/vlgothic/VL-PGothic-Regular.ttf",
    "/usr/share/fonts/truetype/vlgothic/VL-Gothic-Regular.ttf",
    "/usr/share/fonts/truetype/fonts-japanese-gothic.ttf",
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/google-noto-cjk/NotoSansCJK-Regular.ttc",
    "C:\\Windows\\Fonts\\YuGothM.ttc",
    "C:\\Windows\\Fonts\\meiryo.ttc",
    "C:\\Windows\\Fonts\\msgothic.ttc",
];
const LATIN: &[&str] = &[
    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
    "/usr/share/fonts/truetype/noto/NotoSans-Regular.ttf",
    "/usr/share/fonts/truetype/liberation/LiberationSans-Regular.ttf",
    "/usr/share/fonts/dejavu-sans-fonts/DejaVuSans.ttf",
    "C:\\Windows\\Fonts\\segoeui.ttf",
];

/// The fonts to draw with, in the order of preference.
pub struct Fonts {
    faces: Vec<FontVec>,
}

impl std::fmt::Debug for Fonts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Fonts({})", self.faces.len())
    }
}

impl Fonts {
    /// Loads what the system has. Warns once when something cannot be shown.
    #[must_use]
    pub fn load() -> Self {
        let japanese = JAPANESE.iter().find_map(|path| read(Path::new(path)));
        if japanese.is_none() {
            tracing::warn!("no Japanese font found; covers show English only. Install fonts-ipafont-gothic");
        }
        let latin = LATIN.iter().find_map(|path| read(Path::new(path)));
        let faces: Vec<FontVec> = latin.into_iter().chain(japanese).collect();
        if faces.is_empty() {
            tracing::warn!("no font found; covers are black without a reason. Install fonts-dejavu-core");
        }
        Self { faces }
    }

    /// No fonts at all: nothing is drawn.
    #[must_use]
    pub fn none() -> Self {
        Self { faces: Vec::new() }
    }

    /// Whether there is nothing to draw with.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.faces.is_empty()
    }

    /// Whether every character of the line can be drawn.
    #[must_use]
    pub fn can_draw(&self, line: &str) -> bool {
        line.chars().all(|c| self.face_of(c).is_some())
    }

    /// Width of the line in pixels.
    #[must_use]
    pub fn width(&self, size_px: f32, line: &str) -> f32 {
        line.chars().map(|c| self.advance(size_px, c)).sum()
    }

    /// Breaks a line so that no row is wider than `max_width`: at a space where there is one,
    /// otherwise between characters, as Japanese is written.
    #[must_use]
    pub fn wrap(&self, size_px: f32, line: &str, max_width: f32) -> Vec<String> {
        let mut rows = Vec::new();
        let mut row = String::new();
        for c in line.chars() {
            if !row.is_empty() && self.width(size_px, &row) + self.advance(size_px, c) > max_width {
                let rest = row.rfind(' ').map(|at| row.split_off(at).trim_start().to_owned());
                rows.push(std::mem::take(&mut row));
                row = rest.unwrap_or_default();
            }
            if !(c == ' ' && row.is_empty()) {
                row.push(c);
            }
        }
        rows.push(row);
        rows.retain(|row| !row.is_empty());
        rows
    }

    /// Draws one line; `at` is the top left corner of its first character's cell.
    pub fn draw(&self, canvas: &mut Canvas<'_>, at: (f32, f32), size_px: f32, color: [u8; 3], line: &str) {
        let (mut x, top) = at;
        for c in line.chars() {
            let Some((face, id)) = self.face_of(c) else { continue };
            let baseline = top + face.as_scaled(PxScale::from(size_px)).ascent();
            let glyph = id.with_scale_and_position(PxScale::from(size_px), point(x, baseline));
            if let Some(outline) = face.outline_glyph(glyph) {
                let origin = outline.px_bounds().min;
                let (left, up) = (origin.x.round() as i32, origin.y.round() as i32);
                outline.draw(|dx, dy, share| {
                    let (dx, dy) = (i32::try_from(dx).unwrap_or(0), i32::try_from(dy).unwrap_or(0));
                    canvas.blend(left.saturating_add(dx), up.saturating_add(dy), color, share);
                });
            }
            x += self.advance(size_px, c);
        }
    }

    fn advance(&self, size_px: f32, c: char) -> f32 {
        self.face_of(c).map_or(0.0, |(face, id)| face.as_scaled(PxScale::from(size_px)).h_advance(id))
    }

    fn face_of(&self, c: char) -> Option<(&FontVec, GlyphId)> {
        self.faces.iter().find_map(|face| {
            let id = face.glyph_id(c);
            // Glyph 0 is the box that stands for a missing character.
            (id.0 != 0).then_some((face, id))
        })
    }
}

fn read(path: &Path) -> Option<FontVec> {
    let mut bytes = Vec::new();
    let file = File::open(path).ok()?;
    file.take(MAX_FONT_BYTES).read_to_end(&mut bytes).ok()?;
    match FontVec::try_from_vec_and_index(bytes, 0) {
        Ok(font) => Some(font),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "this font cannot be read; trying the next");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wraps_at_spaces_and_loses_no_word() {
        let fonts = Fonts::load();
        if fonts.is_empty() {
            return;
        }
        let line = "Somebody else looks at the screen, so it is covered until you are alone again.";
        let rows = fonts.wrap(20.0, line, 200.0);
        assert!(rows.len() > 3);
        assert!(rows.iter().all(|row| fonts.width(20.0, row) <= 200.0));
        assert_eq!(rows.join(" "), line);
    }

    #[test]
    fn a_line_without_glyphs_is_not_drawable() {
        assert!(!Fonts::none().can_draw("a"));
        assert!(!Fonts::load().can_draw("\u{10FFFD}"));
    }
}
