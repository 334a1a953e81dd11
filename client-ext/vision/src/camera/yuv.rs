//! YUV to RGB, ITU-R BT.601, 8 bits, in integers.

#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "values are clamped to 0..=255")]

/// Whether luma uses 16..=235 (video) or 0..=255 (JPEG).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    Limited,
    Full,
}

/// One pixel.
#[must_use]
pub fn to_rgb(y: u8, u: u8, v: u8, range: Range) -> [u8; 3] {
    let (u, v) = (i32::from(u) - 128, i32::from(v) - 128);
    // Coefficients times 2^16.
    let (luma, r_v, g_u, g_v, b_u) = match range {
        Range::Limited => ((i32::from(y) - 16) * 76_309, 104_597, 25_675, 53_279, 132_201),
        Range::Full => (i32::from(y) << 16, 91_881, 22_554, 46_802, 116_130),
    };
    let byte = |value: i32| ((value + (1 << 15)) >> 16).clamp(0, 255) as u8;
    [byte(luma + r_v * v), byte(luma - g_u * u - g_v * v), byte(luma + b_u * u)]
}

/// Packed 4:2:2 (`Y0 U Y1 V`) as webcams send it. `None` when the buffer is shorter than the picture.
#[must_use]
pub fn yuyv_to_rgb(width: u32, height: u32, data: &[u8]) -> Option<Vec<u8>> {
    let pixels = usize::try_from(u64::from(width) * u64::from(height)).ok()?;
    let data = data.get(..pixels.checked_mul(2)?)?;
    let mut rgb = Vec::with_capacity(pixels * 3);
    for quad in data.chunks_exact(4) {
        rgb.extend_from_slice(&to_rgb(quad[0], quad[1], quad[3], Range::Limited));
        rgb.extend_from_slice(&to_rgb(quad[2], quad[1], quad[3], Range::Limited));
    }
    (rgb.len() == pixels * 3).then_some(rgb)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_of_the_standard() {
        assert_eq!(to_rgb(16, 128, 128, Range::Limited), [0, 0, 0]);
        assert_eq!(to_rgb(235, 128, 128, Range::Limited), [255, 255, 255]);
        assert_eq!(to_rgb(81, 90, 240, Range::Limited), [254, 0, 0]);
        assert_eq!(to_rgb(255, 128, 128, Range::Full), [255, 255, 255]);
        assert_eq!(to_rgb(76, 85, 255, Range::Full), [254, 0, 0]);
    }

    #[test]
    fn a_short_buffer_is_refused() {
        assert_eq!(yuyv_to_rgb(2, 1, &[235, 128, 16, 128]), Some(vec![255, 255, 255, 0, 0, 0]));
        assert_eq!(yuyv_to_rgb(2, 2, &[235, 128, 16, 128]), None);
        assert_eq!(yuyv_to_rgb(3, 1, &[0; 6]), None);
    }
}
