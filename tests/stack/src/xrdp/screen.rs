//! Pictures of a private screen, and whose pixels are in them.

use std::path::Path;

use anyhow::Context as _;
use image::RgbImage;
use serde::Serialize;

use super::client::PrivateScreen;
use super::framebuffer::{Framebuffer, PIXEL_BYTES, is_lit};
use super::palette::{self, Owner};

/// How many pixels belong to whom.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    pub backdrop: usize,
    pub black: usize,
    pub desktop: usize,
    pub hostile: usize,
    pub other: usize,
    /// Where on the desktop the moving bar is, from the left.
    pub bar_x: Option<usize>,
}

impl Count {
    /// `x`: of the leftmost.
    fn add(&mut self, owner: Owner, x: usize, pixels: usize) {
        if owner == Owner::Moving {
            self.bar_x = Some(self.bar_x.map_or(x, |known| known.min(x)));
        }
        *match owner {
            Owner::Backdrop => &mut self.backdrop,
            Owner::Black => &mut self.black,
            Owner::Desktop | Owner::Moving => &mut self.desktop,
            Owner::Hostile => &mut self.hostile,
            Owner::Other => &mut self.other,
        } += pixels;
    }

    /// Adds each `step`th pixel of a row.
    fn add_row(&mut self, row: &[u8], step: usize) {
        let pixels = || row.as_chunks::<PIXEL_BYTES>().0.iter().step_by(step);
        if !is_lit(row) {
            return self.add(Owner::Black, 0, pixels().len());
        }
        // Neighbours are mostly equal, and looking up an owner is what takes time.
        let (mut colour, mut begun, mut run) = ([0; 3], 0, 0);
        for (n, [blue, green, red, _]) in pixels().enumerate() {
            let found = [*red, *green, *blue];
            if found == colour {
                run += 1;
                continue;
            }
            self.add(palette::owner(colour), begun * step, run);
            (colour, begun, run) = (found, n, 1);
        }
        self.add(palette::owner(colour), begun * step, run);
    }

    pub fn all(&self) -> usize {
        self.backdrop + self.black + self.desktop + self.hostile + self.other
    }

    /// Pixels of the user, whichever program drew them.
    pub fn users(&self) -> usize {
        self.desktop + self.hostile
    }

    /// The desktop fills most of the picture.
    pub fn is_desktop(&self) -> bool {
        self.desktop * 10 > self.all() * 8
    }

    /// Nothing of the user, and mostly black: words and a logo are the rest.
    pub fn is_cover(&self) -> bool {
        self.users() == 0 && self.black * 10 > self.all() * 6
    }

    /// xfreerdp shows no window.
    pub fn is_empty(&self) -> bool {
        self.backdrop * 10 > self.all() * 8
    }
}

/// A private screen, and the last picture of it.
#[derive(Debug)]
pub struct Screen {
    framebuffer: Framebuffer,
    /// The bytes of the last picture, kept to be used again.
    raw: Vec<u8>,
}

impl Screen {
    pub fn of(private: &PrivateScreen) -> anyhow::Result<Self> {
        Ok(Screen { framebuffer: private.framebuffer()?, raw: Vec::new() })
    }

    /// Counts the pixels of each `step`th row and column of a new picture.
    pub fn count(&mut self, step: usize) -> anyhow::Result<Count> {
        let step = step.max(1);
        self.framebuffer.read(&mut self.raw)?;
        let mut count = Count::default();
        for row in self.raw.chunks_exact(self.framebuffer.row_bytes()).step_by(step) {
            count.add_row(row, step);
        }
        Ok(count)
    }

    /// The part of the desktop that does not move: its bar is in the upper quarter, and the pointer in the middle.
    pub fn lower(&mut self) -> anyhow::Result<Vec<u8>> {
        self.framebuffer.read(&mut self.raw)?;
        Ok(self.raw.get(self.raw.len() * 3 / 5..).unwrap_or_default().to_vec())
    }

    /// Takes a new picture and saves it.
    pub fn save(&mut self, path: &Path) -> anyhow::Result<()> {
        self.framebuffer.read(&mut self.raw)?;
        self.save_last(path)
    }

    /// Saves the picture that was counted last.
    pub fn save_last(&self, path: &Path) -> anyhow::Result<()> {
        save(&self.framebuffer, &self.raw, path)
    }
}

/// Saves the bytes of a whole picture.
pub fn save(screen: &Framebuffer, raw: &[u8], path: &Path) -> anyhow::Result<()> {
    let colours = raw.as_chunks::<PIXEL_BYTES>().0.iter().flat_map(|[b, g, r, _]| [*r, *g, *b]).collect();
    let picture = RgbImage::from_raw(screen.width.into(), screen.height.into(), colours)
        .context("the picture has another size than the screen")?;
    picture.save(path).with_context(|| format!("cannot save {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_pixel_of_the_user_is_enough_to_spoil_a_cover() {
        let cover = Count { black: 900, other: 100, ..Count::default() };
        assert!(cover.is_cover() && !cover.is_desktop());
        assert!(!Count { desktop: 1, ..cover }.is_cover());
        assert!(!Count { hostile: 1, ..cover }.is_cover());
        // A screen without the client does not count as a cover either.
        assert!(!Count { backdrop: 1000, ..Count::default() }.is_cover());
        assert!(Count { desktop: 900, other: 100, ..Count::default() }.is_desktop());
    }

    #[test]
    fn each_pixel_of_a_row_is_counted_once_and_the_bar_has_its_left_edge() {
        let [desktop, moving] = [palette::DESKTOP[0], palette::MOVING];
        let colours = [[0, 0, 0], desktop, desktop, moving, moving, [0, 0, 0], [0, 0, 0], moving];
        let row: Vec<u8> = colours.iter().flat_map(|[r, g, b]| [*b, *g, *r, 0xFF]).collect();
        let mut count = Count::default();
        count.add_row(&row, 1);
        assert_eq!(count, Count { black: 3, desktop: 5, bar_x: Some(3), ..Count::default() });
        let mut count = Count::default();
        count.add_row(&row, 2);
        assert_eq!(count, Count { black: 2, desktop: 2, bar_x: Some(4), ..Count::default() });
        let mut count = Count::default();
        count.add_row(&[0; 8 * PIXEL_BYTES], 3);
        assert_eq!(count, Count { black: 3, ..Count::default() });
    }
}
