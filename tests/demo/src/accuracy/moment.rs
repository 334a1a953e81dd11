//! A picture of what went wrong, with boxes: who or what else is there in white, what the eyes saw in the colour of whom they saw.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "pixels of a webcam's picture; a box outside is not drawn"
)]

use image::{Rgb, RgbImage};
use sudare_client_core::presence::Who;
use sudare_vision::Seen;

use super::painter::Placed;

/// The picture, and what the eyes said at that time.
#[derive(Debug, Clone)]
pub(super) struct Moment {
    pub(super) picture: RgbImage,
    pub(super) said: String,
}

/// Draws the boxes.
#[must_use]
pub(super) fn draw(painted: &RgbImage, placed: &[Placed], seen: &Seen) -> Moment {
    let mut picture = painted.clone();
    for person in placed.iter().skip(1) {
        let [x, y, w, h] = person.head();
        frame(&mut picture, [x - 3.0, y - 3.0, w + 6.0, h + 6.0], [255, 255, 255]);
    }
    let (mut said, mut missed) = (Vec::new(), 0);
    for mark in seen.marks.iter().flatten() {
        let (colour, name) = match mark.who {
            Who::Operator => ([80, 220, 80], "operator"),
            Who::Stranger => ([240, 60, 60], "stranger"),
            Who::Undecided => ([250, 190, 40], "undecided"),
        };
        if !mark.seen {
            missed += 1;
            continue;
        }
        frame(&mut picture, mark.area, colour);
        let cosine = mark.cosine.map(|cosine| format!(" {cosine:.2}")).unwrap_or_default();
        said.push(format!("{name}{cosine}, weight {:.1}", mark.weight));
    }
    if missed > 0 {
        said.push(format!("{missed} missed"));
    }
    Moment { picture, said: said.join("; ") }
}

fn frame(picture: &mut RgbImage, [x, y, w, h]: [f32; 4], colour: [u8; 3]) {
    let (left, top, right, bottom) = (x as i64, y as i64, (x + w) as i64, (y + h) as i64);
    let mut dot = |x: i64, y: i64| {
        if let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y))
            && x < picture.width()
            && y < picture.height()
        {
            picture.put_pixel(x, y, Rgb(colour));
        }
    };
    // Boxes of people are smaller than any picture; a broken number draws nothing.
    for x in left..=right.min(left + 10_000) {
        dot(x, top);
        dot(x, bottom);
    }
    for y in top..=bottom.min(top + 10_000) {
        dot(left, y);
        dot(right, y);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_over_the_edge_are_cut() {
        let mut picture = RgbImage::new(20, 20);
        frame(&mut picture, [-5.0, 5.0, 10.0, 100.0], [9, 9, 9]);
        frame(&mut picture, [f32::NAN; 4], [8, 8, 8]);
        assert_eq!((picture.get_pixel(3, 5).0[0], picture.get_pixel(5, 19).0[0]), (9, 9));
    }
}
