//! One picture of the camera. Personal data: no `Serialize`, and its `Debug` shows sizes only.

use std::fmt;

/// One picture, upright, RGB8 without row padding.
#[derive(Clone)]
pub struct Frame {
    pub width: u32,
    pub height: u32,
    /// `width * height * 3` bytes, row by row.
    pub rgb: Vec<u8>,
    /// Media time for files, CLOCK_BOOTTIME for live sources.
    pub t_ms: u64,
    /// Number of the frame in its source, from 0. Skipped frames leave gaps.
    pub seq: u64,
}

impl Frame {
    /// Whether the pixel buffer really has the size that width and height claim.
    #[must_use]
    pub fn is_consistent(&self) -> bool {
        let pixels = u64::from(self.width) * u64::from(self.height);
        let bytes = pixels.checked_mul(3);
        pixels > 0 && bytes.is_some() && u64::try_from(self.rgb.len()).ok() == bytes
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({}x{}, seq {})", self.width, self.height, self.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_sizes_only() {
        let frame = Frame { width: 1, height: 1, rgb: vec![171, 172, 173], t_ms: 5, seq: 9 };
        let shown = format!("{frame:?}");
        assert_eq!(shown, "Frame(1x1, seq 9)");
        assert!(frame.is_consistent());
        assert!(!Frame { width: u32::MAX, height: u32::MAX, ..frame.clone() }.is_consistent());
        assert!(!Frame { width: 0, height: 0, rgb: Vec::new(), ..frame }.is_consistent());
        assert!(!Frame { width: 2, ..frame }.is_consistent());
    }
}
