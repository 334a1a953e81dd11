//! What somebody puts over the lens, so near to it that nothing of it is sharp.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "pixels of a webcam's picture"
)]

use image::{Rgb, RgbImage, imageops};

/// What it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LensCover {
    /// Lit through and between the fingers, and never quite still.
    Hand,
    Paper,
    /// Grease: the room is there, as light and colour.
    Smear,
    Cap,
}

impl LensCover {
    pub(super) const ALL: [LensCover; 4] =
        [LensCover::Hand, LensCover::Paper, LensCover::Smear, LensCover::Cap];

    /// Before light and noise of picture number `n`.
    pub(super) fn put_over(self, picture: &mut RgbImage, n: u64) {
        let t = n as f32 * 0.1;
        match self {
            LensCover::Smear => *picture = imageops::fast_blur(picture, 24.0),
            LensCover::Cap => picture.pixels_mut().for_each(|pixel| *pixel = Rgb([4, 4, 5])),
            LensCover::Paper => paint(picture, |x, y| {
                let fibres = wave(x * 0.045 + y * 0.02) * 5.0 + wave(y * 0.05 - x * 0.013) * 4.0;
                [226.0, 222.0, 210.0].map(|c| c - (x - 0.4 * y) * 0.06 + fibres)
            }),
            LensCover::Hand => paint(picture, |x, y| {
                let (x, y) = (x + wave(t * 0.9) * 9.0, y + wave(t * 0.7) * 7.0);
                let fingers = wave(x * 0.021 + 0.6 * wave(y * 0.006)) * 34.0 + wave(y * 0.013) * 10.0;
                let glow = (x * 0.02 + y * 0.05).min(40.0);
                [128.0 + fingers + glow, 74.0 + fingers * 0.55 + glow * 0.3, 58.0 + fingers * 0.4]
            }),
        }
    }
}

fn wave(phase: f32) -> f32 {
    phase.sin()
}

fn paint(picture: &mut RgbImage, colour: impl Fn(f32, f32) -> [f32; 3]) {
    for (x, y, pixel) in picture.enumerate_pixels_mut() {
        *pixel = Rgb(colour(x as f32, y as f32).map(|c| c.clamp(0.0, 255.0) as u8));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean difference of pixels that lie two apart.
    fn detail(picture: &RgbImage) -> f32 {
        let step = |x: u32, y: u32| f32::from(picture.get_pixel(x, y).0[1]);
        let all = (0..480).flat_map(|y| (0..638).map(move |x| (x, y)));
        all.map(|(x, y)| (step(x, y) - step(x + 2, y)).abs()).sum::<f32>() / (638.0 * 480.0)
    }

    #[test]
    fn nothing_of_it_is_sharp_and_hand_and_paper_are_not_uniform() {
        let room =
            RgbImage::from_fn(640, 480, |x, y| Rgb([if (x / 4 + y / 4) % 2 == 0 { 30 } else { 220 }; 3]));
        for cover in LensCover::ALL {
            let mut covered = room.clone();
            cover.put_over(&mut covered, 7);
            assert!(detail(&covered) < 3.0 && detail(&room) > 60.0, "{cover:?}");
            let values = || covered.pixels().map(|pixel| pixel.0[1]);
            let spread = values().max().unwrap_or(0) - values().min().unwrap_or(0);
            assert!(
                !matches!(cover, LensCover::Hand | LensCover::Paper) || spread > 30,
                "{cover:?} {spread}"
            );
        }
    }
}
