//! Pictures of an X display, and whose pixels are in them.

use std::os::fd::OwnedFd;
use std::path::Path;

use anyhow::{Context as _, ensure};
use image::RgbImage;
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use serde::Serialize;
use x11rb::connection::Connection as _;
use x11rb::protocol::shm::{self, ConnectionExt as _};
use x11rb::protocol::xproto::{
    ChangeWindowAttributesAux, ConnectionExt as _, ImageFormat, ImageOrder, Window,
};
use x11rb::rust_connection::RustConnection;

use super::palette::{self, Owner};

/// Bytes of a pixel at depth 24.
const PIXEL_BYTES: usize = 4;

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
    fn add(&mut self, owner: Owner, x: usize) {
        if owner == Owner::Moving {
            self.bar_x = Some(self.bar_x.map_or(x, |known| known.min(x)));
        }
        *match owner {
            Owner::Backdrop => &mut self.backdrop,
            Owner::Black => &mut self.black,
            Owner::Desktop | Owner::Moving => &mut self.desktop,
            Owner::Hostile => &mut self.hostile,
            Owner::Other => &mut self.other,
        } += 1;
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

/// A display, and shared memory that the X server writes its pictures to.
pub struct Screen {
    connection: RustConnection,
    root: Window,
    pub width: u16,
    pub height: u16,
    segment: shm::Seg,
    memory: OwnedFd,
    /// The bytes of the last picture, kept to be used again.
    raw: Vec<u8>,
}

impl std::fmt::Debug for Screen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Screen({}x{})", self.width, self.height)
    }
}

impl Screen {
    pub fn open(display: &str) -> anyhow::Result<Self> {
        let (connection, number) = x11rb::connect(Some(display))
            .with_context(|| format!("the display {display} cannot be opened"))?;
        let setup = connection.setup();
        let screen = setup.roots.get(number).context("the display has no screen")?;
        let (root, width, height) = (screen.root, screen.width_in_pixels, screen.height_in_pixels);
        ensure!(
            screen.root_depth == 24 && setup.image_byte_order == ImageOrder::LSB_FIRST,
            "the display is not 24 bits deep, least byte first"
        );
        let bytes = usize::from(width) * usize::from(height) * PIXEL_BYTES;
        let memory = memfd_create("sudare-screen", MemfdFlags::CLOEXEC)?;
        ftruncate(&memory, u64::try_from(bytes)?)?;
        let segment = connection.generate_id()?;
        connection.shm_attach_fd(segment, memory.try_clone()?, false)?.check()?;
        Ok(Screen { connection, root, width, height, segment, memory, raw: vec![0; bytes] })
    }

    /// Paints what is behind all windows.
    pub fn set_backdrop(&self) -> anyhow::Result<()> {
        let colour = palette::pixel_value(palette::BACKDROP);
        let attributes = ChangeWindowAttributesAux::new().background_pixel(colour);
        self.connection.change_window_attributes(self.root, &attributes)?;
        self.connection.clear_area(false, self.root, 0, 0, 0, 0)?;
        // Any answer says that the server has done what came before.
        self.connection.get_input_focus()?.reply()?;
        Ok(())
    }

    /// Counts the pixels of each `step`th row and column of a new picture.
    pub fn count(&mut self, step: usize) -> anyhow::Result<Count> {
        let step = step.max(1);
        self.take(step)?;
        let mut count = Count::default();
        // Neighbours are mostly equal, and looking up an owner is what takes time.
        let mut last = ([0; 3], palette::owner([0; 3]));
        for row in self.raw.chunks_exact(usize::from(self.width) * PIXEL_BYTES).step_by(step) {
            for (x, pixel) in row.chunks_exact(PIXEL_BYTES).enumerate().step_by(step) {
                if let [blue, green, red, _] = *pixel {
                    let colour = [red, green, blue];
                    if colour != last.0 {
                        last = (colour, palette::owner(colour));
                    }
                    count.add(last.1, x);
                }
            }
        }
        Ok(count)
    }

    /// Takes a new picture and saves it.
    pub fn save(&mut self, path: &Path) -> anyhow::Result<()> {
        self.take(1)?;
        self.save_last(path)
    }

    /// Saves the picture that was counted last, all of it.
    pub fn save_last(&mut self, path: &Path) -> anyhow::Result<()> {
        // The shared memory still holds the rows that were left out.
        self.read_rows(1)?;
        let colours = self.raw.chunks_exact(PIXEL_BYTES).flat_map(|p| [p[2], p[1], p[0]]).collect();
        let picture = RgbImage::from_raw(self.width.into(), self.height.into(), colours)
            .context("the picture has another size than the screen")?;
        picture.save(path).with_context(|| format!("cannot save {}", path.display()))
    }

    /// Has the server write a picture, and reads each `step`th row of it.
    fn take(&mut self, step: usize) -> anyhow::Result<()> {
        let (width, height) = (self.width, self.height);
        let format = u8::from(ImageFormat::Z_PIXMAP);
        self.connection
            .shm_get_image(self.root, 0, 0, width, height, !0, format, self.segment, 0)?
            .reply()
            .context("the display gave no picture")?;
        self.read_rows(step)
    }

    fn read_rows(&mut self, step: usize) -> anyhow::Result<()> {
        let row_bytes = usize::from(self.width) * PIXEL_BYTES;
        if step == 1 {
            return read_all(&self.memory, 0, &mut self.raw);
        }
        for (n, row) in self.raw.chunks_exact_mut(row_bytes).enumerate().step_by(step) {
            read_all(&self.memory, n * row_bytes, row)?;
        }
        Ok(())
    }
}

fn read_all(memory: &OwnedFd, from: usize, into: &mut [u8]) -> anyhow::Result<()> {
    let mut done = 0;
    while let Some(rest) = into.get_mut(done..).filter(|rest| !rest.is_empty()) {
        let read = rustix::io::pread(memory, rest, u64::try_from(from + done)?)?;
        ensure!(read > 0, "the shared memory is shorter than the picture");
        done += read;
    }
    Ok(())
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
}
