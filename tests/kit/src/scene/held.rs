//! Pictures of somebody that are held before the camera: a print on paper, and a film on a phone.
//!
//! Both are flat, and a hand moves them. Paper gives back the same share of the light everywhere; the glass of a phone
//! gives back little, and what the phone itself sends does not follow.

#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "pixels of a webcam's picture")]

use std::f32::consts::TAU;

use super::canvas::Canvas;
use super::person::Person;
use super::pose::Pose;
use crate::lighting::Surface;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    Print,
    Film,
}

/// The white edge of a print, and the bezel of a phone, in pixels of the frame.
const MARGIN: f32 = 14.0;
const BEZEL: f32 = 12.0;
const PAPER: [f32; 3] = [203.0, 202.0, 198.0];
const BLACK: [f32; 3] = [18.0, 18.0, 20.0];
/// A display is brighter than the room, and cooler.
const DISPLAY: [f32; 3] = [1.04, 1.08, 1.18];
/// A display is this many times as bright as what the room lights, so the light on its glass is so much less of what it
/// sends. Its picture is not drawn so bright: it would only be burnt out.
const BRIGHTER: f32 = 3.0;
/// How far a print's picture reaches below the top of the face, in heights of it.
const PRINT: f32 = 2.0;
/// How far a phone's picture reaches from the middle of the face: left and right, up, down, in sizes of the face.
const PHONE: [f32; 3] = [0.85, 1.0, 1.1];

/// Where a hand holds it, against where it should be.
struct Hand {
    shift: [f32; 2],
    /// Sine and cosine of how far it is rolled.
    roll: [f32; 2],
    /// As it is turned from the camera, it becomes narrower or flatter.
    stretch: [f32; 2],
}

impl Hand {
    fn at(seconds: f32) -> Self {
        let wave = |period_s: f32| (seconds / period_s * TAU).sin();
        Hand {
            shift: [1.6 * wave(3.9) + 0.5 * wave(1.27), 1.2 * wave(4.3) + 0.4 * wave(0.91)],
            roll: (0.012 * wave(5.3) + 0.004 * wave(1.7)).sin_cos().into(),
            stretch: [0.98 + 0.008 * wave(4.7), 0.99 + 0.006 * wave(3.7)],
        }
    }

    /// From a point of the frame to one of the sheet, both from the middle of the face.
    fn undo(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let [sin, cos] = self.roll;
        let (x, y) = (x - self.shift[0], y - self.shift[1]);
        [(x * cos + y * sin) / self.stretch[0], (y * cos - x * sin) / self.stretch[1]]
    }
}

/// Holds it where the person would sit, with the corner of the cut-out at `at`.
pub(super) fn draw(canvas: &mut Canvas, person: &Person, held: Held, at: [f32; 2], seconds: f32) {
    let ([x, y, w, h], [width, _]) = (person.face(), person.size());
    let middle = [x + w / 2.0, y + h / 2.0];
    // Left, top, right and bottom of what it shows, in the cut-out.
    let ([left, top, right, bottom], margin, edge, received, pose) = match held {
        Held::Print => {
            ([0.0, 0.0, width, y + h * PRINT], MARGIN, PAPER, Surface::Paper.receives(), Pose::STILL)
        }
        Held::Film => {
            let [aside, up, down] = PHONE;
            let part =
                [middle[0] - w * aside, middle[1] - h * up, middle[0] + w * aside, middle[1] + h * down];
            (part, BEZEL, BLACK, Surface::Glass.receives() / BRIGHTER, Pose::at(seconds, 2))
        }
    };
    let hand = Hand::at(seconds);
    let [columns, rows] = canvas.relit.size();
    for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
        let from_middle = [column as f32 - at[0] - middle[0], row as f32 - at[1] - middle[1]];
        let [across, down] = hand.undo(from_middle);
        let point = [middle[0] + across, middle[1] + down];
        let beyond = (left - point[0]).max(point[0] - right).max(top - point[1]).max(point[1] - bottom);
        if beyond > margin {
            continue;
        }
        let colour = match held {
            _ if beyond > 0.0 => edge,
            Held::Print => person.colour_at(&pose, point),
            Held::Film => {
                let [red, green, blue] = person.colour_at(&pose, point);
                [red * DISPLAY[0], green * DISPLAY[1], blue * DISPLAY[2]]
            }
        };
        canvas.put(column, row, colour, received, 1.0);
    }
}

#[cfg(test)]
mod tests {
    use image::RgbImage;

    use super::super::person::tests::nobody;
    use super::super::{HEIGHT, WIDTH};
    use super::*;
    use crate::lighting::Relit;

    fn drawn(held: Held, seconds: f32) -> Canvas {
        let mut canvas = Canvas {
            picture: RgbImage::from_pixel(WIDTH, HEIGHT, image::Rgb([150; 3])),
            relit: Relit::wall(WIDTH, HEIGHT),
        };
        draw(&mut canvas, &nobody(), held, [40.0, 20.0], seconds);
        canvas
    }

    /// How much brighter the light makes each part of the face, one in nine.
    fn gains(held: Held) -> Vec<f32> {
        let canvas = drawn(held, 0.0);
        let mut lit = canvas.picture.clone();
        canvas.relit.light(&mut lit, [0.36; 3]);
        let [x, y, w, h] = nobody().face();
        let part = |picture: &RgbImage, column: u32, row: u32| {
            let left = (40.0 + x + w * 0.3 * column as f32) as u32;
            let top = (20.0 + y + h * 0.3 * row as f32) as u32;
            let sum: u32 =
                (0..400).map(|n| u32::from(picture.get_pixel(left + n % 20, top + n / 20).0[0])).sum();
            sum as f32
        };
        (0..9).map(|n| part(&lit, n % 3, n / 3) / part(&canvas.picture, n % 3, n / 3) - 1.0).collect()
    }

    #[test]
    fn a_print_follows_the_light_flatly_and_a_phone_hardly() {
        let print = gains(Held::Print);
        assert!(print.iter().all(|gain| (gain - print[0]).abs() < 0.01 && *gain > 0.1), "{print:?}");
        let film = gains(Held::Film);
        assert!(film.iter().all(|gain| *gain < print[0] / 4.0), "{film:?}");
    }

    #[test]
    fn a_hand_moves_both_and_a_phone_has_a_bezel() {
        for held in [Held::Print, Held::Film] {
            assert!(drawn(held, 1.0).picture != drawn(held, 1.1).picture, "{held:?}");
        }
        let dark = |canvas: &Canvas| canvas.picture.pixels().filter(|pixel| pixel.0 == [18, 18, 20]).count();
        assert!(dark(&drawn(Held::Film, 0.0)) > 5_000 && dark(&drawn(Held::Print, 0.0)) == 0);
    }
}
