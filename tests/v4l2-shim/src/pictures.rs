//! What the camera sees: colour bars over a strip that changes, or the files of a folder.

use std::path::Path;

use crate::formats::is_packed;
use crate::plan::Format;

/// The eight bars of ITU-R BT.471 at full saturation as Y, U, V of BT.601 (16 to 235): white, yellow, cyan, green,
/// magenta, red, blue, black.
pub const BARS: [[u8; 3]; 8] = [
    [235, 128, 128],
    [210, 16, 146],
    [170, 166, 16],
    [145, 54, 34],
    [106, 202, 222],
    [81, 90, 240],
    [41, 240, 110],
    [16, 128, 128],
];
/// The strip takes this part of the height, at the bottom.
const STRIP_PART: u32 = 8;
/// After so many rounds through a folder, its pictures are the very same again.
const LAPS: u64 = 32;
/// The steps of a table from here on are for fine details.
const FINE_FROM: usize = 20;
/// Files are kept in memory, so that reading one never delays a picture.
const MAX_FILES: usize = 600;

/// See the module text.
#[derive(Debug, Default)]
pub struct Pictures {
    jpegs: Vec<Vec<u8>>,
}

impl Pictures {
    /// Reads a folder of JPEG files.
    ///
    /// # Errors
    /// It cannot be read, or holds none.
    pub fn load(folder: &Path) -> Result<Self, String> {
        let failed = |e: std::io::Error| format!("{}: {e}", folder.display());
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|e| e == "jpg") {
                paths.push(path);
            }
        }
        paths.sort();
        paths.truncate(MAX_FILES);
        let jpegs: Vec<Vec<u8>> =
            paths.iter().map(std::fs::read).collect::<Result<_, _>>().map_err(failed)?;
        if jpegs.is_empty() {
            return Err(format!("{} holds no .jpg file", folder.display()));
        }
        Ok(Self { jpegs })
    }

    /// The picture with this number, as the device would send it.
    #[must_use]
    pub fn picture(&self, format: &Format, row_padding: u32, number: u64) -> Vec<u8> {
        if is_packed(format) || self.jpegs.is_empty() {
            return bars(format, row_padding, number);
        }
        let count = u64::try_from(self.jpegs.len()).unwrap_or(1);
        let at = usize::try_from(number % count).unwrap_or(0);
        let mut jpeg = self.jpegs.get(at).cloned().unwrap_or_default();
        season(&mut jpeg, number / count);
        jpeg
    }
}

/// Changes a picture a little each time that its folder starts over, since no live camera repeats its pixels: the
/// steps in which the finest details of the first table are counted.
fn season(jpeg: &mut [u8], lap: u64) {
    let Some(at) = jpeg.windows(2).position(|two| two == [0xFF, 0xDB]) else { return };
    let change = u8::try_from(lap % LAPS).unwrap_or(0);
    // Behind marker, length, the table's number and its steps for what is coarser.
    jpeg.iter_mut()
        .skip(at + 5 + FINE_FROM)
        .take(64 - FINE_FROM)
        .for_each(|step| *step = step.saturating_add(change));
}

/// Packed 4:2:2. The strip has the noise of a sensor: no two pictures have the same pixels.
fn bars(format: &Format, row_padding: u32, number: u64) -> Vec<u8> {
    let strip_from = format.height - format.height / STRIP_PART;
    let strip_luma = 16 + u8::try_from(number * 5 % 220).unwrap_or(0);
    let mut out = Vec::new();
    for row in 0..format.height {
        for pair in 0..format.width / 2 {
            let bar = usize::try_from(pair * 2 * 8 / format.width).unwrap_or(0);
            let [y, u, v] = if row < strip_from {
                BARS.get(bar).copied().unwrap_or_default()
            } else {
                // As many bits of the number as there are pairs, over and over.
                [strip_luma + u8::from(number >> (pair % 64) & 1 == 1), 128, 128]
            };
            out.extend_from_slice(&if &format.fourcc == b"UYVY" { [u, y, v, y] } else { [y, u, y, v] });
        }
        // Of another colour than anything else: whoever takes it for pixels sees it.
        out.extend((0..row_padding).map(|_| 0xE5));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Format = Format { fourcc: *b"YUYV", width: 16, height: 8, interval: (1, 30) };

    #[test]
    fn bars_stand_side_by_side_and_only_the_strip_changes() {
        let (first, second) = (bars(&SMALL, 0, 0), bars(&SMALL, 0, 1));
        assert_eq!(first.len(), 16 * 8 * 2);
        assert_eq!(&first[..8], [235, 128, 235, 128, 210, 16, 210, 146]);
        assert_eq!(first[..16 * 7 * 2], second[..16 * 7 * 2]);
        assert_ne!(first[16 * 7 * 2..], second[16 * 7 * 2..]);
        // The brightness of the strip comes again after 44 pictures, its noise does not.
        let wide = Format { width: 160, ..SMALL };
        assert_ne!(bars(&wide, 0, 3), bars(&wide, 0, 3 + 44));
    }

    #[test]
    fn rows_are_padded_and_colours_come_first_where_the_format_says_so() {
        let uyvy = Format { fourcc: *b"UYVY", ..SMALL };
        let picture = bars(&uyvy, 3, 0);
        assert_eq!(picture.len(), (16 * 2 + 3) * 8);
        assert_eq!(picture[..4], [128, 235, 128, 235]);
        assert_eq!((picture[31], picture[32], picture[35]), (16, 0xE5, 128));
    }

    #[test]
    fn a_folder_that_starts_over_sends_other_steps_of_the_same_picture() {
        let jpeg = [&[0xFF, 0xD8, 0xFF, 0xDB, 0, 67, 0][..], &[9; 64]].concat();
        let pictures = Pictures { jpegs: vec![jpeg.clone()] };
        let format = Format { fourcc: *b"MJPG", ..SMALL };
        let sent: Vec<_> = (0..3).map(|n| pictures.picture(&format, 0, n)).collect();
        assert_eq!(sent[0], jpeg);
        assert!(sent[0] != sent[1] && sent[1] != sent[2] && sent[1][..27] == jpeg[..27]);
    }

    #[test]
    fn files_are_sent_in_the_order_of_their_names_and_over_again() {
        let folder = std::env::temp_dir().join(format!("sudare-shim-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for name in ["2.jpg", "1.jpg", "notes.txt"] {
            std::fs::write(folder.join(name), name).unwrap();
        }
        let pictures = Pictures::load(&folder).unwrap();
        let format = Format { fourcc: *b"MJPG", ..SMALL };
        let sent: Vec<_> = (0..3).map(|n| pictures.picture(&format, 0, n)).collect();
        assert_eq!(sent, [b"1.jpg", b"2.jpg", b"1.jpg"]);
        assert_eq!(pictures.picture(&SMALL, 0, 0), bars(&SMALL, 0, 0));
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(Pictures::load(&folder).is_err());
    }
}
