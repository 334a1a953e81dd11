//! What a private screen shows, read from the file in which Xvfb keeps its pixels: no question to a server that must
//! first find the time to answer, and no picture that is out of date. The pointer is in it as well.
//!
//! The file is an X window dump (`XWDFile.h`): a header, colours, then rows of four bytes a pixel, blue first.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::{Context as _, ensure};

/// Bytes of a pixel at depth 24.
pub const PIXEL_BYTES: usize = 4;
/// Of a header, in numbers of four bytes, most significant first.
const FIELDS: usize = 25;
/// Of a colour in the table before the pixels.
const COLOUR_BYTES: usize = 12;
/// So many rows stay in the processor's cache while they are looked at.
const ROWS_AT_ONCE: usize = 32;

/// The pixels of one screen.
#[derive(Debug)]
pub struct Framebuffer {
    file: File,
    /// Where the pixels begin.
    first: u64,
    pub width: u16,
    pub height: u16,
}

impl Framebuffer {
    /// Of the server that was started with `-fbdir FOLDER`.
    pub fn open(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join("Xvfb_screen0");
        let file = File::open(&path).with_context(|| path.display().to_string())?;
        let mut header = [0; FIELDS * 4];
        file.read_exact_at(&mut header, 0).context("Xvfb's file has no header")?;
        let field = |n: usize| {
            let bytes = header.get(n * 4..n * 4 + 4)?;
            usize::try_from(u32::from_be_bytes(bytes.try_into().ok()?)).ok()
        };
        let named = |n| field(n).context("Xvfb's file has a short header");
        let (length, width, height, row, colours) = (named(0)?, named(4)?, named(5)?, named(12)?, named(19)?);
        ensure!(
            named(11)? == PIXEL_BYTES * 8 && named(7)? == 0 && row == width * PIXEL_BYTES,
            "the screen is not 24 bits deep, least byte first, row after row"
        );
        let first = u64::try_from(length + colours * COLOUR_BYTES)?;
        Ok(Self { file, first, width: u16::try_from(width)?, height: u16::try_from(height)? })
    }

    pub fn row_bytes(&self) -> usize {
        usize::from(self.width) * PIXEL_BYTES
    }

    /// Reads the whole screen.
    pub fn read(&self, into: &mut Vec<u8>) -> anyhow::Result<()> {
        into.resize(self.row_bytes() * usize::from(self.height), 0);
        Ok(self.file.read_exact_at(into, self.first)?)
    }

    /// Hands out the screen from the top, some rows at a time with the number of their first, until nobody wants more.
    pub fn rows(
        &self,
        buffer: &mut Vec<u8>,
        mut wants_more: impl FnMut(usize, &[u8]) -> bool,
    ) -> anyhow::Result<()> {
        let (row, height) = (self.row_bytes(), usize::from(self.height));
        for first in (0..height).step_by(ROWS_AT_ONCE) {
            buffer.resize(row * ROWS_AT_ONCE.min(height - first), 0);
            self.file.read_exact_at(buffer, self.first + u64::try_from(first * row)?)?;
            if !wants_more(first, buffer) {
                break;
            }
        }
        Ok(())
    }
}

/// Whether any pixel is not black, two at a time. The fourth byte of a pixel is anything.
pub fn is_lit(pixels: &[u8]) -> bool {
    const COLOURS: u64 = 0x00FF_FFFF_00FF_FFFF;
    let (pairs, rest) = pixels.as_chunks::<{ 2 * PIXEL_BYTES }>();
    // Without a branch for each pair it is done for many at once.
    pairs.iter().fold(0, |lit, pair| lit | u64::from_le_bytes(*pair)) & COLOURS != 0
        || rest.iter().take(3).any(|part| *part != 0)
}

/// How many pixels are not black.
pub fn lit(pixels: &[u8]) -> usize {
    pixels.as_chunks::<PIXEL_BYTES>().0.iter().filter(|[blue, green, red, _]| blue | green | red != 0).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bit_of_one_pixel_is_light_and_the_fourth_byte_is_not() {
        for pixels in 1..6 {
            let mut row = [0, 0, 0, 0xFF].repeat(pixels);
            assert!(!is_lit(&row) && lit(&row) == 0);
            for at in (0..row.len()).filter(|at| at % PIXEL_BYTES != 3) {
                row[at] = 1;
                assert!(is_lit(&row) && lit(&row) == 1, "{at} of {pixels} pixels");
                row[at] = 0;
            }
        }
    }

    #[test]
    fn pixels_begin_behind_the_header_and_the_colours() {
        let folder = tempfile::tempdir().unwrap();
        let mut fields = [0_u32; FIELDS];
        for (n, value) in [(0, 104), (4, 3), (5, 40), (11, 32), (12, 12), (19, 2)] {
            fields[n] = value;
        }
        let mut bytes: Vec<u8> = fields.iter().flat_map(|field| field.to_be_bytes()).collect();
        bytes.resize(104 + 2 * COLOUR_BYTES, 9);
        bytes.extend((0..3 * 40_u8).flat_map(|n| [n, 0, 0, 0]));
        std::fs::write(folder.path().join("Xvfb_screen0"), bytes).unwrap();
        let screen = Framebuffer::open(folder.path()).unwrap();
        assert_eq!((screen.width, screen.height), (3, 40));
        let (mut whole, mut parts, mut buffer) = (Vec::new(), Vec::new(), Vec::new());
        screen.read(&mut whole).unwrap();
        screen
            .rows(&mut buffer, |first, rows| {
                assert_eq!(first * 12, parts.len());
                parts.extend_from_slice(rows);
                true
            })
            .unwrap();
        assert_eq!((whole.len(), whole[4]), (3 * 40 * 4, 1));
        assert_eq!(whole, parts);
        let mut asked = 0;
        screen
            .rows(&mut buffer, |_, _| {
                asked += 1;
                false
            })
            .unwrap();
        assert_eq!(asked, 1, "whoever has seen enough reads no more");
    }
}
