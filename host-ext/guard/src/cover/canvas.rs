//! A rectangle, and a BGRA picture one can draw on.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of 0 to 1 becomes 0 to 256"
)]

/// A rectangle in pixels; the right and bottom edges are exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rect {
    /// Left edge.
    pub x: u16,
    /// Top edge.
    pub y: u16,
    /// Width in pixels; zero means empty.
    pub width: u16,
    /// Height in pixels; zero means empty.
    pub height: u16,
}

impl Rect {
    /// Whether the pixel lies inside.
    #[must_use]
    pub fn contains(&self, x: u16, y: u16) -> bool {
        x >= self.x && y >= self.y && x - self.x < self.width && y - self.y < self.height
    }

    fn intersect(&self, other: &Rect) -> Rect {
        let (x, y) = (self.x.max(other.x), self.y.max(other.y));
        let right = self.x.saturating_add(self.width).min(other.x.saturating_add(other.width));
        let bottom = self.y.saturating_add(self.height).min(other.y.saturating_add(other.height));
        Rect { x, y, width: right.saturating_sub(x), height: bottom.saturating_sub(y) }
    }
}

/// Draws on borrowed BGRA pixels; everything outside the clip is left alone.
#[derive(Debug)]
pub struct Canvas<'a> {
    bgra: &'a mut [u8],
    width: u16,
    clip: Rect,
}

impl<'a> Canvas<'a> {
    /// Draws on `width * height` pixels of four bytes each, top row first.
    pub fn new(bgra: &'a mut [u8], width: u16, height: u16) -> Self {
        Self { bgra, width, clip: Rect { x: 0, y: 0, width, height } }
    }

    /// Keeps all further drawing inside this rectangle.
    pub fn clip(&mut self, bounds: Rect) {
        self.clip = self.clip.intersect(&bounds);
    }

    /// Fills a rectangle with one colour (red, green, blue).
    pub fn fill(&mut self, rect: Rect, color: [u8; 3]) {
        let rect = rect.intersect(&self.clip);
        for y in rect.y..rect.y + rect.height {
            for x in rect.x..rect.x + rect.width {
                self.blend(i32::from(x), i32::from(y), color, 1.0);
            }
        }
    }

    /// Mixes a colour into one pixel; `share` is 0 (leave it) to 1 (replace it).
    pub fn blend(&mut self, x: i32, y: i32, color: [u8; 3], share: f32) {
        let (Ok(x), Ok(y)) = (u16::try_from(x), u16::try_from(y)) else { return };
        if !self.clip.contains(x, y) {
            return;
        }
        let at = (usize::from(y) * usize::from(self.width) + usize::from(x)) * 4;
        let Some(pixel) = self.bgra.get_mut(at..at + 4) else { return };
        // 8-bit fixed point: the share is in 0..=256, so the sum cannot leave a byte.
        let share = (share.clamp(0.0, 1.0) * 256.0).round() as u32;
        for (old, new) in pixel.iter_mut().zip(color.into_iter().rev()) {
            let mixed = (u32::from(*old) * (256 - share) + u32::from(new) * share) >> 8;
            *old = u8::try_from(mixed).unwrap_or(u8::MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawing_outside_changes_nothing() {
        let mut pixels = vec![7; 4 * 4 * 4];
        let mut canvas = Canvas::new(&mut pixels, 4, 4);
        canvas.clip(Rect { x: 1, y: 1, width: 2, height: 2 });
        canvas.fill(Rect { x: 0, y: 0, width: 100, height: 100 }, [1, 2, 3]);
        canvas.blend(-1, 2, [1, 2, 3], 1.0);
        canvas.blend(3, 3, [1, 2, 3], 1.0);
        let changed: Vec<usize> =
            pixels.chunks(4).enumerate().filter(|(_, p)| p[0] != 7).map(|(i, _)| i).collect();
        assert_eq!(changed, [5, 6, 9, 10]);
        assert_eq!(pixels[20..23], [3, 2, 1]);
    }
}
