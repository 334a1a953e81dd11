//! The one EXIF field we need: the picture's orientation (TIFF 6.0 tag 0x0112, EXIF 2.32).

/// How stored pixels must be turned to stand upright.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Orientation {
    /// Columns and rows swap places (applied first).
    transpose: bool,
    mirror_x: bool,
    mirror_y: bool,
}

/// Reads the orientation. A missing or invalid one counts as upright, as in every viewer.
#[must_use]
pub fn orientation(exif: &[u8]) -> Orientation {
    // JPEG APP1 puts "Exif\0\0" in front of the TIFF header; PNG does not.
    let tiff = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    let (transpose, mirror_x, mirror_y) = match orientation_tag(tiff) {
        Some(2) => (false, true, false),
        Some(3) => (false, true, true),
        Some(4) => (false, false, true),
        Some(5) => (true, false, false),
        Some(6) => (true, true, false),
        Some(7) => (true, true, true),
        Some(8) => (true, false, true),
        _ => (false, false, false),
    };
    Orientation { transpose, mirror_x, mirror_y }
}

impl Orientation {
    /// Turns an RGB8 picture upright and returns its new width, height and pixels.
    #[must_use]
    pub fn apply(self, width: u32, height: u32, rgb: Vec<u8>) -> (u32, u32, Vec<u8>) {
        if !self.transpose && !self.mirror_x && !self.mirror_y {
            return (width, height, rgb);
        }
        let (out_width, out_height) = if self.transpose { (height, width) } else { (width, height) };
        let mut out = Vec::with_capacity(rgb.len());
        for y in 0..out_height {
            for x in 0..out_width {
                let x = if self.mirror_x { out_width - 1 - x } else { x };
                let y = if self.mirror_y { out_height - 1 - y } else { y };
                let (from_x, from_y) = if self.transpose { (y, x) } else { (x, y) };
                let at = (u64::from(from_y) * u64::from(width) + u64::from(from_x)) * 3;
                let pixel = usize::try_from(at).ok().and_then(|at| rgb.get(at..at + 3));
                out.extend_from_slice(pixel.unwrap_or(&[0; 3]));
            }
        }
        (out_width, out_height, out)
    }
}

fn orientation_tag(tiff: &[u8]) -> Option<u16> {
    let little = match tiff.get(..4)? {
        [b'I', b'I', 42, 0] => true,
        [b'M', b'M', 0, 42] => false,
        _ => return None,
    };
    let u16_at = |at: usize| {
        let bytes: [u8; 2] = tiff.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    };
    let u32_at = |at: usize| {
        let bytes: [u8; 4] = tiff.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    };
    let directory = usize::try_from(u32_at(4)?).ok()?;
    let entries = usize::from(u16_at(directory)?);
    (0..entries)
        .map_while(|i| directory.checked_add(2 + i * 12))
        .find(|&entry| u16_at(entry) == Some(0x0112))
        .and_then(|entry| u16_at(entry + 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exif_with(tag: u8) -> Vec<u8> {
        let mut out = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01".to_vec();
        out.extend_from_slice(&[0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, tag, 0, 0]);
        out
    }

    /// The upright picture is `12 / 34 / 56`; each row lists how the eight orientations store it.
    #[test]
    fn all_eight_orientations_come_out_upright() {
        let stored: [(u8, u32, u32, &[u8]); 8] = [
            (1, 2, 3, &[1, 2, 3, 4, 5, 6]),
            (2, 2, 3, &[2, 1, 4, 3, 6, 5]),
            (3, 2, 3, &[6, 5, 4, 3, 2, 1]),
            (4, 2, 3, &[5, 6, 3, 4, 1, 2]),
            (5, 3, 2, &[1, 3, 5, 2, 4, 6]),
            (6, 3, 2, &[2, 4, 6, 1, 3, 5]),
            (7, 3, 2, &[6, 4, 2, 5, 3, 1]),
            (8, 3, 2, &[5, 3, 1, 6, 4, 2]),
        ];
        for (tag, width, height, pixels) in stored {
            let rgb = pixels.iter().flat_map(|&p| [p; 3]).collect();
            let (w, h, out) = orientation(&exif_with(tag)).apply(width, height, rgb);
            let grey: Vec<u8> = out.chunks(3).map(|p| p[0]).collect();
            assert_eq!((w, h, grey.as_slice()), (2, 3, &[1, 2, 3, 4, 5, 6][..]), "orientation {tag}");
        }
    }

    #[test]
    fn damaged_exif_counts_as_upright() {
        let whole = exif_with(6);
        for len in 0..whole.len() - 2 {
            assert!(!orientation(&whole[..len]).transpose || len >= 26, "cut at {len}");
        }
        assert_eq!(orientation(b"Exif\0\0II*\0\xff\xff\xff\xff"), orientation(b""));
    }
}
