//! The colour of a picture between its pixels, for faces that are cut out turned and scaled.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "picture sides are at most 65,535, and the casts saturate"
)]

use sudare_client_core::frame::Frame;

/// The colour at a point, bilinearly; black outside of the picture.
pub(crate) fn sample(frame: &Frame, [x, y]: [f32; 2]) -> [f32; 3] {
    let (left, top) = (x.floor(), y.floor());
    let (part_x, part_y) = (x - left, y - top);
    let mut colour = [0.0; 3];
    let corners = [
        (0, 0, (1.0 - part_x) * (1.0 - part_y)),
        (1, 0, part_x * (1.0 - part_y)),
        (0, 1, (1.0 - part_x) * part_y),
        (1, 1, part_x * part_y),
    ];
    for (dx, dy, weight) in corners {
        // Casts and sums saturate, so a point far outside stays outside.
        let (x, y) = ((left as i64).saturating_add(dx), (top as i64).saturating_add(dy));
        if let Some(pixel) = pixel(frame, x, y) {
            for (sum, value) in colour.iter_mut().zip(pixel) {
                *sum += weight * f32::from(*value);
            }
        }
    }
    colour
}

fn pixel(frame: &Frame, x: i64, y: i64) -> Option<&[u8]> {
    let inside = (0..i64::from(frame.width)).contains(&x) && (0..i64::from(frame.height)).contains(&y);
    let at = inside.then(|| (y as usize * frame.width as usize + x as usize) * 3)?;
    frame.rgb.get(at..at + 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_pixels_colours_mix_and_outside_it_is_black() {
        let frame = Frame { width: 2, height: 1, rgb: vec![0, 100, 200, 100, 200, 0], t_ms: 0, seq: 0 };
        assert_eq!(sample(&frame, [0.0, 0.0]), [0.0, 100.0, 200.0]);
        assert_eq!(sample(&frame, [0.25, 0.0]), [25.0, 125.0, 150.0]);
        assert_eq!(sample(&frame, [1.5, 0.0]), [50.0, 100.0, 0.0]);
        for outside in [[-1.0, 0.0], [0.0, 7.0], [1e30, -1e30]] {
            assert_eq!(sample(&frame, outside), [0.0; 3]);
        }
        let cut_short = Frame { rgb: vec![9; 3], ..frame };
        assert_eq!(sample(&cut_short, [1.0, 0.0]), [0.0; 3]);
    }
}
