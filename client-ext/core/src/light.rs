//! Is the camera blocked? A hand, a sticker or a closed shutter gives a dark or uniform picture. Pure.
//!
//! Used only for pictures without a face, because somebody in the light of a screen at night can be dark and yet
//! plainly visible. Thresholds: below a mean luma of [`DARK_MEAN`] of 255 the detector may miss a person; a
//! spread (standard deviation) under [`EVEN_SPREAD`] is less than the shading that any scene has.
//! A finger on the lens in a lit room gives an even, warm picture, which is why darkness alone is not enough.

use crate::frame::Frame;

/// Below this mean luma it is too dark to watch.
pub const DARK_MEAN: f64 = 16.0;
/// Below this standard deviation of luma the picture is too uniform to be a scene.
pub const EVEN_SPREAD: f64 = 6.0;
/// Every how many pixels, across and down, are sampled.
const STEP_PX: usize = 4;

/// Whether this frame shows nothing.
#[must_use]
pub fn is_blocked(frame: &Frame) -> bool {
    let (mean, spread) = luma(frame);
    mean < DARK_MEAN || spread < EVEN_SPREAD
}

/// Mean and standard deviation of luma (BT.601) over a grid of pixels, 0 to 255.
#[must_use]
pub fn luma(frame: &Frame) -> (f64, f64) {
    let row_bytes = (frame.width as usize).saturating_mul(3).max(3);
    let (mut count, mut sum, mut squares) = (0_u64, 0_u64, 0_u64);
    for row in frame.rgb.chunks_exact(row_bytes).step_by(STEP_PX) {
        for pixel in row.chunks_exact(3).step_by(STEP_PX) {
            let (r, g, b) = (u64::from(pixel[0]), u64::from(pixel[1]), u64::from(pixel[2]));
            let luma = (299 * r + 587 * g + 114 * b) / 1000;
            count += 1;
            sum += luma;
            squares += luma * luma;
        }
    }
    if count == 0 {
        return (0.0, 0.0);
    }
    #[allow(clippy::cast_precision_loss, reason = "sums over one frame are far below 2^52")]
    let (count, sum, squares) = (count as f64, sum as f64, squares as f64);
    let mean = sum / count;
    (mean, (squares / count - mean * mean).max(0.0).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(pixel: impl Fn(u32, u32) -> u8) -> Frame {
        let (width, height) = (160, 120);
        let rgb =
            (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).flat_map(|(x, y)| [pixel(x, y); 3]);
        Frame { width, height, rgb: rgb.collect(), t_ms: 0, seq: 0 }
    }

    /// A cheap sensor's noise.
    fn noise(x: u32, y: u32, amplitude: u32) -> u8 {
        ((x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503)).wrapping_mul(97) % (amplitude + 1))
            .to_le_bytes()[0]
    }

    #[test]
    fn a_covered_lens_is_blocked_in_the_dark_and_in_the_light() {
        assert!(is_blocked(&frame(|x, y| noise(x, y, 12))), "a sticker with sensor noise");
        assert!(is_blocked(&frame(|x, y| 120 + noise(x, y, 8))), "a finger in a lit room");
        assert!(is_blocked(&frame(|_, _| 255)), "a lamp into the lens");
    }

    #[test]
    fn a_dim_room_is_not_blocked() {
        assert!(!is_blocked(&frame(|x, y| 10 + (x / 4).to_le_bytes()[0] + noise(x, y, 6))));
        assert!(!is_blocked(&frame(|x, _| if x < 80 { 20 } else { 60 })));
    }

    #[test]
    fn a_frame_without_pixels_is_blocked() {
        assert!(is_blocked(&Frame { width: 0, height: 0, rgb: Vec::new(), t_ms: 0, seq: 0 }));
    }
}
